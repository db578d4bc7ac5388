"""The behaviour suite's application in Starlette."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

import stigg_guard_starlette as adapter
from stigg_guard import Subject
from stigg_guard_starlette import StiggGuardMiddleware, guard_exempt, guard_from
from tests.behaviour.client import BehaviourClient, Response
from tests.behaviour.routes import (
    DOMAIN,
    REQUIRED,
    ROUTES,
    RULE_EXEMPT,
    WEBSOCKET,
    Guarded,
    ViewBroke,
    rules,
)

METHODS = ["GET", "POST", "OPTIONS"]


def customer_of(connection: HTTPConnection) -> Subject | None:
    """The customer and resource that the headers name."""
    customer = connection.headers.get("x-customer")
    return Subject(customer, connection.headers.get("x-resource")) if customer else None


def answer(query: Mapping[str, str]) -> JSONResponse:
    """What every view answers, or the error that it raises."""
    if query.get("raise"):
        raise ViewBroke("as it was told to")
    return JSONResponse({"ok": True}, int(query.get("status", "200")))


async def plain(request: Request) -> JSONResponse:
    return answer(request.query_params)


async def required(request: Request) -> JSONResponse:
    subject = customer_of(request)
    assert subject is not None
    await guard_from(request).require(subject, DOMAIN)
    return answer(request.query_params)


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def guarded(view: Any, decorators: tuple[Guarded, ...]) -> Any:
    """A view of its own with its decorators, the outermost first in the list."""

    async def own(request: Request) -> JSONResponse:
        return answer(request.query_params)

    view = own if view is None else view
    for one in reversed(decorators):
        decorate: Callable[..., Any] = getattr(adapter, one.kind)
        view = decorate(*one.needs, **one.options)(view)
    return view


class AsgiTestClient(BehaviourClient):
    """Any ASGI application behind Starlette's test client."""

    has_websockets = True

    def __init__(self, **settings: Any) -> None:
        self._client = TestClient(
            self.application(settings),
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
        answered = self._client.request(
            method, path, headers={**named, **(headers or {})}
        )
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
            WebSocketRoute(WEBSOCKET, adapter.requires_feature(DOMAIN)(greet)),
        ]
        guard = Middleware(
            StiggGuardMiddleware, rules=rules(), customer=customer_of, **settings
        )
        return Starlette(routes=routes, middleware=[guard])
