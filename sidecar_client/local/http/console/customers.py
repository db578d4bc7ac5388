"""Customers as the console lists and shows them.

Searching and telling live here; what they are entitled to is `explained`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.credit_desk import CreditVerdict
from sidecar_client.local.customers import Customer, Promotion, Subscription
from sidecar_client.local.http.console.asked import choice_of, text_of, whole_of
from sidecar_client.local.http.console.explained import Told, Wish, explained, says
from sidecar_client.local.http.control import iso
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.management.missing import index_and_customer_of
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.world import World

_PREFIX = "customer/"
_MOST = 200
_MOST_SHOWN = 500
"""How many subscriptions, resources and promotions of one customer are told."""


def routes(parts: Parts) -> list[BaseRoute]:
    """The list, one customer, and its entitlements."""
    world = parts.world

    async def listed(request: Request) -> Response:
        limit = whole_of(request, "limit", 50, most=_MOST)
        found = await search(
            world,
            text_of(request, "search"),
            after=text_of(request, "after"),
            limit=limit + 1,
        )
        now = world.clock()
        return JSONResponse(
            {
                "customers": [_row(customer, now) for customer in found[:limit]],
                "next": found[limit - 1].id if len(found) > limit else None,
            }
        )

    async def shown(request: Request) -> Response:
        name = request.path_params["customer_id"]
        index, customer = await index_and_customer_of(world, name)
        return JSONResponse(await _shown(world, index, customer))

    async def entitled(request: Request) -> Response:
        name = request.path_params["customer_id"]
        wish = Wish(
            resource=text_of(request, "resource") or None,
            search=text_of(request, "search"),
            scope=choice_of(request, "scope", ("said", "all", "denied")),
            offset=whole_of(request, "offset", 0, most=1_000_000),
            limit=whole_of(request, "limit", 50, most=_MOST),
        )
        index, customer = await index_and_customer_of(world, name)
        found = await explained(world, index, customer, wish)
        return JSONResponse(
            {
                "reason": found.reason,
                "total": found.total,
                "granted": found.granted,
                "items": found.items,
                "credits": _credits(found.credits),
            }
        )

    return [
        Route("/local/customers", listed),
        Route("/local/customers/{customer_id}", shown),
        Route("/local/customers/{customer_id}/entitlements", entitled),
    ]


async def search(
    world: World, text: str, *, after: str = "", limit: int
) -> list[Customer]:
    """Customers by id whose id, name or email has the text; the first after an id."""
    wanted = text.casefold()
    found: list[Customer] = []
    start = _PREFIX + after
    await world.index()  # Raises where the store has lost everything.
    async for _, entry in records_of(world, _PREFIX, after=start):
        customer = cast("Customer", entry.record)
        if any(
            wanted in (told or "").casefold()
            for told in (customer.id, customer.name, customer.email)
        ):
            found.append(customer)
            if len(found) == limit:
                break
    return found


def _row(customer: Customer, now: datetime) -> Told:
    running = [sub for sub in customer.subscriptions if sub.holds(now)]
    return {
        "id": customer.id,
        "name": customer.name,
        "email": customer.email,
        "archived": customer.archived,
        "plans": list(dict.fromkeys(sub.plan for sub in running))[:5],
        "resources": len(customer.resources),
    }


async def _shown(world: World, index: CatalogIndex, customer: Customer) -> Told:
    now = world.clock()
    return {
        **_row(customer, now),
        "resources": customer.resources[:_MOST_SHOWN],
        "metadata": customer.metadata,
        "subscriptions": [
            _subscription(index, sub, now)
            for sub in reversed(customer.subscriptions[-_MOST_SHOWN:])
        ],
        "promotions": [
            _promotion(item, now) for item in customer.promotions[:_MOST_SHOWN]
        ],
    }


def _subscription(index: CatalogIndex, sub: Subscription, now: datetime) -> Told:
    plan = index.plan(sub.plan, sub.plan_version)
    return {
        "id": sub.id,
        "plan": sub.plan,
        "plan_name": plan.name if plan else "",
        "version": sub.plan_version,
        "resource": sub.resource,
        "status": sub.status_at(now),
        "start": iso(sub.start),
        "end": iso(sub.end) if sub.end else None,
        "trial_end": iso(sub.trial_end) if sub.trial_end else None,
        "addons": [{"id": item.id, "quantity": item.quantity} for item in sub.addons],
        "agreements": [
            {"feature": name, "says": says(said)}
            for name, said in sub.entitlements.items()
        ],
        "budget": sub.budget.limit if sub.budget else None,
    }


def _promotion(promotion: Promotion, now: datetime) -> Told:
    return {
        "feature": promotion.feature,
        "says": says(promotion.entitlement),
        "start": iso(promotion.start),
        "end": iso(promotion.end) if promotion.end else None,
        "holds": promotion.holds(now),
    }


def _credits(verdicts: Sequence[CreditVerdict]) -> list[Told]:
    return [
        {
            "currency": found.standing.currency.id,
            "name": found.standing.currency.name,
            "granted": found.standing.balance.granted,
            "consumed": found.standing.balance.consumed,
            "remaining": found.standing.balance.remaining,
            "soft_limit": found.standing.balance.soft_limit,
            "period_end": (
                iso(found.standing.balance.period_end)
                if found.standing.balance.period_end
                else None
            ),
            "has_access": found.has_access,
        }
        for found in verdicts
        if found.standing
    ]
