"""Holds that other processes keep in their memory: nothing is known of them here.

A worker of a command has these. What holds are kept in lives in `memory` and `redis`.
"""

from __future__ import annotations

from stigg_guard.metering.holds.base import Fence, Keep, Op, Standing


class HoldsElsewhere:
    """A hold store that has no accounts, and makes none.

    So a change that may have arrived is never told apart by what this process alone
    knows: others report the same feature.
    """

    def perform(self, op: Op) -> object:
        """What a store replies that knows nothing; nothing changes."""
        match op:
            case Fence():
                return Standing()
            case Keep():
                return True
            case _:
                return None

    def close(self) -> None:
        """There is nothing to let go of."""
