"""What plans and add-ons entitle to, over REST.

What is done is in `management.package_entitlements`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from sidecar_client.local.entitlements import (
    AddonEntitlement,
    CreditEntitlement,
    Entitlement,
)
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Anything,
    Body,
    Cursors,
    Data,
    Listed,
    NoBody,
    NoQuery,
    Time,
    Wire,
    kept,
)
from sidecar_client.local.http.rest.words import (
    Amount,
    Behavior,
    Period,
    ResetConfiguration,
    Resets,
    reset_configuration,
    reset_period,
)
from sidecar_client.local.management import package_entitlements
from sidecar_client.local.management.package_entitlements import (
    Entitled,
    New,
    NewCreditEntitlement,
    NewFeatureEntitlement,
    entitlement_in_draft,
)
from sidecar_client.local.management.packages import (
    ADDONS,
    PLANS,
    Package,
    Packages,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import CurrencyId, FeatureId, Name, Text

endpoints = Endpoints()
_KEPT = (
    "description",
    "display_name_override",
    "hidden_from_widgets",
    "is_custom",
    "order",
    "dependency_feature_id",
)


class _Shown(Body):
    behavior: Behavior = "Increment"
    is_granted: bool = True
    has_soft_limit: bool = False
    description: Text | None = None
    display_name_override: Text | None = None
    hidden_from_widgets: Anything = None
    is_custom: bool | None = None
    order: float | None = None


class _FeatureTerms(_Shown, Resets):
    type: Literal["FEATURE"]
    usage_limit: int | None = None
    has_unlimited_usage: bool = False
    enum_values: Annotated[tuple[Name, ...], Field(strict=False)] = ()


class _CreditTerms(_Shown):
    type: Literal["CREDIT"]
    amount: Amount | None = None
    cadence: Literal["MONTH", "YEAR"] = "MONTH"
    dependency_feature_id: FeatureId | None = None


class NewFeatureTerms(_FeatureTerms):
    """What is to be entitled to of a feature."""

    id: FeatureId


class NewCreditTerms(_CreditTerms):
    """Which credits are to recur."""

    id: CurrencyId


class FeatureTerms(_FeatureTerms):
    """What is to be entitled to of a feature from now on; what is left out stays."""


class CreditTerms(_CreditTerms):
    """Which credits are to recur from now on; what is left out stays."""


class CreateEntitlements(Body):
    """What a draft is to entitle to as well."""

    entitlements: Annotated[
        tuple[
            Annotated[NewFeatureTerms | NewCreditTerms, Field(discriminator="type")],
            ...,
        ],
        Field(strict=False, min_length=1, max_length=1000),
    ]


class UpdateEntitlement(
    RootModel[Annotated[FeatureTerms | CreditTerms, Field(discriminator="type")]]
):
    """What a draft is to say about a feature, or about credits."""


class _EntitlementData(Wire):
    id: str
    behavior: Behavior
    is_granted: bool
    has_soft_limit: bool
    description: str | None = None
    display_name_override: str | None = None
    hidden_from_widgets: list[str]
    is_custom: bool | None = None
    order: float | None = None
    created_at: Time
    updated_at: Time


class FeatureEntitlementData(_EntitlementData):
    """What is entitled to of a feature."""

    type: Literal["FEATURE"] = "FEATURE"
    usage_limit: float | None
    has_unlimited_usage: bool
    enum_values: list[str] | None
    reset_period: Period | None
    reset_period_configuration: ResetConfiguration | None


class CreditEntitlementData(_EntitlementData):
    """Which credits recur."""

    type: Literal["CREDIT"] = "CREDIT"
    amount: float
    cadence: Literal["MONTH", "YEAR"]
    dependency_feature_id: str | None = None


EntitlementData = Annotated[
    FeatureEntitlementData | CreditEntitlementData, Field(discriminator="type")
]


@endpoints.get("/v1/plans/{planId}/entitlements")
async def list_plan_entitlements(
    asked: Asked[NoBody, NoQuery],
) -> Listed[EntitlementData]:
    """List all that a plan entitles to."""
    return await _list(asked, PLANS, asked.path["planId"])


@endpoints.post("/v1/plans/{planId}/entitlements", status=201)
async def create_plan_entitlements(
    asked: Asked[CreateEntitlements, NoQuery],
) -> Data[list[EntitlementData]]:
    """Let the draft of a plan entitle to more."""
    return await _create(asked, PLANS, asked.path["planId"])


@endpoints.patch("/v1/plans/{planId}/entitlements/{id}")
async def update_plan_entitlement(
    asked: Asked[UpdateEntitlement, NoQuery],
) -> Data[EntitlementData]:
    """Change what the draft of a plan entitles to."""
    return await _update(asked, PLANS, asked.path["planId"])


@endpoints.delete("/v1/plans/{planId}/entitlements/{id}")
async def delete_plan_entitlement(
    asked: Asked[NoBody, NoQuery],
) -> Data[EntitlementData]:
    """Let the draft of a plan entitle to less."""
    return await _delete(asked, PLANS, asked.path["planId"])


@endpoints.get("/v1/addons/{addonId}/entitlements")
async def list_addon_entitlements(
    asked: Asked[NoBody, NoQuery],
) -> Listed[EntitlementData]:
    """List all that an add-on entitles to."""
    return await _list(asked, ADDONS, asked.path["addonId"])


@endpoints.post("/v1/addons/{addonId}/entitlements", status=201)
async def create_addon_entitlements(
    asked: Asked[CreateEntitlements, NoQuery],
) -> Data[list[EntitlementData]]:
    """Let the draft of an add-on entitle to more."""
    return await _create(asked, ADDONS, asked.path["addonId"])


@endpoints.patch("/v1/addons/{addonId}/entitlements/{id}")
async def update_addon_entitlement(
    asked: Asked[UpdateEntitlement, NoQuery],
) -> Data[EntitlementData]:
    """Change what the draft of an add-on entitles to."""
    return await _update(asked, ADDONS, asked.path["addonId"])


@endpoints.delete("/v1/addons/{addonId}/entitlements/{id}")
async def delete_addon_entitlement(
    asked: Asked[NoBody, NoQuery],
) -> Data[EntitlementData]:
    """Let the draft of an add-on entitle to less."""
    return await _delete(asked, ADDONS, asked.path["addonId"])


async def _list(
    asked: Asked[NoBody, NoQuery], packages: Packages[Package], name: str
) -> Listed[EntitlementData]:
    said = await package_entitlements.list_entitlements(
        asked.parts.world, packages, name
    )
    data = [_shown(item) for item in said]
    return Listed(data=data, pagination=Cursors(next=None, prev=None))


async def _create(
    asked: Asked[CreateEntitlements, NoQuery], packages: Packages[Package], name: str
) -> Data[list[EntitlementData]]:
    new = [_new(item.id, item) for item in asked.body.entitlements]
    added = await package_entitlements.add_entitlements(
        asked.parts.world, packages, name, new
    )
    return Data(data=[_shown(item) for item in added])


async def _update(
    asked: Asked[UpdateEntitlement, NoQuery], packages: Packages[Package], name: str
) -> Data[EntitlementData]:
    wanted, entitlement_id = asked.body.root, asked.path["id"]
    before = await entitlement_in_draft(
        asked.parts.world, packages, name, entitlement_id
    )
    changed = await package_entitlements.replace_entitlement(
        asked.parts.world, packages, name, _merged(before, wanted)
    )
    return Data(data=_shown(changed))


async def _delete(
    asked: Asked[NoBody, NoQuery], packages: Packages[Package], name: str
) -> Data[EntitlementData]:
    gone = await package_entitlements.remove_entitlement(
        asked.parts.world, packages, name, asked.path["id"]
    )
    return Data(data=_shown(gone))


def _new(name: str, wanted: _FeatureTerms | _CreditTerms) -> New:
    if isinstance(wanted, _CreditTerms):
        if wanted.amount is None:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"amount of {name!r} is null; the local sidecar has no credits that "
                "are agreed with each customer: give a number.",
            )
        return NewCreditEntitlement(
            id=name,
            amount=wanted.amount,
            cadence="year" if wanted.cadence == "YEAR" else "month",
            soft_limit=wanted.has_soft_limit,
            kept=kept(wanted, *_KEPT),
        )
    return NewFeatureEntitlement(
        id=name,
        terms=Terms(
            granted=wanted.is_granted,
            amount=wanted.usage_limit,
            unlimited=wanted.has_unlimited_usage,
            soft_limit=wanted.has_soft_limit,
            reset_period=wanted.resets_each,
            reset_anchor=wanted.anchor,
            values=wanted.enum_values,
        ),
        behavior="override" if wanted.behavior == "Override" else "increment",
        kept=kept(wanted, *_KEPT),
    )


def _merged(before: Entitled, wanted: FeatureTerms | CreditTerms) -> New:
    """What is said from now on: what was said, but for what the request has."""
    said = _shown(before)
    if said.type != wanted.type:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"type is {wanted.type}, but {before.id!r} is a {said.type}; "
            f"use {said.type}.",
        )
    known = {name: getattr(said, name) for name in _SAID if hasattr(said, name)}
    given = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    # A limit and being unlimited exclude one another: what is asked for last counts.
    if given.get("has_unlimited_usage"):
        known["usage_limit"] = None
    elif given.get("usage_limit") is not None:
        known["has_unlimited_usage"] = False
    merged = wanted.model_copy(update={**known, **given})
    new = _new(before.id, merged)
    if isinstance(new, NewFeatureEntitlement) and not _resets_in(given):
        anchor = Terms.of(_entitlement(before)).reset_anchor
        return replace(new, terms=replace(new.terms, reset_anchor=anchor))
    return new


_SAID = (
    "behavior",
    "is_granted",
    "has_soft_limit",
    "usage_limit",
    "has_unlimited_usage",
    "enum_values",
    "reset_period",
    "amount",
    "cadence",
)


def _resets_in(given: Mapping[str, object]) -> bool:
    return any("reset_period" in name for name in given)


def _entitlement(said: Entitled) -> Entitlement:
    value = said.said.value
    return value if isinstance(value, Entitlement) else Entitlement()


def _shown(said: Entitled) -> FeatureEntitlementData | CreditEntitlementData:
    value, about = said.said.value, said.said.about
    common: dict[str, Any] = {
        "id": said.id,
        "description": about.kept.get("description"),
        "display_name_override": about.kept.get("displayNameOverride"),
        "hidden_from_widgets": about.kept.get("hiddenFromWidgets") or [],
        "is_custom": about.kept.get("isCustom"),
        "order": about.kept.get("order"),
        "has_soft_limit": value.soft_limit,
        "created_at": about.created,
        "updated_at": about.updated,
    }
    if isinstance(value, CreditEntitlement):
        common["dependency_feature_id"] = about.kept.get("dependencyFeatureId")
        return CreditEntitlementData(
            **common,
            behavior="Increment",
            is_granted=True,
            amount=value.amount,
            cadence="YEAR" if value.cadence == "year" else "MONTH",
        )
    terms = Terms.of(value)
    return FeatureEntitlementData(
        **common,
        behavior=_behavior(value),
        is_granted=terms.granted,
        usage_limit=terms.amount,
        has_unlimited_usage=terms.unlimited,
        enum_values=list(terms.values) or None,
        reset_period=reset_period(terms.reset_period),
        reset_period_configuration=reset_configuration(value),
    )


def _behavior(said: Entitlement) -> Behavior:
    if isinstance(said, AddonEntitlement) and said.behavior == "override":
        return "Override"
    return "Increment"
