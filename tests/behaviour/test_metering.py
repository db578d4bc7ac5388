"""The contract's tests of metering, in each of our frameworks."""

from stigg_guard.testing.contract.metering import *  # noqa: F403
