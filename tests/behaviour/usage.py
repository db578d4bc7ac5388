"""From the contract, where adapters of everybody find it: `usage`."""

from stigg_guard.testing.contract.usage import *  # noqa: F403
