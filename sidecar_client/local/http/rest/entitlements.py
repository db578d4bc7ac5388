"""What a customer is entitled to, over REST: all of it, or one check.

The answers are those that are given over gRPC, in other words.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import Field, model_validator

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Data,
    Many,
    NoBody,
    Query,
    Time,
    Wire,
)
from sidecar_client.local.http.rest.words import (
    FeatureStatus,
    FeatureTypeName,
    Period,
    reason_name,
    type_name,
)
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import CurrencyId, FeatureId, ResourceId
from sidecar_client.protocol import sidecar_pb2 as pb

endpoints = Endpoints()
_PERIODS: dict[int, Period] = {
    pb.ENTITLEMENT_RESET_PERIOD_HOUR: "HOUR",
    pb.ENTITLEMENT_RESET_PERIOD_DAY: "DAY",
    pb.ENTITLEMENT_RESET_PERIOD_WEEK: "WEEK",
    pb.ENTITLEMENT_RESET_PERIOD_MONTH: "MONTH",
    pb.ENTITLEMENT_RESET_PERIOD_YEAR: "YEAR",
}
_RESERVING = (
    "reserve_amount",
    "reservation_id",
    "reservation_ttl_seconds",
    "reservation_expires_at",
    "reservation_metadata",
)


class EntitledFeature(Wire):
    """The feature of an entitlement."""

    id: str
    display_name: str
    feature_status: FeatureStatus
    feature_type: FeatureTypeName


class FeatureEntitlement(Wire):
    """Whether a feature is granted, and how much of it."""

    type: Literal["FEATURE"] = "FEATURE"
    is_granted: bool
    access_denied_reason: str | None
    feature: EntitledFeature | None = None
    current_usage: float | None = None
    usage_limit: float | None = None
    has_unlimited_usage: bool | None = None
    has_soft_limit: bool | None = None
    enum_values: list[str] | None = None
    reset_period: Period | None = None
    usage_period_anchor: Time | None = None
    usage_period_start: Time | None = None
    usage_period_end: Time | None = None


class EntitledCurrency(Wire):
    """The currency of an entitlement."""

    currency_id: str
    display_name: str
    description: str | None = None
    metadata: dict[str, str] | None = None
    unit_singular: str | None = None
    unit_plural: str | None = None


class CreditEntitlement(Wire):
    """Whether there are credits, and how many."""

    type: Literal["CREDIT"] = "CREDIT"
    is_granted: bool
    access_denied_reason: str | None
    currency: EntitledCurrency
    current_usage: float
    usage_limit: float
    has_soft_limit: bool
    usage_updated_at: Time
    usage_period_end: Time | None = None


AnyEntitlement = Annotated[
    FeatureEntitlement | CreditEntitlement, Field(discriminator="type")
]


class EntitlementsState(Wire):
    """Everything that is said about a customer, denials included."""

    access_denied_reason: str | None
    entitlements: list[AnyEntitlement]


class OfResource(Query):
    """Whose entitlements are wanted."""

    resource_id: ResourceId | None = None


class Check(Query):
    """What is to be checked: a feature or a currency."""

    feature_id: FeatureId | None = None
    currency_id: CurrencyId | None = None
    resource_id: ResourceId | None = None
    requested_usage: Annotated[int, Field(ge=0)] | None = None
    requested_values: Many[str] = ()
    reserve_amount: str | None = None
    reservation_id: str | None = None
    reservation_ttl_seconds: str | None = None
    reservation_expires_at: str | None = None
    reservation_metadata: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Check:
        if (self.feature_id is None) == (self.currency_id is None):
            raise ValueError("set one of featureId and currencyId")
        return self


async def state_of(
    parts: Parts, customer_id: str, resource_id: str | None
) -> EntitlementsState:
    """Everything that is said about a customer or a resource of it."""
    answer = await parts.service.get_entitlements_state_v2(
        pb.GetEntitlementsStateV2Request(
            customer_id=customer_id, resource_id=resource_id
        )
    )
    index = await parts.world.index()
    reason = answer.access_denied_reason
    has_reason = answer.HasField("access_denied_reason")
    return EntitlementsState(
        access_denied_reason=(
            reason_name(pb.AccessDeniedReason.Name(reason)) if has_reason else None
        ),
        entitlements=[_shown(parts, index, item) for item in answer.entitlements],
    )


@endpoints.get("/v1/customers/{id}/entitlements")
async def get_entitlements(asked: Asked[NoBody, OfResource]) -> Data[EntitlementsState]:
    """Get everything that is said about a customer."""
    resource = asked.query.resource_id
    return Data(data=await state_of(asked.parts, asked.path["id"], resource))


@endpoints.get("/v1/customers/{id}/entitlements/check")
async def check_entitlement(asked: Asked[NoBody, Check]) -> Data[AnyEntitlement]:
    """Check a feature or a currency."""
    query = asked.query
    for field in _RESERVING:
        if getattr(query, field) is not None:
            raise Refusal(
                "UNIMPLEMENTED",
                f"{field}: the local sidecar reserves no credits; leave it out.",
            )
    answer = await asked.parts.service.get_entitlement_v2(
        pb.GetEntitlementV2Request(
            customer_id=asked.path["id"],
            resource_id=query.resource_id,
            feature_id=query.feature_id,
            currency_id=query.currency_id,
            options=pb.GetEntitlementOptions(
                requested_usage=query.requested_usage,
                requested_values=query.requested_values,
            ),
        )
    )
    index = await asked.parts.world.index()
    found = answer.entitlement
    if query.currency_id is not None and not found.HasField("credit"):
        return Data(data=_no_credits(asked.parts, index, query.currency_id, found))
    return Data(data=_shown(asked.parts, index, found))


def _shown(
    parts: Parts, index: CatalogIndex, found: pb.EntitlementV2
) -> FeatureEntitlement | CreditEntitlement:
    reason = _reason(found)
    kind = found.WhichOneof("entitlement")
    if kind == "credit":
        credit = found.credit
        return CreditEntitlement(
            is_granted=found.has_access,
            access_denied_reason=reason,
            currency=_currency(index, credit.currency.currency_id),
            current_usage=credit.current_usage,
            usage_limit=credit.usage_limit,
            has_soft_limit=credit.has_soft_limit,
            usage_updated_at=parts.world.clock(),
            usage_period_end=(
                _time(credit.usage_period_end)
                if credit.HasField("usage_period_end")
                else None
            ),
        )
    answer: dict[str, object] = {
        "is_granted": found.has_access,
        "access_denied_reason": reason,
    }
    if kind is not None:
        entitlement = getattr(found, kind)
        answer["feature"] = _feature(index, entitlement.feature.id)
    if kind == "numeric":
        answer["usage_limit"] = (
            found.numeric.value if found.numeric.HasField("value") else None
        )
        answer["has_unlimited_usage"] = found.numeric.is_unlimited
    if kind == "enum":
        answer["enum_values"] = list(found.enum.enum_values)
    if kind == "metered":
        answer |= _metered(found.metered)
    return FeatureEntitlement.model_validate(answer)


def _metered(metered: pb.MeteredEntitlement) -> dict[str, object]:
    answer: dict[str, object] = {
        "current_usage": metered.current_usage,
        "has_unlimited_usage": metered.is_unlimited,
        "has_soft_limit": metered.has_soft_limit,
        "reset_period": _PERIODS.get(metered.reset_period),
    }
    if metered.HasField("usage_limit"):
        answer["usage_limit"] = metered.usage_limit
    for name in ("usage_period_anchor", "usage_period_start", "usage_period_end"):
        if metered.HasField(name):
            answer[name] = _time(getattr(metered, name))
    return answer


def _no_credits(
    parts: Parts, index: CatalogIndex, currency_id: str, found: pb.EntitlementV2
) -> CreditEntitlement:
    """A denial that tells of no credits at all."""
    return CreditEntitlement(
        is_granted=found.has_access,
        access_denied_reason=_reason(found),
        currency=_currency(index, currency_id),
        current_usage=0,
        usage_limit=0,
        has_soft_limit=False,
        usage_updated_at=parts.world.clock(),
    )


def _reason(found: pb.EntitlementV2) -> str | None:
    if not found.HasField("access_denied_reason"):
        return None
    return reason_name(pb.AccessDeniedReason.Name(found.access_denied_reason))


def _feature(index: CatalogIndex, feature_id: str) -> EntitledFeature | None:
    feature = index.features.get(feature_id)
    if feature is None:
        return None
    return EntitledFeature(
        id=feature.id,
        display_name=feature.name or feature.id,
        feature_status="SUSPENDED" if feature.status == "archived" else "ACTIVE",
        feature_type=type_name(feature.type),
    )


def _currency(index: CatalogIndex, currency_id: str) -> EntitledCurrency:
    currency = index.currencies.get(currency_id)
    if currency is None:
        return EntitledCurrency(currency_id=currency_id, display_name=currency_id)
    return EntitledCurrency(
        currency_id=currency.id,
        display_name=currency.name or currency.id,
        description=currency.description,
        metadata=currency.metadata,
        unit_singular=currency.unit_singular,
        unit_plural=currency.unit_plural,
    )


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
