"""The contract's tests of guarding, in each of our frameworks."""

from stigg_guard.testing.contract.guarding import *  # noqa: F403
