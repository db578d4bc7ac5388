"""Which events of the vendor's follow from what happened in a world.

How single things look in them lives in `webhook_payloads`; sending does not.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from sidecar_client.local.catalog import Addon, CatalogIndex, Definitions, Plan
from sidecar_client.local.credit_desk import CreditDesk
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.evaluation import Subject, judge, standing, standings
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import DEFINITIONS
from sidecar_client.local.wallets import lineage
from sidecar_client.local.webhook_payloads import (
    Fields,
    credit_balance_fields,
    currency_fields,
    customer_fields,
    feature_fields,
    granted_fields,
    in_camel_case,
    iso,
    package_fields,
    promotion_fields,
    resource_fields,
    subscription_fields,
)
from sidecar_client.local.webhooks import Message
from sidecar_client.local.world import Announcement, World

MOST_AFFECTED: Final = 1_000
"""Of how many customers it is told that a plan of theirs has changed."""
_GONE: Final = {"archived": "deleted", "unarchived": "updated", "published": "updated"}
_UNTOLD: Final = ("credits.consumed",)
"""What the vendor has no event for."""
_OF_FILES: Final = {
    "plans": ("plan.published", "plan_id"),
    "addons": ("addon.published", "addon_id"),
    "features": ("feature.updated", "feature_id"),
    "currencies": ("credit_type.updated", "currency_id"),
}
"""What is told of the parts of a catalog that a new edition of its file has changed."""
_GONE_FROM_FILES: Final = {
    "plans": "plan.deleted",
    "addons": "addon.deleted",
    "features": "feature.deleted",
    "currencies": "credit_type.archived",
}
"""What is told of those that it has no more."""
_OF_ENTITLEMENTS: Final = (
    *("customer.deleted", "customer.updated", "subscription.", "credits."),
    "promotionalEntitlement.",
)
"""After these the entitlements of the customer may be others."""
_OF_CREDITS_ALONE: Final = (
    *("credits.grant.usage_low", "credits.grant.depleted"),
    "credits.balance.usage_low",
)
"""These say all there is: the entitlements are as they were."""


async def messages_of(world: World, told: Announcement) -> AsyncIterator[Message]:
    """The events that follow from what happened, in their order.

    What they say of things is as these are now, which may be later than it happened.
    """
    if told.kind in _UNTOLD:
        return
    if told.kind == "catalog.loaded":
        async for message in _of_catalog(world, told):
            yield message
        return
    thing, _, what = told.kind.partition(".")
    index = await world.index()
    if thing in ("plan", "addon"):
        async for message in _of_package(world, index, told, thing, what):
            yield message
        return
    fields = await _fields(world, index, told, thing)
    if fields is None:
        return
    name = told.kind
    if thing == "feature":
        name = f"{thing}.{_GONE.get(what, what)}"
    yield Message(type=name, at=told.at, fields=fields)
    if told.kind == "subscription.created" and fields["isTrialSubscription"]:
        yield Message(type="subscription.trial_started", at=told.at, fields=fields)
    if told.customer_id is not None and _may_change_entitlements(told.kind):
        subject = Subject(customer_id=told.customer_id, resource_id=told.resource_id)
        yield await entitlements_updated(world, subject, told.kind, told.at)


async def _of_catalog(world: World, told: Announcement) -> AsyncIterator[Message]:
    """What a new edition of the catalog's file has changed, such as `plans/pro`."""
    index = await world.index()
    defined: dict[str, Mapping[str, object]] = {
        "plans": index.plans,
        "addons": index.addons,
        "features": index.features,
        "currencies": index.currencies,
    }
    for things, name in _parts(cast("tuple[str, ...]", told.facts.get("changed", ()))):
        if things == "customers":
            async for message in _of_customer(world, told, name):
                yield message
        elif things not in defined:
            continue
        elif name not in defined[things]:
            gone = _GONE_FROM_FILES[things]
            yield Message(type=gone, at=told.at, fields={"id": name})
        else:
            kind, fact = _OF_FILES[things]
            one = Announcement(kind=kind, at=told.at, facts={fact: name})
            async for message in messages_of(world, one):
                yield message


def _parts(changed: Iterable[str]) -> dict[tuple[str, str], None]:
    """Kinds and ids, each once though several versions of it may have changed."""
    found: dict[tuple[str, str], None] = {}
    for part in changed:
        things, _, name = part.partition("/")
        if things in ("plans", "addons"):
            name, _, _ = name.partition(" version ")
        found[things, name] = None
    return found


async def _of_customer(
    world: World, told: Announcement, name: str
) -> AsyncIterator[Message]:
    _, customer = await world.index_and_customer(name)
    kind = "customer.deleted" if customer is None else "customer.updated"
    customer = customer or Customer(id=name)
    yield Message(type=kind, at=told.at, fields=customer_fields(customer))
    for resource in (None, *customer.resources):
        subject = Subject(customer_id=name, resource_id=resource)
        yield await entitlements_updated(world, subject, told.kind, told.at)


async def entitlements_updated(
    world: World, subject: Subject, cause: str, at: datetime
) -> Message:
    """What a customer effectively has now; `cause` is what changed it."""
    index, customer = await world.index_and_customer(subject.customer_id)
    now = world.clock()
    _, found = standings(index, customer, subject, now)
    keys = dict.fromkeys(key for item in found for key in item.needs)
    records = await world.read_named(tuple(keys))
    granted = [granted_fields(judge(item, records)) for item in found]
    wallets = await CreditDesk(world).all(subject)
    balances = [
        {"creditBalance": credit_balance_fields(wallet.standing)}
        for wallet in wallets
        if wallet.standing is not None
    ]
    who = {"id": subject.customer_id}
    return Message(
        type="entitlements.updated",
        at=at,
        fields={
            "trigger": _snake(cause),
            "customer": who if customer is None else customer_fields(customer),
            "resource": resource_fields(subject.resource_id),
            "entitlements": [*filter(None, granted), *balances],
            "entitlementsUpdatedAt": iso(now),
        },
    )


async def _fields(
    world: World, index: CatalogIndex, told: Announcement, thing: str
) -> Fields | None:
    """What an event says of its thing; None for one that is none of the vendor's."""
    facts: Mapping[str, Any] = told.facts
    if thing == "feature":
        feature = index.features.get(facts["feature_id"])
        return None if feature is None else feature_fields(feature)
    if thing == "credit_type":
        currency = index.currencies.get(facts["currency_id"])
        return None if currency is None else currency_fields(currency)
    if told.customer_id is None:
        return None
    _, customer = await world.index_and_customer(told.customer_id)
    customer = customer or Customer(id=told.customer_id)
    if thing == "customer":
        return customer_fields(customer)
    if thing == "subscription":
        sub = _subscription(customer, facts["subscription_id"])
        if sub is None:
            return None
        return subscription_fields(index, customer, sub, world.clock())
    if thing == "promotionalEntitlement":
        name = facts["feature_id"]
        given = [item for item in customer.promotions if item.feature == name]
        last = given[-1] if given else None
        return promotion_fields(index, customer, name, last, world.clock())
    if thing == "credits":
        found = {
            **in_camel_case(facts),
            "customerId": told.customer_id,
            "resourceId": told.resource_id,
        }
        if told.kind.startswith("credits.balance."):
            currency = index.currencies.get(facts["currency_id"])
            found["creditCurrency"] = currency and currency_fields(currency)
            found["customer"] = customer_fields(customer)
            found["resource"] = resource_fields(told.resource_id)
        return found
    if told.kind == "entitlement.usage_exceeded":
        return await _exceeded(world, index, customer, told)
    return None


async def _exceeded(
    world: World, index: CatalogIndex, customer: Customer, told: Announcement
) -> Fields | None:
    """What is granted, with the usage and limit of the time when it was exceeded."""
    facts: Mapping[str, Any] = told.facts
    now = world.clock()
    subject = Subject(customer_id=customer.id, resource_id=told.resource_id)
    found = standing(index, customer, subject, facts["feature_id"], now)
    granted = granted_fields(judge(found))
    if granted is None:
        return None
    usage, limit = facts["usage"], facts["limit"]
    return {
        **granted,
        "usageLimit": limit,
        "currentUsage": usage,
        "thresholdPercentage": 100,
        "usageUsedPercentage": round(100 * usage / limit) if limit else None,
        "customer": customer_fields(customer),
        "resource": resource_fields(told.resource_id),
        "activeSubscriptions": [
            subscription_fields(index, customer, sub, now)
            for sub in customer.subscriptions
            if sub.resource in (told.resource_id, None) and sub.holds(now)
        ],
    }


def _may_change_entitlements(kind: str) -> bool:
    return kind.startswith(_OF_ENTITLEMENTS) and kind not in _OF_CREDITS_ALONE


def _subscription(customer: Customer, name: str) -> Subscription | None:
    return next((sub for sub in customer.subscriptions if sub.id == name), None)


async def _of_package(
    world: World, index: CatalogIndex, told: Announcement, thing: str, what: str
) -> AsyncIterator[Message]:
    """A plan or add-on, and everybody who has it when that changes what they have.

    A draft is nobody's yet: that it was changed is not told.
    """
    name = cast("str", told.facts[f"{thing}_id"])
    package: Plan | Addon | None = (
        index.plans.get(name) if thing == "plan" else index.addons.get(name)
    )
    if package is None or (what == "updated" and await _has_draft(world, thing, name)):
        return
    yield Message(
        type=f"{thing}.{_GONE.get(what, what)}",
        at=told.at,
        fields=package_fields(index, package),
    )
    if what not in ("updated", "published"):
        return
    left = MOST_AFFECTED
    async for _, entry in records_of(world, "customer/"):
        customer = cast("Customer", entry.record)
        for resource in _holders(index, customer, thing, name, world.clock()):
            if left == 0:
                return
            left -= 1
            subject = Subject(customer_id=customer.id, resource_id=resource)
            yield await entitlements_updated(world, subject, told.kind, told.at)


async def _has_draft(world: World, thing: str, name: str) -> bool:
    """Whether a new version is being worked on: it is what was changed then."""
    definitions = await world.read(DEFINITIONS) or Definitions()
    packages = definitions.plans if thing == "plan" else definitions.addons
    return any(item.id == name and item.status == "draft" for item in packages)


def _holders(
    index: CatalogIndex, customer: Customer, thing: str, name: str, now: datetime
) -> dict[str | None, None]:
    """The resources of a customer, None for itself, that have a plan or add-on."""
    found: dict[str | None, None] = {}
    for sub in customer.subscriptions:
        if customer.archived or not sub.holds(now):
            continue
        parts = lineage(index, sub) if thing == "plan" else sub.addons
        if any(part.id == name for part in parts):
            found[sub.resource] = None
    return found


def _snake(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.replace(".", "_")).lower()
