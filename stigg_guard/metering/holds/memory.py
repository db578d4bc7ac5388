"""Holds kept in this process: fast, and unknown to every other one.

With several processes the bound is their number times the limit. The rule they follow
is `ledger`'s.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable

from stigg_guard.metering.holds.base import Holds, Op, Place
from stigg_guard.metering.holds.ledger import Ledger


class MemoryHolds(Holds):
    """A hold store for the threads and event loops of one process.

    A child that was forked starts without holds: those of its parent are the parent's.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.forget()
        _stores.add(self)

    def forget(self) -> None:
        """Begin anew, with a free lock: another thread may have held it at a fork."""
        self._ledger = Ledger()
        self._lock = threading.Lock()

    def perform(self, op: Op) -> object:
        """Carry one step out; it never waits for anything but another step."""
        with self._lock:
            return self._ledger.perform(op, self._clock())

    def holds(self, place: Place, key: str) -> bool:
        """Whether a key is held here; it may have run out just now."""
        return self._ledger.holds(place, key)

    def close(self) -> None:
        """Keep everything: there is no connection to let go of."""

    def __len__(self) -> int:
        return len(self._ledger)


class AsyncMemoryHolds:
    """The holds of a `MemoryHolds`, for event loops."""

    def __init__(self, holds: MemoryHolds) -> None:
        self._holds = holds

    async def perform(self, op: Op) -> object:
        """Carry one step out; it suspends nothing."""
        return self._holds.perform(op)

    async def aclose(self) -> None:
        """Keep everything."""


_stores: weakref.WeakSet[MemoryHolds] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(after_in_child=_after_fork)
