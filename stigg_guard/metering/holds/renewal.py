"""Open holds of this process, prolonged for as long as their requests run.

When a hold begins and ends is said elsewhere.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from stigg_guard.metering.holds.base import (
    GiveBack,
    Holds,
    HoldsUnavailable,
    Op,
    Peek,
    Place,
    Renew,
)

logger = logging.getLogger("stigg_guard")

MOST_AT_ONCE: Final = 500
"""Holds of a place that one step prolongs."""
LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks: so long a store that is back may not be known as such."""
NOWHERE: Final = Place("", None, "")
"""Whose units nobody counts."""

_Key: TypeAlias = tuple[Place, str]


@dataclass(slots=True)
class _Entry:
    units: float
    period: float | None
    due_at: float
    was_renewed: bool = False


class Renewals:
    """Prolongs holds once a third of their lease is over, again and again.

    A daemon thread does it, on the sync store also for event loops. It starts with the
    first hold and ends when there was none for a while. What the store says against it
    is the store's to log. A child that was forked prolongs nothing of its parent's.
    """

    def __init__(
        self,
        store: Holds,
        *,
        lease: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Begin anew, without holds, thread and lock of the parent."""
        self._lock = threading.Lock()
        self._entries: dict[_Key, _Entry] = {}
        self._ended: list[_Key] = []
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def add(self, place: Place, key: str, units: float, period: float | None) -> None:
        """Keep a hold that was granted from running out."""
        entry = _Entry(units, period, self._clock() + self._lease / 3)
        with self._lock:
            self._entries[place, key] = entry
            if self._thread is None:
                self._start()

    def drop(self, place: Place, key: str, *, ended: bool = True) -> None:
        """Let a hold be; to be called once it was settled, given back or kept.

        `ended` False is for one that lives on in the outbox. An ended one is given back
        once more if it was ever prolonged: a step under way may hold it again.
        """
        with self._lock:
            entry = self._entries.pop((place, key), None)
            if entry is not None and entry.was_renewed and ended:
                self._ended.append((place, key))

    def renew_due(self) -> None:
        """Prolong what is due now."""
        for op in _renewals(self._due(), self._lease):
            self._perform(op)
        with self._lock:
            ended, self._ended = self._ended, []
        for place, keys in _by_place(ended).items():
            self._perform(GiveBack(place=place, keys=tuple(keys)))
        if self._is_out():
            # Whoever asks it first when it is back tells it what it missed.
            self._perform(Peek(place=NOWHERE))

    def _is_out(self) -> bool:
        return bool(getattr(self._store, "is_out", False))

    def close(self) -> None:
        """End the thread; holds that are open run out by themselves."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(5)

    def __len__(self) -> int:
        return len(self._entries)

    def _due(self) -> list[tuple[_Key, _Entry]]:
        now, due = self._clock(), list[tuple[_Key, _Entry]]()
        with self._lock:
            for name, entry in self._entries.items():
                if entry.due_at > now:
                    break
                due.append((name, entry))
            for name, entry in due:
                entry.was_renewed = True
                entry.due_at = now + self._lease / 3
                # What is due last is last.
                self._entries[name] = self._entries.pop(name)
        return due

    def _perform(self, op: Op) -> None:
        try:
            self._store.perform(op)
        except HoldsUnavailable:
            # It is tried again in time, or the hold runs out.
            return
        except Exception:
            logger.exception("Holds could not be prolonged, which is a defect: %r", op)

    def _start(self) -> None:
        self._stop = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(self._stop,), name="stigg-guard-holds", daemon=True
        )
        # At the interpreter's end no thread can be started, nor is one needed.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self, stop: threading.Event) -> None:
        # At most half of a lease is over when it is prolonged.
        while not stop.wait(min(self._lease / 6, LONGEST_PAUSE)):
            self.renew_due()
            with self._lock:
                if not self._entries and not self._ended and not self._is_out():
                    self._thread = None
                    return
        with self._lock:
            self._thread = None


def _renewals(due: Iterable[tuple[_Key, _Entry]], lease: float) -> Iterable[Renew]:
    groups: dict[tuple[Place, float | None], list[tuple[str, float]]] = {}
    for (place, key), entry in due:
        groups.setdefault((place, entry.period), []).append((key, entry.units))
    for (place, period), units in groups.items():
        for start in range(0, len(units), MOST_AT_ONCE):
            some = tuple(units[start : start + MOST_AT_ONCE])
            yield Renew(place=place, units=some, lease=lease, period=period)


def _by_place(names: Iterable[_Key]) -> dict[Place, list[str]]:
    found: dict[Place, list[str]] = {}
    for place, key in names:
        found.setdefault(place, []).append(key)
    return found


_all: weakref.WeakSet[Renewals] = weakref.WeakSet()


def _after_fork() -> None:
    for renewals in list(_all):
        renewals.forget()


os.register_at_fork(after_in_child=_after_fork)
