"""What browsers and HTMX get in Starlette: templates, redirects, fragments."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Depends, FastAPI
from jinja2 import DictLoader, Environment, TemplateNotFound
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Decision
from stigg_guard_starlette import StiggGuardMiddleware, meters_usage, requires_feature
from stigg_guard_starlette.context_processors import stigg
from stigg_guard_starlette.fastapi import requires
from tests.behaviour.routes import DOMAIN, TEMPLATES
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, guard_options

BROWSER = {**AS_AT_LIMIT, "Accept": "text/html,*/*;q=0.8"}
HTMX = {**AS_AT_LIMIT, "Accept": "*/*", "HX-Request": "true"}
BOOSTED = {**HTMX, "HX-Boosted": "true"}
API = {**AS_AT_LIMIT, "Accept": "application/json"}

UPGRADE = "{{ request.url.path }}: {{ problem.reason }} {{ decision.requirement.name }}"
OWN = {
    "upgrade.html": UPGRADE,
    "upgrade_fragment.html": "part of it: {{ feature_id }}",
    "stigg_guard/402.html": "own page: {{ title }}",
    "stigg_guard/402_fragment.html": "own part: {{ title }}",
    "stigg_guard/denied.html": "{{ status }}: {{ login_url }}, {{ next }}",
    "usage.html": "{{ current_usage }} of {{ usage_limit }}, {{ resets_at.day }}",
    "asking.html": "{{ stigg.has('feature-03-custom-domain') }}",
}


def templates(*names: str) -> Jinja2Templates:
    loader = DictLoader({name: OWN[name] for name in names})
    environment = Environment(loader=loader, autoescape=True)
    return Jinja2Templates(env=environment, context_processors=[stigg])


def client_of(sidecar: LocalSidecar, **options: Any) -> TestClient:
    """An application with one guarded endpoint, at "/" and at "/deep/"."""
    on_denied = options.pop("view", None)

    @requires_feature(DOMAIN, on_denied=on_denied)
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("seen")

    @meters_usage(TEMPLATES, on_denied=on_denied)
    async def create(request: Request) -> PlainTextResponse:
        return PlainTextResponse("created")

    routes = [Route("/", view), Route("/new", create, methods=["POST"])]
    app = Starlette(
        routes=[*routes, Mount("/deep", Starlette(routes=routes))],
        middleware=[
            Middleware(StiggGuardMiddleware, **guard_options(sidecar, **options))
        ],
    )
    return TestClient(app, follow_redirects=False)


def test_browser_gets_the_template_that_the_view_names(sidecar: LocalSidecar) -> None:
    own = templates("upgrade.html")
    with client_of(sidecar, view="upgrade.html", templates=own) as client:
        answer = client.get("/", headers=BROWSER)
        assert answer.status_code == 402
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        reason = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
        assert answer.text == f"/: {reason} {DOMAIN}"
        assert answer.headers["vary"] == "Accept, HX-Request"
        assert client.get("/deep/", headers=BROWSER).text.startswith("/deep/: ")
        assert client.get("/", headers=API).json()["reason"] == reason
        assert client.get("/", headers=AS_WITHIN).text == "seen"


def test_template_of_the_application_answers_rules_too(sidecar: LocalSidecar) -> None:
    async def view(request: Request) -> Response:
        return Response()

    guard = Middleware(
        StiggGuardMiddleware,
        **guard_options(
            sidecar,
            templates=templates("upgrade.html"),
            on_denied="upgrade.html",
            rules=[{"path": "/ruled", "feature": DOMAIN}],
        ),
    )
    app = Starlette(routes=[Route("/ruled", view)], middleware=[guard])
    with TestClient(app) as client:
        assert client.get("/ruled", headers=BROWSER).text.startswith("/ruled: ")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (BROWSER, "own page: Upgrade to continue"),
        (HTMX, "own part: Upgrade to continue"),
        (BOOSTED, "own page: Upgrade to continue"),
        ({**HTMX, "HX-Request-Type": "full"}, "own page: Upgrade to continue"),
    ],
)
def test_page_and_fragment_are_overridden_by_name(
    sidecar: LocalSidecar, headers: dict[str, str], expected: str
) -> None:
    own = templates("stigg_guard/402.html", "stigg_guard/402_fragment.html")
    with client_of(sidecar, templates=own) as client:
        assert client.get("/", headers=headers).text == expected


@pytest.mark.parametrize("has_templates", [True, False])
def test_without_own_templates_there_is_a_plain_page_and_a_plain_fragment(
    sidecar: LocalSidecar, has_templates: bool
) -> None:
    options = {"templates": templates()} if has_templates else {}
    with client_of(sidecar, upgrade_url="/plans", **options) as client:
        page = client.get("/", headers=BROWSER).text
        part = client.get("/", headers=HTMX).text
        assert page.startswith("<!doctype html>")
        assert part.startswith("<h1>Upgrade to continue</h1>")
        assert part in page
        assert '<a href="/plans">' in part
        assert client.get("/", headers=BOOSTED).text == page


def test_template_may_ask_what_the_customer_has(sidecar: LocalSidecar) -> None:
    own = templates("asking.html")
    with client_of(sidecar, view="asking.html", templates=own) as client:
        assert client.get("/", headers=BROWSER).text == "False"


def test_browser_is_sent_to_the_url_and_may_come_back(sidecar: LocalSidecar) -> None:
    with client_of(sidecar, view="/plans?from=app") as client:
        answer = client.get("/deep/?q=1", headers=BROWSER)
        assert answer.status_code == 303
        back = "/plans?from=app&next=/deep/%3Fq%3D1"
        assert answer.headers["location"] == back
        for _ in range(3):
            assert client.post("/new", headers=AS_WITHIN).status_code == 200
        posted = client.post("/new", headers={**BROWSER, **AS_WITHIN})
        assert posted.headers["location"] == "/plans?from=app"
        assert client.get("/", headers=API).status_code == 402


def test_htmx_is_told_by_its_own_header_where_to_go(sidecar: LocalSidecar) -> None:
    with client_of(sidecar, view="/plans") as client:
        answer = client.get("/", headers=HTMX)
        assert answer.status_code == 402
        assert answer.headers["hx-redirect"] == "/plans?next=/"
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("http://testserver/list?page=2", "/list%3Fpage%3D2"),
        ("http://testserver//evil.example", "/%252Fevil.example"),
        ("https://evil.example/list", None),
        ("/list", None),
        ("http://[evil.example/list", None),
    ],
)
def test_person_comes_back_to_the_page_that_htmx_asked_from(
    sidecar: LocalSidecar, page: str, back: str | None
) -> None:
    headers = {**HTMX, "HX-Current-URL": page}
    with client_of(sidecar, view="/plans") as client:
        assert client.get("/", headers=headers).headers["hx-redirect"] == (
            f"/plans?next={back or '/'}"
        )


def test_nobody_comes_back_to_another_site(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN, on_denied="/plans")
    async def any_path(request: Request) -> Response:
        return Response()

    guard = Middleware(StiggGuardMiddleware, **guard_options(sidecar))
    app = Starlette(routes=[Route("/{path:path}", any_path)], middleware=[guard])
    with TestClient(app, follow_redirects=False) as client:
        answer = client.get("http://testserver//evil.example/", headers=BROWSER)
    assert answer.headers["location"] == "/plans?next=/%252Fevil.example/"


def test_htmx_that_wants_json_gets_the_problem(sidecar: LocalSidecar) -> None:
    headers = {**HTMX, "Accept": "application/json"}
    with client_of(sidecar, view="/plans") as client:
        assert client.get("/", headers=headers).json()["status"] == 402


def test_part_of_a_template_is_found_by_its_name(sidecar: LocalSidecar) -> None:
    own = templates("upgrade.html", "upgrade_fragment.html")
    with client_of(sidecar, view="upgrade.html", templates=own) as client:
        assert client.get("/", headers=HTMX).text == f"part of it: {DOMAIN}"
    own = templates("upgrade.html")
    with client_of(sidecar, view="upgrade.html", templates=own) as client:
        assert client.get("/", headers=HTMX).text.startswith("/: ")


def test_template_shows_usage_as_people_write_it(sidecar: LocalSidecar) -> None:
    own = templates("usage.html")
    with client_of(sidecar, view="usage.html", templates=own) as client:
        answer = client.post("/new", headers=BROWSER)
    assert answer.text.startswith("6 of 6, ")


def test_page_of_all_denials_leads_to_the_login(sidecar: LocalSidecar) -> None:
    own = templates("stigg_guard/denied.html")
    options = {"no_customer": "unauthorized", "login_url": "/login?a=1"}
    with client_of(sidecar, templates=own, **options) as client:
        nobody = {"Accept": "text/html"}
        page = client.get("/deep/?q=1", headers=nobody)
        assert page.status_code == 401
        link = "/login?a=1&amp;next=/deep/%3Fq%3D1"
        assert page.text == f"401: {link}, /deep/?q=1"
        assert client.post("/new", headers=nobody).text == "401: /login?a=1, None"
        assert client.get("/", headers=BROWSER).text.startswith("402: None")


def test_template_that_extends_nothing_is_an_error(sidecar: LocalSidecar) -> None:
    broken = Environment(
        loader=DictLoader({"stigg_guard/402.html": "{% extends 'no.html' %}"}),
        autoescape=True,
    )
    with (
        client_of(sidecar, templates=Jinja2Templates(env=broken)) as client,
        pytest.raises(TemplateNotFound, match=r"no\.html"),
    ):
        client.get("/", headers=BROWSER)


@pytest.mark.parametrize("headers", [BROWSER, HTMX])
def test_nobody_goes_to_the_login_page(
    sidecar: LocalSidecar, headers: dict[str, str]
) -> None:
    nobody = {name: headers[name] for name in headers if name != "X-Customer"}
    options = {"no_customer": "login", "login_url": "/login"}
    with client_of(sidecar, **options) as client:
        answer = client.get("/", headers=nobody)
    if "HX-Request" in headers:
        assert answer.status_code == 401
        assert answer.headers["hx-redirect"] == "/login?next=/"
    else:
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=/"


def test_function_of_the_view_answers_htmx_as_others(sidecar: LocalSidecar) -> None:
    def answer(request: Request, decision: Decision) -> PlainTextResponse:
        return PlainTextResponse("own", 402)

    with client_of(sidecar, view=answer) as client:
        assert client.get("/", headers=HTMX).text == "own"


class Base(HTTPEndpoint):
    """A guarded method with a template."""

    @requires_feature(DOMAIN, on_denied="upgrade.html")
    async def get(self, request: Request) -> Response:
        return Response()


class Inherited(Base):
    """It inherits its guarded method."""


Page: Any = Inherited


@requires_feature(DOMAIN, on_denied="upgrade.html")
async def endpoint(request: Request) -> Response:
    return Response()


@pytest.mark.parametrize("kind", ["endpoint", "method", "setting", "rule", "depends"])
@pytest.mark.parametrize("has_templates", [True, False])
def test_template_that_there_is_not_stops_the_start(
    sidecar: LocalSidecar, kind: str, has_templates: bool
) -> None:
    options = guard_options(sidecar)
    if has_templates:
        options["templates"] = templates("asking.html")
    app = FastAPI()
    match kind:
        case "endpoint":
            app.add_route("/", endpoint)
        case "method":
            app.add_route("/", Page)
        case "setting":
            options["on_denied"] = "upgrade.html"
        case "rule":
            rule = {"path": "/x", "feature": DOMAIN, "on_denied": "upgrade.html"}
            options["rules"] = [rule]
        case _:
            needs = Depends(requires(DOMAIN, on_denied="upgrade.html"))
            app.get("/", dependencies=[needs])(lambda: None)
    app.add_middleware(StiggGuardMiddleware, **options)
    message = "not among the templates" if has_templates else "has no templates"
    with pytest.raises(ConfigurationError, match=message), TestClient(app):
        pass


def test_templates_that_are_none_are_refused() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    wrong: Any = "templates/"
    with pytest.raises(ConfigurationError, match=r"is 'templates/'.*Jinja2Templates"):
        StiggGuardMiddleware(app, templates=wrong)
