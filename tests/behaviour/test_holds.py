"""The contract's tests of holds, in each of our frameworks."""

from stigg_guard.testing.contract.holds import *  # noqa: F403
