"""The ASGI application of the HTTP side: the routes of all modules, behind the gate.

Which modules there are is said here; each has a function `routes(parts)`.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from sidecar_client.local.http.access import Access
from sidecar_client.local.http.answers import http_error, refusal_error
from sidecar_client.local.http.gate import Gate
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.refusal import Refusal


def create_app(parts: Parts) -> ASGIApp:
    """Everything that is served, for one sidecar."""
    return Gate(_Application(routes=_routes(parts)), Access(parts.options))


class _Application(Starlette):
    def build_middleware_stack(self) -> ASGIApp:
        """Without what answers failures: the gate does, once they are logged."""
        return ExceptionMiddleware(
            self.router, handlers={HTTPException: http_error, Refusal: refusal_error}
        )


def _routes(parts: Parts) -> list[BaseRoute]:
    # Imported here, so that each is loaded only by a sidecar that serves HTTP.
    from sidecar_client.local.http import control, health, stream, webhooks
    from sidecar_client.local.http.console import routes as console
    from sidecar_client.local.http.graphql import routes as graphql
    from sidecar_client.local.http.rest import routes as rest

    return [
        *health.routes(parts),
        *control.routes(parts),
        *stream.routes(parts),
        *webhooks.routes(parts),
        *console.routes(parts),
        *graphql.routes(parts),
        *rest.routes(parts),
    ]
