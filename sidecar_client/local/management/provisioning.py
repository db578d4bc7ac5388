"""Subscribing a customer to a plan, and what that does to what it had before.

What happens to a subscription later lives in `subscriptions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from sidecar_client.local.catalog import CatalogIndex, Plan
from sidecar_client.local.customer_checks import customer_problems
from sidecar_client.local.customers import (
    AddonQuantity,
    Budget,
    Customer,
    Subscription,
)
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.management.about import Kept, Told, note_change, note_new
from sidecar_client.local.management.billing_periods import billing_period
from sidecar_client.local.management.customers import with_resource
from sidecar_client.local.management.found import find_subscription, id_of, replaced
from sidecar_client.local.management.missing import (
    feature_of,
    live_customer,
    missing,
    subscribable,
)
from sidecar_client.local.management.terms import Terms, entitlement
from sidecar_client.local.records import About, customer_key
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import Transaction, World

BillingPeriod = Literal["monthly", "annually"]
TrialEnd = Literal["convert_to_paid", "cancel_subscription"]
Schedule = Literal["immediate", "end_of_billing_period", "end_of_billing_month"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWish:
    """Whether a subscription is to be a trial, whatever its plan says."""

    is_trial: bool
    end: datetime | None = None
    end_behavior: TrialEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """What a customer is to be subscribed to."""

    customer_id: str
    plan_id: str
    id: str | None = None
    resource_id: str | None = None
    billing_period: BillingPeriod = "monthly"
    addons: Sequence[AddonQuantity] = ()
    entitlements: Mapping[str, Terms] = field(default_factory=dict[str, Terms])
    budget: Budget | None = None
    start: datetime | None = None
    end: datetime | None = None
    trial: TrialWish | None = None
    schedule: Schedule = "immediate"
    paying_customer: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])
    """What the sidecar has no use for: prices, coupons ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """A new subscription, and whether it starts only later."""

    customer: Customer
    subscription: Told[Subscription]
    is_scheduled: bool


async def provision_subscription(world: World, new: NewSubscription) -> Provisioned:
    """Subscribe a customer; what it had of the product ends when this starts.

    A customer has one trial and one other subscription of a product, or of each of its
    resources where the product has several subscriptions. A resource that is not there
    is made. A paid plan waits for the end of the trial that it follows.
    """
    made_id = new.id or new_subscription_id(new.plan_id)
    return await world.transact(
        lambda transaction: subscribed(world, transaction, new, made_id)
    )


def new_subscription_id(plan_id: str) -> str:
    """An id for a subscription to a plan that was given none."""
    return f"subscription-{plan_id[:200]}-{uuid4().hex[:8]}"


async def subscribed(
    world: World, transaction: Transaction, new: NewSubscription, made_id: str
) -> Provisioned:
    """The same as a part of a greater change, with the id that is to be given."""
    if new.id and await find_subscription(world, transaction, new.id):
        raise Refusal(
            "ALREADY_EXISTS",
            f"there is a subscription {new.id!r} already; update it, or use "
            "another id.",
        )
    customer, subscription = await planned(transaction, new, made_id)
    for before in _replaced_by(await transaction.index(), customer, subscription):
        ended = _ended(before, subscription.start, transaction.now)
        customer = replaced(customer, ended)
        await note_change(transaction, "subscription", id_of(before), owner=customer.id)
        if ended.status_at(transaction.now) == "canceled":
            transaction.announce(
                "subscription.canceled",
                customer_id=customer.id,
                resource_id=ended.resource,
                subscription_id=id_of(before),
            )
    customer = replaced(customer, subscription)
    transaction.write(customer_key(customer.id), customer)
    about = note_new(
        transaction, "subscription", made_id, owner=customer.id, kept=new.kept
    )
    transaction.announce(
        "subscription.created",
        customer_id=customer.id,
        resource_id=subscription.resource,
        subscription_id=made_id,
    )
    return Provisioned(
        customer=customer,
        subscription=Told(value=subscription, about=about),
        is_scheduled=subscription.start > transaction.now,
    )


async def preview_subscription(world: World, new: NewSubscription) -> Provisioned:
    """What provisioning would make; nothing is made."""
    wanted: list[Provisioned] = []

    async def work(transaction: Transaction) -> None:
        customer, subscription = await planned(transaction, new, "preview")
        about = About(created=transaction.now, updated=transaction.now)
        made = Provisioned(
            customer=customer,
            subscription=Told(value=subscription, about=about),
            is_scheduled=subscription.start > transaction.now,
        )
        wanted.append(made)
        raise _NotToBeMade

    with suppress(_NotToBeMade):
        await world.transact(work)
    return wanted[-1]


class _NotToBeMade(Exception):
    """Ends a transaction that was only to be looked at."""


async def planned(
    transaction: Transaction, new: NewSubscription, made_id: str
) -> tuple[Customer, Subscription]:
    """The subscription as it would be, and its customer with its resource."""
    index = await transaction.index()
    customer = await live_customer(transaction, new.customer_id)
    plan = subscribable(index, new.plan_id)
    _check_resource(index, plan, new.resource_id)
    customer = with_resource(transaction, customer, new.resource_id)
    start = new.start or _start(index, customer, plan, new, transaction.now)
    trial_end = _trial_end(index, customer, plan, new, start)
    behavior = new.trial.end_behavior if new.trial else None
    subscription = Subscription(
        id=made_id,
        plan=plan.id,
        plan_version=plan.version,
        resource=new.resource_id,
        start=start,
        end=new.end,
        status="active" if trial_end is None else "in_trial",
        trial_end=trial_end,
        trial_end_behavior=behavior or "cancel_subscription",
        addons=tuple(new.addons),
        entitlements=granted_terms(index, new.entitlements),
        budget=new.budget,
        billing_period=new.billing_period,
        paying_customer=new.paying_customer,
        metadata=dict(new.metadata),
    )
    check_subscription(index, customer, subscription)
    return customer, subscription


def granted_terms(
    index: CatalogIndex, terms: Mapping[str, Terms]
) -> dict[str, Entitlement]:
    """What was agreed with a customer alone, fitted to the features."""
    return {
        name: entitlement(
            Entitlement, feature_of(index, name), wanted, where=f"entitlements[{name}]"
        )
        for name, wanted in terms.items()
    }


def check_subscription(
    index: CatalogIndex,
    customer: Customer,
    subscription: Subscription,
    *,
    before: Subscription | None = None,
) -> None:
    """Refuse a subscription that does not fit the catalog or itself.

    What is bought anew, and was not `before`, must be published.
    """
    had = {bought.id for bought in before.addons} if before else set[str]()
    for bought in subscription.addons:
        addon = index.addons.get(bought.id)
        if addon is None:
            raise missing("add-on", bought.id)
        if addon.status != "published" and addon.id not in had:
            cure = "publish it" if addon.status == "draft" else "use another one"
            raise Refusal(
                "FAILED_PRECONDITION", f"add-on {addon.id!r} is {addon.status}; {cure}."
            )
    alone = customer.model_copy(
        update={"subscriptions": (subscription,), "promotions": (), "credits": ()}
    )
    for problem in customer_problems(alone, index, ()):
        raise Refusal("INVALID_ARGUMENT", f"{problem.message}.")


def product_id(index: CatalogIndex, plan_id: str) -> str | None:
    """The product that a plan belongs to; None where a catalog has none."""
    plan = index.plans.get(plan_id)
    if plan is not None and plan.product is not None:
        return plan.product
    return next(iter(index.products), None)


def _check_resource(index: CatalogIndex, plan: Plan, resource_id: str | None) -> None:
    product = index.products.get(product_id(index, plan.id) or "")
    if product is None:
        return
    if product.multiple_subscriptions and resource_id is None:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"product {product.id!r} has a subscription for each resource of a "
            "customer; name the resource.",
        )
    if not product.multiple_subscriptions and resource_id is not None:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"product {product.id!r} has one subscription of a customer, not one for "
            f"its resource {resource_id!r}; leave out the resource.",
        )


def _start(
    index: CatalogIndex,
    customer: Customer,
    plan: Plan,
    new: NewSubscription,
    now: datetime,
) -> datetime:
    """When it starts, if nobody says: now, or when something before it ends."""
    is_trial = new.trial is not None and new.trial.is_trial
    for before in _siblings(index, customer, plan.id, new.resource_id, now):
        if before.status == "in_trial" and not is_trial and plan.pricing != "free":
            return before.trial_end or now
        if before.status == "active" and new.schedule != "immediate":
            return billing_period(before, now).end
    return now


def _trial_end(
    index: CatalogIndex,
    customer: Customer,
    plan: Plan,
    new: NewSubscription,
    start: datetime,
) -> datetime | None:
    """When its trial ends; None for one that is no trial."""
    if new.trial is None:
        if plan.trial_days is None or _had_its_trial(index, customer, plan, new):
            return None
        return start + timedelta(days=plan.trial_days)
    if not new.trial.is_trial:
        return None
    if new.trial.end is not None:
        return new.trial.end
    if plan.trial_days is None:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"plan {plan.id!r} has no trial of its own; say when this one ends.",
        )
    return start + timedelta(days=plan.trial_days)


def _had_its_trial(
    index: CatalogIndex, customer: Customer, plan: Plan, new: NewSubscription
) -> bool:
    """Whether it tried the product before, or paid for it: then it has no other."""
    product = product_id(index, plan.id)
    return any(
        sub.trial_end is not None or _is_paid(index, sub)
        for sub in customer.subscriptions
        if product_id(index, sub.plan) == product and sub.resource == new.resource_id
    )


def _is_paid(index: CatalogIndex, subscription: Subscription) -> bool:
    plan = index.plan(subscription.plan, subscription.plan_version)
    return plan is not None and plan.pricing != "free"


def _siblings(
    index: CatalogIndex,
    customer: Customer,
    plan_id: str,
    resource_id: str | None,
    now: datetime,
) -> list[Subscription]:
    """What the customer, or its resource, has or is to have of the same product."""
    product = product_id(index, plan_id)
    return [
        sub
        for sub in customer.subscriptions
        if sub.resource == resource_id
        and product_id(index, sub.plan) == product
        and sub.status_at(now) not in ("expired", "canceled")
    ]


def _replaced_by(
    index: CatalogIndex, customer: Customer, new: Subscription
) -> list[Subscription]:
    """The subscriptions of the same kind, trial or not, that it takes the place of."""
    return [
        sub
        for sub in _siblings(index, customer, new.plan, new.resource, new.start)
        if (sub.status == "in_trial") == (new.status == "in_trial")
    ]


def _ended(before: Subscription, at: datetime, now: datetime) -> Subscription:
    """The subscription, ended when another takes its place."""
    canceled = before.model_copy(
        update={"canceled_at": now, "cancel_reason": "upgrade_or_downgrade"}
    )
    ended = {"status": "canceled"} if before.start >= at else {"end": at}
    return canceled.model_copy(update=ended)
