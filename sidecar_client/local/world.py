"""The world that a sidecar serves: a store, a clock, and changes that are atomic.

Reading and changing records live here; what they mean does not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from sidecar_client.local.catalog import CatalogIndex, Definitions
from sidecar_client.local.customers import Customer
from sidecar_client.local.records import DEFINITIONS, Key, Record, customer_key
from sidecar_client.local.stores.base import ABSENT, Changes, Entry, Store, StoreError

Clock = Callable[[], datetime]
Result = TypeVar("Result")
_ATTEMPTS = 1000
_LONGEST_PAUSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something that happened, such as `subscription.created`."""

    kind: str
    at: datetime
    customer_id: str | None = None
    resource_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    """More about it, in values that JSON can hold or that pydantic can dump."""


class World:
    """Everything that a sidecar knows, at one time."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.listeners: list[Callable[[Announcement], None]] = []
        """Called with what happened, after it did; they may not wait or raise."""
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._index: tuple[int, CatalogIndex] = (0, CatalogIndex.of(Definitions()))

    async def read(self, key: Key[Record]) -> Record | None:
        """The record of a key, or None."""
        entry = (await self.store.read([key.name]))[0]
        return cast("Record | None", entry.record)

    async def read_all(self, keys: Sequence[Key[Record]]) -> list[Record | None]:
        """The record of each key, in the order asked, as of one moment."""
        entries = await self.store.read([key.name for key in keys])
        return [cast("Record | None", entry.record) for entry in entries]

    async def read_named(
        self, keys: Sequence[Key[BaseModel]]
    ) -> dict[str, BaseModel | None]:
        """The record of each key, by the key's name, as of one moment."""
        names = [key.name for key in keys]
        entries = await self.store.read(names)
        return {name: at.record for name, at in zip(names, entries, strict=True)}

    async def index(self) -> CatalogIndex:
        """What is defined for all customers, by ids."""
        return self.indexed((await self.store.read([DEFINITIONS.name]))[0])

    async def index_and_customer(
        self, customer_id: str
    ) -> tuple[CatalogIndex, Customer | None]:
        """What a check begins with, in one reading."""
        names = [DEFINITIONS.name, customer_key(customer_id).name]
        definitions, customer = await self.store.read(names)
        return self.indexed(definitions), cast("Customer | None", customer.record)

    async def transact(
        self, work: Callable[[Transaction], Awaitable[Result]]
    ) -> Result:
        """Do the work; what it writes is kept at once, or not at all.

        When something that it read changed meanwhile, it is done again from a new
        reading, so it must have no effect but through its transaction. What it raises
        comes out, and nothing is kept.
        """
        made = await self._attempt(work)
        if made is None:
            # Those who were late go one by one: at once, all but one would be again.
            async with self._turn():
                made = await self._attempt_again(work)
        return made[0]

    async def _attempt_again(
        self, work: Callable[[Transaction], Awaitable[Result]]
    ) -> tuple[Result]:
        for attempt in range(_ATTEMPTS):
            made = await self._attempt(work)
            if made is not None:
                return made
            # Another sidecar was faster.
            pause = min(_LONGEST_PAUSE, 0.001 * 2**attempt)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 (no secret)
        raise RuntimeError(f"no change succeeded in {_ATTEMPTS} attempts")

    async def _attempt(
        self, work: Callable[[Transaction], Awaitable[Result]]
    ) -> tuple[Result] | None:
        """The result, in a tuple; None if something that was read has changed."""
        transaction = Transaction(self)
        result = await work(transaction)
        if not await transaction.commit():
            return None
        for announcement in transaction.announcements:
            self.announce(announcement)
        return (result,)

    def _turn(self) -> asyncio.Lock:
        # A lock belongs to one event loop, and a world may be used on another later.
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = (loop, asyncio.Lock())
        return self._turns[1]

    def announce(self, announcement: Announcement) -> None:
        """Tell all listeners."""
        for listener in self.listeners:
            listener(announcement)

    def begin_anew(self) -> None:
        """Take a store that has lost what was kept as one that is still empty."""
        self._index = (0, CatalogIndex.of(Definitions()))

    def indexed(self, entry: Entry) -> CatalogIndex:
        """The index of the definitions that were read, made once for each version.

        Raises `StoreError` when there were some and there are none any more: a store
        that was emptied is no world without features and customers.
        """
        version, index = self._index
        if entry.version != version:
            if not entry.version:
                raise StoreError(
                    "the store has lost what was kept in it; load the catalog again: "
                    "send the sidecar SIGHUP, or start it anew"
                )
            index = CatalogIndex.of(cast("Definitions", entry.record or Definitions()))
            self._index = (entry.version, index)
        return index


class Transaction:
    """One attempt at a change: it sees its own writes, others see them all or none."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.now = world.clock()
        """The time of the change, the same throughout."""
        self._read: dict[str, Entry] = {}
        self._written: dict[str, BaseModel | None] = {}
        self._marks: dict[str, None] = {}
        self.announcements: list[Announcement] = []

    async def index(self) -> CatalogIndex:
        """What is defined for all customers, by ids."""
        if DEFINITIONS.name in self._written:
            return CatalogIndex.of(await self.read(DEFINITIONS) or Definitions())
        await self._fetch([DEFINITIONS.name])
        return self._world.indexed(self._read[DEFINITIONS.name])

    async def read(self, key: Key[Record]) -> Record | None:
        """The record of a key, or None."""
        return (await self.read_all([key]))[0]

    async def read_all(self, keys: Sequence[Key[Record]]) -> list[Record | None]:
        """The record of each key, in the order asked."""
        await self._fetch([key.name for key in keys if key.name not in self._written])
        return [cast("Record | None", self._seen(key.name)) for key in keys]

    def write(self, key: Key[Record], record: Record) -> None:
        """Keep the record from now on."""
        self._written[key.name] = record

    def remove(self, key: Key[Any]) -> None:
        """Keep nothing under the key from now on."""
        self._written[key.name] = None

    async def mark(self, marks: Sequence[str]) -> list[bool]:
        """Set each mark; whether it is new, which a second one of the list is not."""
        found = await self._world.store.marked(marks)
        new: list[bool] = []
        for name, known in zip(marks, found, strict=True):
            new.append(not known and name not in self._marks)
            if not known:
                self._marks[name] = None
        return new

    def announce(
        self,
        kind: str,
        *,
        customer_id: str | None = None,
        resource_id: str | None = None,
        **facts: object,
    ) -> None:
        """Tell the world's listeners once the change is kept."""
        self.announcements.append(
            Announcement(
                kind=kind,
                at=self.now,
                customer_id=customer_id,
                resource_id=resource_id,
                facts=facts,
            )
        )

    async def commit(self) -> bool:
        """Keep what was written; False if something that was read has changed."""
        if not self._written and not self._marks:
            return True
        return await self._world.store.commit(
            Changes(
                expected={name: entry.version for name, entry in self._read.items()},
                written=self._written,
                marks=tuple(self._marks),
            )
        )

    async def _fetch(self, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in self._read]
        if missing:
            entries = await self._world.store.read(missing)
            self._read.update(zip(missing, entries, strict=True))

    def _seen(self, name: str) -> BaseModel | None:
        if name in self._written:
            return self._written[name]
        return self._read.get(name, ABSENT).record
