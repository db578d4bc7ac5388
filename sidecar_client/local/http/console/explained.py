"""What a customer may have and why, as the console shows it.

Telling entitlements with their sources lives here; finding them is `evaluation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar_client.local.catalog import CatalogIndex, Feature
from sidecar_client.local.credit_desk import Credits, CreditVerdict
from sidecar_client.local.customers import Customer
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.evaluation import (
    Subject,
    Verdict,
    judge,
    standing,
    standings,
    subject_reason,
)
from sidecar_client.local.http.control import iso
from sidecar_client.local.sources import Grant, Source
from sidecar_client.local.world import World

Told = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which entitlements are wanted."""

    resource: str | None = None
    search: str = ""
    scope: str = "said"
    """`said`: what something is said about; `all`: every feature; `denied`."""
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Some entitlements, and how many there are."""

    reason: str | None
    """Why there can be none at all."""
    total: int
    granted: int
    items: list[Told]
    credits: list[CreditVerdict]
    """All of them, whatever is wanted."""


async def explained(
    world: World, index: CatalogIndex, customer: Customer, wish: Wish
) -> Explained:
    """The wanted part of what a customer has, in the order of the catalog's plans.

    What is used and what is left of credits are of one moment.
    """
    subject = Subject(customer_id=customer.id, resource_id=wish.resource)
    now = world.clock()
    if wish.scope == "said":
        named = {
            item.feature.id: item
            for item in standings(index, customer, subject, now)[1]
            if item.feature
        }
    else:
        named = {
            name: standing(index, customer, subject, name, now)
            for name in index.features
        }
    wanted = {
        name: found
        for name, found in named.items()
        if _matches(index.features[name], wish.search)
    }
    purse = Credits(index, customer, subject, now)
    needs = dict.fromkeys(key for item in wanted.values() for key in item.needs)
    records = await world.read_named((*needs, *purse.keys()))
    verdicts = {
        name: purse.paid(judge(item, records), records) for name, item in wanted.items()
    }
    if wish.scope == "denied":
        verdicts = {k: v for k, v in verdicts.items() if not v.has_access}
    page = list(verdicts.items())[wish.offset : wish.offset + wish.limit]
    return Explained(
        reason=subject_reason(customer, subject),
        total=len(verdicts),
        granted=sum(verdict.has_access for verdict in verdicts.values()),
        items=[_told(index.features[name], verdict) for name, verdict in page],
        credits=purse.all(records),
    )


def _matches(feature: Feature, search: str) -> bool:
    text = search.casefold()
    return text in feature.id.casefold() or text in feature.name.casefold()


def _told(feature: Feature, verdict: Verdict) -> Told:
    found = verdict.standing
    grant = found.grant
    return {
        "feature": {
            "id": feature.id,
            "name": feature.name,
            "type": feature.type,
            "meter": feature.meter,
            "units": feature.units,
            "units_plural": feature.units_plural,
            "event": feature.events.event if feature.events else None,
            "values": feature.values,
        },
        "has_access": verdict.has_access,
        "reason": verdict.reason,
        "usage": verdict.usage if found.counter else None,
        "granted": _amount(grant.entitlement, found.values) if grant else None,
        "period": (
            {"start": iso(found.window.start), "end": iso(found.window.end)}
            if found.window
            else None
        ),
        "winner": _grant(grant) if grant else None,
        "others": [_grant(other) for other in found.others],
    }


def _amount(entitlement: Entitlement, values: Sequence[str]) -> Told:
    return {
        "limit": entitlement.limit,
        "value": entitlement.value,
        "unlimited": entitlement.unlimited,
        "soft_limit": entitlement.soft_limit,
        "reset_period": entitlement.reset_period,
        "values": values or entitlement.values,
    }


def _grant(grant: Grant) -> Told:
    subscription = grant.subscription
    return {
        "says": says(grant.entitlement),
        "sources": [_source(source) for source in grant.sources],
        "overruled": [_source(source) for source in grant.overruled],
        "subscription": subscription.id if subscription else None,
        "resource": grant.resource_id,
    }


def _source(source: Source) -> Told:
    return {
        "kind": source.kind,
        "id": source.id,
        "quantity": source.quantity,
        "says": says(source.entitlement),
    }


def says(entitlement: Entitlement) -> str:
    """What an entitlement says, in words."""
    return ", ".join(_says(entitlement)) or "granted"


def _says(entitlement: Entitlement) -> Iterator[str]:
    if not entitlement.granted:
        yield "revoked"
        return
    if entitlement.unlimited:
        yield "unlimited"
    if entitlement.limit is not None:
        kind = "soft limit" if entitlement.soft_limit else "limit"
        yield f"{kind} {entitlement.limit:,.15g}"
    if entitlement.value is not None:
        yield f"value {entitlement.value:,}"
    if entitlement.values:
        yield " or ".join(entitlement.values)
    if entitlement.reset_period:
        yield f"each {entitlement.reset_period}"
