"""Whether a hold store is out now, and what it must be told when it is back.

An outage is logged once, and its end. What is done meanwhile is `unavailable`'s.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from stigg_guard.metering.holds.base import (
    GiveBack,
    HoldsUnavailable,
    Keep,
    Op,
    Place,
    Settle,
)

logger = logging.getLogger("stigg_guard")

SECONDS_BETWEEN_TRIES: Final = 1.0
MOST_UNTOLD: Final = 10_000
"""Holds whose end is remembered for the store; the oldest are dropped first."""

Untold: TypeAlias = Settle | Keep | GiveBack
_Key: TypeAlias = tuple[Place, str]


class HoldsOutage:
    """The state of one store. Safe for threads."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.missed = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew, with a free lock."""
        self._lock = threading.Lock()
        self._since: float | None = None
        self._try_at = 0.0
        self._missed_before = self.missed
        self._dropped = 0
        self.cause = ""
        """The text of the last error."""
        self._untold: dict[_Key, Untold] = {}

    @property
    def is_on(self) -> bool:
        """Whether the store is out."""
        return self._since is not None

    def may_try(self) -> bool:
        """Whether it is this step's turn to try the store."""
        with self._lock:
            now = self._clock()
            if self._since is not None and now < self._try_at:
                return False
            self._try_at = now + SECONDS_BETWEEN_TRIES
            return True

    def failed(self, error: HoldsUnavailable, meanwhile: str) -> None:
        """Take note of a failure; only the first of an outage is logged."""
        with self._lock:
            self.cause = str(error)
            self._try_at = self._clock() + SECONDS_BETWEEN_TRIES
            if self._since is not None:
                return
            self._since = self._clock()
            self._missed_before = self.missed
        logger.warning("%s %s", error, meanwhile)

    def is_all_told(self) -> bool:
        """Whether nothing is left to tell; else whoever comes next may go on."""
        with self._lock:
            if self._untold:
                self._try_at = self._clock()
            return not self._untold

    def end(self) -> None:
        """Take note that the store is back, unless there is more to tell it."""
        with self._lock:
            since = self._since
            if since is None:
                return
            if self._untold:
                # It came meanwhile: whoever comes next may tell it.
                self._try_at = self._clock()
                return
            self._since = None
            missed, dropped = self.missed - self._missed_before, self._dropped
            self._dropped = 0
        logger.info(
            "The hold store is back after %.1f s and %d steps without it; %d of them"
            " could not be made up for.",
            self._clock() - since,
            missed,
            dropped,
        )

    def miss(self, op: Op) -> None:
        """Count a step without the store; how holds ended is told to it later."""
        with self._lock:
            self.missed += 1
            match op:
                case GiveBack():
                    for key in op.keys:
                        self._keep(GiveBack(place=op.place, keys=(key,)), key)
                case Settle() | Keep():
                    self._keep(op, op.key)
                case _:
                    return

    def owe(self, op: GiveBack) -> None:
        """Have one hold given back that the store may have granted unheard."""
        with self._lock:
            self._keep(op, op.keys[0])

    def next_untold(self) -> Untold | None:
        """The oldest step that the store was not told."""
        with self._lock:
            if not self._untold:
                return None
            return self._untold.pop(next(iter(self._untold)))

    def keep_untold(self, op: Untold) -> None:
        """It was not told after all; what came later of its hold is newer."""
        key = op.keys[0] if isinstance(op, GiveBack) else op.key
        with self._lock:
            self._untold.setdefault((op.place, key), op)

    def _keep(self, op: Untold, key: str) -> None:
        # How a hold ended says all about it that was before.
        self._untold[op.place, key] = op
        if len(self._untold) > MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]
            self._dropped += 1
