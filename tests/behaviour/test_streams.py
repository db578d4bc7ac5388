"""The contract's tests of streams, in each of our frameworks."""

from stigg_guard.testing.contract.streams import *  # noqa: F403
