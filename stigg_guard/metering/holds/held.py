"""The holds of one account by key: how many units they are, and which run out when.

What that means for what is counted is `account`'s.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from stigg_guard.metering.holds.base import Mode

LEASED: Final = ("open", "sending")
"""Modes of holds that somebody works on now."""


class Hold(NamedTuple):
    """Units that are promised. `base` is what was used when a "set" was taken."""

    units: float
    mode: Mode
    until: float
    base: float | None


LOST: Final = Hold(0.0, "open", -math.inf, None)
"""What is known of a hold that is not there."""


class Held:
    """Holds by key, and their sums; a sum of none is exactly 0.

    `stored_units` and `doubtful_units` are the parts of `units` in these modes.
    `has_crossed` tells whether several were open at once since the last time that none
    was: their acknowledgements may come in another order than they were counted.
    """

    __slots__ = (
        "_ends",
        "by_key",
        "doubtful",
        "doubtful_units",
        "has_crossed",
        "open",
        "stored_units",
        "units",
    )

    def __init__(self) -> None:
        self.by_key: dict[str, Hold] = {}
        self.units = 0.0
        self.stored_units = 0.0
        self.doubtful_units = 0.0
        self.open = 0
        self.doubtful = 0
        self.has_crossed = False
        # The ends of all holds, and some of holds that were moved or are over.
        self._ends: list[tuple[float, str]] = []

    @property
    def is_certain(self) -> bool:
        """Whether nothing is or was sent of which nobody knows if it arrived."""
        return not self.open and not self.doubtful

    @property
    def doubts(self) -> tuple[tuple[str, float], ...]:
        """The keys and units of doubtful holds, in the order of the keys."""
        if not self.doubtful:
            return ()
        doubtful = (item for item in self.by_key.items() if item[1].mode == "doubtful")
        return tuple(sorted((key, hold.units) for key, hold in doubtful))

    def add(self, key: str, hold: Hold) -> None:
        """Hold units under a key that holds none."""
        self._put(key, hold)
        self.units += hold.units
        if hold.mode in LEASED:
            self.has_crossed = self.open > 0
            self.open += 1
        elif hold.mode == "doubtful":
            self.doubtful += 1
            self.doubtful_units += hold.units
        else:
            self.stored_units += hold.units

    def prolong(self, key: str, until: float) -> None:
        """Move the end of a hold."""
        self._put(key, self.by_key[key]._replace(until=until))

    def remove(self, key: str) -> Hold:
        """End a hold."""
        hold = self.by_key.pop(key)
        if hold.mode in LEASED:
            self.open -= 1
        elif hold.mode == "doubtful":
            self.doubtful -= 1
            self.doubtful_units -= hold.units
        else:
            self.stored_units -= hold.units
        if self.open + self.doubtful == len(self.by_key):
            self.stored_units = 0.0
        if not self.doubtful:
            self.doubtful_units = 0.0
        if self.by_key:
            self.units -= hold.units
        else:
            # Exactly nothing: what floats added up to is dropped.
            self.units = 0.0
            self._ends.clear()
        return hold

    def run_out(self, now: float) -> tuple[str, Hold] | None:
        """End the first hold that is over by now."""
        while self._ends and self._ends[0][0] <= now:
            until, key = heappop(self._ends)
            hold = self.by_key.get(key)
            if hold is not None and hold.until == until:
                return key, self.remove(key)
        return None

    def _put(self, key: str, hold: Hold) -> None:
        self.by_key[key] = hold
        heappush(self._ends, (hold.until, key))
        if len(self._ends) > 2 * len(self.by_key) + 16:
            self._ends = [(held.until, other) for other, held in self.by_key.items()]
            heapify(self._ends)
