"""What views see of what was decided, and requests that the application exempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

import stigg_guard_flask as flask_adapter
import stigg_guard_starlette as starlette_adapter
from sidecar_client.local import LocalSidecar
from stigg_guard import Decision, Guard, Subject, asgi, wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DOMAIN = "feature-03-custom-domain"
FILE_SIZE = "feature-06-max-file-size"
WITHIN = "customer-demo-01"
AT_LIMIT = "customer-demo-02"
RULES: list[dict[str, Any]] = [
    {"path": "/", "feature": DOMAIN, "shadow": True},
    {"path": "/", "feature": FILE_SIZE},
]

Ask = Callable[[str], str]
"""A customer to what the view says."""


def described(of: Callable[..., Decision | None], *request: Any) -> str:
    """What a view sees: all, one that is denied in shadow mode, one allowed, none."""
    names = ((), (DOMAIN,), (FILE_SIZE,), ("feature-none",))
    found = [of(*request, *name) for name in names]
    return " ".join(
        "none" if one is None else f"{one.requirement.name[8:10]}:{one.is_shadow}"
        for one in found
    )


def ask_flask(sidecar: LocalSidecar) -> Ask:
    app = Flask(__name__)
    flask_adapter.StiggGuard(
        app,
        target=sidecar.target,
        timeout=5,
        customer=lambda: flask_request.headers["X-Customer"],
    )

    @app.get("/")
    @flask_adapter.requires_feature(DOMAIN, shadow=True)
    @flask_adapter.requires_feature(FILE_SIZE)
    def view() -> str:
        return described(flask_adapter.decision_from)

    return lambda who: app.test_client().get("/", headers={"X-Customer": who}).text


def customer_of(connection: HTTPConnection) -> str:
    return connection.headers["x-customer"]


def starlette_site(sidecar: LocalSidecar, view: Any, **settings: Any) -> Ask:
    guard = Middleware(
        starlette_adapter.StiggGuardMiddleware,
        target=sidecar.target,
        timeout=5,
        customer=customer_of,
        **settings,
    )
    client = TestClient(Starlette(routes=[Route("/", view)], middleware=[guard]))
    return lambda who: client.get("/", headers={"X-Customer": who}).text


def ask_starlette(sidecar: LocalSidecar) -> Ask:
    @starlette_adapter.requires_feature(DOMAIN, shadow=True)
    @starlette_adapter.requires_feature(FILE_SIZE)
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse(described(starlette_adapter.decision_from, request))

    return starlette_site(sidecar, view)


def ask_asgi(sidecar: LocalSidecar) -> Ask:
    async def app(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        found = described(asgi.decision_from, scope)
        await PlainTextResponse(found)(scope, receive, send)

    def named(scope: Mapping[str, Any]) -> str:
        return str(dict(scope["headers"])[b"x-customer"], "latin-1")

    guarded = asgi.StiggGuardMiddleware(
        app, rules=RULES, target=sidecar.target, timeout=5, customer=named
    )
    client = TestClient(guarded)
    return lambda who: client.get("/", headers={"X-Customer": who}).text


def ask_wsgi(sidecar: LocalSidecar) -> Ask:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [described(wsgi.decision_from, environ).encode()]

    def named(environ: WSGIEnvironment) -> str:
        return str(environ["HTTP_X_CUSTOMER"])

    guarded = wsgi.StiggGuardMiddleware(
        app, rules=RULES, target=sidecar.target, timeout=5, customer=named
    )
    return lambda who: Client(guarded).get("/", headers={"X-Customer": who}).text


@pytest.mark.parametrize("site", [ask_flask, ask_starlette, ask_asgi, ask_wsgi])
def test_view_sees_each_decision_and_the_shadow_first(
    sidecar: LocalSidecar, site: Callable[[LocalSidecar], Ask]
) -> None:
    ask = site(sidecar)
    assert ask(AT_LIMIT) == "03:True 03:True 06:False none"
    allowed = ask(WITHIN)
    assert allowed.split()[1:] == ["03:False", "06:False", "none"]
    assert allowed.split()[0] in ("03:False", "06:False")


# Exemptions


async def is_from_inside(connection: HTTPConnection) -> bool:
    await asyncio.sleep(0)
    return connection.headers["x-customer"] == AT_LIMIT


@pytest.mark.parametrize("is_async", [True, False])
def test_asynchronous_exemption_holds_for_every_endpoint_of_starlette(
    sidecar: LocalSidecar, is_async: bool
) -> None:
    async def aview(request: Request) -> PlainTextResponse:
        return PlainTextResponse(described(starlette_adapter.decision_from, request))

    def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse(described(starlette_adapter.decision_from, request))

    guarded = starlette_adapter.requires_feature(DOMAIN)(aview if is_async else view)
    ask = starlette_site(sidecar, guarded, exempt_when=is_from_inside)
    assert ask(AT_LIMIT) == "none none none none"
    assert ask(WITHIN) == "03:False 03:False none none"
    assert sidecar.calls == {"GetEntitlement": 1}


@pytest.mark.parametrize("takes_request", [True, False])
def test_exemption_of_a_flask_application_takes_nothing_or_the_request(
    sidecar: LocalSidecar, takes_request: bool
) -> None:
    def of_request(request: Any) -> bool:
        return bool(request.headers["X-Customer"] == AT_LIMIT)

    def of_nothing() -> bool:
        return of_request(flask_request)

    app = Flask(__name__)
    flask_adapter.StiggGuard(
        app,
        target=sidecar.target,
        timeout=5,
        customer=lambda: flask_request.headers["X-Customer"],
        exempt_when=of_request if takes_request else of_nothing,
    )
    app.add_url_rule("/", view_func=flask_adapter.requires_feature(DOMAIN)(lambda: ""))
    found = app.test_client().get("/", headers={"X-Customer": AT_LIMIT})
    assert found.status_code == 200
    assert not sidecar.calls


def test_exemption_is_asked_once_for_a_request_with_a_rule_and_a_decorator(
    sidecar: LocalSidecar,
) -> None:
    asked: list[object] = []

    def exempt(connection: HTTPConnection) -> bool:
        asked.append(connection)
        return False

    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("seen")

    guarded = starlette_adapter.requires_feature(DOMAIN)(view)
    rules = [{"path": "/", "feature": FILE_SIZE}]
    ask = starlette_site(sidecar, guarded, exempt_when=exempt, rules=rules)
    assert ask(WITHIN) == "seen"
    assert len(asked) == 1


def test_outside_of_requests_nobody_is_exempt(sidecar: LocalSidecar) -> None:
    guard = Guard(target=sidecar.target, timeout=5, exempt_when=is_from_inside)
    with guard.metered(Subject(WITHIN), "feature-01-templates"):
        pass
    assert guard.counts["acknowledged"] == 1
    guard.close()
