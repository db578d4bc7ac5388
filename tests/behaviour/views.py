"""From the contract, where adapters of everybody find it: `views`."""

from stigg_guard.testing.contract.views import *  # noqa: F403
