"""What the customer of a request has: in endpoints, dependencies and templates."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from sidecar_client.local import LocalSidecar
from stigg_guard import LazyEntitlements, asgi
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    entitlements_from,
    guard_from,
    meters_usage,
    requires_feature,
    usage_from,
)
from stigg_guard_starlette.context_processors import stigg
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import DOMAIN, TEMPLATES
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, guard_options, site

ASKED_ONCE = {"GetEntitlementsStateV2": 1}
TEMPLATE = '{% if stigg.has("feature-03-custom-domain") %}yours{% else %}buy{% endif %}'


async def looked_up(request: Request) -> JSONResponse:
    entitlements = entitlements_from(request)
    assert entitlements is entitlements_from(request)
    found = await asyncio.gather(*(entitlements.ahas(DOMAIN) for _ in range(5)))
    return JSONResponse([*found, await entitlements.aremaining(TEMPLATES)])


def looked_up_in_a_thread(request: Request) -> JSONResponse:
    entitlements = entitlements_from(request)
    return JSONResponse([entitlements.has(DOMAIN), entitlements.remaining(TEMPLATES)])


def client_of(sidecar: LocalSidecar, *routes: BaseRoute, **settings: Any) -> TestClient:
    guard = Middleware(StiggGuardMiddleware, **guard_options(sidecar, **settings))
    return TestClient(Starlette(routes=list(routes), middleware=[guard]))


@pytest.mark.parametrize("endpoint", [looked_up, looked_up_in_a_thread])
def test_endpoint_looks_at_all_that_the_customer_has_with_one_question(
    sidecar: LocalSidecar, endpoint: Any
) -> None:
    with client_of(sidecar, Route("/", endpoint)) as client:
        *has, left = client.get("/", headers=AS_WITHIN).json()
        assert (set(has), left) == ({True}, 3)
        assert sidecar.calls == ASKED_ONCE
        *has, left = client.get("/", headers=AS_AT_LIMIT).json()
        assert (set(has), left) == ({False}, 0)


def test_nothing_is_asked_when_nobody_looks(sidecar: LocalSidecar) -> None:
    def view(request: Request) -> Response:
        entitlements_from(request)
        return Response()

    with client_of(sidecar, Route("/", view)) as client:
        assert client.get("/", headers=AS_WITHIN).status_code == 200
    assert sidecar.calls == {}


def test_asynchronous_resolver_runs_on_the_servers_loop_for_a_thread_too(
    sidecar: LocalSidecar,
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def resolver(connection: HTTPConnection) -> Any:
        loops.append(asyncio.get_running_loop())
        return customer_of(connection)

    async def loop_of(request: Request) -> Response:
        loops.append(asyncio.get_running_loop())
        return Response(str(entitlements_from(request).has(DOMAIN)))

    routes = [Route("/", looked_up_in_a_thread), Route("/loop", loop_of)]
    with client_of(sidecar, *routes, customer=resolver) as client:
        assert client.get("/", headers=AS_WITHIN).json() == [True, 3]
        assert client.get("/loop", headers=AS_AT_LIMIT).text == "False"
    assert loops[0] is loops[1]


def test_template_asks_what_the_customer_has(sidecar: LocalSidecar) -> None:
    templates = Jinja2Templates(
        env=Environment(loader=DictLoader({"page.html": TEMPLATE}), autoescape=True),
        context_processors=[stigg],
    )

    def page(request: Request) -> Response:
        return templates.TemplateResponse(request, "page.html")

    with client_of(sidecar, Route("/", page)) as client:
        assert client.get("/", headers=AS_WITHIN).text == "yours"
        assert client.get("/", headers=AS_AT_LIMIT).text == "buy"
        assert client.get("/").text == "buy"


def test_shared_caches_keep_nothing_that_depends_on_what_a_customer_has(
    sidecar: LocalSidecar,
) -> None:
    def unasked(request: Request) -> Response:
        entitlements_from(request)
        return Response()

    routes = [Route("/", looked_up), Route("/unasked", unasked)]
    with client_of(sidecar, *routes) as client:
        for headers in (AS_WITHIN, {}):
            answer = client.get("/", headers=headers)
            assert answer.headers["cache-control"] == "private"
        assert "cache-control" not in client.get("/unasked", headers=AS_WITHIN).headers
    with client_of(sidecar, *routes, cache_control=None) as client:
        assert "cache-control" not in client.get("/", headers=AS_WITHIN).headers


async def has_domain(
    entitlements: Annotated[LazyEntitlements, Depends(entitlements_from)],
) -> bool:
    return await entitlements.ahas(DOMAIN)


def test_entitlements_are_a_dependency(sidecar: LocalSidecar) -> None:
    app: FastAPI = site(sidecar)

    @app.get("/")
    async def view(
        entitlements: Annotated[LazyEntitlements, Depends(entitlements_from)],
        has: Annotated[bool, Depends(has_domain)],
        q: int = 0,
    ) -> Any:
        return [has, await entitlements.aremaining(TEMPLATES)]

    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json() == [True, 3]
        assert client.get("/", headers=AS_AT_LIMIT).json() == [False, 0]
        parameters = client.get("/openapi.json").json()["paths"]["/"]["get"]
    assert [one["name"] for one in parameters["parameters"]] == ["q"]


def test_guarded_endpoint_and_its_look_see_one_customer(sidecar: LocalSidecar) -> None:
    seen: list[object] = []

    def resolver(connection: HTTPConnection) -> Any:
        seen.append(connection)
        return customer_of(connection)

    @requires_feature(DOMAIN)
    async def view(request: Request) -> JSONResponse:
        left = await entitlements_from(request).aremaining(TEMPLATES)
        return JSONResponse([left, usage_from(request).value])

    with client_of(sidecar, Route("/", view), customer=resolver) as client:
        assert client.get("/", headers=AS_WITHIN).json() == [3, None]
    assert len(seen) == 1


def test_websocket_looks_again_after_usage_was_reported(sidecar: LocalSidecar) -> None:
    @meters_usage(TEMPLATES)
    async def metered(websocket: WebSocket) -> None: ...

    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()
        entitlements = entitlements_from(websocket)
        for _ in range(2):
            await websocket.send_json(await entitlements.aremaining(TEMPLATES))
            await metered(websocket)
        await websocket.send_json(await entitlements.aremaining(TEMPLATES))
        await websocket.close()

    with (
        client_of(sidecar, WebSocketRoute("/", feed)) as client,
        client.websocket_connect("/", headers=AS_WITHIN) as websocket,
    ):
        assert [websocket.receive_json() for _ in range(3)] == [3, 2, 1]


@pytest.mark.parametrize("kind", ["each message looks", "each message is guarded"])
def test_long_lived_websocket_looks_anew(sidecar: LocalSidecar, kind: str) -> None:
    @requires_feature(DOMAIN)
    async def guarded(websocket: WebSocket) -> None: ...

    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()
        entitlements = entitlements_from(websocket)
        for _ in range(2):
            if kind == "each message looks":
                entitlements = entitlements_from(websocket)
            else:
                await guarded(websocket)
            await websocket.send_json(await entitlements.ahas(DOMAIN))
            await websocket.send_json(await entitlements.aremaining(TEMPLATES))
        await websocket.close()

    with (
        client_of(sidecar, WebSocketRoute("/", feed)) as client,
        client.websocket_connect("/", headers=AS_WITHIN) as websocket,
    ):
        assert [websocket.receive_json() for _ in range(4)] == [True, 3, True, 3]
    assert sidecar.calls["GetEntitlementsStateV2"] == 2


def test_any_application_looks_at_what_the_customer_has(sidecar: LocalSidecar) -> None:
    async def hello(scope: Any, receive: Any, send: Any) -> None:
        has = await asgi.entitlements_from(scope).ahas(DOMAIN)
        assert asgi.guard_from(scope) is guarded.guard
        await Response(str(has))(scope, receive, send)

    def customer_of_scope(scope: Any) -> Any:
        return customer_of(HTTPConnection(scope))

    options = guard_options(sidecar, customer=customer_of_scope)
    guarded = asgi.StiggGuardMiddleware(hello, **options)
    client = TestClient(guarded)
    assert client.get("/", headers=AS_WITHIN).text == "True"
    assert client.get("/", headers=AS_AT_LIMIT).text == "False"


def test_guard_is_asked_about_another_customer(sidecar: LocalSidecar) -> None:
    async def compare(request: Request) -> JSONResponse:
        own = entitlements_from(request)
        other = customer_of(Request({**request.scope, "headers": [AT_LIMIT_HEADER]}))
        assert other is not None
        theirs = await guard_from(request).entitlements(other)
        return JSONResponse([await own.ahas(DOMAIN), theirs.has(DOMAIN)])

    with client_of(sidecar, Route("/", compare)) as client:
        assert client.get("/", headers=AS_WITHIN).json() == [True, False]


AT_LIMIT_HEADER = (b"x-customer", AS_AT_LIMIT["X-Customer"].encode())
