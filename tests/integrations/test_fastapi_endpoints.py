"""FastAPI: dependencies, decorators without a request, OpenAPI, order, overrides."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Request,
    WebSocket,
)
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.testclient import WebSocketDenialResponse

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied
from stigg_guard_starlette import (
    guard_exempt,
    meters_usage,
    requires_any,
    requires_feature,
)
from stigg_guard_starlette.fastapi import meters, requires
from tests.behaviour.routes import DOMAIN, TEMPLATES, UNKNOWN, WITHIN
from tests.behaviour.usage import used
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, site, statuses

FASTAPI = tuple(int(part) for part in version("fastapi").split(".")[:2])


class Template(BaseModel):
    name: str


class Caller:
    """Somebody known from a header."""

    def __init__(self, name: str) -> None:
        self.name = name


def caller(x_name: Annotated[str, Header()] = "nobody") -> Caller:
    return Caller(x_name)


def bare(view: Any) -> Any:
    """The decorator that does nothing."""
    return view


def documented(guard: Callable[[Any], Any]) -> dict[str, Any]:
    """The OpenAPI document of an application with endpoints of all shapes."""
    app = FastAPI()

    @app.post("/templates/{number}")
    @guard
    async def create(
        number: int,
        template: Template,
        background: BackgroundTasks,
        who: Annotated[Caller, Depends(caller)],
        q: str | None = None,
    ) -> Template:
        """Create a template."""
        return template

    @app.get("/own-request")
    @guard
    def own_request(request: Request, q: int = 0) -> dict[str, str]:
        return {}

    @app.get("/nothing")
    @guard
    async def nothing() -> list[Template]:
        return []

    return app.openapi()


@pytest.mark.parametrize(
    "guard", [requires_feature(DOMAIN), meters_usage(TEMPLATES), requires_any(DOMAIN)]
)
def test_openapi_document_is_that_of_the_unguarded_endpoints(
    guard: Callable[[Any], Any],
) -> None:
    assert documented(guard) == documented(bare)


def test_openapi_document_knows_nothing_of_dependencies_that_guard() -> None:
    def document(*dependencies: Any) -> dict[str, Any]:
        app = FastAPI(dependencies=list(dependencies))

        @app.get("/")
        def view() -> dict[str, str]:
            return {}

        return app.openapi()

    guards = Depends(requires(DOMAIN)), Depends(meters(TEMPLATES))
    assert document(*guards) == document()


def test_endpoint_of_a_fastapi_application_keeps_what_it_is() -> None:
    @requires_feature(DOMAIN)
    def create(template: Template, *, count: int = 1, **more: Any) -> Template:
        return template

    signature = inspect.signature(create)
    names = [name for name in signature.parameters if not name.endswith("__")]
    assert names == ["template", "count", "more"]
    assert signature.parameters["template"].annotation is Template
    assert signature.return_annotation is Template
    assert not inspect.iscoroutinefunction(create)


def test_endpoint_gets_its_parameters_and_the_request_is_guarded(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)

    @app.post("/templates/{number}")
    @meters_usage(TEMPLATES)
    async def create(
        number: int, template: Template, who: Annotated[Caller, Depends(caller)]
    ) -> dict[str, Any]:
        return {"number": number, "name": template.name, "who": who.name}

    with TestClient(app) as client:
        response = client.post(
            "/templates/7", headers={**AS_WITHIN, "X-Name": "ada"}, json={"name": "x"}
        )
        assert response.json() == {"number": 7, "name": "x", "who": "ada"}
        denied = client.post("/templates/7", headers=AS_AT_LIMIT, json={"name": "x"})
        assert denied.status_code == 402
    assert used(sidecar, WITHIN) == 4


def test_endpoint_with_a_request_of_its_own_gets_it(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.get("/")
    @requires_feature(DOMAIN)
    def view(request: Request, q: int = 1) -> dict[str, Any]:
        return {"path": request.url.path, "q": q}

    @app.get("/only")
    @requires_feature(DOMAIN)
    async def only(request: Request) -> dict[str, Any]:
        return {"path": request.url.path}

    with TestClient(app) as client:
        assert client.get("/?q=2", headers=AS_WITHIN).json() == {"path": "/", "q": 2}
        assert client.get("/only", headers=AS_WITHIN).json() == {"path": "/only"}
    assert statuses(app, "GET", "/") == (200, 402)
    assert statuses(app, "GET", "/only") == (200, 402)


class Asynchronous:
    """An endpoint that is an object."""

    async def __call__(self, template: Template, q: int = 0) -> dict[str, Any]:
        return {"name": template.name, "q": q}


class Synchronous:
    """An endpoint that is an object and blocks."""

    def __call__(self, template: Template, q: int = 0) -> dict[str, Any]:
        return {"name": template.name, "q": q}


@pytest.mark.parametrize("endpoint", [Asynchronous(), Synchronous()])
def test_object_that_is_called_is_guarded(sidecar: LocalSidecar, endpoint: Any) -> None:
    app = site(sidecar)
    app.post("/")(meters_usage(TEMPLATES)(endpoint))
    with TestClient(app) as client:
        response = client.post("/?q=2", headers=AS_WITHIN, json={"name": "a"})
        assert response.json() == {"name": "a", "q": 2}
        assert client.post("/", headers=AS_AT_LIMIT).status_code == 402
    assert app.router.routes[-1].name == type(endpoint).__name__  # type: ignore[attr-defined]
    assert used(sidecar, WITHIN) == 4


class Service:
    """Endpoints that are methods."""

    @requires_feature(DOMAIN)
    async def domains(self, q: int = 0) -> dict[str, int]:
        return {"q": q}


def test_bound_method_is_guarded(sidecar: LocalSidecar) -> None:
    app = site(sidecar)
    app.get("/")(Service().domains)
    assert statuses(app, "GET", "/?q=3") == (200, 402)


def test_payment_is_asked_for_before_the_body_is_judged(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.post("/decorated")
    @meters_usage(TEMPLATES)
    async def decorated(template: Template) -> None: ...

    @app.post("/depending", dependencies=[Depends(meters(TEMPLATES))])
    async def depending(template: Template) -> None: ...

    for path in ("/decorated", "/depending"):
        assert statuses(app, "POST", path, json={"wrong": 1}) == (422, 402)
    assert used(sidecar, WITHIN) == 3


@pytest.mark.parametrize("place", ["route", "router", "application", "included"])
def test_dependency_guards_what_it_stands_on(sidecar: LocalSidecar, place: str) -> None:
    guards = [Depends(requires(DOMAIN))]
    app = site(sidecar)
    if place == "application":
        app.router.dependencies.extend(guards)
    router = APIRouter(dependencies=guards if place == "router" else None)

    @router.get("/domains", dependencies=guards if place == "route" else None)
    def domains() -> dict[str, str]:
        return {}

    app.include_router(
        router, prefix="/api", dependencies=guards if place == "included" else None
    )
    assert statuses(app, "GET", "/api/domains") == (200, 402)


def test_dependency_meters_after_success_only(sidecar: LocalSidecar) -> None:
    app = site(sidecar)
    guards = [Depends(meters(TEMPLATES, value=2))]

    @app.post("/created", dependencies=guards)
    def created() -> dict[str, str]:
        return {}

    @app.post("/missing", dependencies=guards)
    def missing() -> dict[str, str]:
        raise HTTPException(404)

    @app.post("/failing", dependencies=guards)
    async def failing() -> dict[str, str]:
        raise LookupError("nothing there")

    @app.exception_handler(LookupError)
    async def answer(request: Request, error: LookupError) -> JSONResponse:
        return JSONResponse({"error": "nothing there"})

    with TestClient(app, headers=AS_WITHIN) as client:
        assert client.post("/missing").status_code == 404
        assert client.post("/failing").status_code == 200
        assert used(sidecar, WITHIN) == 3
        assert client.post("/created").status_code == 200
    assert used(sidecar, WITHIN) == 5


def test_answer_that_breaks_the_response_model_is_not_metered(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)

    @app.post("/", response_model=Template)
    @meters_usage(TEMPLATES)
    async def create() -> dict[str, str]:
        return {"no": "name"}

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/", headers=AS_WITHIN).status_code == 500
    assert used(sidecar, WITHIN) == 3


def test_dependency_is_overridden_as_others_are(sidecar: LocalSidecar) -> None:
    needs_domain = requires(DOMAIN)
    app = site(sidecar)

    @app.get("/", dependencies=[Depends(needs_domain)])
    def view() -> dict[str, str]:
        return {}

    assert statuses(app, "GET", "/") == (200, 402)
    app.dependency_overrides[needs_domain] = lambda: None
    assert statuses(app, "GET", "/") == (200, 200)


def test_overridden_dependency_of_a_guarded_endpoint_is_used(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)

    @app.get("/")
    @requires_feature(DOMAIN)
    async def view(who: Annotated[Caller, Depends(caller)]) -> str:
        return who.name

    app.dependency_overrides[caller] = lambda: Caller("double")
    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json() == "double"


def test_own_handler_of_denials_wins(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.exception_handler(AccessDenied)
    async def answer(request: Request, error: AccessDenied) -> JSONResponse:
        return JSONResponse({"detail": str(error.decision.reason)}, 402)

    @app.get("/", dependencies=[Depends(requires(DOMAIN))])
    def view() -> dict[str, str]:
        return {}

    with TestClient(app) as client:
        response = client.get("/", headers=AS_AT_LIMIT)
    assert response.json() == {"detail": "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"}


def test_mounted_application_is_guarded_by_the_middleware_around_it(
    sidecar: LocalSidecar,
) -> None:
    mounted = FastAPI()

    @mounted.get("/domains")
    @requires_feature(DOMAIN)
    async def domains() -> dict[str, str]:
        return {}

    app = site(sidecar)
    app.mount("/v1", mounted)
    assert statuses(app, "GET", "/v1/domains") == (200, 402)


def test_exemption_from_rules_is_found_in_included_routers(
    sidecar: LocalSidecar,
) -> None:
    inner, outer = APIRouter(prefix="/inner"), APIRouter(prefix="/outer")

    @inner.get("/exempt/{number}")
    @guard_exempt
    async def exempt(number: int) -> dict[str, int]:
        return {"number": number}

    @inner.get("/ruled")
    async def ruled() -> dict[str, str]:
        return {}

    outer.include_router(inner)
    app = site(sidecar, rules=[{"path": "/api/*", "feature": DOMAIN}])
    app.include_router(outer, prefix="/api")
    assert statuses(app, "GET", "/api/outer/inner/exempt/7") == (200, 200)
    assert statuses(app, "GET", "/api/outer/inner/ruled") == (200, 402)


def test_websocket_endpoint_without_a_websocket_parameter_of_its_own_name(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)

    @app.websocket("/decorated")
    @requires_feature(DOMAIN)
    async def decorated(socket: WebSocket, q: str = "") -> None:
        await socket.accept()
        await socket.send_text(q)
        await socket.close()

    @app.websocket("/depending", dependencies=[Depends(requires(DOMAIN))])
    async def depending(socket: WebSocket, q: str = "") -> None:
        await decorated.__wrapped__(socket, q)  # type: ignore[attr-defined]

    with TestClient(app) as client:
        for path in ("/decorated?q=a", "/depending?q=a"):
            with client.websocket_connect(path, headers=AS_WITHIN) as websocket:
                assert websocket.receive_text() == "a"
            with (
                pytest.raises(WebSocketDenialResponse) as denied,
                client.websocket_connect(path, headers=AS_AT_LIMIT),
            ):
                pass
            assert denied.value.status_code == 402


def test_value_is_taken_from_the_body(sidecar: LocalSidecar) -> None:
    async def count(request: Request) -> int:
        return int((await request.json())["count"])

    app = site(sidecar)

    @app.post("/")
    @meters_usage(TEMPLATES, value=count)
    async def create(count: Annotated[int, Body(embed=True)]) -> int:
        return count

    with TestClient(app, headers=AS_WITHIN) as client:
        assert client.post("/", json={"count": 2}).json() == 2
        assert client.post("/", json={"count": 2}).status_code == 402
    assert used(sidecar, WITHIN) == 5


@meters_usage(TEMPLATES)
async def numbers(count: int = 2) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@requires_feature(DOMAIN)
def numbers_from_a_thread(count: int = 2) -> Iterator[int]:
    yield from range(count)


def test_endpoint_that_yields_is_still_one_that_yields() -> None:
    assert inspect.isasyncgenfunction(numbers)
    assert inspect.isgeneratorfunction(numbers_from_a_thread)
    with pytest.raises(TypeError, match="only FastAPI runs such endpoints"):
        next(numbers_from_a_thread())


@pytest.mark.skipif(FASTAPI < (0, 134), reason="it streams what endpoints yield")
def test_endpoint_that_yields_is_streamed_and_metered(sidecar: LocalSidecar) -> None:
    app = site(sidecar)
    app.get("/numbers")(numbers)
    app.get("/threaded")(numbers_from_a_thread)
    with TestClient(app) as client:
        for path in ("/numbers", "/threaded"):
            assert client.get(path, headers=AS_WITHIN).text.split() == ["0", "1"]
            assert client.get(path, headers=AS_AT_LIMIT).status_code == 402
    assert used(sidecar, WITHIN) == 4


async def test_guarded_endpoint_that_is_called_by_other_code_is_not_run() -> None:
    @requires_feature(DOMAIN)
    async def view(q: int = 0) -> None: ...

    with pytest.raises(TypeError, match="called without a request"):
        await view()


def test_dependency_says_what_is_wrong_with_its_options() -> None:
    with pytest.raises(ValueError, match="the feature id is ''"):
        requires("")
    with pytest.raises(ValueError, match="on_denied is 200"):
        meters(TEMPLATES, on_denied=200)


def test_all_of_several_dependencies_hold_and_ask_once_each(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)
    guards = [Depends(requires(DOMAIN)), Depends(requires(UNKNOWN))]

    @app.get("/", dependencies=guards)
    @requires_feature(DOMAIN)
    def view() -> dict[str, str]:
        return {}

    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json()["feature_id"] == UNKNOWN
    assert sidecar.calls == {"GetEntitlement": 2}
