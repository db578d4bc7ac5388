"""A catalog becomes the content of a world, as far as it is not there yet.

What is put where lives here; reading files (`loading`) and serving do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sidecar_client.local.catalog import Catalog, CatalogIndex, Feature
from sidecar_client.local.credits import granted
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import (
    Subject,
    billed_counter_at,
    counter_at,
    standing,
)
from sidecar_client.local.meters import starting
from sidecar_client.local.records import (
    DEFINITIONS,
    SOURCE,
    Key,
    Usage,
    Wallet,
    aggregate_key,
    customer_key,
    wallet_key,
)
from sidecar_client.local.wallets import recurring_sources
from sidecar_client.local.world import Transaction, World

_CUSTOMERS_AT_ONCE = 100


async def populate(world: World, catalog: Catalog) -> None:
    """Put in the definitions, and the customers and usage that are not there.

    What a store kept from before stays: usage goes on from where it was.
    """

    async def define(transaction: Transaction) -> None:
        if await transaction.read(SOURCE) != catalog:
            transaction.write(DEFINITIONS, catalog.definitions)
            transaction.write(SOURCE, catalog)

    await world.transact(define)
    index = CatalogIndex.of(catalog.definitions)
    for customers in _batched(catalog.customers, _CUSTOMERS_AT_ONCE):

        async def add(
            transaction: Transaction, customers: Sequence[Customer] = customers
        ) -> None:
            for customer in customers:
                await _add_customer(transaction, index, customer)

        await world.transact(add)


async def _add_customer(
    transaction: Transaction, index: CatalogIndex, customer: Customer
) -> None:
    key = customer_key(customer.id)
    if await transaction.read(key) is None:
        kept = customer.model_copy(update={"usage": (), "credits": ()})
        transaction.write(key, kept)
        await _add_credits(transaction, index, customer)
    totals: dict[Key[Usage], float] = {}
    features: dict[Key[Usage], Feature] = {}
    for feature, counter, value in _starting(index, customer, transaction.now):
        totals[counter] = totals.get(counter, 0.0) + value
        features[counter] = feature
    for counter, total in totals.items():
        await _add_usage(transaction, features[counter], counter, total)


async def _add_credits(
    transaction: Transaction, index: CatalogIndex, customer: Customer
) -> None:
    now = transaction.now
    for grant in customer.credits:
        place = (customer.id, grant.resource, grant.currency)
        sources = tuple(
            recurring_sources(index, customer, grant.resource, grant.currency, now)
        )
        wallet = await transaction.read(wallet_key(*place)) or Wallet()
        transaction.write(wallet_key(*place), granted(wallet, grant, sources, now))


async def _add_usage(
    transaction: Transaction, feature: Feature, counter: Key[Usage], total: float
) -> None:
    now = transaction.now
    if feature.events is None:
        if await transaction.read(counter) is None:
            transaction.write(counter, Usage(total=total, updated=now))
    elif await transaction.read(aggregate_key(counter)) is None:
        transaction.write(aggregate_key(counter), starting(feature.events, total, now))


def _starting(
    index: CatalogIndex, customer: Customer, now: datetime
) -> Iterator[tuple[Feature, Key[Usage], float]]:
    """What the customer has used, by counter; several entries can be of one."""
    for usage in customer.usage:
        subject = Subject(customer_id=customer.id, resource_id=usage.resource)
        found = standing(index, customer, subject, usage.feature, now)
        if found.grant is not None and found.feature is not None:
            moment = usage.at or now
            counter, _ = counter_at(found, subject, moment)
            yield found.feature, counter, usage.value
            if billed := billed_counter_at(found, subject, moment):
                yield found.feature, billed, usage.value


def _batched(items: Sequence[Customer], size: int) -> Iterator[Sequence[Customer]]:
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
