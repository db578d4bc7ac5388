"""The behaviour suite's application in FastAPI: endpoints that take no request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, WebSocket
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from stigg_guard import AsyncGuard
from stigg_guard_starlette import StiggGuardMiddleware, guard_exempt, guard_from
from stigg_guard_starlette.fastapi import requires
from tests.behaviour.frameworks.starlette_ import (
    AsgiTestClient,
    answer,
    customer_of,
    greet,
    guarded,
)
from tests.behaviour.routes import (
    DOMAIN,
    REQUIRED,
    ROUTES,
    RULE_EXEMPT,
    WEBSOCKET,
    rules,
)

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


def endpoint() -> Any:
    """An endpoint of its own, which knows its query and nothing else."""

    async def view(
        status: int = 200, fail: Annotated[int, Query(alias="raise")] = 0
    ) -> JSONResponse:
        return answer({"status": str(status), "raise": "1" if fail else ""})

    return view


async def required(
    request: Request, guard: Annotated[AsyncGuard, Depends(guard_from)]
) -> dict[str, bool]:
    subject = customer_of(request)
    assert subject is not None
    await guard.require(subject, DOMAIN)
    return {"ok": True}


async def websocket_endpoint(websocket: WebSocket) -> None:
    await greet(websocket)


class FastapiClient(AsgiTestClient):
    """Decorators on endpoints without a request, and a dependency for the WebSocket."""

    def application(self, settings: dict[str, Any]) -> ASGIApp:
        app = FastAPI()
        app.add_middleware(
            StiggGuardMiddleware, rules=rules(), customer=customer_of, **settings
        )
        for path, decorators in ROUTES.items():
            view = guarded(endpoint(), decorators)
            app.add_api_route(path, view, methods=METHODS)
        app.add_api_route(RULE_EXEMPT, guard_exempt(endpoint()), methods=METHODS)
        app.add_api_route("/ruled/{number:int}", endpoint(), methods=METHODS)
        app.add_api_route(REQUIRED, required, methods=METHODS)
        app.add_api_websocket_route(
            WEBSOCKET, websocket_endpoint, dependencies=[Depends(requires(DOMAIN))]
        )
        return app
