"""A real local sidecar for tests, with a clock that tests move.

What it serves is `sidecar_client.local`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta

from sidecar_client.local import Catalog, LocalSidecar
from sidecar_client.local.clock import MovableClock
from stigg_guard.metering.moment import as_moment


class MovedClock(MovableClock):
    """The system's time in UTC, moved as far as a test wants."""

    def move(
        self,
        by: timedelta | None = None,
        /,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Move it ahead by so much, or back by less than nothing."""
        more = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self.advance(more + (by or timedelta()))

    def move_to(self, moment: datetime) -> None:
        """Move it to a moment, which has to be aware of its zone; it goes on there."""
        self.set(as_moment("clock.move_to(moment)", moment))


class ClockedSidecar(LocalSidecar):
    """A `LocalSidecar` whose `clock` can be moved across reset periods.

    It starts with usage of the moment at which it is started.
    """

    def __init__(
        self,
        catalog: Catalog | Mapping[str, object] | str | os.PathLike[str] | None = None,
    ) -> None:
        self._moved_clock = MovedClock()
        super().__init__(catalog, clock=self._moved_clock)

    @property
    def clock(self) -> MovedClock:
        """The time that the sidecar tells."""
        return self._moved_clock
