"""The time as the local sidecar tells it: a clock that can be moved, and runs on.

Checking a given clock and moving it live here; what depends on time does not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sidecar_client.local.shown import shown
from sidecar_client.local.values import EARLIEST, LATEST, TIME_RANGE

_CLOCK = "use a function that returns an aware datetime, such as datetime.now(UTC)"


class MovableClock:
    """The time in UTC, as far from its base as it was moved.

    Without a base it is the system's clock. It runs on from where it was put; a base
    that stands still does not. Moves take effect at once, from any thread.
    """

    def __init__(self, base: Callable[[], datetime] | None = None) -> None:
        self._base = _utc_now if base is None else _in_utc(base)
        self._moved = timedelta()
        self._listeners: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        """The time now, in UTC."""
        return self._base() + self._moved

    @property
    def moved(self) -> timedelta:
        """How far it is ahead of its base; negative when behind."""
        return self._moved

    def advance(self, by: timedelta) -> datetime:
        """Move it on, or back by a negative time; the time that it then tells."""
        if not isinstance(by, timedelta):
            raise TypeError(f"by is {shown(by)}; use a timedelta")
        return self._move(lambda: self._moved + by, by)

    def set(self, to: datetime) -> datetime:
        """Put it to a time, from which it runs on; the time that it then tells."""
        if not isinstance(to, datetime):
            raise TypeError(f"to is {shown(to)}; use an aware datetime")
        if to.utcoffset() is None:
            raise ValueError(
                f"to is {to}, which has no zone; give it one, such as "
                "datetime(2026, 1, 31, tzinfo=UTC)"
            )
        if not EARLIEST <= to < LATEST:
            raise ValueError(f"to is {to}; {TIME_RANGE}")
        return self._move(lambda: to - self._base(), to)

    def reset(self) -> datetime:
        """Let it tell the time of its base again."""
        return self._move(timedelta, timedelta())

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener after every move, in the thread that moves the clock."""
        self._listeners.append(listener)

    def _move(self, to: Callable[[], timedelta], asked: object) -> datetime:
        try:
            moved = to()
            now = self._base() + moved
        except OverflowError:
            moved, now = timedelta(), LATEST
        if not EARLIEST <= now < LATEST:
            raise ValueError(f"{asked} leads out of the calendar; {TIME_RANGE}")
        self._moved = moved
        for listener in self._listeners:
            listener()
        return now


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _in_utc(clock: Callable[[], object]) -> Callable[[], datetime]:
    """The clock in UTC; an error of whoever wrote it where it tells no time."""
    if not callable(clock):
        raise TypeError(f"clock is {shown(clock)}; {_CLOCK}")

    def now() -> datetime:
        told = clock()
        if not isinstance(told, datetime):
            raise TypeError(f"clock returned {shown(told)}; {_CLOCK}")
        if told.utcoffset() is None:
            raise ValueError(f"clock returned {told}, which has no zone; {_CLOCK}")
        if not EARLIEST <= told < LATEST:
            raise ValueError(f"clock returned {told}; {TIME_RANGE}")
        return told.astimezone(UTC)

    return now
