"""Units that were settled so lately that the sidecar's usage may not show them.

The account they belong to is in `account`.
"""

from __future__ import annotations

import math
from typing import Final

BUCKETS: Final = 16
"""Into how many the time is cut for which units are young."""


class Young:
    """A sum of units, each for its time and up to a sixteenth longer.

    Units that age together share a bucket: the number of settlements costs nothing.
    """

    __slots__ = ("_buckets", "changes_at", "units")

    def __init__(self) -> None:
        self.units = 0.0
        self.changes_at = math.inf
        """When the next of them are young no more."""
        self._buckets: dict[float, float] = {}

    def add(self, units: float, young_for: float, now: float) -> float:
        """Count units; returns until when they are young."""
        width = young_for / BUCKETS
        until = (math.floor(now / width) + BUCKETS + 1) * width
        self._buckets[until] = self._buckets.get(until, 0.0) + units
        self.units += units
        if until < self.changes_at:
            self.changes_at = until
        return until

    def age(self, now: float) -> None:
        """Forget what is young no more."""
        left = {until: units for until, units in self._buckets.items() if until > now}
        self._buckets = left
        self.units = sum(left.values())
        self.changes_at = min(left, default=math.inf)
