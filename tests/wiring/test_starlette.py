"""Where a guard may stand in Starlette, and what is said of each other place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError
from stigg_guard_starlette import StiggGuardMiddleware, requires_feature, webhook_route
from tests.behaviour.routes import DOMAIN
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, guard_options
from tests.wiring.rows import wiring

NAME = "Starlette"
View = TypeVar("View", bound=Callable[..., Any])


@requires_feature(DOMAIN)
async def domains(request: Request) -> PlainTextResponse:
    return PlainTextResponse("domains")


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("plain")


class Domains(HTTPEndpoint):
    """One guarded method, one that is not."""

    @requires_feature(DOMAIN)
    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("got")

    async def post(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("posted")


def guard(sidecar: LocalSidecar, **settings: Any) -> Middleware:
    return Middleware(StiggGuardMiddleware, **guard_options(sidecar, **settings))


def statuses(
    *routes: BaseRoute, middleware: list[Middleware], method: str = "GET"
) -> tuple[int, int]:
    """What the customer within limits gets of "/", and the one at the limit."""
    app = Starlette(routes=list(routes), middleware=middleware)
    with TestClient(app) as client:
        within = client.request(method, "/", headers=AS_WITHIN)
        at_limit = client.request(method, "/", headers=AS_AT_LIMIT)
    return within.status_code, at_limit.status_code


@wiring(NAME, "`@requires_feature` on an endpoint function", "guards it")
def test_on_a_function(sidecar: LocalSidecar) -> None:
    assert statuses(Route("/", domains), middleware=[guard(sidecar)]) == (200, 402)


@wiring(NAME, "on a method of an `HTTPEndpoint`", "guards that method")
def test_on_a_method(sidecar: LocalSidecar) -> None:
    route, middleware = Route("/", Domains), [guard(sidecar)]
    assert statuses(route, middleware=middleware) == (200, 402)
    assert statuses(route, middleware=middleware, method="POST") == (200, 200)


@wiring(
    NAME,
    "the middleware around a `Mount` or another application",
    "guards what is mounted",
)
def test_around_a_mount(sidecar: LocalSidecar) -> None:
    mounted = Starlette(routes=[Route("/", domains)])
    assert statuses(Mount("/", mounted), middleware=[guard(sidecar)]) == (200, 402)


@wiring(
    NAME,
    "the middleware of a mounted application, or of one `Route` or `Mount`",
    "guards that part; it ends with the application around it if that has a guard"
    " or `guard_lifespan()`",
)
@pytest.mark.parametrize("kind", ["application", "route", "mount"])
def test_inside_of_a_mount(sidecar: LocalSidecar, kind: str) -> None:
    inner = [guard(sidecar)]
    part: BaseRoute
    match kind:
        case "application":
            part = Mount("/", Starlette(routes=[Route("/", domains)], middleware=inner))
        case "route":
            part = Route("/", domains, middleware=inner)
        case _:
            part = Mount("/", routes=[Route("/", domains)], middleware=inner)
    assert statuses(part, middleware=[]) == (200, 402)


@wiring(
    NAME,
    "`CORSMiddleware` around the guard",
    "browsers may read the denial",
)
def test_cors_around(sidecar: LocalSidecar) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://app.example"])
    app = Starlette(routes=[Route("/", domains)], middleware=[cors, guard(sidecar)])
    with TestClient(app) as client:
        response = client.get(
            "/", headers={**AS_AT_LIMIT, "Origin": "https://app.example"}
        )
    assert response.status_code == 402
    assert response.headers["access-control-allow-origin"] == "https://app.example"


@wiring(
    NAME,
    "`CORSMiddleware` inside of the guard, with rules",
    "browsers cannot read the denials of rules; a warning at startup says so",
    is_right=False,
)
def test_cors_inside(sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://app.example"])
    rules = [{"path": "/", "methods": ["GET"], "feature": DOMAIN}]
    route = Route("/", plain)
    inside = [guard(sidecar, rules=rules), cors]
    assert statuses(route, middleware=inside) == (200, 402)
    ours = [record for record in caplog.records if record.name == "stigg_guard"]
    assert [record.levelname for record in ours] == ["WARNING"]
    assert "put it before StiggGuardMiddleware" in caplog.text
    caplog.clear()
    assert statuses(route, middleware=inside[::-1]) == (200, 402)
    assert "put it before StiggGuardMiddleware" not in caplog.text


@wiring(
    NAME,
    "`@requires_feature` above another decorator that makes the route",
    "refused at startup, else at the first request: the route has the bare function",
    is_right=False,
)
def test_above_the_route(sidecar: LocalSidecar) -> None:
    routes: list[BaseRoute] = []

    def route(path: str) -> Callable[[View], View]:
        def add(view: View) -> View:
            routes.append(Route(path, view))
            return view

        return add

    @requires_feature(DOMAIN)
    @route("/")
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("seen")

    with pytest.raises(ConfigurationError, match="stands above the decorator"):
        statuses(*routes, middleware=[guard(sidecar)])


@wiring(
    NAME,
    "on an `HTTPEndpoint` class",
    "refused when it is written: decorate its methods",
    is_right=False,
)
def test_on_a_class() -> None:
    with pytest.raises(TypeError, match="on the class Domains; decorate its methods"):
        requires_feature(DOMAIN)(Domains)


@wiring(
    NAME,
    "on a `Route`, `Mount`, `Router` or application",
    "refused when it is written: decorate the endpoints, or use rules",
    is_right=False,
)
@pytest.mark.parametrize(
    "thing", [Route("/", plain), Mount("/", routes=[]), Router(), Starlette()]
)
def test_on_what_has_routes(thing: Any) -> None:
    with pytest.raises(TypeError, match=f"stands on a {type(thing).__name__}"):
        requires_feature(DOMAIN)(thing)


@wiring(
    NAME,
    "a guarded endpoint without the middleware",
    "refused by every request: the error says how to add it",
    is_right=False,
)
def test_without_the_middleware() -> None:
    with pytest.raises(ConfigurationError, match="Middleware\\(StiggGuardMiddleware"):
        statuses(Route("/", domains), middleware=[])


@wiring(
    NAME, "`webhook_route()` among the routes", "receives webhooks; exempt from rules"
)
def test_route_of_webhooks_is_nobodys_page(sidecar: LocalSidecar) -> None:
    rule = {"path": "/webhooks/stigg", "feature": DOMAIN}
    middleware = guard(sidecar, webhook_secret="s", rules=[rule])
    app = Starlette(routes=[webhook_route()], middleware=[middleware])
    with TestClient(app) as client:
        sent = {"Stigg-Webhooks-Secret": "s"}
        answer = client.post("/webhooks/stigg", json={"type": "x"}, headers=sent)
        assert answer.status_code == 200


@wiring(
    NAME,
    "`webhook_route()` without `webhook_secret`",
    "refused at startup, else at the first request",
    is_right=False,
)
def test_route_of_webhooks_without_a_secret_is_refused(sidecar: LocalSidecar) -> None:
    app = Starlette(routes=[webhook_route()], middleware=[guard(sidecar)])
    with pytest.raises(ConfigurationError, match="webhook_secret"), TestClient(app):
        pass
