"""Usage in the memory of one process, gone with it.

The store that `LocalSidecar` uses by default lives here; its contract is in `base`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sidecar_client.local.stores.base import UsageChange, UsageKey, UsageOutOfRange


class MemoryUsageStore:
    """A `UsageStore` in a dictionary. One event loop uses it at a time, so no lock."""

    def __init__(self) -> None:
        self._totals: dict[UsageKey, float] = {}

    async def read(self, keys: Sequence[UsageKey]) -> list[float]:
        """The value of each key, in the order asked."""
        return [self._totals.get(key, 0.0) for key in keys]

    async def apply(self, changes: Sequence[UsageChange]) -> list[float]:
        """Make all changes or none; the value after each."""
        after: dict[UsageKey, float] = {}
        totals: list[float] = []
        for change in changes:
            before = after.get(change.key, self._totals.get(change.key, 0.0))
            total = change.value + (before if change.update == "delta" else 0.0)
            if total < 0 or not math.isfinite(total):
                raise UsageOutOfRange(change, total)
            after[change.key] = total
            totals.append(total)
        self._totals.update(after)
        return totals

    async def seed(self, changes: Sequence[UsageChange]) -> None:
        """Make each change whose counter was never changed."""
        await self.apply([c for c in changes if c.key not in self._totals])
