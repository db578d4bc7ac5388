"""Holds in memory as a deliverer sees them that is not the only process.

What other processes hold and what was acknowledged to them cannot be known here, so
nothing can be told from the sidecar's total.
"""

from __future__ import annotations

from collections.abc import Callable

from stigg_guard.metering.holds.base import Fence, Holds, Keep, Op, Standing


class HoldsElsewhere(Holds):
    """The holds of other processes' memory: no step reaches them, nothing is known."""

    def perform(self, op: Op) -> object:
        """Let every row be sent, and know no total before."""
        if isinstance(op, Keep):
            return True
        return Standing() if isinstance(op, Fence) else None

    def close(self) -> None:
        """Do nothing: there is no connection."""


class HoldsAmongOthers(Holds):
    """Holds in this process's memory, beside others when `is_alone` says so.

    Beside others no account can be reconciled: it knows only what was told to this one.
    """

    def __init__(self, holds: Holds, is_alone: Callable[[], bool]) -> None:
        self._holds = holds
        self._is_alone = is_alone

    def perform(self, op: Op) -> object:
        """Carry a step out; a fence finds nothing known while there are others."""
        if isinstance(op, Fence) and not self._is_alone():
            return Standing()
        return self._holds.perform(op)

    def close(self) -> None:
        """Let go of connections."""
        self._holds.close()
