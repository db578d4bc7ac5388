"""What the suite's views do, as their query tells them, free of frameworks.

Which view does what is said in `routes` and in the queries of the tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

CHUNK = b"0123456789"
PAUSE = 0.002


class ViewBroke(Exception):
    """What a view raises when it is told to."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A view answers JSON {"ok": true}, or else what its query tells.

    `status` is its status, `headers` are what it sets; with `chunks` it streams so
    many, slowly if they are without end, and breaks after `breaks_after`. `use` is the
    usage that it sets.
    """

    status: int
    headers: Mapping[str, str]
    chunks: float | None
    breaks_after: float
    use: float | None

    @classmethod
    def by(cls, query: Mapping[str, str]) -> Told:
        """Read a query; raises `ViewBroke` if it says `raise=1`."""
        if query.get("raise"):
            raise ViewBroke
        names = {
            "units": "X-Units",
            "limit": "X-RateLimit-Limit",
            "cache": "Cache-Control",
        }
        return cls(
            status=int(query.get("status", 200)),
            headers={names[key]: query[key] for key in names if key in query},
            chunks=float(query["chunks"]) if "chunks" in query else None,
            breaks_after=float(query.get("breaks_after", "inf")),
            use=float(query["use"]) if "use" in query else None,
        )

    def stream(self) -> Iterator[bytes]:
        """The chunks, one after the other."""
        for number in count():
            if self._ends_at(number):
                return
            yield CHUNK
            if self.chunks == float("inf"):
                time.sleep(PAUSE)

    async def astream(self) -> AsyncIterator[bytes]:
        """The chunks, for event loops."""
        for number in count():
            if self._ends_at(number):
                return
            yield CHUNK
            await asyncio.sleep(PAUSE if self.chunks == float("inf") else 0)

    def _ends_at(self, number: int) -> bool:
        if number >= self.breaks_after:
            raise ViewBroke
        return self.chunks is not None and number >= self.chunks
