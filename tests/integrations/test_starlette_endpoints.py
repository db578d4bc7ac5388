"""Decorated endpoints in Starlette: functions, methods, threads, errors, WebSockets."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, ConfigurationError, specs_of
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_from,
    meters_usage,
    requires_feature,
)
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, UNKNOWN, WITHIN
from tests.behaviour.usage import used


def site(
    sidecar: LocalSidecar,
    *routes: BaseRoute,
    customer: Any = customer_of,
    handlers: Any = None,
    **settings: Any,
) -> TestClient:
    guard = Middleware(
        StiggGuardMiddleware,
        customer=customer,
        target=sidecar.target,
        timeout=5,
        write_timeout=5,
        **settings,
    )
    app = Starlette(
        routes=list(routes), middleware=[guard], exception_handlers=handlers
    )
    return TestClient(app, headers={"X-Customer": WITHIN}, follow_redirects=False)


def post(endpoint: Any) -> Route:
    return Route("/", endpoint, methods=["POST"])


AS_AT_LIMIT = {"X-Customer": AT_LIMIT}


@requires_feature(DOMAIN)
async def asynchronous(request: Request) -> PlainTextResponse:
    """Said by the endpoint."""
    return PlainTextResponse("async")


@requires_feature(DOMAIN)
def synchronous(request: Request) -> PlainTextResponse:
    return PlainTextResponse(threading.current_thread().name)


def test_endpoint_keeps_its_name_signature_nature_and_needs() -> None:
    assert asynchronous.__name__ == "asynchronous"
    assert asynchronous.__doc__ == "Said by the endpoint."
    assert list(inspect.signature(asynchronous).parameters) == ["request"]
    assert inspect.iscoroutinefunction(asynchronous)
    assert not inspect.iscoroutinefunction(synchronous)
    (spec,) = specs_of(asynchronous)
    assert "feature-03-custom-domain" in repr(spec.need)


def test_synchronous_endpoint_stays_in_the_thread_pool_and_asks_from_there(
    sidecar: LocalSidecar,
) -> None:
    asked_in: list[str] = []

    def resolver(request: HTTPConnection) -> str | None:
        asked_in.append(threading.current_thread().name)
        return request.headers.get("x-customer")

    with site(sidecar, Route("/", synchronous), customer=resolver) as client:
        response = client.get("/")
        assert response.text == asked_in[0]
        assert response.text != threading.main_thread().name
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402


@pytest.mark.parametrize("where", ["application", "endpoint"])
def test_asynchronous_resolver_of_a_synchronous_endpoint_runs_on_the_servers_loop(
    sidecar: LocalSidecar, where: str
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def resolver(request: HTTPConnection) -> str:
        loops.append(asyncio.get_running_loop())
        return WITHIN

    async def loop_of(request: Request) -> PlainTextResponse:
        loops.append(asyncio.get_running_loop())
        return PlainTextResponse("")

    is_own = where == "endpoint"

    @requires_feature(DOMAIN, customer=resolver if is_own else None)
    def domains(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    routes = [Route("/", domains), Route("/loop", loop_of)]
    with site(sidecar, *routes, customer=customer_of if is_own else resolver) as client:
        assert client.get("/").status_code == 200
        client.get("/loop")
    assert loops[0] is loops[1]


class Templates(HTTPEndpoint):
    """One method of each kind."""

    @requires_feature(DOMAIN)
    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("listed")

    @meters_usage(TEMPLATES)
    def post(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("created")

    async def put(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("changed")


def test_methods_of_an_endpoint_class_are_guarded_one_by_one(
    sidecar: LocalSidecar,
) -> None:
    with site(sidecar, Route("/", Templates)) as client:
        assert client.get("/").text == "listed"
        assert client.head("/", headers=AS_AT_LIMIT).status_code == 402
        assert client.post("/").text == "created"
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402
        assert client.post("/", headers=AS_AT_LIMIT).status_code == 402
        assert client.put("/", headers=AS_AT_LIMIT).text == "changed"
    assert used(sidecar, WITHIN) == 4


def test_partial_of_a_guarded_endpoint_is_guarded(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN)
    async def greet(request: Request, word: str) -> PlainTextResponse:
        return PlainTextResponse(word)

    route = Route("/", functools.partial(greet, word="hello"))
    with site(sidecar, route) as client:
        assert client.get("/").text == "hello"
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402


def test_decorated_class_is_told_to_decorate_its_methods() -> None:
    with pytest.raises(TypeError, match="stands on the class Templates"):
        requires_feature(DOMAIN)(Templates)


def test_endpoint_without_the_middleware_is_told_what_to_add() -> None:
    app = Starlette(routes=[Route("/", asynchronous)])
    with (
        TestClient(app) as client,
        pytest.raises(ConfigurationError, match="StiggGuardMiddleware; add it"),
    ):
        client.get("/")


async def test_endpoint_that_is_called_without_a_request_is_not_run() -> None:
    with pytest.raises(TypeError, match=r"asynchronous is guarded.*without a request"):
        await asynchronous(None)  # type: ignore[arg-type]


def test_functions_of_the_request_get_the_endpoints_own(sidecar: LocalSidecar) -> None:
    async def count(request: Request) -> int:
        return int((await request.json())["count"])

    @meters_usage(TEMPLATES, value=count)
    async def create(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    with site(sidecar, post(create)) as client:
        assert client.post("/", json={"count": 2}).json() == {"count": 2}
    assert used(sidecar, WITHIN) == 5


class OutOfPaper(Exception):
    """What an endpoint raises and the application answers."""


async def answered(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)})


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_endpoint_that_raised_is_not_metered_though_it_was_answered_with_200(
    sidecar: LocalSidecar, kind: str
) -> None:
    async def fail(request: Request) -> JSONResponse:
        raise OutOfPaper("no more")

    def fail_in_thread(request: Request) -> JSONResponse:
        raise OutOfPaper("no more")

    route = post(meters_usage(TEMPLATES)(fail if kind == "async" else fail_in_thread))
    with site(sidecar, route, handlers={OutOfPaper: answered}) as client:
        assert client.post("/").json() == {"error": "no more"}
    assert used(sidecar, WITHIN) == 3


def test_endpoint_that_raises_its_redirect_is_metered(sidecar: LocalSidecar) -> None:
    @meters_usage(TEMPLATES)
    async def create(request: Request) -> JSONResponse:
        raise HTTPException(303, headers={"Location": "/templates/4"})

    with site(sidecar, post(create)) as client:
        assert client.post("/").status_code == 303
    assert used(sidecar, WITHIN) == 4


def test_own_handler_of_denials_wins_and_its_redirect_is_not_metered(
    sidecar: LocalSidecar,
) -> None:
    async def to_plans(request: Request, error: Exception) -> RedirectResponse:
        assert isinstance(error, AccessDenied)
        return RedirectResponse("/plans", 303)

    @meters_usage(TEMPLATES)
    async def create(request: Request) -> PlainTextResponse:
        subject = customer_of(request)
        assert subject is not None
        await guard_from(request).require(subject, UNKNOWN)
        return PlainTextResponse("created")

    with site(sidecar, post(create), handlers={AccessDenied: to_plans}) as client:
        response = client.post("/")
        assert (response.status_code, response.headers["location"]) == (303, "/plans")
    assert used(sidecar, WITHIN) == 3


def test_endpoint_answers_its_denial_itself(sidecar: LocalSidecar) -> None:
    def answer(request: Request, decision: Any) -> PlainTextResponse:
        return PlainTextResponse(f"{request.url.path}: {decision.reason}", 451)

    async def domains(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    route = Route("/domains", requires_feature(DOMAIN, on_denied=answer)(domains))
    with site(sidecar, route) as client:
        response = client.get("/domains", headers=AS_AT_LIMIT)
    assert response.status_code == 451
    assert response.text == "/domains: NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"


def test_synchronous_endpoint_asks_the_synchronous_guard(sidecar: LocalSidecar) -> None:
    def required(request: Request) -> PlainTextResponse:
        subject = customer_of(request)
        assert subject is not None
        guard_from(request).sync.require(subject, DOMAIN)
        return PlainTextResponse("seen")

    with site(sidecar, Route("/", required)) as client:
        assert client.get("/").text == "seen"
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402


class Chat(WebSocketEndpoint):
    """A message costs a template."""

    encoding = "text"

    @meters_usage(TEMPLATES)
    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data)


def test_each_message_of_a_websocket_is_checked_and_metered(
    sidecar: LocalSidecar,
) -> None:
    with (
        site(sidecar, WebSocketRoute("/", Chat)) as client,
        client.websocket_connect("/", headers={"X-Customer": WITHIN}) as websocket,
    ):
        for word in ("a", "b", "c", "d"):
            websocket.send_text(word)
        assert [websocket.receive_text() for _ in range(3)] == ["a", "b", "c"]
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_text()
    assert closed.value.code == 1008
    assert closed.value.reason == "REQUESTED_USAGE_EXCEEDING_LIMIT"
    assert used(sidecar, WITHIN) == 6


def test_long_lived_websocket_is_asked_about_anew(sidecar: LocalSidecar) -> None:
    class Feed(WebSocketEndpoint):
        encoding = "text"

        @requires_feature(DOMAIN)
        async def on_receive(self, websocket: WebSocket, data: str) -> None:
            await websocket.send_text(data)

    with (
        site(sidecar, WebSocketRoute("/", Feed)) as client,
        client.websocket_connect("/", headers={"X-Customer": WITHIN}) as websocket,
    ):
        for _ in range(2):
            websocket.send_text("more")
            websocket.receive_text()
    assert sidecar.calls == {"GetEntitlement": 2}
