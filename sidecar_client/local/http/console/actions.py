"""What the console changes: limits, promotions, archives, usage, credits.

Requests become operations of `management` and of the service here; what those do does
not live here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.customers import PromotionPeriod
from sidecar_client.local.http.answers import model_of
from sidecar_client.local.http.console.subscribing import held_by
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.management import customers, promotions
from sidecar_client.local.management.credits import NewGrant, grant_credits
from sidecar_client.local.management.package_entitlements import (
    NewFeatureEntitlement,
    add_entitlements,
    remove_entitlement,
    replace_entitlement,
)
from sidecar_client.local.management.packages import PLANS
from sidecar_client.local.management.promotions import NewPromotion
from sidecar_client.local.management.publishing import publish_plan
from sidecar_client.local.management.subscriptions import update_subscription
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import ResetPeriod, ZonedMoment
from sidecar_client.local.watch import Watch
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class AskedTerms(_Asked):
    """What is to be granted of a feature."""

    granted: bool = True
    amount: float | None = None
    unlimited: bool = False
    soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    values: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = ()

    def terms(self) -> Terms:
        """The same for `management`."""
        return Terms(
            granted=self.granted,
            amount=self.amount,
            unlimited=self.unlimited,
            soft_limit=self.soft_limit,
            reset_period=self.reset_period,
            values=self.values,
        )


class AskedAgreement(_Asked):
    """A limit of one customer: what its subscription says in place of the plan."""

    feature: str
    subscription: str
    terms: AskedTerms | None = None
    """None lets the plan count again."""


class AskedPlanLimit(_Asked):
    """A limit of everybody who has a plan."""

    feature: str
    terms: AskedTerms | None = None
    """None lets the plan say nothing about the feature."""


class AskedPromotion(_Asked):
    """A promotion for a customer."""

    feature: str
    terms: AskedTerms
    period: PromotionPeriod = "lifetime"
    end: ZonedMoment | None = None


class AskedUsage(_Asked):
    """Usage to report."""

    feature: str
    resource: str | None = None
    value: float
    update: Literal["delta", "set"] = "delta"


class AskedCredits(_Asked):
    """Credits to grant."""

    currency: str
    amount: Annotated[float, Field(gt=0)]
    resource: str | None = None
    type: Literal["paid", "promotional"] = "promotional"
    expires: ZonedMoment | None = None


def routes(parts: Parts) -> list[BaseRoute]:
    """Everything that the console changes."""
    return [*_customer_routes(parts), *_limit_routes(parts), *_usage_routes(parts)]


def _customer_routes(parts: Parts) -> list[BaseRoute]:
    world = parts.world

    async def archive(request: Request) -> Response:
        await customers.archive_customer(world, request.path_params["customer_id"])
        return _done()

    async def unarchive(request: Request) -> Response:
        await customers.unarchive_customer(world, request.path_params["customer_id"])
        return _done()

    async def promote(request: Request) -> Response:
        asked = await model_of(request, AskedPromotion)
        new = NewPromotion(
            feature_id=asked.feature,
            terms=asked.terms.terms(),
            period=asked.period,
            end=asked.end,
        )
        customer_id = request.path_params["customer_id"]
        await promotions.grant_promotions(world, customer_id, [new])
        return _done()

    async def revoke(request: Request) -> Response:
        await promotions.revoke_promotion(
            world, request.path_params["customer_id"], request.path_params["feature_id"]
        )
        return _done()

    at = "/local/customers/{customer_id}"
    return [
        Route(f"{at}/archive", archive, methods=["POST"]),
        Route(f"{at}/unarchive", unarchive, methods=["POST"]),
        Route(f"{at}/promotions", promote, methods=["POST"]),
        Route(f"{at}/promotions/{{feature_id}}", revoke, methods=["DELETE"]),
    ]


def _limit_routes(parts: Parts) -> list[BaseRoute]:
    world = parts.world

    async def agree(request: Request) -> Response:
        asked = await model_of(request, AskedAgreement)
        await _agree(world, request.path_params["customer_id"], asked)
        return _done()

    async def change(request: Request) -> Response:
        asked = await model_of(request, AskedPlanLimit)
        await _change_plan(world, request.path_params["plan_id"], asked)
        return _done()

    return [
        Route("/local/customers/{customer_id}/agreements", agree, methods=["POST"]),
        Route("/local/plans/{plan_id}/entitlements", change, methods=["POST"]),
    ]


def _usage_routes(parts: Parts) -> list[BaseRoute]:
    async def report(request: Request) -> Response:
        asked = await model_of(request, AskedUsage)
        usage = pb.ReportUsageRequest(
            customer_id=request.path_params["customer_id"],
            resource_id=asked.resource,
            feature_id=asked.feature,
            value=asked.value,
            update_behavior=(
                pb.USAGE_UPDATE_BEHAVIOR_SET
                if asked.update == "set"
                else pb.USAGE_UPDATE_BEHAVIOR_DELTA
            ),
        )
        answer = await parts.service.report_usage(usage)
        Watch(parts.feed).answered("ReportUsage", usage, answer)
        return JSONResponse({"current_usage": answer.current_usage})

    async def credit(request: Request) -> Response:
        asked = await model_of(request, AskedCredits)
        new = NewGrant(
            customer_id=request.path_params["customer_id"],
            currency_id=asked.currency,
            amount=asked.amount,
            type=asked.type,
            resource_id=asked.resource,
            expires=asked.expires,
        )
        await grant_credits(parts.world, new)
        return _done()

    at = "/local/customers/{customer_id}"
    return [
        Route(f"{at}/usage", report, methods=["POST"]),
        Route(f"{at}/credits", credit, methods=["POST"]),
    ]


async def _agree(world: World, customer_id: str, asked: AskedAgreement) -> None:
    held = await held_by(world, customer_id, asked.subscription)
    agreed = {
        name: Terms.of(said) for name, said in held.subscription.entitlements.items()
    }
    agreed.pop(asked.feature, None)
    if asked.terms is not None:
        agreed[asked.feature] = asked.terms.terms()
    await update_subscription(
        world, asked.subscription, {}, entitlements=agreed, kept={}
    )


async def _change_plan(world: World, plan_id: str, asked: AskedPlanLimit) -> None:
    """A new version of the plan, for all its customers; a draft of others is kept."""
    await PLANS.create_draft(world, plan_id)
    try:
        draft = PLANS.current(await world.index(), plan_id)
        is_there = asked.feature in draft.entitlements
        if asked.terms is None:
            await remove_entitlement(world, PLANS, plan_id, asked.feature)
        else:
            new = NewFeatureEntitlement(id=asked.feature, terms=asked.terms.terms())
            if is_there:
                await replace_entitlement(world, PLANS, plan_id, new)
            else:
                await add_entitlements(world, PLANS, plan_id, [new])
        await publish_plan(world, plan_id, "all_customers")
    except Refusal:
        await PLANS.remove_draft(world, plan_id)
        raise


def _done() -> Response:
    return JSONResponse({"done": True})
