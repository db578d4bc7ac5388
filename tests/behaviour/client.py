"""From the contract, where adapters of everybody find it: `client`."""

from stigg_guard.testing.contract.client import *  # noqa: F403
