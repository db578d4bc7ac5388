"""The state of a world as a catalog: what it serves now, to be served again.

Reading it back from the store lives here; how a catalog is written, in `catalog_text`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta
from typing import cast

from sidecar_client.local.budgets import billing_period
from sidecar_client.local.catalog import Catalog, CatalogIndex, Definitions
from sidecar_client.local.catalog_text import as_yaml
from sidecar_client.local.counters import record_key
from sidecar_client.local.credits import advanced
from sidecar_client.local.customers import CreditGrant, Customer, StartingUsage
from sidecar_client.local.evaluation import Standing, Subject, billed_counter_at
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.meters import usage_of
from sidecar_client.local.periods import Window
from sidecar_client.local.records import DEFINITIONS, Wallet
from sidecar_client.local.starting_usage import lasting_counter, standing_of
from sidecar_client.local.usage_checks import usage_problems
from sidecar_client.local.wallets import recurring_sources
from sidecar_client.local.world import World


async def exported(world: World) -> Catalog:
    """Everything as it is now: definitions, customers, what they used in this period.

    What is left out is told in docs/catalog.md.
    """
    definitions = await world.read(DEFINITIONS) or Definitions()
    return Catalog(
        features=definitions.features,
        currencies=definitions.currencies,
        products=definitions.products,
        plans=definitions.plans,
        addons=definitions.addons,
        customers=tuple([customer async for customer in _customers(world)]),
    )


def catalog_text(catalog: Catalog, *, at: datetime) -> str:
    """The catalog in YAML, with a comment that says when it was so."""
    comment = f"# The state of a local sidecar at {at:%Y-%m-%d %H:%M:%S} UTC."
    return f"{comment}\n\n{as_yaml(catalog)}"


async def _customers(world: World) -> AsyncIterator[Customer]:
    index = await world.index()
    async for _, entry in records_of(world, "customer/"):
        customer = cast("Customer", entry.record)
        yield customer.model_copy(
            update={
                "usage": tuple([used async for used in _usage(world, index, customer)]),
                "credits": await _credits(world, index, customer),
            }
        )
        # A store in memory never waits, and others want to be served meanwhile.
        await asyncio.sleep(0)


async def _usage(
    world: World, index: CatalogIndex, customer: Customer
) -> AsyncIterator[StartingUsage]:
    now = world.clock()
    for resource, feature in await _used(world, customer):
        subject = Subject(customer_id=customer.id, resource_id=resource)
        found = standing_of(index, customer, subject, feature, now)
        if found.grant is None:
            amounts = await _lasting(world, index, customer, subject, feature)
        elif found.grant.resource_id == resource:
            amounts = await _amounts(world, found, subject)
        else:
            continue  # It is no longer granted to this resource.
        for value, at in amounts:
            told = StartingUsage(feature=feature, resource=resource, value=value, at=at)
            alone = customer.model_copy(update={"usage": (told,)})
            if not any(usage_problems(alone, index, ())):
                yield told


async def _lasting(
    world: World,
    index: CatalogIndex,
    customer: Customer,
    subject: Subject,
    feature_id: str,
) -> list[tuple[float, datetime | None]]:
    """What was used of a feature that nothing grants now, if it never resets."""
    counted = lasting_counter(index, customer, subject, feature_id)
    if counted is None:
        return []
    feature, counter = counted
    (record,) = await world.read_all([record_key(feature, counter)])
    used = usage_of(feature, record, world.clock())
    return [(used, None)] if used else []


async def _used(world: World, customer: Customer) -> Iterable[tuple[str | None, str]]:
    """Of which features usage was counted, in whatever period, and by which place."""
    found: dict[tuple[str | None, str], None] = {}
    for kind in ("usage", "aggregate", "billed", "billed_aggregate"):
        async for name, _ in records_of(world, f"{kind}/{customer.id}/"):
            _, _, resource, feature, _ = name.split("/")
            found[resource or None, feature] = None
    return found


async def _amounts(
    world: World, found: Standing, subject: Subject
) -> list[tuple[float, datetime | None]]:
    """How much was used when, so that what resets and what is billed come to it."""
    feature, grant, counter = found.feature, found.grant, found.counter
    if feature is None or grant is None or counter is None:
        return []
    now = world.clock()
    billed = billed_counter_at(found, subject, now)
    keys = [counter] if billed is None else [counter, record_key(feature, billed)]
    used = [usage_of(feature, record, now) for record in await world.read_all(keys)]
    if billed is None or grant.subscription is None:
        return [(used[0], now if found.window else None)] if used[0] else []
    period = billing_period(grant.subscription, now)
    return list(_apart(used[0], used[1], found.window, period, now))


def _apart(
    used: float, billed: float, window: Window | None, period: Window, now: datetime
) -> Iterator[tuple[float, datetime]]:
    """Usage of both periods, of the reset period alone, of the billing period alone."""
    before = window.start if window else period.start - timedelta(microseconds=1)
    both = min(used, billed) if before < period.start else used
    parts = [(both, now), (used - both, before)]
    if period.start < before:
        parts.append((billed - both, period.start))
    yield from (part for part in parts if part[0] > 0)


async def _credits(
    world: World, index: CatalogIndex, customer: Customer
) -> tuple[CreditGrant, ...]:
    kept: list[CreditGrant] = []
    now = world.clock()
    async for name, entry in records_of(world, f"wallet/{customer.id}/"):
        _, _, place, currency = name.split("/")
        resource = place or None
        if currency in index.currencies and resource in (None, *customer.resources):
            sources = tuple(recurring_sources(index, customer, resource, currency, now))
            wallet = advanced(cast("Wallet", entry.record), sources, now)
            kept.extend(_held(wallet, resource, currency))
    return tuple(kept)


def _held(wallet: Wallet, resource: str | None, currency: str) -> Iterator[CreditGrant]:
    """Every grant that is not over, what is spent of it, and what is owed.

    Those that come by themselves do so where this is served, so that only what is
    spent of them has to be told.
    """
    for held in wallet.grants:
        if held.over is None and (held.source is None or held.consumed):
            told = {"spent": held.consumed, "resource": resource}
            yield held.grant.model_copy(update=told)
    if wallet.debt:
        yield CreditGrant(
            currency=currency, amount=wallet.debt, type="overdraft", resource=resource
        )
