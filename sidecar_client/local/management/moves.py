"""Subscriptions that go to another resource or customer, or come from elsewhere.

What else may happen to a subscription lives in `subscriptions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.management.about import note_new
from sidecar_client.local.management.customers import with_resource
from sidecar_client.local.management.found import find_subscription, replaced
from sidecar_client.local.management.missing import live_customer
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    planned,
    product_id,
)
from sidecar_client.local.management.subscriptions import (
    Changed,
    Owned,
    keep_change,
    live_subscription,
)
from sidecar_client.local.records import customer_key
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import Transaction, World


async def transfer_subscription(
    world: World, subscription_id: str, resource_id: str
) -> Owned:
    """Give a subscription to another resource of the same customer."""

    async def work(transaction: Transaction) -> Owned:
        held = await live_subscription(world, transaction, subscription_id)
        if held.subscription.resource is None:
            raise Refusal(
                "FAILED_PRECONDITION",
                f"subscription {subscription_id!r} is of the whole customer, not of a "
                "resource; it cannot be transferred.",
            )
        customer = with_resource(transaction, held.customer, resource_id)
        changed = held.subscription.model_copy(update={"resource": resource_id})
        _check_place(await transaction.index(), customer, changed, transaction.now)
        return await keep_change(
            transaction,
            replace(held, customer=customer),
            Changed(subscription=changed, kept={}),
        )

    return await world.transact(work)


async def delegate_subscription(
    world: World, subscription_id: str, customer_id: str
) -> Owned:
    """Give a subscription to another customer; the first one goes on paying for it."""

    async def work(transaction: Transaction) -> Owned:
        held = await live_subscription(world, transaction, subscription_id)
        if customer_id == held.customer.id:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"subscription {subscription_id!r} is of customer {customer_id!r} "
                "already; name another.",
            )
        left = tuple(
            sub for sub in held.customer.subscriptions if sub.id != subscription_id
        )
        giver = held.customer.model_copy(update={"subscriptions": left})
        transaction.write(customer_key(giver.id), giver)
        taker = await live_customer(transaction, customer_id)
        taker = with_resource(transaction, taker, held.subscription.resource)
        index = await transaction.index()
        moved = held.subscription.model_copy(update={"paying_customer": giver.id})
        _check_place(index, taker, moved, transaction.now)
        return await keep_change(
            transaction,
            replace(held, customer=taker),
            Changed(subscription=moved, kept={}),
        )

    return await world.transact(work)


async def import_subscriptions(world: World, new: Sequence[NewSubscription]) -> None:
    """Subscribe customers as they were elsewhere; one of the same id is replaced."""

    async def work(transaction: Transaction) -> None:
        for wish in new:
            name = wish.id or f"subscription-{uuid4().hex}"
            if before := await find_subscription(world, transaction, name):
                left = tuple(s for s in before.customer.subscriptions if s.id != name)
                changed = before.customer.model_copy(update={"subscriptions": left})
                transaction.write(customer_key(changed.id), changed)
            customer, subscription = await planned(transaction, wish, name)
            customer = replaced(customer, subscription)
            transaction.write(customer_key(customer.id), customer)
            note_new(
                transaction, "subscription", name, owner=customer.id, kept=wish.kept
            )
            transaction.announce(
                "subscription.created",
                customer_id=customer.id,
                resource_id=subscription.resource,
                subscription_id=name,
            )

    await world.transact(work)


def _check_place(
    index: CatalogIndex, customer: Customer, moved: Subscription, now: datetime
) -> None:
    """Refuse a place in which there is such a subscription already."""
    for sub in customer.subscriptions:
        if (
            sub.id != moved.id
            and sub.resource == moved.resource
            and sub.holds(now)
            and product_id(index, sub.plan) == product_id(index, moved.plan)
            and (sub.status == "in_trial") == (moved.status == "in_trial")
        ):
            raise Refusal(
                "ALREADY_EXISTS",
                f"customer {customer.id!r} has the subscription {sub.id!r} there "
                "already; cancel it first.",
            )
