"""The contract's tests of headers, in each of our frameworks."""

from stigg_guard.testing.contract.headers import *  # noqa: F403
