"""Subscriptions once they are there: listed, changed, canceled, migrated.

How a customer gets one lives in `provisioning`, how it goes elsewhere in `moves`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.customers import Customer, Status, Subscription
from sidecar_client.local.management.about import (
    Kept,
    Told,
    note_change,
    told,
)
from sidecar_client.local.management.billing_periods import billing_period
from sidecar_client.local.management.found import (
    Held,
    id_of,
    replaced,
    subscription_of,
)
from sidecar_client.local.management.missing import subscribable
from sidecar_client.local.management.pages import Page, Turn, page_of, records_of
from sidecar_client.local.management.provisioning import (
    check_subscription,
    granted_terms,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.records import customer_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

CancellationTime = Literal["immediate", "end_of_billing_period", "specific_date"]
Change = Callable[[CatalogIndex, Held, datetime], "Changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A subscription and whose it is."""

    customer_id: str
    subscription: Told[Subscription]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A subscription as it is from now on, and what else is kept of it."""

    subscription: Subscription
    kept: Kept
    kind: str = "subscription.updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which subscriptions to list; None for whatever it is."""

    customer_id: str | None = None
    plan_id: str | None = None
    resource_id: str | None = None
    statuses: Collection[Status] | None = None
    pricing: Collection[str] | None = None
    created: Callable[[datetime], bool] | None = None


async def get_subscription(world: World, subscription_id: str) -> Owned:
    """A subscription, in whatever state it is."""
    held = await subscription_of(world, world, subscription_id)
    return (await _owned(world, [held]))[0]


async def list_subscriptions(world: World, turn: Turn, wanted: Wanted) -> Page[Owned]:
    """Subscriptions by customer, then in the order they were made."""
    index = await world.index()
    if wanted.customer_id is not None:
        checked_id("customer", wanted.customer_id)

    async def named() -> AsyncIterator[tuple[str, Held]]:
        prefix = f"customer/{wanted.customer_id or ''}"
        async for name, entry in records_of(world, prefix):
            customer = cast("Customer", entry.record)
            if wanted.customer_id not in (None, customer.id):
                continue
            for at, held in enumerate(_each(customer)):
                if not _fits(index, held, wanted, world.clock()):
                    continue
                if wanted.created is None or await _created(world, held, wanted):
                    # A space comes before all that an id may have: the order stays.
                    yield f"{name} {at:06}", held

    page = await page_of(named(), turn)
    owned = await _owned(world, [held for _, held in page.items])
    return page.mapped(lambda _: owned)


async def update_subscription(
    world: World,
    subscription_id: str,
    changes: dict[str, object],
    *,
    entitlements: dict[str, Terms] | None = None,
    kept: Kept,
) -> Owned:
    """Change what is named in `changes`; lists and metadata are replaced as a whole."""

    def change(index: CatalogIndex, held: Held, now: datetime) -> Changed:
        given = dict(changes)
        if entitlements is not None:
            given["entitlements"] = granted_terms(index, entitlements)
        changed = held.subscription.model_copy(update=given)
        check_subscription(index, held.customer, changed, before=held.subscription)
        return Changed(subscription=changed, kept=kept)

    return await _change(world, subscription_id, change)


async def cancel_subscription(
    world: World,
    subscription_id: str,
    *,
    time: CancellationTime | None = None,
    end: datetime | None = None,
) -> Owned:
    """End a subscription now, with its billing period, or on a date.

    Without a time, a paid one ends with its billing period, another at once.
    """

    def change(index: CatalogIndex, held: Held, now: datetime) -> Changed:
        subscription = held.subscription
        when = time or _usual_time(index, subscription)
        if when == "immediate":
            return _canceled_now(subscription, now)
        if subscription.status_at(now) == "in_trial":
            raise Refusal(
                "FAILED_PRECONDITION",
                f"subscription {subscription.id!r} is a trial, which can only be "
                "canceled immediately.",
            )
        if when == "end_of_billing_period":
            return _canceled_at(
                subscription, billing_period(subscription, now).end, now
            )
        if end is None:
            raise Refusal(
                "INVALID_ARGUMENT", "the date to cancel on is missing; give one."
            )
        if end <= now:
            return _canceled_now(subscription, now)
        return _canceled_at(subscription, end, now)

    return await _change(world, subscription_id, change)


async def migrate_subscription(world: World, subscription_id: str) -> Owned:
    """Move a subscription to the latest published version of its plan, at once."""

    def change(index: CatalogIndex, held: Held, now: datetime) -> Changed:
        plan = subscribable(index, held.subscription.plan)
        changed = held.subscription.model_copy(update={"plan_version": plan.version})
        check_subscription(index, held.customer, changed, before=held.subscription)
        return Changed(subscription=changed, kept={})

    return await _change(world, subscription_id, change)


async def _change(world: World, subscription_id: str, change: Change) -> Owned:
    async def work(transaction: Transaction) -> Owned:
        held = await live_subscription(world, transaction, subscription_id)
        changed = change(await transaction.index(), held, transaction.now)
        return await keep_change(transaction, held, changed)

    return await world.transact(work)


async def live_subscription(
    world: World, transaction: Transaction, subscription_id: str
) -> Held:
    """The subscription, which is not over."""
    held = await subscription_of(world, transaction, subscription_id)
    status = held.subscription.status_at(transaction.now)
    if status in ("canceled", "expired"):
        raise Refusal(
            "FAILED_PRECONDITION",
            f"subscription {subscription_id!r} is {status} and cannot be changed; "
            "provision another.",
        )
    return held


async def keep_change(transaction: Transaction, held: Held, changed: Changed) -> Owned:
    """Keep and tell what a subscription is from now on."""
    customer = replaced(held.customer, changed.subscription)
    transaction.write(customer_key(customer.id), customer)
    name = id_of(changed.subscription)
    about = await note_change(
        transaction, "subscription", name, owner=customer.id, kept=changed.kept
    )
    transaction.announce(
        changed.kind,
        customer_id=customer.id,
        resource_id=changed.subscription.resource,
        subscription_id=name,
    )
    return Owned(
        customer_id=customer.id,
        subscription=Told(value=changed.subscription, about=about),
    )


def _usual_time(index: CatalogIndex, subscription: Subscription) -> CancellationTime:
    plan = index.plan(subscription.plan, subscription.plan_version)
    is_paid = plan is not None and plan.pricing == "paid"
    is_trial = subscription.status == "in_trial"
    return "end_of_billing_period" if is_paid and not is_trial else "immediate"


def _canceled_now(subscription: Subscription, now: datetime) -> Changed:
    end = now if now > subscription.start else subscription.end
    return Changed(
        subscription=subscription.model_copy(
            update={
                "status": "canceled",
                "canceled_at": now,
                "cancel_reason": "immediate",
                "end": end,
            }
        ),
        kept={},
        kind="subscription.canceled",
    )


def _canceled_at(subscription: Subscription, end: datetime, now: datetime) -> Changed:
    return Changed(
        subscription=subscription.model_copy(
            update={
                "end": end,
                "canceled_at": now,
                "cancel_reason": "scheduled_cancellation",
            }
        ),
        kept={},
    )


def _fits(index: CatalogIndex, held: Held, wanted: Wanted, now: datetime) -> bool:
    sub = held.subscription
    if wanted.plan_id not in (None, sub.plan):
        return False
    if wanted.resource_id not in (None, sub.resource):
        return False
    if wanted.statuses is not None and sub.status_at(now) not in wanted.statuses:
        return False
    plan = index.plan(sub.plan, sub.plan_version)
    return wanted.pricing is None or (
        plan is not None and plan.pricing in wanted.pricing
    )


async def _created(world: World, held: Held, wanted: Wanted) -> bool:
    about = (await _owned(world, [held]))[0].subscription.about
    return wanted.created is None or wanted.created(about.created)


def _each(customer: Customer) -> Iterator[Held]:
    for subscription in customer.subscriptions:
        yield Held(customer=customer, subscription=subscription)


async def _owned(world: World, held: Sequence[Held]) -> list[Owned]:
    by_id = {id_of(item.subscription): item.subscription for item in held}
    everything = await told(world, "subscription", by_id)
    return [
        Owned(customer_id=item.customer.id, subscription=subscription)
        for item, subscription in zip(held, everything, strict=True)
    ]
