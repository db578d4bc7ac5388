"""Rules for the paths of an API: they know the user whom its views authenticate."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.test import AsyncClient
from django.urls import include, path
from rest_framework import viewsets
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from sidecar_client.local import LocalSidecar
from stigg_guard_django import guard_exempt, guarded_path, is_staff
from stigg_guard_django.drf import meters_usage, requires_feature
from stigg_guard_django.routes import routes_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.drf_site import Api, Tokens, api, client

RULES = [{"path": "/api/*", "feature": DOMAIN}]


class Domains(Api):
    def get(self, request: Request) -> Response:
        return Response("domains")

    @requires_feature(DOMAIN)
    @meters_usage(TEMPLATES)
    def post(self, request: Request) -> Response:
        return Response(status=201)


class Set(viewsets.ViewSet):
    authentication_classes = (Tokens,)

    def get_authenticators(self) -> Any:
        assert self.action_map["get"] == "list"
        return super().get_authenticators()

    def list(self, request: Request) -> Response:
        return Response(self.action)


SETS: Any = Set
VIEWS = {"api/domains/": Domains.as_view(), "api/set/": SETS.as_view({"get": "list"})}


def test_rule_knows_the_apis_user(sidecar: LocalSidecar) -> None:
    with api(VIEWS, target=sidecar.target, rules=RULES):
        for path in ("/api/domains/", "/api/set/"):
            assert client(WITHIN).get(path).status_code == 200
            denied = client(AT_LIMIT).get(path)
            assert denied.status_code == 402
            assert denied.headers["Content-Type"] == "application/problem+json"


def test_rule_leaves_nobody_and_wrong_credentials_apart(sidecar: LocalSidecar) -> None:
    with api(VIEWS, target=sidecar.target, rules=RULES):
        assert client().get("/api/domains/").json()["reason"] == "NO_CUSTOMER"
        wrong = client("wrong").get("/api/domains/")
    assert wrong.status_code == 401
    assert wrong.json() == {"detail": "No such token."}
    assert wrong.headers["WWW-Authenticate"] == "Token"
    assert not sidecar.calls


def test_rule_and_decorators_ask_once(sidecar: LocalSidecar) -> None:
    with api(VIEWS, target=sidecar.target, rules=RULES):
        assert client(WITHIN).post("/api/domains/").status_code == 201
    assert sidecar.calls["GetEntitlement"] == 2  # of two features
    assert used(sidecar, WITHIN) == 4


@pytest.mark.parametrize(("token", "status"), [(WITHIN, 200), (AT_LIMIT, 402)])
async def test_rule_knows_the_apis_user_under_asgi(
    sidecar: LocalSidecar, token: str, status: int
) -> None:
    headers: Any = {"authorization": f"Token {token}"}
    with api(VIEWS, target=sidecar.target, rules=RULES):
        response = await AsyncClient().get("/api/domains/", headers=headers)
        wrong: Any = {"authorization": "Token wrong"}
        refused = await AsyncClient().get("/api/domains/", headers=wrong)
    assert response.status_code == status
    assert refused.status_code == 401


def test_guarded_route_knows_the_apis_user(sidecar: LocalSidecar) -> None:
    @guard_exempt
    @api_view(["GET"])
    def status(request: Request) -> Response:
        return Response("up")

    included = [path("up/", status), *(path(p, view) for p, view in VIEWS.items())]

    class Urls:
        urlpatterns: ClassVar[list[Any]] = [
            guarded_path("v1/", include(included), feature=DOMAIN)
        ]

    with api({}, urls=Urls, target=sidecar.target):
        for where in ("/v1/api/domains/", "/v1/api/set/"):
            assert client(WITHIN).get(where).status_code == 200
            assert client(AT_LIMIT).get(where).status_code == 402
        assert client("wrong").get("/v1/api/domains/").status_code == 401
        assert client().get("/v1/up/").json() == "up"
        assert client(WITHIN).post("/v1/api/domains/").status_code == 201
        rows = {row.path: row.requirements for row in routes_of()}
    assert used(sidecar, WITHIN) == 4
    assert rows["/v1/api/set/"] == (DOMAIN,)
    assert f"{TEMPLATES} (meters 1)" in rows["/v1/api/domains/"]


def test_staff_that_only_the_api_knows_is_exempt(sidecar: LocalSidecar) -> None:
    settings: dict[str, Any] = {"rules": RULES, "exempt_when": is_staff}
    with api(VIEWS, target=sidecar.target, **settings):
        assert client(AT_LIMIT).get("/api/domains/").status_code == 402
        calls = sidecar.calls.copy()
        assert client(f"staff:{AT_LIMIT}").get("/api/domains/").status_code == 200
        assert client(f"staff:{AT_LIMIT}").post("/api/domains/").status_code == 201
        assert sidecar.calls == calls
