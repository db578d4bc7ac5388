"""What a customer may have, computed from catalog, usage and time; no I/O.

The rules of entitlement live here (scope, the generous rule, limits); the wire and the
stores do not. First `standing` says where a customer stands and which counter matters,
then `judge` decides with that counter's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidecar_client.local.catalog import CatalogIndex, Feature
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.periods import Window, window_at
from sidecar_client.local.records import (
    Counter,
    Key,
    Usage,
    aggregate_key,
    usage_key,
)
from sidecar_client.local.values import FeatureType

Reason = Literal[
    "CUSTOMER_IS_ARCHIVED",
    "CUSTOMER_NOT_FOUND",
    "CUSTOMER_RESOURCE_NOT_FOUND",
    "FEATURE_NOT_FOUND",
    "NO_ACTIVE_SUBSCRIPTION",
    "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
    "REQUESTED_USAGE_EXCEEDING_LIMIT",
    "REQUESTED_VALUES_MISMATCH",
    "FEATURE_TYPE_MISMATCH",
    "REVOKED",
    "ENTITLEMENT_NOT_FOUND",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who is asked about."""

    customer_id: str
    resource_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How much of a feature is granted, and on which subscription."""

    entitlement: Entitlement
    subscription: Subscription
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a subject stands with a feature, before usage is looked at."""

    reason: Reason | None = None
    feature: Feature | None = None
    """None when no entitlement tells about it."""
    grant: Grant | None = None
    window: Window | None = None
    counter: Counter | None = None
    """What to read for `judge`; None when the feature is not metered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """May it, why not, and what the answer rests on."""

    standing: Standing
    reason: Reason | None
    usage: float

    @property
    def has_access(self) -> bool:
        """True when nothing stands against it."""
        return self.reason is None


def subject_reason(customer: Customer | None, subject: Subject) -> Reason | None:
    """Why nothing at all can be granted to the subject; None if something may be."""
    if customer is None:
        return "CUSTOMER_NOT_FOUND"
    if customer.archived:
        return "CUSTOMER_IS_ARCHIVED"
    if subject.resource_id not in (None, *customer.resources):
        return "CUSTOMER_RESOURCE_NOT_FOUND"
    return None


def standing(
    index: CatalogIndex,
    customer: Customer | None,
    subject: Subject,
    feature_id: str,
    now: datetime,
    *,
    wanted: FeatureType | None = None,
) -> Standing:
    """Where the subject stands with a feature; `wanted` is the type it must have."""
    reason = subject_reason(customer, subject)
    if customer is None or reason:
        return Standing(reason=reason)
    feature = index.features.get(feature_id)
    if feature is None:
        return Standing(reason="FEATURE_NOT_FOUND")
    if wanted is not None and feature.type != wanted:
        return Standing(reason="FEATURE_TYPE_MISMATCH")
    running = _running(customer, subject, now)
    if not running:
        return Standing(reason="NO_ACTIVE_SUBSCRIPTION")
    return _among(index, customer, feature, running, now)


def standings(
    index: CatalogIndex, customer: Customer | None, subject: Subject, now: datetime
) -> tuple[Reason | None, list[Standing]]:
    """Every feature that the subject's subscriptions speak of, in the plans' order.

    The reason tells why there can be none; then the list is empty.
    """
    reason = subject_reason(customer, subject)
    if customer is None or reason:
        return reason, []
    running = _running(customer, subject, now)
    if not running:
        return "NO_ACTIVE_SUBSCRIPTION", []
    named = dict.fromkeys(name for sub in running for name in _entitlements(index, sub))
    return None, [
        _among(index, customer, index.features[name], running, now) for name in named
    ]


def judge(
    standing: Standing,
    *,
    usage: float = 0.0,
    requested_usage: float | None = None,
    requested_values: Sequence[str] = (),
) -> Verdict:
    """The verdict, with `usage` read from the standing's counter.

    Without `requested_usage` some must be left; with it (0 included), it must fit.
    """
    reason = standing.reason
    if grant := standing.grant:
        if not _fits(grant.entitlement, usage, requested_usage):
            reason = "REQUESTED_USAGE_EXCEEDING_LIMIT"
        elif grant.values and not set(requested_values) <= set(grant.values):
            reason = "REQUESTED_VALUES_MISMATCH"
    return Verdict(standing=standing, reason=reason, usage=usage)


def counter_at(
    standing: Standing, subject: Subject, moment: datetime
) -> tuple[Key[Usage], Window | None]:
    """The counter, and its window, that usage at `moment` belongs to."""
    if standing.feature is None or standing.grant is None:
        raise ValueError("only a granted feature has a counter")
    return _counter(standing.feature, standing.grant, subject.customer_id, moment)


def _running(customer: Customer, subject: Subject, now: datetime) -> list[Subscription]:
    """The subscriptions that count: the resource's own first, then the customer's."""
    held = [sub for sub in customer.subscriptions if sub.holds(now)]
    whole = [sub for sub in held if sub.resource is None]
    if subject.resource_id is None:
        return whole
    return [sub for sub in held if sub.resource == subject.resource_id] + whole


def _entitlements(index: CatalogIndex, sub: Subscription) -> dict[str, Entitlement]:
    plan = index.plan(sub.plan, sub.plan_version)
    return plan.entitlements if plan else {}


def _among(
    index: CatalogIndex,
    customer: Customer,
    feature: Feature,
    running: list[Subscription],
    now: datetime,
) -> Standing:
    found = [
        Grant(entitlement=entitlement, subscription=sub, values=entitlement.values)
        for sub in running
        if (entitlement := _entitlements(index, sub).get(feature.id))
    ]
    granted = [grant for grant in found if grant.entitlement.granted]
    if not granted:
        if found:
            return Standing(reason="REVOKED", feature=feature)
        return Standing(reason="NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION")
    best = _most_generous(granted)
    if feature.type != "metered":
        return Standing(feature=feature, grant=best)
    key, window = _counter(feature, best, customer.id, now)
    counter = aggregate_key(key) if feature.events else key
    return Standing(feature=feature, grant=best, window=window, counter=counter)


def _most_generous(grants: list[Grant]) -> Grant:
    """The largest grant, the first of equals, with the enum values of all."""
    best = max(grants, key=lambda grant: _generosity(grant.entitlement))
    values = tuple(dict.fromkeys(v for grant in grants for v in grant.values))
    return Grant(
        entitlement=best.entitlement, subscription=best.subscription, values=values
    )


def _generosity(entitlement: Entitlement) -> tuple[bool, float, bool]:
    amount = entitlement.limit if entitlement.value is None else entitlement.value
    return (entitlement.unlimited, amount or 0.0, entitlement.soft_limit)


def _counter(
    feature: Feature, grant: Grant, customer_id: str, moment: datetime
) -> tuple[Key[Usage], Window | None]:
    window = None
    if period := grant.entitlement.reset_period:
        window = window_at(
            moment,
            period=period,
            rule=grant.entitlement.reset_anchor,
            begun=grant.subscription.start,
        )
    key = usage_key(
        customer_id,
        grant.subscription.resource,
        feature.id,
        window.start if window else None,
    )
    return key, window


def _fits(entitlement: Entitlement, usage: float, requested: float | None) -> bool:
    if entitlement.unlimited or entitlement.soft_limit or entitlement.limit is None:
        return True
    if requested is None:
        return usage < entitlement.limit
    return usage + requested <= entitlement.limit
