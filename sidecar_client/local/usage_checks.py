"""What a customer's starting usage demands: a counter for each entry, each once.

Only rules that hold at every time live here; counting is `metering`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.customers import (
    RUNNING,
    Customer,
    StartingUsage,
    Subscription,
)
from sidecar_client.local.offers import subscription_grant
from sidecar_client.local.problem import Path, Problem, unknown

_Entry = tuple[object, ...]


def usage_problems(
    customer: Customer, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    """Every entry that could not be counted, or would be counted twice."""
    seen: dict[_Entry, int] = {}
    totals: dict[str, float] = {}
    for at, usage in enumerate(customer.usage):
        here = (*path, "usage", at)
        if problem := _entry(usage, customer, index, here):
            yield problem
        entry = (usage.feature, usage.resource, usage.at)
        first = seen.setdefault(entry, at)
        if first != at:
            yield Problem(
                path=here,
                message=f"the usage of {usage.feature!r}{_whose(usage)} is already "
                f"told by usage[{first}]; keep one of the two, or give them "
                "different times with `at`",
            )
        before = totals.get(usage.feature, 0.0)
        totals[usage.feature] = before + usage.value
        if math.isfinite(before) and not math.isfinite(before + usage.value):
            yield Problem(
                path=(*here, "value"),
                message=f"the usage of {usage.feature!r} adds up to more than a "
                "number can hold; use less",
            )


def _entry(
    usage: StartingUsage, customer: Customer, index: CatalogIndex, path: Path
) -> Problem | None:
    feature = index.features.get(usage.feature)
    if feature is None:
        return unknown("feature", usage.feature, index.features, (*path, "feature"))
    if feature.type != "metered":
        return Problem(
            path=(*path, "feature"),
            message=f"{feature.id!r} is {feature.type}; only a metered feature "
            "has usage",
        )
    if usage.resource is not None and usage.resource not in customer.resources:
        return unknown(
            "resource", usage.resource, customer.resources, (*path, "resource")
        )
    return _uncounted(usage, customer, index, path)


def _uncounted(
    usage: StartingUsage, customer: Customer, index: CatalogIndex, path: Path
) -> Problem | None:
    """The problem of usage that no subscription counts, whatever the time is."""
    grants = [sub for sub in customer.subscriptions if _grants(sub, usage, index)]
    counting = [sub for sub in grants if sub.resource in (None, usage.resource)]
    others = [sub for sub in grants if sub.resource not in (None, usage.resource)]
    if any(sub.plan not in index.plans for sub in customer.subscriptions):
        return None  # Told by itself; what that plan grants is anyone's guess.
    if any(item.feature == usage.feature for item in customer.promotions):
        return None  # Counted for the whole customer, if for nobody else.
    if counting and (_may_run(counting) or not _may_run(others)):
        return None
    scope = f"{usage.feature!r}{_whose(usage)}"
    if not others:
        return Problem(
            path=path,
            message=f"no subscription of {customer.id!r} grants {scope}, so nothing "
            "counts this usage; subscribe to a plan that does, or remove the usage",
        )
    names = ", ".join(dict.fromkeys(repr(sub.resource) for sub in others[:8]))
    return Problem(
        path=path,
        message=f"nothing counts this usage of {scope}: only a subscription of "
        f"resource {names} could; name that resource with `resource`",
    )


def _grants(sub: Subscription, usage: StartingUsage, index: CatalogIndex) -> bool:
    grant = subscription_grant(index, sub, usage.feature)
    return grant is not None and grant.entitlement.granted


def _may_run(subscriptions: list[Subscription]) -> bool:
    return any(sub.status in RUNNING for sub in subscriptions)


def _whose(usage: StartingUsage) -> str:
    return "" if usage.resource is None else f" by resource {usage.resource!r}"
