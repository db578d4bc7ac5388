"""The hold store of one application, opened at first use, and its renewals.

Which steps are taken when is said in `metering.conversation`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from stigg_guard.metering.holds.base import (
    AsyncHolds,
    GiveBack,
    Holds,
    HoldsUnavailable,
    Keep,
    Op,
    Settle,
    Take,
    Taken,
)
from stigg_guard.metering.holds.memory import AsyncMemoryHolds, MemoryHolds
from stigg_guard.metering.holds.settling import Settling
from stigg_guard.metering.siblings import siblings

if TYPE_CHECKING:
    from stigg_guard.metering.holds.renewal import Renewals
    from stigg_guard.settings import Settings

_logger = logging.getLogger("stigg_guard")

MEMORY: Final = "memory"
_LOOKS: Final = 16
_LONGEST_FLUSH: Final = 5.0
"""Seconds; a store that is gone is found out in about one, and asked no more."""


class Holding:
    """The holds of one application; nothing is opened before use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.memory = MemoryHolds()
        """Holds of this process: all of them, or those of a Redis that is gone."""
        self.is_instant = settings.holds == MEMORY
        """Whether a step of the holds never waits for anything."""
        self.forget_holds()

    def forget_holds(self) -> None:
        """Begin anew in a child: threads, connections and holds are the parent's."""
        self._lock = threading.RLock()
        self._holds: Holds | None = None
        self._async_holds: AsyncHolds | None = None
        self._renewals: Renewals | None = None
        self._settling = Settling(self._perform_each)
        self._takes = 0
        self._looks_left = _LOOKS if self.is_instant else 0

    @property
    def holds(self) -> Holds:
        """The hold store for threads."""
        if self._holds is None:
            self._open_holds()
        assert self._holds is not None
        return self._holds

    @property
    def async_holds(self) -> AsyncHolds:
        """The hold store for event loops."""
        if self._async_holds is None:
            self._open_holds()
        assert self._async_holds is not None
        return self._async_holds

    def _open_holds(self) -> None:
        with self._lock:
            if self._holds is not None:
                return
            if self.is_instant:
                self._async_holds = AsyncMemoryHolds(self.memory)
                self._holds = self.memory
                return
            from stigg_guard.metering.holds.renewal import Renewals
            from stigg_guard.metering.holds.shared import shared_holds

            holds, async_holds = shared_holds(
                self._settings.holds,
                prefix=self._settings.redis_prefix,
                memory=self.memory,
                on_unavailable=self._settings.holds_on_unavailable,
            )
            self._renewals = Renewals(holds, lease=self._settings.holds_lease)
            self._async_holds, self._holds = async_holds, holds

    def perform(self, op: Op, *, waits: bool = True) -> object:
        """A step of the holds, from a thread; an outage is a value.

        Without `waits` a step that would take a while is handed to another thread.
        """
        if not waits and not self.is_instant and self._settling.add(op):
            return None
        try:
            reply = self.holds.perform(op)
        except HoldsUnavailable as error:
            return error
        if self._renewals is not None:
            self._renew(op, reply)
        elif self._looks_left and type(op) is Take:
            self._look_around()
        return reply

    def _perform_each(self, ops: Sequence[Op]) -> None:
        """Steps that nobody waits for; what an outage keeps back is told later."""
        self.holds.perform_each(ops)
        if self._renewals is not None:
            for op in ops:
                self._renew(op, None)

    def _look_around(self) -> None:
        """Warn, once, when holds in memory are one of several: at the 1st, 2nd, 4th."""
        self._takes += 1
        if self._takes & (self._takes - 1):
            return
        self._looks_left -= 1
        others = siblings()
        if others:
            self._looks_left = 0
            _logger.warning(
                'HOLDS is "memory", and %d processes serve this application: together'
                " they may grant %d times a limit. Set HOLDS to the URL of a Redis.",
                others + 1,
                others + 1,
            )

    async def aperform(self, op: Op, *, waits: bool = True) -> object:
        """A step of the holds, from an event loop; an outage is a value.

        What ends a hold is carried out even when the caller is cancelled.
        """
        if self.is_instant:
            return self.perform(op)
        if not waits and self._settling.add(op):
            return None
        if isinstance(op, Take):
            return await self._aperform(op)
        return await asyncio.shield(asyncio.ensure_future(self._aperform(op)))

    async def _aperform(self, op: Op) -> object:
        try:
            reply = await self.async_holds.perform(op)
        except HoldsUnavailable as error:
            return error
        self._renew(op, reply)
        return reply

    def _renew(self, op: Op, reply: object) -> None:
        """Renew what is open from now on, and no more what has ended."""
        renewals = self._renewals
        assert renewals is not None
        match op:
            case Take() if isinstance(reply, Taken) and reply.granted:
                for want in op.wants:
                    renewals.add(want.place, want.key, want.units, want.period)
            case Settle():
                renewals.drop(op.place, op.key)
            case Keep():
                renewals.drop(op.place, op.key, ended=False)
            case GiveBack():
                for key in op.keys:
                    renewals.drop(op.place, key)
            case _:
                pass

    def close_holds(self) -> None:
        """Carry out what nobody waited for; let go of threads and connections."""
        self._settling.close(_LONGEST_FLUSH)
        if self._renewals is not None:
            self._renewals.close()
        if self._holds is not None:
            self._holds.close()
