"""Subscriptions found by their ids, whoever has them.

Only finding and putting back lives here; what happens to a subscription does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.management.missing import missing
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import about_key, customer_key
from sidecar_client.local.refusal import checked_id
from sidecar_client.local.world import Transaction, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A subscription and the customer that has it."""

    customer: Customer
    subscription: Subscription


def id_of(subscription: Subscription) -> str:
    """Its id, which every subscription has that is not of a file."""
    return subscription.id or ""


async def subscription_of(
    world: World, reader: World | Transaction, subscription_id: str
) -> Held:
    """The subscription of an id; refused when nobody has it."""
    held = await find_subscription(world, reader, subscription_id)
    if held is None:
        raise missing("subscription", subscription_id)
    return held


async def find_subscription(
    world: World, reader: World | Transaction, subscription_id: str
) -> Held | None:
    """The subscription of an id, or None."""
    checked_id("subscription", subscription_id)
    about = await reader.read(about_key("subscription", subscription_id))
    if about is not None and about.owner is not None:
        owner: str | None = about.owner
    else:
        # It came with a catalog: nothing was told of it yet.
        owner = await _owner(world, subscription_id)
    customer = await reader.read(customer_key(owner)) if owner else None
    return _among(customer, subscription_id) if customer else None


def replaced(customer: Customer, *changed: Subscription) -> Customer:
    """The customer with changed subscriptions in the places of those of their ids."""
    by_id = {item.id: item for item in changed}
    kept = [by_id.pop(sub.id, sub) for sub in customer.subscriptions]
    return customer.model_copy(update={"subscriptions": (*kept, *by_id.values())})


async def _owner(world: World, subscription_id: str) -> str | None:
    async for _, entry in records_of(world, "customer/"):
        customer = cast("Customer", entry.record)
        if _among(customer, subscription_id):
            return customer.id
    return None


def _among(customer: Customer, subscription_id: str) -> Held | None:
    for subscription in customer.subscriptions:
        if subscription.id == subscription_id:
            return Held(customer=customer, subscription=subscription)
    return None
