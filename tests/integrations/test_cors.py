"""CORS outermost, as it should be: browsers of other origins can read denials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from fastapi import FastAPI
from flask import Flask, request
from flask_cors import CORS
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import stigg_guard_django
import stigg_guard_flask
import stigg_guard_starlette
from sidecar_client.local import LocalSidecar
from stigg_guard.asgi import Receive, Scope, Send
from stigg_guard.asgi import StiggGuardMiddleware as AsgiMiddleware
from tests.integrations.django_site import GUARD, configure, project

configure()

DOMAIN = "feature-03-custom-domain"
AT_LIMIT = "customer-demo-02"
ORIGIN = "https://app.example"

Ask = Callable[[str, Mapping[str, str]], tuple[int, Mapping[str, str]]]
"""Method and headers to status and headers."""


def starlette_customer(connection: HTTPConnection) -> str | None:
    return connection.headers.get("x-customer")


def over_asgi(app: Any) -> Ask:
    def ask(method: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        found = TestClient(app).request(method, "/domain", headers=dict(headers))
        return found.status_code, found.headers

    return ask


def django_site(sidecar: LocalSidecar) -> Ask:
    @stigg_guard_django.requires_feature(DOMAIN)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")

    def ask(method: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        middleware = ("corsheaders.middleware.CorsMiddleware", GUARD)
        site = project({"domain": view}, middleware=middleware, target=sidecar.target)
        with site, override_settings(CORS_ALLOWED_ORIGINS=[ORIGIN]):
            found: Any = Client().generic(method, "/domain", headers=dict(headers))
        return found.status_code, found.headers

    return ask


def flask_site(sidecar: LocalSidecar) -> Ask:
    app = Flask(__name__)
    stigg_guard_flask.StiggGuard(
        app,
        target=sidecar.target,
        timeout=5,
        customer=lambda: request.headers.get("X-Customer"),
    )
    CORS(app, origins=[ORIGIN, "https://other.example"])

    @app.get("/domain")
    @stigg_guard_flask.requires_feature(DOMAIN)
    def domain() -> str:
        return "domains"

    def ask(method: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        found = app.test_client().open("/domain", method=method, headers=dict(headers))
        names = {name for name, _ in found.headers}
        joined = {name: ", ".join(found.headers.getlist(name)) for name in names}
        return found.status_code, joined

    return ask


def starlette_site(sidecar: LocalSidecar) -> Ask:
    @stigg_guard_starlette.requires_feature(DOMAIN)
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("domains")

    guard = Middleware(
        stigg_guard_starlette.StiggGuardMiddleware,
        target=sidecar.target,
        timeout=5,
        customer=starlette_customer,
    )
    cors = Middleware(CORSMiddleware, allow_origins=[ORIGIN])
    return over_asgi(
        Starlette(routes=[Route("/domain", view)], middleware=[cors, guard])
    )


def fastapi_site(sidecar: LocalSidecar) -> Ask:
    app = FastAPI()

    @app.get("/domain")
    @stigg_guard_starlette.requires_feature(DOMAIN)
    async def domain() -> str:
        return "domains"

    app.add_middleware(
        stigg_guard_starlette.StiggGuardMiddleware,
        target=sidecar.target,
        timeout=5,
        customer=starlette_customer,
    )
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])
    return over_asgi(app)


def asgi_site(sidecar: LocalSidecar) -> Ask:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("domains")(scope, receive, send)

    def customer_of(scope: Mapping[str, Any]) -> str:
        return str(dict(scope["headers"])[b"x-customer"], "latin-1")

    guarded = AsgiMiddleware(
        app,
        rules=[{"path": "/domain", "feature": DOMAIN}],
        target=sidecar.target,
        timeout=5,
        customer=customer_of,
    )
    return over_asgi(CORSMiddleware(guarded, allow_origins=[ORIGIN]))


SITES = [django_site, flask_site, starlette_site, fastapi_site, asgi_site]


@pytest.mark.parametrize("site", SITES)
def test_denial_can_be_read_by_the_origin_that_may(
    sidecar: LocalSidecar, site: Callable[[LocalSidecar], Ask]
) -> None:
    status, headers = site(sidecar)("GET", {"Origin": ORIGIN, "X-Customer": AT_LIMIT})
    assert status == 402
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Cache-Control"] == "no-store"
    varies = {name.strip().lower() for name in headers["Vary"].split(",")}
    assert {"accept", "origin"} <= varies


@pytest.mark.parametrize("site", SITES)
def test_preflight_is_answered_by_cors_without_a_customer(
    sidecar: LocalSidecar, site: Callable[[LocalSidecar], Ask]
) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    status, headers = site(sidecar)("OPTIONS", asked)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert not sidecar.calls
