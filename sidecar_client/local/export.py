"""The state of a world as a catalog: what it serves now, to be served again.

Reading it back from the store lives here; how a catalog is written, in `catalog_text`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import cast

from sidecar_client.local.catalog import Catalog, CatalogIndex, Definitions
from sidecar_client.local.catalog_text import as_yaml
from sidecar_client.local.customers import CreditGrant, Customer, StartingUsage
from sidecar_client.local.evaluation import Subject, standing
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.meters import usage_of
from sidecar_client.local.records import DEFINITIONS, Aggregate, Usage, Wallet
from sidecar_client.local.world import World


async def exported(world: World) -> Catalog:
    """Everything as it is now: definitions, customers, what they used in this period.

    Usage of earlier periods, raw events and what was overdrawn are left out.
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
                "credits": await _credits(world, customer),
            }
        )
        # A store in memory never waits, and others want to be served meanwhile.
        await asyncio.sleep(0)


async def _usage(
    world: World, index: CatalogIndex, customer: Customer
) -> AsyncIterator[StartingUsage]:
    now = world.clock()
    for kind in ("usage", "aggregate"):
        async for name, entry in records_of(world, f"{kind}/{customer.id}/"):
            _, _, resource, feature, _ = name.split("/")
            subject = Subject(customer_id=customer.id, resource_id=resource or None)
            found = standing(index, customer, subject, feature, now)
            counter = found.counter.name if found.counter else None
            if counter != name or found.feature is None:
                continue  # Of an earlier period, or of what is no longer granted.
            record = cast("Usage | Aggregate", entry.record)
            if value := usage_of(found.feature, record, now):
                yield StartingUsage(
                    feature=feature,
                    resource=resource or None,
                    value=value,
                    at=now if found.window else None,
                )


async def _credits(world: World, customer: Customer) -> tuple[CreditGrant, ...]:
    kept: list[CreditGrant] = []
    async for name, entry in records_of(world, f"wallet/{customer.id}/"):
        _, _, resource, _ = name.split("/")
        wallet = cast("Wallet", entry.record)
        kept.extend(_held(wallet, resource or None, world.clock()))
    return tuple(kept)


def _held(wallet: Wallet, resource: str | None, now: datetime) -> Iterator[CreditGrant]:
    """Every grant that is not over, and what is spent of it.

    Those that come by themselves do so where this is served, so that only what is
    spent of them has to be told.
    """
    for held in wallet.grants:
        expires = held.grant.expires
        if held.over is not None or (expires is not None and expires <= now):
            continue
        if held.source is None or held.consumed:
            told = {"spent": held.consumed, "resource": resource}
            yield held.grant.model_copy(update=told)
