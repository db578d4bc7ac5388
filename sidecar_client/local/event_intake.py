"""Raw events come in: checked, counted once, added to what their meters come to.

Validation and effect of event reports live here; what a meter counts is `meters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import pairwise

from sidecar_client.local.catalog import EventMeter, Feature
from sidecar_client.local.crossings import tell, usage_crossings
from sidecar_client.local.evaluation import (
    Standing,
    Subject,
    billed_counter_at,
    counter_at,
    standing,
)
from sidecar_client.local.events import EventLog
from sidecar_client.local.metering import check_dimensions
from sidecar_client.local.meters import (
    Dimension,
    added,
    counts,
    number,
    running,
    share_of,
    unique_value,
    visible_at,
)
from sidecar_client.local.records import (
    Aggregate,
    Key,
    Seen,
    Share,
    aggregate_key,
    customer_key,
    seen_key,
    usage_key,
)
from sidecar_client.local.refusal import Refusal, checked_id, checked_moment
from sidecar_client.local.units import in_units
from sidecar_client.local.wallets import spend
from sidecar_client.local.world import Transaction, World
from sidecar_client.protocol import sidecar_pb2 as pb

MOST_EVENTS = 1000
MOST_EVENT_BYTES = 1_000_000


class EventIntake:
    """Takes raw events into a world; `delay` passes until they show in checks."""

    def __init__(
        self, world: World, *, events: EventLog, delay: timedelta = timedelta(0)
    ) -> None:
        self._world = world
        self._events = events
        self._delay = delay

    async def take(self, events: Sequence[pb.Event]) -> int:
        """Take all events that are new, or refuse all; how many were new."""
        if not 1 <= len(events) <= MOST_EVENTS:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"events has {len(events)} events; send 1 to {MOST_EVENTS} at a time.",
            )

        async def work(transaction: Transaction) -> list[pb.Event]:
            now = transaction.now
            happened = [
                _Happened(event, _moment(event, now, f"events[{at}]"))
                for at, event in enumerate(events)
            ]
            new = await transaction.mark([item.mark for item in happened])
            taken = [item for item, is_new in zip(happened, new, strict=True) if is_new]
            await self._count(transaction, taken)
            return [item.event for item in taken]

        taken = await self._world.transact(work)
        for event in taken:
            self._events.add(event)
        return len(taken)

    async def _count(self, transaction: Transaction, taken: list[_Happened]) -> None:
        """Add the events to what the meters of their features come to."""
        index = await transaction.index()
        counting = [item for item in taken if item.event.event_name in index.meters]
        names = dict.fromkeys(item.event.customer_id for item in counting)
        keys = [customer_key(name) for name in names]
        customers = dict(zip(names, await transaction.read_all(keys), strict=True))
        sums: dict[Key[Aggregate], _Sum] = {}
        stands: dict[tuple[Subject, str], Standing] = {}
        for item in counting:
            dimensions, subject = _dimensions(item.event), _subject(item.event)
            for feature in index.meters[item.event.event_name]:
                if feature.events and counts(feature.events, dimensions):
                    place = subject, feature.id
                    if place not in stands:
                        customer = customers[subject.customer_id]
                        stands[place] = standing(
                            index, customer, subject, feature.id, transaction.now
                        )
                    counters = _counters(stands[place], subject, feature, item.moment)
                    for key, first in counters:
                        one = _Sum(feature, subject, stands[place], first)
                        sums.setdefault(key, one).events.append(
                            (item.moment, dimensions)
                        )
        await self._write(transaction, sums)

    async def _write(
        self, transaction: Transaction, sums: dict[Key[Aggregate], _Sum]
    ) -> None:
        await transaction.read_all(list(sums))
        for key, one in sums.items():
            are_new = await _new_values(transaction, key, one)
            shares = [
                share_of(
                    one.meter,
                    dimensions,
                    visible=visible_at(moment, transaction.now, self._delay),
                    is_new=is_new,
                )
                for (moment, dimensions), is_new in zip(
                    one.events, are_new, strict=True
                )
            ]
            before = await transaction.read(key) or Aggregate()
            after = added(before, shares, transaction.now)
            transaction.write(key, after)
            if one.first:
                # Told at once, and paid in credits, is also what shows later.
                old = in_units(one.feature, number(one.meter, before))
                new = in_units(one.feature, number(one.meter, after))
                crossings = usage_crossings(one.standing, key, old, new)
                tell(transaction, one.subject.customer_id, crossings)
                if (await transaction.index()).has_credit_rates:
                    await spend(
                        *(transaction, one.subject, {one.feature.id: new - old}),
                        events=_using(one, before, shares),
                    )


@dataclass(frozen=True, slots=True)
class _Happened:
    event: pb.Event
    moment: datetime

    @property
    def mark(self) -> str:
        """What tells repetitions: time, customer, resource, name, idempotency key."""
        parts = (
            self.moment.isoformat(),
            self.event.customer_id,
            self.event.resource_id,
            self.event.event_name,
            self.event.idempotency_key,
        )
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class _Sum:
    feature: Feature
    subject: Subject
    standing: Standing
    first: bool
    """Whether it is told in answers, and paid in credits; or for billing alone."""
    events: list[tuple[datetime, dict[str, Dimension]]] = field(
        default_factory=list[tuple[datetime, dict[str, Dimension]]]
    )

    @property
    def meter(self) -> EventMeter:
        if self.feature.events is None:
            raise ValueError(f"{self.feature.id!r} is not counted from events")
        return self.feature.events


async def _new_values(
    transaction: Transaction, key: Key[Aggregate], one: _Sum
) -> list[bool]:
    """Which events bring a value that is counted once and was not counted yet."""
    values = [unique_value(one.meter, dimensions) for _, dimensions in one.events]
    keys = [seen_key(key, value) for value in values if value is not None]
    if not keys:
        return [False] * len(values)
    await transaction.read_all(keys)
    new: list[bool] = []
    for value_key in keys:
        is_new = await transaction.read(value_key) is None
        if is_new:
            transaction.write(value_key, Seen())
        new.append(is_new)
    return new


def _using(one: _Sum, before: Aggregate, shares: Sequence[Share]) -> int:
    """How many of the events, one after the other, made the units used more."""
    totals = running(one.meter, before, shares)
    units = (in_units(one.feature, total) for total in totals)
    return sum(now > then for then, now in pairwise(units))


def _counters(
    found: Standing, subject: Subject, feature: Feature, moment: datetime
) -> Iterator[tuple[Key[Aggregate], bool]]:
    """Where an event counts: as reported usage of its time would.

    What nothing entitles to is counted as well, without a window, so that it is there
    when a subscription comes.
    """
    if found.grant is None:
        key = usage_key(subject.customer_id, subject.resource_id, feature.id, None)
        yield aggregate_key(key), True
        return
    counter, _ = counter_at(found, subject, moment)
    yield aggregate_key(counter), True
    if billed := billed_counter_at(found, subject, moment):
        yield aggregate_key(billed), False


def _subject(event: pb.Event) -> Subject:
    return Subject(
        customer_id=event.customer_id,
        resource_id=event.resource_id if event.HasField("resource_id") else None,
    )


def _dimensions(event: pb.Event) -> dict[str, Dimension]:
    found: dict[str, Dimension] = {}
    for name, value in event.dimensions.items():
        kind = value.WhichOneof("value")
        if kind is not None:
            found[name] = getattr(value, kind)
    return found


def _moment(event: pb.Event, now: datetime, where: str) -> datetime:
    """When the event happened; refuses an event that is not complete."""
    for name in ("event_name", "idempotency_key"):
        if not getattr(event, name):
            raise Refusal("INVALID_ARGUMENT", f"{where}.{name} is empty; give one.")
    checked_id("customer", event.customer_id, where=f"{where}.")
    if event.HasField("resource_id"):
        checked_id("resource", event.resource_id, where=f"{where}.")
    if event.ByteSize() > MOST_EVENT_BYTES:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"{where} has {event.ByteSize()} bytes; send at most {MOST_EVENT_BYTES}.",
        )
    check_dimensions(event.dimensions, f"{where}.dimensions")
    if not event.HasField("timestamp"):
        return now
    return checked_moment(f"{where}.timestamp", event.timestamp)
