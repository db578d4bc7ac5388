"""What was used over time, and what using more would cost in credits.

Reporting usage lives in `metering` and `event_intake`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, cast

from sidecar_client.local.catalog import CreditRate, EventMeter, Feature
from sidecar_client.local.credits import Balance
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.management.missing import customer_of, feature_of
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.meters import Dimension, counts, number, share_of
from sidecar_client.local.records import (
    WINDOW,
    Aggregate,
    History,
    Usage,
    history_key,
    usage_key,
)
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.units import in_units
from sidecar_client.local.wallets import credit_rate, pools, standing_of
from sidecar_client.local.world import World

Hindrance = Literal["FEATURE_NOT_FOUND", "FEATURE_NOT_CREDIT_BASED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePoint:
    """What had been used at a time."""

    at: datetime
    value: float
    is_reset: bool = False
    """Whether usage started again from zero then."""
    is_change: bool = False
    """Whether it did because another subscription took the place of one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What using a feature would cost in credits."""

    feature_id: str
    amount: float
    is_supported: bool = True
    """False where one event alone does not tell what it comes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What using something would do to the credits of one currency."""

    currency_id: str
    balance: float
    costs: list[Cost]

    @property
    def cost(self) -> float:
        """What all features would cost."""
        return sum(cost.amount for cost in self.costs)


async def usage_history(
    world: World,
    customer_id: str,
    feature_id: str,
    *,
    start: datetime,
    end: datetime,
    resource_id: str | None = None,
) -> list[UsagePoint]:
    """What had been used from one time to another, the earliest first.

    Of a resource, what its own subscriptions count, else what the customer's do.
    """
    customer = await customer_of(world, customer_id)
    feature = feature_of(await world.index(), feature_id)
    if feature.type != "metered":
        raise Refusal(
            "FAILED_PRECONDITION",
            f"feature {feature_id!r} is {feature.type}; only metered features have "
            "usage.",
        )
    points: list[UsagePoint] = []
    for resource in dict.fromkeys((resource_id, None)):
        points = [
            *await _reported(world, customer_id, resource, feature_id),
            *await _counted(world, customer_id, resource, feature_id),
        ]
        if points:
            points = list(_with_changes(customer, resource, points))
            break
    points.sort(key=lambda point: (point.at, not point.is_reset))
    return [
        replace(point, value=in_units(feature, point.value))
        for point in points
        if start <= point.at <= end
    ]


def _with_changes(
    customer: Customer, resource_id: str | None, points: Iterable[UsagePoint]
) -> Iterator[UsagePoint]:
    """The points, with which resets are those of a change of subscriptions."""
    starts = [s.start for s in customer.subscriptions if s.resource == resource_id]
    changes = {start for start in starts if min(starts) < start}
    for point in points:
        yield replace(point, is_change=point.is_reset and point.at in changes)


async def estimate_usage(
    world: World, subject: Subject, feature_id: str, value: float
) -> tuple[list[Estimate], list[Hindrance]]:
    """What more units of a feature would cost, by currency; and what hinders."""
    customer = await customer_of(world, subject.customer_id)
    index = await world.index()
    if feature_id not in index.features:
        return [], ["FEATURE_NOT_FOUND"]
    rate = credit_rate(index, customer, subject, feature_id, world.clock())
    if rate is None:
        return [], ["FEATURE_NOT_CREDIT_BASED"]
    units = in_units(index.features[feature_id], value)
    cost = Cost(feature_id=feature_id, amount=units * rate.rate)
    return await _estimates(world, subject, {rate.currency: [cost]}), []


async def estimate_event(
    world: World, subject: Subject, name: str, dimensions: Mapping[str, Dimension]
) -> tuple[list[Estimate], list[Hindrance]]:
    """What a raw event would cost, by currency; and what hinders."""
    customer = await customer_of(world, subject.customer_id)
    index = await world.index()
    costs: dict[str, list[Cost]] = {}
    for feature in index.meters.get(name, ()):
        rate = credit_rate(index, customer, subject, feature.id, world.clock())
        if rate is None or feature.events is None:
            continue
        if counts(feature.events, dimensions):
            cost = _event_cost(feature, feature.events, rate, dimensions, world.clock())
            costs.setdefault(rate.currency, []).append(cost)
    if not costs:
        return [], ["FEATURE_NOT_CREDIT_BASED"]
    return await _estimates(world, subject, costs), []


def _event_cost(
    feature: Feature,
    meter: EventMeter,
    rate: CreditRate,
    dimensions: Mapping[str, Dimension],
    now: datetime,
) -> Cost:
    if meter.aggregation not in ("count", "sum"):
        return Cost(feature_id=feature.id, amount=0.0, is_supported=False)
    share = share_of(meter, dimensions, visible=now, is_new=True)
    units = share.count if meter.aggregation == "count" else share.total
    amount = in_units(feature, units) * rate.rate
    return Cost(feature_id=feature.id, amount=amount)


async def _estimates(
    world: World, subject: Subject, costs: Mapping[str, list[Cost]]
) -> list[Estimate]:
    return [
        Estimate(
            currency_id=currency,
            balance=await _balance(world, subject, currency),
            costs=of_it,
        )
        for currency, of_it in costs.items()
    ]


async def _balance(world: World, subject: Subject, currency_id: str) -> float:
    index, customer = await world.index_and_customer(subject.customer_id)
    if customer is None:
        return 0.0
    now = world.clock()
    options = pools(index, customer, subject, currency_id, now)
    wallets = await world.read_all([pool.key for pool in options])
    found = standing_of(index.currencies[currency_id], options, wallets, now)
    balance: Balance | None = found.balance if found else None
    return balance.remaining if balance else 0.0


async def _reported(
    world: World, customer_id: str, resource_id: str | None, feature_id: str
) -> list[UsagePoint]:
    prefix = usage_key(customer_id, resource_id, feature_id, None).name
    points: list[UsagePoint] = []
    async for name, entry in records_of(world, prefix):
        usage = cast("Usage", entry.record)
        points += _reset(name.removeprefix(prefix))
        earlier = await world.read(history_key(name)) or History()
        points += [UsagePoint(at=p.at, value=p.total) for p in earlier.points]
        if usage.updated is not None:
            points.append(UsagePoint(at=usage.updated, value=usage.total))
    return points


async def _counted(
    world: World, customer_id: str, resource_id: str | None, feature_id: str
) -> list[UsagePoint]:
    meter = (await world.index()).features[feature_id].events
    if meter is None:
        return []
    name = usage_key(customer_id, resource_id, feature_id, None).name
    prefix = f"aggregate/{name.partition('/')[2]}"
    points: list[UsagePoint] = []
    async for found, entry in records_of(world, prefix):
        aggregate = cast("Aggregate", entry.record)
        points += _reset(found.removeprefix(prefix))
        if aggregate.updated is not None:
            value = number(meter, aggregate)
            points.append(UsagePoint(at=aggregate.updated, value=value))
    return points


def _reset(window: str) -> list[UsagePoint]:
    """Usage is zero where a window of a reset period begins."""
    if not window:
        return []
    begun = datetime.strptime(window, WINDOW).replace(tzinfo=UTC)
    return [UsagePoint(at=begun, value=0.0, is_reset=True)]
