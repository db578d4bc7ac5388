"""What time alone changes: subscriptions and promotions that begin or end.

When that is, and telling of it, live here; what they are worth does not.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple, cast

from sidecar_client.local.customers import Customer, Status
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import customer_key
from sidecar_client.local.world import Announcement, Transaction, World

logger = logging.getLogger("sidecar_client.local")

_LOOK: Final = 1.0
"""Seconds after which it looks at the clock at the latest: it may be anybody's."""
_INSTANT: Final = timedelta(microseconds=1)


class _Change(NamedTuple):
    """What a customer's part became at a moment."""

    kind: str
    name: str
    """Of the fact that says which part it is."""
    part: str
    resource_id: str | None


class Due:
    """Announces what time changes, while `run` runs; once, of all who share a store.

    A clock that is moved on announces everything in between, in its order.
    """

    def __init__(self, world: World) -> None:
        self._world = world
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
        if announcement.customer_id is not None:
            # The clock may be moved before it is looked at.
            self._changed.setdefault(announcement.customer_id, announcement.at)
            self._news.set()

    def look(self) -> None:
        """Look at the clock: it was moved. On the loop of `run`."""
        self._news.set()

    async def run(self) -> None:
        """Announce until it is cancelled; a store that is away is waited for."""
        while True:
            try:
                await self._run()
            except Exception:
                logger.exception("What is due was not told; it is looked at again.")
                # What is told a second time is known by its mark.
                self._all_since = self._told_until
                await asyncio.sleep(_LOOK)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            now = self._world.clock()
            await self._look_at_all()
            await self._look_at_changed()
            await self._announce_due()
            self._told_until = now
            try:
                await asyncio.wait_for(self._news.wait(), self._patience())
            except TimeoutError:
                continue

    def _patience(self) -> float | None:
        """How long nothing can be due; None: for ever."""
        if not self._heap:
            return None
        left = (self._heap[0][0] - self._world.clock()).total_seconds()
        return min(max(left, 0.0), _LOOK)

    async def _look_at_all(self) -> None:
        since, self._all_since = self._all_since, None
        if since is None:
            return
        async for _, entry in records_of(self._world, "customer/"):
            self._plan(cast("Customer", entry.record), since)

    async def _look_at_changed(self) -> None:
        while self._changed:
            name, at = self._changed.popitem()
            customer = await self._world.read(customer_key(name))
            if customer is not None:
                self._plan(customer, at)

    def _plan(self, customer: Customer, after: datetime) -> None:
        at = min((m for m in _moments(customer) if m > after), default=None)
        if at is None:
            self._next.pop(customer.id, None)
        elif self._next.get(customer.id) != at:
            self._next[customer.id] = at
            heapq.heappush(self._heap, (at, customer.id))

    async def _announce_due(self) -> None:
        while self._heap and self._heap[0][0] <= self._world.clock():
            at, name = heapq.heappop(self._heap)
            if self._next.get(name) != at:
                continue  # it has been planned anew
            del self._next[name]
            customer = await self._world.read(customer_key(name))
            if customer is not None:
                await self._announce(customer, at)
                self._plan(customer, at)

    async def _announce(self, customer: Customer, at: datetime) -> None:
        changes = [] if customer.archived else list(_changes(customer, at))

        async def work(transaction: Transaction) -> None:
            marks = [
                f"due/{customer.id}/{at.isoformat()}/{c.kind}/{c.part}" for c in changes
            ]
            is_new = await transaction.mark(marks)
            for change, new in zip(changes, is_new, strict=True):
                if new:
                    transaction.announce(
                        change.kind,
                        customer_id=customer.id,
                        resource_id=change.resource_id,
                        **{change.name: change.part},
                    )

        if changes:
            await self._world.transact(work)


def _moments(customer: Customer) -> Iterator[datetime]:
    for sub in customer.subscriptions:
        yield from filter(None, (sub.start, sub.end, sub.trial_end))
    for promotion in customer.promotions:
        yield from filter(None, (promotion.start, promotion.end))


def _changes(customer: Customer, at: datetime) -> Iterator[_Change]:
    before = at - _INSTANT
    for sub in customer.subscriptions:
        kind = _kind(sub.status_at(before), sub.status_at(at))
        if kind is not None:
            yield _Change(kind, "subscription_id", sub.id or "", sub.resource)
    for promotion in customer.promotions:
        if promotion.holds(before) and not promotion.holds(at):
            kind = "promotionalEntitlement.expired"
            yield _Change(kind, "feature_id", promotion.feature, None)


def _kind(before: Status, after: Status) -> str | None:
    """How the vendor calls what time made of a subscription."""
    if before == after:
        return None
    if before == "in_trial":
        ended = "converted" if after == "active" else "expired"
        return f"subscription.trial_{ended}"
    return f"subscription.{after if after in ('expired', 'canceled') else 'updated'}"
