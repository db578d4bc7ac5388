"""Records in Redis, shared by all sidecars that use the same prefix.

Asking and remembering live here; connections are in `redis_link`, the atomic steps in
`redis_scripts`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

from sidecar_client.local.records import encoded
from sidecar_client.local.stores import redis_scripts as scripts
from sidecar_client.local.stores.base import (
    ABSENT,
    MOST_MARKS,
    Changes,
    Entry,
    StoreError,
)
from sidecar_client.local.stores.decoded import CACHE_BYTES, Decoded, record_of
from sidecar_client.local.stores.redis_address import RedisAddress
from sidecar_client.local.stores.redis_link import (
    PATIENCE,
    PATIENCE_OF_READING,
    RedisLink,
)
from sidecar_client.local.tasks import ended

logger = logging.getLogger("sidecar_client.local")

_LONGEST_RENEWAL: Final = 3600.0
_PATIENCE_OF_THE_START: Final = 2.0
_MORE_THAN_PATIENCE: Final = 4


class RedisStore:
    """A `Store` in the Redis at `url`, for any number of sidecars at once.

    All keys begin with the prefix and have one hash tag, so everything is in one slot
    of a Redis Cluster: each commit is atomic over all that is kept, at the price of one
    node's throughput. Everything expires at once, `keys_ttl` seconds after the last
    sidecar that uses it ended; below 0, never. While Redis cannot be reached, a commit
    is tried for `patience` seconds, a reading for `patience_of_reading`. A commit whose
    answer was lost is recognised when it is sent again, so that it is made once.
    """

    shared = True

    def __init__(
        self,
        url: str | RedisAddress,
        *,
        most_marks: int = MOST_MARKS,
        cache_bytes: int = CACHE_BYTES,
        patience: float = PATIENCE,
        patience_of_reading: float = PATIENCE_OF_READING,
    ) -> None:
        address = RedisAddress.of_url(url) if isinstance(url, str) else url
        self.address = address
        self._link = RedisLink(address)
        self.failures = self._link.failures
        """Called with each command that failed, also when it is tried again."""
        # Redis Cluster chooses the slot by what is in braces.
        base = f"{address.prefix}:{{{address.prefix}}}:"
        self._keys = [base + name for name in scripts.KEPT]
        self._done = f"{base}done:"
        self._where = f"The store {address.location}"
        self._patience = patience
        self._patience_of_reading = patience_of_reading
        self._most_marks = most_marks
        # A commit is sent again for so long, and is recognised for longer.
        self._remembered = math.ceil(1000 * (_MORE_THAN_PATIENCE * patience + 10))
        self._decoded = Decoded(most_bytes=cache_bytes)
        self._renewal: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; `StoreError` if that fails or the keys are of something else."""
        self._link.open()
        try:
            await self._renewed(min(self._patience, _PATIENCE_OF_THE_START))
        except BaseException:
            await self.close()
            raise
        if self.address.keys_ttl > 0 and self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Let go of the connections; what is kept expires in its time."""
        renewal, self._renewal = self._renewal, None
        await ended(renewal)
        await self._link.close()

    async def read(self, names: Sequence[str]) -> list[Entry]:
        """The entry of each name, in the order asked, as of one moment."""
        known = [self._decoded.get(name) for name in names]
        asked: list[object] = []
        for name, entry in zip(names, known, strict=True):
            asked += (name, entry.version)
        reply: list[bytes] = await self._run(scripts.READ, *asked)
        return [
            self._entry(names[at], reply[2 * at], reply[2 * at + 1], known[at])
            for at in range(len(names))
        ]

    async def marked(self, marks: Sequence[str]) -> list[bool]:
        """Whether each mark is set, in the order asked."""
        return [bool(found) for found in await self._run(scripts.MARKED, *marks)]

    async def commit(self, changes: Changes) -> bool:
        """Make all changes, or none; once, even if an answer is lost on the way."""
        written = {
            name: encoded(record)
            for name, record in changes.written.items()
            if record is not None
        }
        removed = [name for name, record in changes.written.items() if record is None]
        reply: bytes = await self._link.run(
            scripts.COMMIT,
            [*self._keys, f"{self._done}{uuid4().hex}"],
            _texts(
                (
                    *(self.address.keys_ttl, self._most_marks, self._remembered),
                    *(len(changes.expected), *_pairs(changes.expected)),
                    *(len(changes.marks), *changes.marks),
                    *(len(written), *_pairs(written)),
                    *(len(removed), *removed),
                )
            ),
            patience=self._patience,
        )
        if not reply:
            return False
        for name, text in written.items():
            entry = Entry(int(reply), changes.written[name])
            self._decoded.put(name, entry, len(text))
        return True

    async def scan(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, Entry]]:
        """Up to `limit` entries whose names begin so and come after `after`."""
        begin = f"({after}" if after >= prefix else f"[{prefix}"
        # The highest code point is in no name.
        reply = await self._run(scripts.SCAN, begin, f"({prefix}\U0010ffff", limit)
        found: list[tuple[str, Entry]] = []
        for at in range(0, len(reply), 3):
            name = reply[at].decode()
            known = self._decoded.get(name)
            if known.version != int(reply[at + 1]):
                known = ABSENT
            text = b"" if known.version else reply[at + 2]
            found.append((name, self._entry(name, reply[at + 1], text, known)))
        return found

    def _entry(self, name: str, version: bytes, text: bytes, known: Entry) -> Entry:
        """What a reply says; no text says that it is the known version."""
        if not version:
            self._decoded.forget(name)
            return ABSENT
        if not text:
            return known
        entry = Entry(int(version), record_of(name, text, where=self._where))
        self._decoded.put(name, entry, len(text))
        return entry

    async def _renew(self) -> None:
        """Put the end of all keys off, also when nothing is written."""
        while True:
            await asyncio.sleep(min(self.address.keys_ttl / 3, _LONGEST_RENEWAL))
            try:
                await self._renewed(self._patience)
            except StoreError as error:
                logger.warning("%s What it keeps was not renewed.", error)

    async def _renewed(self, patience: float) -> None:
        ttl = str(self.address.keys_ttl)
        await self._link.run(scripts.RENEW, self._keys, [ttl], patience=patience)

    async def _run(self, script: scripts.Script, *arguments: object) -> Any:
        """The reply of a script that only reads."""
        return await self._link.run(
            script, self._keys, _texts(arguments), patience=self._patience_of_reading
        )


def _texts(arguments: Iterable[object]) -> list[str]:
    return [value if isinstance(value, str) else str(value) for value in arguments]


def _pairs(mapping: Any) -> Iterator[object]:
    for name, value in mapping.items():
        yield name
        yield value
