"""Which counters a customer's starting usage belongs to, whatever the time is.

Loading and exporting it live elsewhere; so does what it demands (`usage_checks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sidecar_client.local.catalog import CatalogIndex, Feature
from sidecar_client.local.counters import counter_of
from sidecar_client.local.customers import Customer, StartingUsage
from sidecar_client.local.evaluation import (
    Standing,
    Subject,
    billed_counter_at,
    counter_at,
    standing,
)
from sidecar_client.local.offers import subscription_grant
from sidecar_client.local.records import Key, Usage

Counted = tuple[Feature, Key[Usage]]


def standing_of(
    index: CatalogIndex,
    customer: Customer,
    subject: Subject,
    feature_id: str,
    now: datetime,
) -> Standing:
    """Where the subject stands with a feature, also while it is archived."""
    live = customer.model_copy(update={"archived": False})
    return standing(index, live, subject, feature_id, now)


def counters_of(
    index: CatalogIndex, customer: Customer, usage: StartingUsage, now: datetime
) -> Iterator[Counted]:
    """Where an entry is counted: as what grants the feature now would count it.

    What grants it at the entry's time counts it, if that is yet to come, or if nothing
    does now; else what begins next, or, where it never resets, what is over.
    """
    subject = Subject(customer_id=customer.id, resource_id=usage.resource)
    for moment in _moments(customer, usage, now):
        found = standing_of(index, customer, subject, usage.feature, moment)
        if found.grant is None or found.feature is None:
            continue
        at = usage.at or moment
        yield found.feature, counter_at(found, subject, at)[0]
        if billed := billed_counter_at(found, subject, at):
            yield found.feature, billed
        return
    if lasting := lasting_counter(index, customer, subject, usage.feature):
        yield lasting


def lasting_counter(
    index: CatalogIndex, customer: Customer, subject: Subject, feature_id: str
) -> Counted | None:
    """Where usage that never resets waits while no subscription to it runs."""
    feature = index.features.get(feature_id)
    for resource in dict.fromkeys((subject.resource_id, None)):
        for sub in customer.subscriptions if feature else ():
            grant = subscription_grant(index, sub, feature_id)
            if sub.resource != resource or grant is None or feature is None:
                continue
            if grant.entitlement.granted and grant.entitlement.reset_period is None:
                return feature, counter_of(feature, grant, customer.id, sub.start)[0]
    return None


def _moments(
    customer: Customer, usage: StartingUsage, now: datetime
) -> Iterator[datetime]:
    """When an entry may be counted, in the order in which that is tried."""
    at = usage.at or now
    yield from sorted((now, at), reverse=True)
    begins = {sub.start for sub in customer.subscriptions}
    begins |= {p.start for p in customer.promotions if p.feature == usage.feature}
    yield from sorted(moment for moment in begins if now < moment)
