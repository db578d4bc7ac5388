"""`/livez`, `/readyz` and `/metrics`, as the real sidecar has them.

Only the routes live here; what is counted is in `sidecar_client.local.metrics`.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.http.parts import Parts


def routes(parts: Parts) -> list[BaseRoute]:
    """Health at the paths of the options, and the metrics."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "UP"})

    async def ready(_: Request) -> Response:
        if parts.is_ready() and await parts.has_store():
            return JSONResponse({"status": "UP"})
        return JSONResponse({"status": "DOWN"}, 503)

    async def metrics(_: Request) -> Response:
        return Response(parts.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return [
        Route(parts.options.health_path, live),
        Route(parts.options.ready_path, ready),
        Route("/metrics", metrics),
    ]
