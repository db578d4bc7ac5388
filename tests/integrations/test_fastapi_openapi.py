"""The OpenAPI document of a guarded FastAPI application: denials, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Annotated, Any, TypeVar

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Depends,
    FastAPI,
    Header,
    Request,
    Security,
)
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS31Validator
from openapi_schema_validator import validate as validate_value
from openapi_spec_validator import validate
from pydantic import BaseModel
from starlette.middleware import Middleware

from sidecar_client.local import LocalSidecar
from stigg_guard import AsyncGuard, Decision, Reason, Usage
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_exempt,
    meters_usage,
    requires_feature,
)
from stigg_guard_starlette.fastapi import (
    GuardedRoute,
    document_denials,
    meters,
    requires,
    requires_any,
)
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES
from tests.integrations.fastapi_site import AS_AT_LIMIT, site

View = TypeVar("View", bound=Callable[..., Any])

REF = {"$ref": "#/components/schemas/AccessDeniedProblem"}
DENIALS = ["402", "403", "503"]


class Template(BaseModel):
    name: str


class Named:
    """An endpoint that is an object."""

    async def __call__(self, template: Template, q: int = 0) -> Template:
        """Create it by an object."""
        return template


def named() -> Any:
    """What FastAPI itself makes of such an object, but for annotations as strings."""
    named = Named()
    named.__signature__ = signature(Named().__call__, eval_str=True)  # type: ignore[attr-defined]
    return named


def who(x_name: Annotated[str, Header()] = "nobody") -> str:
    return x_name


def application(*, is_guarded: bool, **settings: Any) -> FastAPI:
    """Endpoints of many shapes, with and without what guards them."""

    def feature(view: View) -> View:
        return requires_feature(DOMAIN)(view) if is_guarded else view

    def metered(view: View) -> View:
        return meters_usage(TEMPLATES)(view) if is_guarded else view

    needs = [Depends(requires(DOMAIN))] if is_guarded else []
    rules: list[Any] = [
        {"path": "/reports/*", "methods": ["GET"], "feature": DOMAIN},
        {"path": "/files/secret", "feature": DOMAIN},  # one of many
    ]
    guard = Middleware(
        StiggGuardMiddleware, rules=rules if is_guarded else [], **settings
    )
    app = FastAPI(title="Templates", middleware=[guard])

    @app.post("/templates/{number}", tags=["templates"], status_code=201)
    @metered
    async def create(
        number: int,
        template: Template,
        background: BackgroundTasks,
        name: Annotated[str, Depends(who)],
        user: Annotated[HTTPBasicCredentials, Security(HTTPBasic())],
        q: str | None = None,
    ) -> Template:
        """Create a template."""
        return template

    @app.get("/own-request", deprecated=True)
    @feature
    def own_request(request: Request, q: int = 0) -> dict[str, str]:
        return {}

    @app.get("/nothing")
    @feature
    async def nothing() -> list[Template]:
        return []

    @app.get("/none")
    @feature
    async def none() -> None: ...

    @app.get("/free")
    def free(q: int = 0) -> None: ...

    app.post("/objects")(feature(Named() if is_guarded else named()))
    app.get("/partial")(feature(partial(free, q=1)))

    inner, outer = APIRouter(tags=["inner"]), APIRouter(dependencies=needs)

    @inner.get("/{name}")
    def by_router(name: str) -> str:
        return name

    @inner.api_route("/both", methods=["GET", "DELETE"], include_in_schema=False)
    def hidden() -> None: ...

    outer.include_router(inner, prefix="/inner")
    app.include_router(outer, prefix="/outer")

    @app.get("/reports/{year}")
    def report(year: int) -> None: ...

    @app.put("/reports/{year}")
    def change_report(year: int) -> None: ...

    @app.get("/files/{name}")
    def file(name: str) -> None: ...

    @app.get("/reports/free/one")
    @guard_exempt
    def exempt() -> None: ...

    return app


def without_denials(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the responses that `document_denials` added."""
    document = copy.deepcopy(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status in DENIALS:
                operation["responses"].pop(status, None)
    document["components"]["schemas"].pop("AccessDeniedProblem", None)
    return document


def documented(app: FastAPI) -> dict[str, list[str]]:
    """The statuses of denials of each operation."""
    document = app.openapi()
    validate(document)
    return {
        f"{method.upper()} {path}": [
            status for status in operation["responses"] if status[0] in "45"
        ]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def test_document_of_a_guarded_application_differs_in_the_denials_only() -> None:
    app, plain = application(is_guarded=True), application(is_guarded=False)
    document_denials(app)
    document = app.openapi()
    validate(document)
    assert document != plain.openapi()
    assert without_denials(document) == plain.openapi()


def test_document_tells_the_denials_of_each_guarded_operation() -> None:
    app = application(is_guarded=True)
    document_denials(app)
    invalid = ["422"]
    assert documented(app) == {
        "POST /templates/{number}": invalid + DENIALS,
        "GET /own-request": invalid + DENIALS,
        "GET /nothing": DENIALS,
        "GET /none": DENIALS,
        "GET /free": invalid,
        "POST /objects": invalid + DENIALS,
        "GET /partial": invalid + DENIALS,
        "GET /outer/inner/{name}": invalid + DENIALS,
        "GET /reports/{year}": invalid + DENIALS,
        "PUT /reports/{year}": invalid,
        "GET /files/{name}": invalid + DENIALS,
        "GET /reports/free/one": [],
    }
    denied = app.openapi()["paths"]["/nothing"]["get"]["responses"]
    assert denied["402"]["content"] == {"application/problem+json": {"schema": REF}}
    assert "Retry-After" in denied["503"]["headers"]


def test_document_of_an_application_without_guards_stays_as_it_is() -> None:
    app, plain = application(is_guarded=False), application(is_guarded=False)
    document_denials(app)
    assert app.openapi() == plain.openapi()


def test_what_is_documented_already_stays() -> None:
    app = FastAPI()

    @app.get("/", responses={402: {"description": "Pay first."}})
    @requires_feature(DOMAIN)
    def view() -> None: ...

    document_denials(app)
    document_denials(app)
    assert app.openapi()["paths"]["/"]["get"]["responses"]["402"] == {
        "description": "Pay first."
    }
    assert documented(app) == {"GET /": DENIALS}


def test_routes_that_come_later_are_documented_too() -> None:
    app = FastAPI()
    document_denials(app)
    app.get("/one")(requires_feature(DOMAIN)(who))
    assert documented(app)["GET /one"] == ["422", *DENIALS]


@pytest.mark.parametrize("kind", ["settings", "given guard"])
def test_settings_of_the_middleware_are_told(kind: str) -> None:
    settings: dict[str, Any] = {
        "no_customer": "unauthorized",
        "statuses": {Reason.CUSTOMER_IS_ARCHIVED: 410},
        "features": {DOMAIN: {"STATUSES": {Reason.REVOKED: 451}}},
    }
    app = FastAPI()
    options: dict[str, Any] = settings
    if kind == "given guard":
        options = {"guard": AsyncGuard(**settings)}
    app.add_middleware(StiggGuardMiddleware, **options)
    app.get("/")(requires_feature(DOMAIN)(lambda: None))
    app.get("/other")(requires_feature(TEMPLATES)(lambda: None))
    document_denials(app)
    assert documented(app) == {
        "GET /": ["401", "402", "403", "410", "451", "503"],
        "GET /other": ["401", "402", "403", "410", "503"],
    }


@pytest.mark.parametrize(
    ("on_denied", "expected"),
    [
        (404, ["404"]),
        ({Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION: 404}, [*DENIALS, "404"]),
        ("/plans/", DENIALS),
        ("upgrade.html", DENIALS),
    ],
)
def test_what_a_view_answers_in_place_is_told(
    on_denied: Any, expected: list[str]
) -> None:
    app = FastAPI()
    app.get("/")(requires_feature(DOMAIN, on_denied=on_denied)(lambda: None))
    document_denials(app)
    assert documented(app) == {"GET /": sorted(expected)}


def test_own_answer_is_described_without_a_schema_that_it_may_not_have() -> None:
    def answer(request: Request, decision: Decision) -> None: ...

    app = FastAPI()
    app.get("/")(requires_feature(DOMAIN, on_denied=answer)(lambda: None))
    document_denials(app)
    assert documented(app) == {"GET /": DENIALS}
    response = app.openapi()["paths"]["/"]["get"]["responses"]["402"]
    assert list(response) == ["description"]


def test_guard_that_lets_everybody_through_documents_no_denial() -> None:
    app = FastAPI()
    app.get("/")(requires_feature(DOMAIN, shadow=True)(lambda: None))
    document_denials(app)
    assert documented(app) == {"GET /": []}


@pytest.mark.parametrize("place", ["router", "guarded router", "application"])
def test_guarded_route_documents_its_own_denials(place: str) -> None:
    needs = [Depends(requires_any(DOMAIN))] if place == "guarded router" else None
    app = FastAPI()
    app.router.route_class = GuardedRoute
    router = APIRouter(route_class=GuardedRoute, dependencies=needs)
    add_to = app.router if place == "application" else router

    @add_to.get("/decorated")
    @requires_feature(DOMAIN)
    def decorated() -> None: ...

    @add_to.get("/depending", responses={402: {"description": "Pay."}})
    def depending(usage: Annotated[Usage, Depends(meters(TEMPLATES))]) -> None: ...

    @add_to.get("/free")
    def free() -> None: ...

    app.include_router(router)
    assert documented(app) == {
        "GET /decorated": DENIALS,
        "GET /depending": DENIALS,
        "GET /free": DENIALS if needs else [],
    }
    said = app.openapi()["paths"]["/depending"]["get"]["responses"]
    assert said["402"] == {"description": "Pay."}
    schema = said["403"]["content"]["application/problem+json"]["schema"]
    assert schema["title"] == "AccessDeniedProblem"


def test_denial_is_what_its_schema_says(sidecar: LocalSidecar) -> None:
    app = site(sidecar, upgrade_url="/plans")
    app.post("/")(meters_usage(TEMPLATES)(lambda: None))
    document_denials(app)
    with TestClient(app) as client:
        problem = client.post("/", headers=AS_AT_LIMIT).json()
        document = client.get("/openapi.json").json()
    schema = document["components"]["schemas"]["AccessDeniedProblem"]
    validate_value(problem, schema, cls=OAS31Validator)
    assert set(problem) <= set(schema["properties"])
    assert AT_LIMIT not in str(problem)
