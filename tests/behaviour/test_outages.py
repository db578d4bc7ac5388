"""The contract's tests of outages, in each of our frameworks."""

from stigg_guard.testing.contract.outages import *  # noqa: F403
