"""Where a guard may stand in FastAPI, and what is said of each other place."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Decision
from stigg_guard_starlette import StiggGuardMiddleware, meters_usage, requires_feature
from stigg_guard_starlette.fastapi import meters, requires, webhook_router
from tests.behaviour.routes import DOMAIN, TEMPLATES
from tests.integrations.fastapi_site import (
    AS_AT_LIMIT,
    AS_WITHIN,
    guard_options,
    site,
    statuses,
)
from tests.wiring.rows import wiring

NAME = "FastAPI"


@wiring(NAME, "`@requires_feature` below `@app.get`", "guards that endpoint")
def test_below_the_route(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.get("/")
    @requires_feature(DOMAIN)
    def view() -> None: ...

    assert statuses(app, "GET", "/") == (200, 402)


@wiring(
    NAME,
    "`Depends(requires(...))` on a route",
    "guards it; a parameter that depends on it gets the decision",
)
def test_on_a_route(sidecar: LocalSidecar) -> None:
    app = site(sidecar)
    app.get("/", dependencies=[Depends(requires(DOMAIN))])(lambda: None)

    @app.get("/parameter")
    def view(decision: Annotated[Decision, Depends(requires(DOMAIN))]) -> bool:
        return decision.allowed

    assert statuses(app, "GET", "/") == (200, 402)
    assert statuses(app, "GET", "/parameter") == (200, 402)


@wiring(
    NAME,
    "`dependencies=` of `APIRouter`, `include_router` or `FastAPI`",
    "guards every route in it",
)
@pytest.mark.parametrize("place", ["router", "included", "application"])
def test_on_many_routes(sidecar: LocalSidecar, place: str) -> None:
    guards = [Depends(requires(DOMAIN))]
    app = FastAPI(dependencies=guards if place == "application" else None)
    app.add_middleware(StiggGuardMiddleware, **guard_options(sidecar))
    router = APIRouter(dependencies=guards if place == "router" else None)
    router.get("/")(lambda: None)
    app.include_router(
        router, prefix="/api", dependencies=guards if place == "included" else None
    )
    assert statuses(app, "GET", "/api/") == (200, 402)


@wiring(
    NAME,
    "`@requires_feature` on a dependency function",
    "guards every endpoint that depends on it",
)
def test_on_a_dependency(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN)
    def page(number: int = 1) -> int:
        return number

    app = site(sidecar)
    app.get("/", dependencies=[Depends(page)])(lambda: None)
    assert statuses(app, "GET", "/") == (200, 402)


@wiring(
    NAME,
    "either on a WebSocket endpoint",
    "the handshake is answered 402, or 403 where the server cannot send a response",
)
@pytest.mark.parametrize("path", ["/decorated", "/depending"])
def test_on_a_websocket(sidecar: LocalSidecar, path: str) -> None:
    app = site(sidecar)

    async def greet(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app.websocket("/decorated")(requires_feature(DOMAIN)(greet))
    app.websocket("/depending", dependencies=[Depends(requires(DOMAIN))])(greet)
    with TestClient(app) as client:
        with client.websocket_connect(path, headers=AS_WITHIN):
            pass
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect(path, headers=AS_AT_LIMIT),
        ):
            pass
    assert denied.value.status_code == 402


def logged(view: Any) -> Any:
    """A decorator of somebody else's."""

    @functools.wraps(view)
    def logging(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return logging


def misplaced(app: FastAPI, kind: str) -> None:
    """Add a route whose guard came too late, in one of several ways."""

    def both(view: Any) -> Any:
        return requires_feature(DOMAIN)(view)

    match kind:
        case "get":

            @requires_feature(DOMAIN)
            @app.get("/")
            def get() -> None: ...

        case "async":

            @meters_usage(TEMPLATES)
            @app.post("/", tags=["templates"])
            async def create(
                name: str = "x",
            ) -> None: ...

        case "between":

            @meters_usage(TEMPLATES)
            @app.get("/")
            @requires_feature(DOMAIN)
            def between() -> None: ...

        case "router":
            router = APIRouter()

            @requires_feature(DOMAIN)
            @router.get("/")
            def in_router() -> None: ...

            app.include_router(router, prefix="/api")
        case "own decorator":

            @both
            @app.get("/")
            def twice() -> None: ...

        case "foreign decorator":

            @requires_feature(DOMAIN)
            @logged
            @app.get("/")
            def logging() -> None: ...

        case "mounted":
            inner = FastAPI()

            @requires_feature(DOMAIN)
            @inner.get("/")
            def mounted() -> None: ...

            app.mount("/inner", inner)
        case _:

            @requires_feature(DOMAIN)
            @app.websocket("/")
            async def socket(websocket: WebSocket) -> None: ...


KINDS = [
    "get",
    "async",
    "between",
    "router",
    "own decorator",
    "foreign decorator",
    "mounted",
    "websocket",
]


@wiring(
    NAME,
    "`@requires_feature` above `@app.get`",
    "refused at startup, else at the first request: the route has the bare function",
    is_right=False,
)
@pytest.mark.parametrize("kind", KINDS)
def test_above_the_route(sidecar: LocalSidecar, kind: str) -> None:
    app = site(sidecar)
    misplaced(app, kind)
    message = r"is not guarded: @\w+ stands above .* Write @app.get\(...\) first"
    with pytest.raises(ConfigurationError, match=message), TestClient(app):
        pass
    client = TestClient(app)  # its lifespan does not run
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=message):
            client.get("/", headers=AS_WITHIN)


def test_same_function_is_served_with_and_without_a_guard(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)

    def view() -> None: ...

    paid = requires_feature(DOMAIN)(view)
    app.get("/free")(view)
    app.get("/paid")(paid)

    @requires_feature(DOMAIN)
    def decorated() -> None: ...

    app.get("/decorated")(decorated)
    assert statuses(app, "GET", "/free") == (200, 200)
    assert statuses(app, "GET", "/paid") == (200, 402)
    assert statuses(app, "GET", "/decorated") == (200, 402)


class Wrapping:
    """An object that another decorator made; nobody may refer to it weakly."""

    __slots__ = ("__wrapped__",)

    def __init__(self, view: Any) -> None:
        self.__wrapped__ = view

    def __call__(self, q: int = 0) -> int:
        found: int = self.__wrapped__(q)
        return found


def test_object_that_another_decorator_made_is_guarded(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.get("/")
    @requires_feature(DOMAIN)
    @Wrapping
    def view(q: int = 0) -> int:
        return q

    assert statuses(app, "GET", "/?q=2") == (200, 402)


@wiring(
    NAME,
    "`Depends(requires_feature(...))`",
    "refused at startup: use `Depends(requires(...))`",
    is_right=False,
)
@pytest.mark.parametrize("place", ["route", "nested", "included", "websocket"])
def test_decorator_as_a_dependency(sidecar: LocalSidecar, place: str) -> None:
    app = site(sidecar)
    wrong = Depends(requires_feature(DOMAIN))

    def nested(found: Any = wrong) -> None: ...

    match place:
        case "route":
            app.get("/", dependencies=[wrong])(lambda: None)
        case "nested":
            app.get("/", dependencies=[Depends(nested)])(lambda: None)
        case "included":
            router = APIRouter()
            router.get("/")(lambda: None)
            app.include_router(router, prefix="/api", dependencies=[wrong])
        case _:

            async def socket(websocket: WebSocket) -> None: ...

            app.websocket("/", dependencies=[wrong])(socket)
    message = r"has Depends\(requires_feature\(...\)\), but .* is a decorator"
    with pytest.raises(ConfigurationError, match=message), TestClient(app):
        pass


@wiring(
    NAME,
    "`@requires(...)` as a decorator",
    "refused when it is written: it is a dependency",
    is_right=False,
)
@pytest.mark.parametrize("dependency", [requires(DOMAIN), meters(TEMPLATES)])
def test_dependency_as_a_decorator(dependency: Any) -> None:
    app = FastAPI()
    with pytest.raises(TypeError, match="it is a dependency"):

        @dependency  # type: ignore[untyped-decorator]
        @app.get("/")
        def view() -> None: ...


@wiring(
    NAME,
    "a decorator on an `APIRouter` or `FastAPI`",
    "refused when it is written: it takes `dependencies=`",
    is_right=False,
)
@pytest.mark.parametrize("thing", [APIRouter(), FastAPI()])
def test_on_a_router(thing: Any) -> None:
    message = rf"stands on a {type(thing).__name__}.*\(dependencies=\[Depends"
    with pytest.raises(TypeError, match=message):
        requires_feature(DOMAIN)(thing)


@wiring(
    NAME,
    "a guarded endpoint without the middleware",
    "refused by every request: the error says how to add it",
    is_right=False,
)
@pytest.mark.parametrize("kind", ["decorator", "dependency"])
def test_without_the_middleware(kind: str) -> None:
    app = FastAPI()
    if kind == "decorator":
        app.get("/")(requires_feature(DOMAIN)(lambda: None))
    else:
        app.get("/", dependencies=[Depends(requires(DOMAIN))])(lambda: None)
    with (
        TestClient(app) as client,
        pytest.raises(ConfigurationError, match=r"app\.add_middleware"),
    ):
        client.get("/")


async def test_server_is_told_that_the_application_may_not_start(
    sidecar: LocalSidecar,
) -> None:
    app, sent = site(sidecar), list[Any]()
    misplaced(app, "get")

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(ConfigurationError):
        await app({"type": "lifespan", "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "get is not guarded" in sent[0]["message"]


@wiring(
    NAME,
    "`app.include_router(webhook_router())`",
    "receives webhooks; exempt from rules, and no part of the OpenAPI document",
)
def test_router_of_webhooks_is_nobodys_page(sidecar: LocalSidecar) -> None:
    rule = {"path": "/webhooks/stigg", "feature": DOMAIN}
    app = site(sidecar, webhook_secret="s", rules=[rule])
    app.include_router(webhook_router())
    with TestClient(app) as client:
        sent = {"Stigg-Webhooks-Secret": "s"}
        answer = client.post("/webhooks/stigg", json={"type": "x"}, headers=sent)
        assert answer.status_code == 200
    assert not app.openapi()["paths"]


@wiring(
    NAME,
    "`webhook_router()` without `webhook_secret`",
    "refused at startup, else at the first request",
    is_right=False,
)
def test_router_of_webhooks_without_a_secret_is_refused(sidecar: LocalSidecar) -> None:
    app = site(sidecar)
    app.include_router(webhook_router())
    with pytest.raises(ConfigurationError, match="webhook_secret"), TestClient(app):
        pass
