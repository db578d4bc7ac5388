"""How applications answer denials that no middleware sees, and whose answer wins."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi import FastAPI
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, AsyncGuard, StiggGuardError, Subject
from stigg_guard_starlette import StiggGuardMiddleware, guard_lifespan, install_handlers
from tests.behaviour.routes import AT_LIMIT, DOMAIN
from tests.integrations.fastapi_site import AS_AT_LIMIT, guard_options


@pytest.fixture
async def guard(sidecar: LocalSidecar) -> AsyncGenerator[AsyncGuard]:
    """A guard of the application's own, which no middleware knows."""
    guard = AsyncGuard(target=sidecar.target, timeout=5.0, upgrade_url="/plans")
    yield guard
    await guard.aclose()


def routes_of(guard: AsyncGuard) -> list[Any]:
    async def view(request: Request) -> PlainTextResponse:
        await guard.require(Subject(AT_LIMIT), DOMAIN)
        return PlainTextResponse("seen")

    async def socket(websocket: WebSocket) -> None:
        await guard.require(Subject(AT_LIMIT), DOMAIN)

    return [Route("/", view), WebSocketRoute("/socket", socket)]


async def own(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"own answer: {type(error).__name__}", 451)


def test_denial_is_answered_without_any_middleware(guard: AsyncGuard) -> None:
    app = Starlette(routes=routes_of(guard), lifespan=guard_lifespan(guard))
    install_handlers(app, guard=guard)
    with TestClient(app) as client:
        answer = client.get("/")
        assert answer.status_code == 402
        assert answer.json()["upgrade_url"] == "/plans"
        assert client.get("/", headers={"Accept": "text/html"}).text.startswith("<!doc")
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/socket"),
        ):
            pass
        assert denied.value.status_code == 402


def test_templates_are_used_there_too(guard: AsyncGuard) -> None:
    loader = DictLoader({"stigg_guard/402.html": "own page"})
    app = FastAPI(routes=routes_of(guard), lifespan=guard_lifespan(guard))
    environment = Environment(loader=loader, autoescape=True)
    install_handlers(app, templates=Jinja2Templates(env=environment))
    with TestClient(app) as client:
        assert client.get("/", headers={"Accept": "text/html"}).text == "own page"
        assert "upgrade_url" not in client.get("/").json()  # not asked how they look


@pytest.mark.parametrize("error", [AccessDenied, StiggGuardError])
@pytest.mark.parametrize("order", ["before", "after"])
def test_own_handler_wins(guard: AsyncGuard, order: str, error: Any) -> None:
    app = Starlette(routes=routes_of(guard), lifespan=guard_lifespan(guard))
    if order == "before":
        app.add_exception_handler(error, own)
        install_handlers(app)
    else:
        install_handlers(app)
        app.add_exception_handler(AccessDenied, own)
    with TestClient(app) as client:
        assert client.get("/").text == "own answer: AccessDenied"


@pytest.mark.parametrize("order", ["before", "after"])
def test_handler_of_what_broke_gets_no_denial(guard: AsyncGuard, order: str) -> None:
    app = Starlette(routes=routes_of(guard), lifespan=guard_lifespan(guard))
    if order == "before":
        app.add_exception_handler(Exception, own)
    install_handlers(app)
    if order == "after":
        app.add_exception_handler(Exception, own)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/").status_code == 402


@pytest.mark.parametrize("is_installed", [True, False])
def test_mounted_application_answers_what_the_middleware_around_would_see_too_late(
    guard: AsyncGuard, sidecar: LocalSidecar, is_installed: bool
) -> None:
    mounted = FastAPI(routes=routes_of(guard))
    if is_installed:
        install_handlers(mounted)
    options = guard_options(sidecar, upgrade_url="/of-the-middleware")
    app = Starlette(
        routes=[Mount("/api", mounted)],
        middleware=[Middleware(StiggGuardMiddleware, **options)],
        lifespan=guard_lifespan(guard),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/api/", headers=AS_AT_LIMIT)
    if is_installed:
        assert answer.status_code == 402
        assert answer.json()["upgrade_url"] == "/of-the-middleware"
    else:
        assert answer.status_code == 500
