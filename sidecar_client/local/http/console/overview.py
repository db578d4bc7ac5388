"""What the console shows around the customers: what runs, what is defined, the export.

Only telling lives here.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.catalog import CatalogIndex, Feature
from sidecar_client.local.export import catalog_text, exported
from sidecar_client.local.http.console.asked import text_of, whole_of
from sidecar_client.local.http.console.explained import Told
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.management.missing import is_subscribable


def routes(parts: Parts) -> list[BaseRoute]:
    """What is defined, for forms; the state, for a file."""
    world = parts.world

    async def defined(_: Request) -> Response:
        index = await world.index()
        return JSONResponse(
            {
                "features": len(index.features),
                "plans": _offered(index)[:1000],
                "currencies": [
                    {"id": item.id, "name": item.name}
                    for item in index.currencies.values()
                ][:1000],
            }
        )

    async def features(request: Request) -> Response:
        wanted = text_of(request, "search").casefold()
        limit = whole_of(request, "limit", 50, most=200)
        index = await world.index()
        found = [
            feature
            for feature in index.features.values()
            if wanted in feature.id.casefold() or wanted in feature.name.casefold()
        ]
        # What was typed as a whole comes first, however many others have it in them.
        found.sort(key=lambda feature: feature.id.casefold() != wanted)
        return JSONResponse({"features": [_told(item) for item in found[:limit]]})

    async def export(_: Request) -> Response:
        catalog = await exported(world)
        text = await asyncio.to_thread(catalog_text, catalog, at=world.clock())
        headers = {"Content-Disposition": 'attachment; filename="catalog.yaml"'}
        return Response(text, media_type="application/yaml", headers=headers)

    return [
        Route("/local/definitions", defined),
        Route("/local/features", features),
        Route("/local/catalog.yaml", export),
    ]


def _offered(index: CatalogIndex) -> list[Told]:
    """The plans that can be subscribed to."""
    return [
        {"id": plan.id, "name": plan.name, "trial_days": plan.trial_days}
        for plan in sorted(index.plans.values(), key=lambda plan: plan.id)
        if is_subscribable(index, plan)
    ]


def _told(feature: Feature) -> Told:
    return {
        "id": feature.id,
        "name": feature.name,
        "type": feature.type,
        "units_plural": feature.units_plural,
        "values": feature.values,
        "event": feature.events.event if feature.events else None,
    }
