"""The contract's tests of policies, in each of our frameworks."""

from stigg_guard.testing.contract.policies import *  # noqa: F403
