"""A real local sidecar for tests, with a clock that tests move.

What it serves is `sidecar_client.local`'s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sidecar_client.local import Catalog, LocalSidecar
from stigg_guard.metering.moment import as_moment


class MovedClock:
    """The system's time in UTC, moved as far as a test wants."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

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
        with self._lock:
            self._ahead += more + (by or timedelta())

    def move_to(self, moment: datetime) -> None:
        """Move it to a moment, which has to be aware of its zone; it goes on there."""
        wanted = as_moment("clock.move_to(moment)", moment)
        with self._lock:
            self._ahead = wanted - datetime.now(UTC)


class ClockedSidecar(LocalSidecar):
    """A `LocalSidecar` whose `clock` can be moved across reset periods.

    It starts with usage of the moment at which it is started.
    """

    def __init__(
        self,
        catalog: Catalog | Mapping[str, object] | str | os.PathLike[str] | None = None,
    ) -> None:
        self.clock = MovedClock()
        super().__init__(catalog, clock=self.clock)
