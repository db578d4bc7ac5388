"""What one part of a catalog demands of another: references, fields that fit a type.

Each rule yields where it is broken, how, and the cure; the shape of parts is `catalog`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from sidecar_client.local.catalog import (
    Catalog,
    CatalogIndex,
    Customer,
    Entitlement,
    Feature,
    Plan,
)
from sidecar_client.local.problem import Path, Problem, unknown
from sidecar_client.local.usage_checks import usage_problems

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
            yield unknown("feature", name, index.features, at)


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
    known: set[str] = set()
    for at, name in enumerate(customer.resources):
        if name in known:
            yield Problem(
                path=(*path, "resources", at),
                message=f"the resource {name!r} is named twice; name it once",
            )
        known.add(name)
    for at, sub in enumerate(customer.subscriptions):
        here = (*path, "subscriptions", at)
        if sub.plan not in index.plans:
            yield unknown("plan", sub.plan, index.plans, (*here, "plan"))
        if sub.end is not None and sub.end <= sub.start:
            yield Problem(
                path=(*here, "end"), message="the subscription ends before it starts"
            )
        if sub.resource is not None and sub.resource not in known:
            yield unknown(
                "resource", sub.resource, customer.resources, (*here, "resource")
            )
    yield from usage_problems(customer, index, path)
