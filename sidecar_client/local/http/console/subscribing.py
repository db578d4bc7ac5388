"""Customers that the console makes, and subscriptions that it gives them and ends.

Requests become operations of `management` here; what those do does not live here.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.http.answers import model_of
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.management.customers import NewCustomer, provision_customer
from sidecar_client.local.management.found import Held, subscription_of
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    provision_subscription,
)
from sidecar_client.local.management.subscriptions import cancel_subscription
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import CustomerId, PlanId, ResourceId, Text
from sidecar_client.local.world import World


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AskedCustomer(_Asked):
    """A customer to make."""

    id: CustomerId
    name: Text | None = None


class AskedSubscription(_Asked):
    """What a customer is to subscribe to."""

    plan: PlanId
    resource: ResourceId | None = None


def routes(parts: Parts) -> list[BaseRoute]:
    """Making customers, and beginning and ending what they subscribe to."""
    world = parts.world

    async def create(request: Request) -> Response:
        asked = await model_of(request, AskedCustomer)
        await provision_customer(world, NewCustomer(id=asked.id, name=asked.name))
        return JSONResponse({"id": asked.id})

    async def subscribe(request: Request) -> Response:
        asked = await model_of(request, AskedSubscription)
        new = NewSubscription(
            customer_id=request.path_params["customer_id"],
            plan_id=asked.plan,
            resource_id=asked.resource,
        )
        made = await provision_subscription(world, new)
        return JSONResponse({"id": made.subscription.value.id})

    async def end(request: Request) -> Response:
        name = request.path_params["subscription_id"]
        await held_by(world, request.path_params["customer_id"], name)
        await cancel_subscription(world, name, time="immediate")
        return JSONResponse({"id": name})

    at = "/local/customers/{customer_id}/subscriptions"
    return [
        Route("/local/customers", create, methods=["POST"]),
        Route(at, subscribe, methods=["POST"]),
        Route(f"{at}/{{subscription_id}}", end, methods=["DELETE"]),
    ]


async def held_by(world: World, customer_id: str, subscription_id: str) -> Held:
    """A subscription of a customer; refused where it is another's."""
    held = await subscription_of(world, world, subscription_id)
    if held.customer.id != customer_id:
        raise Refusal(
            "NOT_FOUND",
            f"customer {customer_id!r} has no subscription {subscription_id!r}.",
        )
    return held
