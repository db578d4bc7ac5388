"""The behaviour suite's application in FastAPI: endpoints that take no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from stigg_guard import AsyncGuard
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_exempt,
    guard_from,
    usage_from,
)
from stigg_guard_starlette.fastapi import requires
from tests.behaviour.frameworks.starlette_ import (
    AsgiTestClient,
    customer_of,
    greet,
    guarded,
)
from tests.behaviour.routes import (
    COUNTED_GUARD,
    COUNTED_WEBSOCKET,
    DOMAIN,
    NUMBERED_GUARD,
    REQUIRED,
    ROUTES,
    RULE_EXEMPT,
    WEBSOCKET,
    rules,
)
from tests.behaviour.views import Told

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


def endpoint() -> Any:
    """An endpoint of its own, which takes no request of Starlette's."""

    async def view(tell: Teller) -> Any:
        return answered(tell())

    return view


def teller(request: Request) -> Callable[[], Told]:
    """Tells the endpoint what to do, and sets its usage, when it is called."""

    def tell() -> Told:
        told = Told.by(request.query_params)
        if told.use is not None:
            usage_from(request).value = told.use
        return told

    return tell


Teller = Annotated[Callable[[], Told], Depends(teller)]


def answered(told: Told) -> Response:
    if told.chunks is not None:
        return StreamingResponse(told.astream(), told.status)
    return JSONResponse({"ok": True}, told.status, headers={**told.headers})


async def numbered(number: int, tell: Teller) -> Any:
    return answered(tell())


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
        app.add_api_route(
            "/numbered/{number}", guarded(numbered, (NUMBERED_GUARD,)), methods=METHODS
        )
        app.add_api_route(REQUIRED, required, methods=METHODS)
        app.add_api_websocket_route(
            WEBSOCKET, websocket_endpoint, dependencies=[Depends(requires(DOMAIN))]
        )
        app.add_api_websocket_route(
            COUNTED_WEBSOCKET, guarded(websocket_endpoint, (COUNTED_GUARD,))
        )
        return app
