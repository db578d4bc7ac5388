"""New versions of plans and add-ons, and which subscriptions follow them.

Drafts live in `packages`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.management.definitions import definitions_of
from sidecar_client.local.management.packages import ADDONS, PLANS
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import customer_key
from sidecar_client.local.world import Transaction, World

Migration = Literal["new_customers", "all_customers"]
_AT_ONCE = 100


async def publish_plan(world: World, plan_id: str, migration: Migration) -> None:
    """Publish the draft of a plan, for new subscriptions or for all there are.

    Subscriptions that follow whatever version is the latest, as those of catalogs do,
    are held on the one they have when only new ones are to get the new version.
    """
    PLANS.draft_of(await world.transact(definitions_of), plan_id)
    before = PLANS.current(await world.index(), plan_id)
    if migration == "new_customers" and before.status == "published":
        await _set_version(
            world,
            plan_id,
            before.version,
            only=lambda sub: sub.plan_version is None,
            is_news=False,
        )

    async def publish(transaction: Transaction) -> int:
        return (await PLANS.publish_draft(transaction, plan_id)).version

    version = await world.transact(publish)
    if migration == "all_customers":
        await _set_version(world, plan_id, version, only=lambda _: True, is_news=True)


async def publish_addon(world: World, addon_id: str) -> None:
    """Publish the draft of an add-on; every subscription that has it gets it."""

    async def publish(transaction: Transaction) -> None:
        await ADDONS.publish_draft(transaction, addon_id)

    await world.transact(publish)


async def _set_version(
    world: World,
    plan_id: str,
    version: int,
    *,
    only: Callable[[Subscription], bool],
    is_news: bool,
) -> None:
    """Give subscriptions to a plan a version of it, some customers at a time.

    `is_news` for another version than they had, which is told.
    """
    waiting: list[str] = []

    def changed(sub: Subscription) -> Subscription:
        if sub.plan != plan_id or not only(sub):
            return sub
        return sub.model_copy(update={"plan_version": version})

    async def change(transaction: Transaction) -> None:
        for name in waiting:
            customer = await transaction.read(customer_key(name))
            if customer is not None:
                subscriptions = tuple(changed(sub) for sub in customer.subscriptions)
                if is_news:
                    _tell(transaction, customer, subscriptions)
                if subscriptions != customer.subscriptions:
                    transaction.write(
                        customer_key(name),
                        customer.model_copy(update={"subscriptions": subscriptions}),
                    )

    async for _, entry in records_of(world, "customer/"):
        customer = cast("Customer", entry.record)
        if any(sub.plan == plan_id and only(sub) for sub in customer.subscriptions):
            waiting.append(customer.id)
        if len(waiting) == _AT_ONCE:
            await world.transact(change)
            waiting.clear()
    if waiting:
        await world.transact(change)


def _tell(
    transaction: Transaction,
    customer: Customer,
    subscriptions: tuple[Subscription, ...],
) -> None:
    for before, after in zip(customer.subscriptions, subscriptions, strict=True):
        if before != after:
            transaction.announce(
                "subscription.updated",
                customer_id=customer.id,
                resource_id=after.resource,
                subscription_id=after.id,
            )
