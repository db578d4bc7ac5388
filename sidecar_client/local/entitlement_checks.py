"""What an entitlement demands of its feature: fields that fit, one amount.

Plans, add-ons, subscriptions and promotions all have entitlements; the rules for them
live here, rules of those parts do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sidecar_client.local.catalog import CatalogIndex, Feature
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.problem import Path, Problem, unknown

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


def entitlements_problems(
    entitlements: Mapping[str, Entitlement], index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    """What is wrong with what a package says about its features."""
    for name, entitlement in entitlements.items():
        at = (*path, name)
        if feature := index.features.get(name):
            yield from entitlement_problems(entitlement, feature, at)
        else:
            yield unknown("feature", name, index.features, at)


def entitlement_problems(
    entitlement: Entitlement, feature: Feature, path: Path
) -> Iterator[Problem]:
    """What does not fit the feature, or is missing for it."""
    given = entitlement.model_fields_set - {"granted", "behavior"}
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
