"""Which credits a customer has: its wallets, what feeds them, what a feature costs.

Finding, reading and changing wallets live here; how one is spent is `credits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidecar_client.local.catalog import CatalogIndex, CreditRate, Currency, Plan
from sidecar_client.local.credits import (
    Balance,
    Recurring,
    advanced,
    balance,
    consumed,
)
from sidecar_client.local.crossings import (
    Crossing,
    balance_crossings,
    grant_crossings,
    tell,
)
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.entitlements import CreditEntitlement
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.records import Key, Wallet, customer_key, wallet_key
from sidecar_client.local.world import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where credits of one currency may be: a wallet and what feeds it."""

    key: Key[Wallet]
    customer_id: str
    resource_id: str | None
    currency_id: str
    sources: tuple[Recurring, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditStanding:
    """What a subject has of one currency."""

    currency: Currency
    balance: Balance


def pools(
    index: CatalogIndex,
    customer: Customer,
    subject: Subject,
    currency_id: str,
    now: datetime,
) -> list[Pool]:
    """The pools that a subject may spend from, the first that is there counts.

    The resource's own comes first, then the one of the whole customer.
    """
    resources = dict.fromkeys((subject.resource_id, None))
    return [
        Pool(
            key=wallet_key(customer.id, resource, currency_id),
            customer_id=customer.id,
            resource_id=resource,
            currency_id=currency_id,
            sources=tuple(
                recurring_sources(index, customer, resource, currency_id, now)
            ),
        )
        for resource in resources
    ]


def chosen(
    pools: Sequence[Pool], wallets: Sequence[Wallet | None]
) -> tuple[Pool, Wallet] | None:
    """The first pool that has a wallet or is fed by something; None without any."""
    for pool, wallet in zip(pools, wallets, strict=True):
        if wallet is not None or pool.sources:
            return pool, wallet or Wallet()
    return None


def recurring_sources(
    index: CatalogIndex,
    customer: Customer,
    resource_id: str | None,
    currency_id: str,
    now: datetime,
) -> Iterator[Recurring]:
    """What feeds a wallet again and again: plans and add-ons of its subscriptions."""
    for sub in customer.subscriptions:
        if sub.resource != resource_id or not sub.holds(now):
            continue
        for plan in lineage(index, sub):
            if entitlement := plan.credits.get(currency_id):
                yield _source(sub, plan.id, currency_id, entitlement, 1)
                break
        for bought in sub.addons:
            addon = index.addons.get(bought.id)
            entitlement = addon.credits.get(currency_id) if addon else None
            if entitlement is not None:
                quantity = bought.quantity
                yield _source(sub, bought.id, currency_id, entitlement, quantity)


def lineage(index: CatalogIndex, sub: Subscription) -> Iterator[Plan]:
    """The plan of a subscription, then its parent, and so on."""
    plan = index.plan(sub.plan, sub.plan_version)
    seen: set[str] = set()
    while plan is not None and plan.id not in seen:
        yield plan
        seen.add(plan.id)
        plan = index.plans.get(plan.parent) if plan.parent else None


def credit_rate(
    index: CatalogIndex,
    customer: Customer,
    subject: Subject,
    feature_id: str,
    now: datetime,
) -> CreditRate | None:
    """What a unit of a feature costs the subject in credits; None if nothing."""
    for sub in customer.subscriptions:
        if sub.resource in (subject.resource_id, None) and sub.holds(now):
            for plan in lineage(index, sub):
                if rate := plan.credit_rates.get(feature_id):
                    return rate
    return None


def standing_of(
    currency: Currency,
    pools: Sequence[Pool],
    wallets: Sequence[Wallet | None],
    now: datetime,
) -> CreditStanding | None:
    """What there is of a currency, from the wallets of its pools; None for nothing."""
    found = chosen(pools, wallets)
    if found is None:
        return None
    pool, wallet = found
    return CreditStanding(currency=currency, balance=balance(wallet, pool.sources, now))


async def spend(
    transaction: Transaction,
    subject: Subject,
    units: Mapping[str, float],
    *,
    events: int = 1,
) -> None:
    """Take from the wallets what more units of each feature cost; less gives back.

    `events` is how many usage events used them.
    """
    index = await transaction.index()
    if not index.has_credit_rates:
        return
    customer = await transaction.read(customer_key(subject.customer_id))
    if customer is None:
        return
    for feature_id, more in units.items():
        rate = credit_rate(index, customer, subject, feature_id, transaction.now)
        if rate is None or not more:
            continue
        options = pools(index, customer, subject, rate.currency, transaction.now)
        wallets = await transaction.read_all([pool.key for pool in options])
        pool, wallet = chosen(options, wallets) or (options[-1], Wallet())
        cost = more * rate.rate
        consume(transaction, pool, wallet, cost, feature_id=feature_id, events=events)


def consume(
    transaction: Transaction,
    pool: Pool,
    wallet: Wallet,
    amount: float,
    *,
    feature_id: str | None = None,
    events: int = 1,
) -> Balance:
    """Spend from a wallet, and tell about it; the balance afterwards."""
    now = transaction.now
    before = advanced(wallet, pool.sources, now)
    after = consumed(
        before, amount, pool.sources, now, feature_id=feature_id, events=events
    )
    transaction.write(pool.key, after)
    left = balance(after, pool.sources, now)
    facts: dict[str, object] = {
        "currency_id": pool.currency_id,
        "amount": amount,
        "granted": left.granted,
        "remaining": left.remaining,
    }
    if feature_id is not None:
        facts["feature_id"] = feature_id
    transaction.announce(
        "credits.consumed",
        customer_id=pool.customer_id,
        resource_id=pool.resource_id,
        **facts,
    )
    tell_spent(transaction, pool, before, after)
    return left


def wallet_crossings(
    before: tuple[Wallet, Balance], after: tuple[Wallet, Balance], pool: Pool
) -> list[Crossing]:
    """Which grants, and whether all of a wallet, have become low or depleted."""
    return [
        *grant_crossings(pool.resource_id, before[0], after[0]),
        *balance_crossings(pool.currency_id, pool.resource_id, before[1], after[1]),
    ]


def tell_spent(
    transaction: Transaction, pool: Pool, before: Wallet, after: Wallet
) -> None:
    """Tell what has become low or depleted by a change of a wallet."""
    now, sources = transaction.now, pool.sources
    crossings = wallet_crossings(
        (before, balance(before, sources, now)),
        (after, balance(after, sources, now)),
        pool,
    )
    tell(transaction, pool.customer_id, crossings)


def _source(
    sub: Subscription,
    package: str,
    currency_id: str,
    entitlement: CreditEntitlement,
    quantity: int,
) -> Recurring:
    return Recurring(
        id=f"{sub.id}.{package}.{currency_id}",
        currency=currency_id,
        amount=entitlement.amount * quantity,
        cadence=entitlement.cadence,
        soft_limit=entitlement.soft_limit,
        begun=sub.start,
    )
