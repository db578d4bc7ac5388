"""From the contract, where adapters of everybody find it: `routes`."""

from stigg_guard.testing.contract.routes import *  # noqa: F403
