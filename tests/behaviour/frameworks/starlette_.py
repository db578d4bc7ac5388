"""The behaviour suite's application in Starlette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.responses import Response as Response_
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

import stigg_guard_starlette as adapter
from stigg_guard import Subject
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_exempt,
    guard_from,
    usage_from,
)
from tests.behaviour.client import BehaviourClient, Response
from tests.behaviour.routes import (
    COUNTED_GUARD,
    COUNTED_WEBSOCKET,
    DOMAIN,
    NUMBERED_GUARD,
    REQUIRED,
    ROUTES,
    RULE_EXEMPT,
    WEBSOCKET,
    Guarded,
    rules,
)
from tests.behaviour.servers import uvicorn_serving
from tests.behaviour.views import Told, ViewBroke

METHODS = ["GET", "POST", "OPTIONS"]


def customer_of(connection: HTTPConnection) -> Subject | None:
    """The customer and resource that the headers name."""
    customer = connection.headers.get("x-customer")
    return Subject(customer, connection.headers.get("x-resource")) if customer else None


def answer(request: Request) -> Response_:
    """What every view answers, or the error that it raises."""
    told = Told.by(request.query_params)
    if told.use is not None:
        usage_from(request).value = told.use
    if told.chunks is not None:
        return StreamingResponse(told.astream(), told.status)
    return JSONResponse({"ok": True}, told.status, headers={**told.headers})


async def plain(request: Request) -> Response_:
    return answer(request)


async def required(request: Request) -> Response_:
    subject = customer_of(request)
    assert subject is not None
    await guard_from(request).require(subject, DOMAIN)
    return answer(request)


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def guarded(view: Any, decorators: tuple[Guarded, ...]) -> Any:
    """A view of its own with its decorators, the outermost first in the list."""

    async def own(request: Request) -> Response_:
        return answer(request)

    view = own if view is None else view
    for one in reversed(decorators):
        decorate: Callable[..., Any] = getattr(adapter, one.kind)
        view = decorate(*one.needs, **one.options)(view)
    return view


class AsgiTestClient(BehaviourClient):
    """Any ASGI application behind Starlette's test client."""

    has_websockets = True

    def __init__(self, **settings: Any) -> None:
        self.app = self.application(settings)
        self._client = TestClient(
            self.app,
            raise_server_exceptions=False,
            follow_redirects=False,
        )
        self._client.__enter__()

    def application(self, settings: dict[str, Any]) -> ASGIApp:
        """The application, guarded with these settings."""
        raise NotImplementedError

    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        named = {"X-Customer": customer} if customer else {}
        try:
            answered = self._client.request(
                method, path, headers={**named, **(headers or {})}
            )
        except ViewBroke:  # amid its body
            return Response(status=500, headers={}, body=b"")
        return Response(
            status=answered.status_code,
            headers=dict(answered.headers),
            body=answered.content,
        )

    def handshake(self, path: str, *, customer: str | None = None) -> Response:
        named = {"X-Customer": customer} if customer else {}
        try:
            with self._client.websocket_connect(path, headers=named) as websocket:
                return Response(
                    status=101, headers={}, body=websocket.receive_text().encode()
                )
        except WebSocketDenialResponse as denied:
            return Response(
                status=denied.status_code,
                headers=dict(denied.headers),
                body=denied.content,
            )
        except WebSocketDisconnect:
            return Response(status=403, headers={}, body=b"")

    def serving(self) -> AbstractContextManager[int]:
        return uvicorn_serving(self.app)

    def close(self) -> None:
        self._client.__exit__()


class StarletteClient(AsgiTestClient):
    """Asynchronous endpoints, the middleware and the decorators."""

    def application(self, settings: dict[str, Any]) -> ASGIApp:
        routes: list[Route | WebSocketRoute] = [
            Route(path, guarded(None, decorators), methods=METHODS)
            for path, decorators in ROUTES.items()
        ]
        routes += [
            Route(RULE_EXEMPT, guard_exempt(guarded(None, ())), methods=METHODS),
            Route("/ruled/{number:int}", plain, methods=METHODS),
            Route(REQUIRED, required, methods=METHODS),
            Route(
                "/numbered/{number:int}",
                guarded(None, (NUMBERED_GUARD,)),
                methods=METHODS,
            ),
            WebSocketRoute(WEBSOCKET, adapter.requires_feature(DOMAIN)(greet)),
            WebSocketRoute(COUNTED_WEBSOCKET, guarded(greet, (COUNTED_GUARD,))),
        ]
        guard = Middleware(
            StiggGuardMiddleware, rules=rules(), customer=customer_of, **settings
        )
        return Starlette(routes=routes, middleware=[guard])
