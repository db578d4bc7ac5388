"""What time alone changes: subscriptions, promotions and credits that begin or end.

When that is, and telling of it, live here; what is lost by it is `lapses`.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, cast

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.crossings import Crossing, tell
from sidecar_client.local.customers import Customer, Status
from sidecar_client.local.lapses import (
    INSTANT,
    credit_lapses,
    expiries,
    renewals,
    usage_lapses,
)
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import Wallet, customer_key
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.world import Announcement, Transaction, World

logger = logging.getLogger("sidecar_client.local")

_LOOK: Final = 1.0
"""Seconds after which it looks at the clock at the latest: it may be anybody's."""
_AGAIN: Final = 30.0
"""Seconds after which all customers are looked at again, where others change them."""
_REST: Final = 20
"""After such a look it rests for so many times as long as that took, at least."""
_NEAR: Final = timedelta(seconds=30)
"""What is due so soon is left to the one that changed it: it may have told it as the
change itself, and its clock may be ahead."""
_AS_BEFORE: Final = (
    *("credits.consumed", "credits.grant.usage_low", "credits.grant.depleted"),
    *("credits.balance.usage_low", "credits.balance.depleted"),
    "entitlement.usage_exceeded",
)
"""After these nothing is due at another time."""


class Due:
    """Announces what time changes, while `run` runs; once, of all who share a store.

    A clock that is moved on announces everything in between, in its order. `again` is
    after how many seconds it looks at what others who share the store have changed.
    """

    def __init__(self, world: World, *, again: float = _AGAIN) -> None:
        self._world = world
        self._again = again
        self._looked = 0.0
        """By which time of the loop that was done, with the rest after it."""
        self._next: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._changed: dict[str, datetime] = {}
        self._all_since: datetime | None = world.clock()
        """Since when all customers are to be looked at; None: they have been."""
        self._told_until = self._all_since
        self._news = asyncio.Event()

    def note(self, announcement: Announcement) -> None:
        """Look at a customer again: something happened to it. On the loop of `run`."""
        if announcement.kind == "catalog.loaded":
            self._all_since = self._all_since or announcement.at
            self._news.set()
        name = announcement.customer_id
        if name is not None and announcement.kind not in _AS_BEFORE:
            # The clock may be moved before it is looked at.
            self._changed.setdefault(name, announcement.at)
            self._news.set()

    def look(self) -> None:
        """Look at the clock: it was moved. On the loop of `run`."""
        self._news.set()

    async def run(self) -> None:
        """Announce until it is cancelled; a store that is away is waited for."""
        while True:
            try:
                await self._run()
            except StoreError as error:
                logger.warning("What is due is looked at again: %s", error)
            except Exception:
                logger.exception("What is due was not told; it is looked at again.")
            # What is told a second time is known by its mark.
            self._all_since = self._told_until
            await asyncio.sleep(_LOOK)

    async def _run(self) -> None:
        self._looked = self._time()
        while True:
            self._news.clear()
            now = self._world.clock()
            await self._look_at_all()
            if self._until_again() == 0:
                await self._look_at_others()
            await self._look_at_changed()
            await self._announce_due()
            self._told_until = now
            # `wait_for` of Python 3.11 may forget that it was cancelled.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience()):
                    await self._news.wait()

    def _patience(self) -> float | None:
        """How long there is nothing to do; None: for ever."""
        again = self._until_again()
        if not self._heap:
            return again
        left = (self._heap[0][0] - self._world.clock()).total_seconds()
        return min(max(left, 0.0), _LOOK, _LOOK if again is None else again)

    def _until_again(self) -> float | None:
        """How long until what others changed is looked at; None: nobody else does."""
        if not self._world.store.shared:
            return None
        return max(0.0, self._looked + self._again - self._time())

    def _time(self) -> float:
        return asyncio.get_running_loop().time()

    async def _look_at_all(self) -> None:
        since, self._all_since = self._all_since, None
        if since is None:
            return
        index = await self._world.index()
        async for _, entry in records_of(self._world, "customer/"):
            customer = cast("Customer", entry.record)
            self._plan(customer.id, _moments(index, customer, since), since)
        async for name, entry in records_of(self._world, "wallet/"):
            _, customer_id, _ = name.split("/", 2)
            planned = self._next.get(customer_id)
            moments = [
                *expiries(cast("Wallet", entry.record)),
                *filter(None, [planned]),
            ]
            self._plan(customer_id, moments, since)

    async def _look_at_others(self) -> None:
        """Plan what is due because of changes by others, who may be gone by then."""
        world, began = self._world, self._time()
        index = await world.index()
        async for _, entry in records_of(world, "customer/"):
            customer = cast("Customer", entry.record)
            after = world.clock() + _NEAR
            self._plan_sooner(customer.id, _moments(index, customer, after), after)
        async for name, entry in records_of(world, "wallet/"):
            _, customer_id, _ = name.split("/", 2)
            ends = expiries(cast("Wallet", entry.record))
            self._plan_sooner(customer_id, ends, world.clock() + _NEAR)
        now = self._time()
        self._looked = now + max(0.0, _REST * (now - began) - self._again)

    async def _look_at_changed(self) -> None:
        while self._changed:
            name, at = self._changed.popitem()
            customer = await self._world.read(customer_key(name))
            if customer is not None:
                await self._plan_one(customer, at)

    async def _plan_one(self, customer: Customer, after: datetime) -> None:
        index = await self._world.index()
        moments = [*_moments(index, customer, after)]
        async for _, entry in records_of(self._world, f"wallet/{customer.id}/"):
            moments += expiries(cast("Wallet", entry.record))
        self._plan(customer.id, moments, after)

    def _plan(
        self, customer_id: str, moments: Iterable[datetime], after: datetime
    ) -> None:
        at = min((m for m in moments if m > after), default=None)
        if at is None:
            self._next.pop(customer_id, None)
        elif self._next.get(customer_id) != at:
            self._next[customer_id] = at
            heapq.heappush(self._heap, (at, customer_id))

    def _plan_sooner(
        self, customer_id: str, moments: Iterable[datetime], after: datetime
    ) -> None:
        at = min((m for m in moments if m > after), default=None)
        planned = self._next.get(customer_id)
        if at is not None and (planned is None or at < planned):
            self._next[customer_id] = at
            heapq.heappush(self._heap, (at, customer_id))

    async def _announce_due(self) -> None:
        while self._heap and self._heap[0][0] <= self._world.clock():
            at, name = heapq.heappop(self._heap)
            if self._next.get(name) != at:
                continue  # it has been planned anew
            del self._next[name]
            customer = await self._world.read(customer_key(name))
            if customer is not None:
                await self._announce(customer, at)
                await self._plan_one(customer, at)

    async def _announce(self, customer: Customer, at: datetime) -> None:
        crossings = [] if customer.archived else await self._crossings(customer, at)

        async def work(transaction: Transaction) -> None:
            marks = [
                f"due/{customer.id}/{at.isoformat()}/{one.kind}/{one.part}"
                + (f"/{one.resource_id}" if one.resource_id else "")
                for one in crossings
            ]
            is_new = await transaction.mark(marks)
            new = [one for one, is_ in zip(crossings, is_new, strict=True) if is_]
            tell(transaction, customer.id, new)

        if crossings:
            await self._world.transact(work)

    async def _crossings(self, customer: Customer, at: datetime) -> list[Crossing]:
        world, index = self._world, await self._world.index()
        found = [*_changes(customer, at)]
        found += await credit_lapses(world, index, customer, at)
        if at in customer.turns():
            found += await usage_lapses(world, index, customer, at)
        return found


def _moments(
    index: CatalogIndex, customer: Customer, after: datetime
) -> Iterator[datetime]:
    yield from customer.turns()
    yield from renewals(index, customer, after)


def _changes(customer: Customer, at: datetime) -> Iterator[Crossing]:
    before = at - INSTANT
    for sub in customer.subscriptions:
        kind = _kind(sub.status_at(before), sub.status_at(at))
        if kind is not None:
            name = sub.id or ""
            yield Crossing(kind, name, sub.resource, {"subscription_id": name})
    for promotion in customer.promotions:
        if promotion.holds(before) and not promotion.holds(at):
            kind, name = "promotionalEntitlement.expired", promotion.feature
            yield Crossing(kind, name, None, {"feature_id": name})


def _kind(before: Status, after: Status) -> str | None:
    """How the vendor calls what time made of a subscription."""
    if before == after:
        return None
    if before == "in_trial":
        ended = "converted" if after == "active" else "expired"
        return f"subscription.trial_{ended}"
    return f"subscription.{after if after in ('expired', 'canceled') else 'updated'}"
