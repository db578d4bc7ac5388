"""What one part of a catalog demands of another: references, fields that fit a type.

Each rule yields where it is broken, how, and the cure; the shape of parts is `catalog`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sidecar_client.local.catalog import (
    Catalog,
    CatalogIndex,
    Customer,
    Entitlement,
    Feature,
    Plan,
)

Path = tuple[str | int, ...]

_FITTING = {
    "boolean": frozenset[str](),
    "numeric": frozenset({"value", "unlimited"}),
    "metered": frozenset(
        {"limit", "unlimited", "soft_limit", "reset_period", "reset_anchor"}
    ),
    "enum": frozenset({"values"}),
}
_NEEDED = {
    "numeric": "`value: NUMBER` or `unlimited: true`",
    "metered": "`limit: NUMBER` or `unlimited: true`",
    "enum": "`values: [...]`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with a catalog: where, and what with its cure."""

    path: Path
    message: str


def problems(catalog: Catalog) -> Iterator[Problem]:
    """Everything in the catalog that does not fit together."""
    index = CatalogIndex.of(catalog)
    yield from _duplicates("features", (item.id for item in catalog.features))
    yield from _duplicates("plans", (item.id for item in catalog.plans))
    yield from _duplicates("customers", (item.id for item in catalog.customers))
    for at, feature in enumerate(catalog.features):
        yield from _feature(feature, ("features", at))
    for at, plan in enumerate(catalog.plans):
        yield from _plan(plan, index, ("plans", at))
    for at, customer in enumerate(catalog.customers):
        yield from _customer(customer, index, ("customers", at))


def _duplicates(part: str, ids: Iterable[str]) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for at, name in enumerate(ids):
        seen[name] += 1
        if seen[name] == 2:
            yield Problem(
                path=(part, at, "id"),
                message=f"the id {name!r} is already taken in {part}; use another",
            )


def _feature(feature: Feature, path: Path) -> Iterator[Problem]:
    if feature.type == "metered" and feature.meter is None:
        yield Problem(
            path=path,
            message=f"the metered feature {feature.id!r} has no meter; "
            "add `meter: fluctuating` or `meter: incremental`",
        )
    if feature.type != "metered" and feature.meter is not None:
        yield Problem(
            path=(*path, "meter"),
            message=f"{feature.id!r} is {feature.type} and cannot have a meter; "
            "remove it or make the feature `type: metered`",
        )
    if feature.type == "enum" and not feature.values:
        yield Problem(
            path=path,
            message=f"the enum feature {feature.id!r} has no values; "
            "add `values: [...]`",
        )
    if feature.type != "enum" and feature.values:
        yield Problem(
            path=(*path, "values"),
            message=f"{feature.id!r} is {feature.type} and cannot have values; "
            "remove them or make the feature `type: enum`",
        )


def _plan(plan: Plan, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    for name, entitlement in plan.entitlements.items():
        at = (*path, "entitlements", name)
        if feature := index.features.get(name):
            yield from _entitlement(entitlement, feature, at)
        else:
            yield _unknown("feature", name, index.features, at)


def _entitlement(
    entitlement: Entitlement, feature: Feature, path: Path
) -> Iterator[Problem]:
    given = entitlement.model_fields_set - {"granted"}
    for field in sorted(given - _FITTING[feature.type]):
        yield Problem(
            path=(*path, field),
            message=f"`{field}` does not fit {feature.id!r}, which is {feature.type}; "
            "remove it",
        )
    if not entitlement.granted:
        if given:
            yield Problem(
                path=path,
                message=f"{feature.id!r} is revoked (`granted: false`) and still has "
                f"{', '.join(sorted(given))}; keep one of the two",
            )
        return
    if problem := _amount(entitlement, feature):
        yield Problem(path=path, message=problem)


def _amount(entitlement: Entitlement, feature: Feature) -> str | None:
    """What is wrong with how much of the feature is granted."""
    amounts = (entitlement.value, entitlement.limit, entitlement.values or None)
    given = sum(amount is not None for amount in amounts) + entitlement.unlimited
    if feature.type != "boolean" and not given:
        return (
            f"{feature.id!r} is granted without an amount; add "
            + (_NEEDED[feature.type])
        )
    if entitlement.unlimited and given > 1:
        return f"{feature.id!r} is unlimited and has an amount; keep one of the two"
    unknown = [v for v in entitlement.values if v not in feature.values]
    if feature.type == "enum" and unknown:
        return (
            f"{unknown[0]!r} is no value of {feature.id!r}; "
            f"use {', '.join(feature.values) or 'one that the feature lists'}"
        )
    if entitlement.reset_anchor == "start_of_month" and (
        entitlement.reset_period != "month"
    ):
        return f"`reset_anchor: start_of_month` of {feature.id!r} needs a monthly reset"
    if (
        isinstance(entitlement.reset_anchor, str)
        and entitlement.reset_anchor.endswith("day")
        and entitlement.reset_period != "week"
    ):
        return f"`reset_anchor` of {feature.id!r} is a weekday; it needs a weekly reset"
    return None


def _customer(customer: Customer, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    for at, name in enumerate(customer.resources):
        if name in customer.resources[:at]:
            yield Problem(
                path=(*path, "resources", at),
                message=f"the resource {name!r} is named twice; name it once",
            )
    for at, subscription in enumerate(customer.subscriptions):
        here = (*path, "subscriptions", at)
        if subscription.plan not in index.plans:
            yield _unknown("plan", subscription.plan, index.plans, (*here, "plan"))
        if subscription.end is not None and subscription.end <= subscription.start:
            yield Problem(
                path=(*here, "end"), message="the subscription ends before it starts"
            )
        yield from _resource(subscription.resource, customer, here)
    for at, usage in enumerate(customer.usage):
        here = (*path, "usage", at)
        feature = index.features.get(usage.feature)
        if feature is None:
            yield _unknown("feature", usage.feature, index.features, (*here, "feature"))
        elif feature.type != "metered":
            yield Problem(
                path=(*here, "feature"),
                message=f"{feature.id!r} is {feature.type}; only a metered feature "
                "has usage",
            )
        yield from _resource(usage.resource, customer, here)


def _resource(name: str | None, customer: Customer, path: Path) -> Iterator[Problem]:
    if name is not None and name not in customer.resources:
        yield _unknown("resource", name, customer.resources, (*path, "resource"))


def _unknown(kind: str, name: str, known: Iterable[str], path: Path) -> Problem:
    names = list(known)
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return Problem(
        path=path,
        message=f"there is no {kind} {name!r}; "
        f"define it under {kind}s or use one of: {listed or 'none is defined'}",
    )
