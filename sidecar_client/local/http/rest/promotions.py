"""Promotional entitlements over REST.

What is done is in `management.promotions`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Body,
    Data,
    Listed,
    Many,
    NoBody,
    NoQuery,
    Paged,
    Range,
    Time,
    Wire,
    listed,
    within,
)
from sidecar_client.local.http.rest.words import (
    PROMOTION_PERIODS,
    PROMOTION_STATUSES,
    Period,
    PromotionPeriodName,
    PromotionStatusName,
    ResetConfiguration,
    Resets,
    key_of,
    reset_configuration,
    reset_period,
    translated,
)
from sidecar_client.local.management import promotions
from sidecar_client.local.management.promotions import Given, NewPromotion
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.values import FeatureId, Moment, Name

ENVIRONMENT = "local"
"""What the local sidecar calls its only environment."""
endpoints = Endpoints()


class Promotion(Resets):
    """What is to be given of a feature."""

    feature_id: FeatureId
    period: PromotionPeriodName
    custom_end_date: Moment | None = None
    usage_limit: int | None = None
    has_unlimited_usage: bool | None = None
    has_soft_limit: bool | None = None
    enum_values: Annotated[tuple[Name, ...], Field(strict=False)] | None = None
    is_visible: bool | None = None

    def wanted(self) -> NewPromotion:
        """What it asks for."""
        return NewPromotion(
            feature_id=self.feature_id,
            terms=Terms(
                amount=self.usage_limit,
                unlimited=bool(self.has_unlimited_usage),
                soft_limit=bool(self.has_soft_limit),
                reset_period=self.resets_each,
                reset_anchor=self.anchor,
                values=self.enum_values or (),
            ),
            period=PROMOTION_PERIODS[self.period],
            end=self.custom_end_date,
            visible=self.is_visible is not False,
        )


class GrantPromotions(Body):
    """What a customer is to be given."""

    promotional_entitlements: Annotated[
        tuple[Promotion, ...], Field(strict=False, min_length=1, max_length=1000)
    ]


class ListPromotions(Paged):
    """Which promotions to list."""

    status: Many[PromotionStatusName] | None = None
    created_at: Range | None = None


class PromotionData(Wire):
    """A promotion of a customer."""

    id: str
    environment_id: str = ENVIRONMENT
    feature_id: str
    description: str | None = None
    period: PromotionPeriodName
    status: PromotionStatusName
    start_date: Time
    end_date: Time | None
    usage_limit: float | None
    has_unlimited_usage: bool
    has_soft_limit: bool
    enum_values: list[str] | None
    is_visible: bool
    reset_period: Period | None
    reset_period_configuration: ResetConfiguration | None
    created_at: Time
    updated_at: Time


@endpoints.post("/v1/customers/{id}/promotional-entitlements", status=201)
async def grant_promotional_entitlements(
    asked: Asked[GrantPromotions, NoQuery],
) -> Data[list[PromotionData]]:
    """Give a customer entitlements outside of every subscription."""
    wanted = [item.wanted() for item in asked.body.promotional_entitlements]
    world = asked.parts.world
    given = await promotions.grant_promotions(world, asked.path["id"], wanted)
    return Data(data=[_shown(item) for item in given])


@endpoints.get("/v1/customers/{id}/promotional-entitlements")
async def list_promotional_entitlements(
    asked: Asked[NoBody, ListPromotions],
) -> Listed[PromotionData]:
    """List what a customer was given, by feature."""
    page = await promotions.list_promotions(
        asked.parts.world,
        asked.path["id"],
        asked.query.turn,
        statuses=translated(PROMOTION_STATUSES, asked.query.status),
        created=within(asked.query.created_at),
    )
    return listed(page.mapped(lambda items: [_shown(item) for item in items]))


@endpoints.delete("/v1/customers/{id}/promotional-entitlements/{featureId}")
async def revoke_promotional_entitlement(
    asked: Asked[NoBody, NoQuery],
) -> Data[PromotionData]:
    """Take back what a customer was given of a feature."""
    gone = await promotions.revoke_promotion(
        asked.parts.world, asked.path["id"], asked.path["featureId"]
    )
    return Data(data=_shown(gone))


def _shown(given: Given) -> PromotionData:
    promotion, about = given.promotion.value, given.promotion.about
    entitlement = promotion.entitlement
    usual = "lifetime" if promotion.end is None else "custom"
    period = promotion.period or usual
    return PromotionData(
        id=given.id,
        feature_id=promotion.feature,
        period=key_of(PROMOTION_PERIODS, period),
        status=key_of(PROMOTION_STATUSES, given.status),
        start_date=promotion.start,
        end_date=promotion.end,
        usage_limit=Terms.of(entitlement).amount,
        has_unlimited_usage=entitlement.unlimited,
        has_soft_limit=entitlement.soft_limit,
        enum_values=list(entitlement.values) or None,
        is_visible=promotion.visible,
        reset_period=reset_period(entitlement.reset_period),
        reset_period_configuration=reset_configuration(entitlement),
        created_at=about.created,
        updated_at=about.updated,
    )
