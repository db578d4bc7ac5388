"""What a customer may have, computed from catalog, usage and time; no I/O.

The rules of entitlement live here (scope, the generous rule, limits); the wire and the
stores do not. First `standing` says where a customer stands and which counter matters,
then `judge` decides with that counter's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from pydantic import BaseModel

from sidecar_client.local.budgets import (
    Spending,
    Spendings,
    billed_counter,
    charge_of,
)
from sidecar_client.local.catalog import CatalogIndex, Charge, Feature
from sidecar_client.local.counters import counter_of, record_key, usage_of
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.generosity import most_generous, united
from sidecar_client.local.offers import (
    named_features,
    promotion_grant,
    subscription_grant,
)
from sidecar_client.local.periods import Window
from sidecar_client.local.records import Counter, Key, Usage
from sidecar_client.local.sources import Grant
from sidecar_client.local.values import EARLIEST, FeatureType

Reason = Literal[
    "UNKNOWN",
    "CUSTOMER_IS_ARCHIVED",
    "CUSTOMER_NOT_FOUND",
    "CUSTOMER_RESOURCE_NOT_FOUND",
    "FEATURE_NOT_FOUND",
    "NO_ACTIVE_SUBSCRIPTION",
    "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
    "REQUESTED_USAGE_EXCEEDING_LIMIT",
    "BUDGET_EXCEEDED",
    "REQUESTED_VALUES_MISMATCH",
    "FEATURE_TYPE_MISMATCH",
    "INSUFFICIENT_CREDITS",
    "REVOKED",
    "ENTITLEMENT_NOT_FOUND",
]


# Tuples, as each check makes them: frozen dataclasses take three times as long.


class Subject(NamedTuple):
    """Who is asked about."""

    customer_id: str
    resource_id: str | None = None


class Standing(NamedTuple):
    """Where a subject stands with a feature, before usage is looked at."""

    reason: Reason | None = None
    feature: Feature | None = None
    """None when no entitlement tells about it."""
    grant: Grant | None = None
    """The one that won."""
    others: tuple[Grant, ...] = ()
    """What else was said about the feature: less generous, or revoking it."""
    values: tuple[str, ...] = ()
    """The enum values of all that grant it."""
    window: Window | None = None
    counter: Counter | None = None
    """Where usage is counted; None when the feature is not metered."""
    charge: Charge | None = None
    """What a unit costs on the subscription whose usage counts."""
    spending: Spending | None = None
    """What may stop the feature beside its limit; None for what costs nothing."""
    at: datetime = EARLIEST
    """The moment that is asked about."""

    @property
    def needs(self) -> tuple[Key[BaseModel], ...]:
        """The keys of the records that `judge` decides from."""
        if self.counter is None:
            return ()
        if self.spending is None:
            return (self.counter,)
        counters = (item.counter for item in self.spending.charged)
        return tuple(dict.fromkeys((self.counter, *counters)))


class Verdict(NamedTuple):
    """May it, why not, and what the answer rests on."""

    standing: Standing
    reason: Reason | None
    usage: float
    is_fallback: bool = False
    """Whether it is no verdict at all, but what is answered in place of one."""
    let_through: bool = False
    """Whether a fallback grants it, whatever the reason is."""

    @property
    def has_access(self) -> bool:
        """True when nothing stands against it."""
        return self.reason is None or self.let_through


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
    spendings = Spendings(index, customer.id, now)
    return _standing(index, customer, feature, running, spendings)


def standings(
    index: CatalogIndex, customer: Customer | None, subject: Subject, now: datetime
) -> tuple[Reason | None, list[Standing]]:
    """Every feature that something is said about: by plans in their order, and so on.

    The reason tells why there can be none; then the list is empty.
    """
    reason = subject_reason(customer, subject)
    if customer is None or reason:
        return reason, []
    running = _running(customer, subject, now)
    named = [name for sub in running for name in named_features(index, sub)]
    named += [item.feature for item in customer.promotions if item.holds(now)]
    if not running and not named:
        return "NO_ACTIVE_SUBSCRIPTION", []
    known = [
        index.features[name] for name in dict.fromkeys(named) if name in index.features
    ]
    spendings = Spendings(index, customer.id, now)
    return None, [
        _standing(index, customer, item, running, spendings) for item in known
    ]


def judge(
    standing: Standing,
    records: Mapping[str, BaseModel | None] = MappingProxyType({}),
    *,
    requested_usage: float | None = None,
    requested_values: Sequence[str] = (),
) -> Verdict:
    """The verdict, from the records that the standing needs.

    Without `requested_usage` some must be left; with it (0 included), it must fit.
    It is in the units of the limit. A budget stops what the limit lets through.
    """
    reason, usage = standing.reason, 0.0
    if standing.feature and standing.counter:
        record = records.get(standing.counter.name)
        usage = usage_of(standing.feature, record, standing.at)
    if grant := standing.grant:
        if not _fits(grant.entitlement, usage, requested_usage):
            reason = "REQUESTED_USAGE_EXCEEDING_LIMIT"
        elif _is_stopped(standing, records, requested_usage):
            reason = "BUDGET_EXCEEDED"
        elif standing.values and not set(requested_values) <= set(standing.values):
            reason = "REQUESTED_VALUES_MISMATCH"
    return Verdict(standing=standing, reason=reason, usage=usage)


def counter_at(
    standing: Standing, subject: Subject, moment: datetime
) -> tuple[Key[Usage], Window | None]:
    """The counter, and its window, that usage at `moment` belongs to."""
    if standing.feature is None or standing.grant is None:
        raise ValueError("only a granted feature has a counter")
    return counter_of(standing.feature, standing.grant, subject.customer_id, moment)


def billed_counter_at(
    standing: Standing, subject: Subject, moment: datetime
) -> Key[Usage] | None:
    """The counter that the same usage is billed by, where that is another one."""
    if standing.feature is None or standing.grant is None or standing.charge is None:
        return None
    return billed_counter(standing.feature, standing.grant, subject.customer_id, moment)


def _running(customer: Customer, subject: Subject, now: datetime) -> list[Subscription]:
    """The subscriptions that count: the resource's own first, then the customer's."""
    held = [sub for sub in customer.subscriptions if sub.holds(now)]
    whole = [sub for sub in held if sub.resource is None]
    if subject.resource_id is None:
        return whole
    return [sub for sub in held if sub.resource == subject.resource_id] + whole


def _standing(
    index: CatalogIndex,
    customer: Customer,
    feature: Feature,
    running: Sequence[Subscription],
    spendings: Spendings,
) -> Standing:
    now = spendings.now
    said = [
        grant
        for sub in running
        if (grant := subscription_grant(index, sub, feature.id))
    ]
    granting = [grant for grant in said if grant.entitlement.granted]
    best = most_generous(granting) if granting else None
    promotions = [
        promotion_grant(item, best)
        for item in customer.promotions
        if item.feature == feature.id and item.holds(now)
    ]
    if promotions:
        said += promotions
        granting += promotions
        best = most_generous(granting)
    if best is None:
        if said:
            return Standing(reason="REVOKED", feature=feature, others=tuple(said))
        if not running:
            return Standing(reason="NO_ACTIVE_SUBSCRIPTION")
        return Standing(reason="NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION")
    others = tuple(grant for grant in said if grant is not best)
    if feature.type != "metered":
        values = united(grant.entitlement.values for grant in granting)
        return Standing(feature=feature, grant=best, others=others, values=values)
    key, window = counter_of(feature, best, customer.id, now)
    charge, spending = None, None
    if sub := best.subscription:
        charge = charge_of(index, sub, feature.id)
    if charge and sub and best.sources[0].kind != "promotion":
        spending = spendings.of(sub)
    return Standing(
        feature=feature,
        grant=best,
        others=others,
        window=window,
        counter=record_key(feature, key),
        charge=charge,
        spending=spending,
        at=now,
    )


def _is_stopped(
    standing: Standing,
    records: Mapping[str, BaseModel | None],
    requested: float | None,
) -> bool:
    spending, feature = standing.spending, standing.feature
    if spending is None or feature is None or spending.budget.soft_limit:
        return False
    return spending.exceeded(feature.id, records, requested)


def _fits(entitlement: Entitlement, usage: float, requested: float | None) -> bool:
    if entitlement.unlimited or entitlement.soft_limit or entitlement.limit is None:
        return True
    if requested is None:
        return usage < entitlement.limit
    return usage + requested <= entitlement.limit
