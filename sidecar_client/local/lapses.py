"""What time takes: credits that expire, and limits that end beneath the usage.

When that is, and what it crosses, live here; telling of it is `due`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.counters import usage_of
from sidecar_client.local.credits import advanced, balance
from sidecar_client.local.crossings import (
    Crossing,
    exceeded,
    grant_facts,
    is_beyond,
)
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import Standing, Subject, standings
from sidecar_client.local.records import Wallet
from sidecar_client.local.wallets import (
    Pool,
    pools,
    recurring_sources,
    wallet_crossings,
)
from sidecar_client.local.world import World

INSTANT = timedelta(microseconds=1)


def expiries(wallet: Wallet) -> Iterator[datetime]:
    """When the grants of a wallet expire that can still be spent."""
    for held in wallet.grants:
        if held.over is None and held.grant.expires is not None:
            yield held.grant.expires


def renewals(
    index: CatalogIndex, customer: Customer, after: datetime
) -> Iterator[datetime]:
    """When the recurring credits of a customer come again."""
    if not customer.subscriptions:
        return
    for currency_id in index.currencies:
        for resource in (None, *customer.resources):
            for source in recurring_sources(
                index, customer, resource, currency_id, after
            ):
                yield source.window(after).end


async def credit_lapses(
    world: World, index: CatalogIndex, customer: Customer, at: datetime
) -> list[Crossing]:
    """Which grants expire at a moment, and what is low or depleted without them."""
    earlier = _pools(index, customer, at - INSTANT)
    later = _pools(index, customer, at)
    wallets = await world.read_all([pool.key for pool in later])
    found: list[Crossing] = []
    for was, pool, wallet in zip(earlier, later, wallets, strict=True):
        if wallet is not None or was.sources or pool.sources:
            found += _lapses(was, pool, wallet or Wallet(), at)
    return found


async def usage_lapses(
    world: World, index: CatalogIndex, customer: Customer, at: datetime
) -> list[Crossing]:
    """Of what the usage is beyond the limit from a moment on, and was not before."""
    found: list[Crossing] = []
    for resource in (None, *customer.resources):
        subject = Subject(customer_id=customer.id, resource_id=resource)
        _, earlier = standings(index, customer, subject, at - INSTANT)
        _, later = standings(index, customer, subject, at)
        counters = [item.counter for item in (*earlier, *later) if item.counter]
        records = await world.read_named(tuple(dict.fromkeys(counters)))
        before = {
            item.feature.id
            for item in earlier
            if item.feature and _is_beyond(item, records)
        }
        found += [
            exceeded(item, _usage(item, records))
            for item in later
            if item.feature and item.feature.id not in before
            if _is_beyond(item, records)
        ]
    return found


def _is_beyond(standing: Standing, records: Mapping[str, BaseModel | None]) -> bool:
    if standing.grant is None or standing.counter is None:
        return False
    return is_beyond(standing.grant.entitlement, _usage(standing, records))


def _usage(standing: Standing, records: Mapping[str, BaseModel | None]) -> float:
    if standing.feature is None or standing.counter is None:
        return 0.0
    return usage_of(standing.feature, records[standing.counter.name], standing.at)


def _pools(index: CatalogIndex, customer: Customer, moment: datetime) -> list[Pool]:
    """The pools of a customer and its resources, whether anything is in them or not."""
    return [
        pools(
            index,
            customer,
            Subject(customer_id=customer.id, resource_id=resource),
            currency_id,
            moment,
        )[0]
        for resource in (None, *customer.resources)
        for currency_id in index.currencies
    ]


def _lapses(was: Pool, pool: Pool, wallet: Wallet, at: datetime) -> Iterator[Crossing]:
    before = advanced(wallet, was.sources, at - INSTANT)
    after = advanced(before, pool.sources, at)
    for held in before.grants:
        is_over = held.over in ("voided", "ended")
        if held.grant.expires == at and held.begun and not is_over:
            grant_id = held.grant.id or ""
            facts = grant_facts(held)
            yield Crossing("credits.expired", grant_id, pool.resource_id, facts)
    yield from wallet_crossings(
        (before, balance(before, was.sources, at - INSTANT)),
        (after, balance(after, pool.sources, at)),
        pool,
    )
