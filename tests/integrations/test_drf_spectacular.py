"""The OpenAPI document that drf-spectacular makes of a guarded API."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, TypeVar

import pytest
from django.test import override_settings
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import (
    OpenApiResponse,
    extend_schema,  # pyright: ignore[reportUnknownVariableType]  # half typed
)
from openapi_spec_validator import validate
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from sidecar_client.local import LocalSidecar
from stigg_guard import guard_exempt
from stigg_guard_django.drf import (
    GuardedViewSetMixin,
    exception_handler,
    meters,
    meters_usage,
    requires,
    requires_feature,
)
from stigg_guard_django.routes import routes_of
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.integrations.drf_site import Api, Tokens, api

T = TypeVar("T")

SCHEMA = "stigg_guard_django.spectacular.AutoSchema"


class Thing(serializers.Serializer[Any]):
    name = serializers.CharField()


def same(view: Any) -> Any:
    """What stands in for a guard in the unguarded API."""
    return view


def made(*, is_guarded: bool) -> Any:
    """The URLs of an API, with its guards or without."""

    def if_guarded(guard: T, otherwise: Any = same) -> T:
        chosen: T = guard if is_guarded else otherwise
        return chosen

    needs: dict[str, Any] = {
        "create": meters(TEMPLATES),
        "update": [requires(DOMAIN)],
    }

    class Updatable(mixins.UpdateModelMixin, viewsets.GenericViewSet[Any]):
        serializer_class = Thing

    class Things(GuardedViewSetMixin, Updatable):
        stigg_requirements = needs if is_guarded else {}

        def list(self, request: Request) -> Response:
            """All things."""
            return Response([])

        def create(self, request: Request) -> Response:
            return Response(status=201)

        @extend_schema(request=None, responses=Thing)
        @action(detail=True, methods=["post"])
        @if_guarded(requires_feature(DOMAIN))
        def publish(self, request: Request, pk: str) -> Response:
            return Response()

        @if_guarded(guard_exempt)
        @action(detail=False)
        def free(self, request: Request) -> Response:
            return Response()

    either = IsAuthenticated & (requires(DOMAIN) | IsAdminUser)

    class Permitted(APIView):
        serializer_class = Thing
        permission_classes = (if_guarded(either, IsAuthenticated),)
        throttle_classes = if_guarded((meters(TEMPLATES, on_denied=429),), ())

        def get(self, request: Request) -> Response:
            return Response()

        @extend_schema(responses={402: OpenApiResponse(description="My own.")})
        def post(self, request: Request) -> Response:
            return Response()

    @extend_schema(responses=Thing)
    @api_view(["GET"])
    @permission_classes([IsAuthenticated])
    @if_guarded(requires_feature(ANALYTICS, on_denied=404))
    @if_guarded(meters_usage(TEMPLATES, on_denied=lambda request, decision: None))
    def function(request: Request) -> Response:
        return Response()

    @extend_schema(request=None, responses=Thing)
    @api_view(["GET", "POST"])
    def ruled(request: Request, number: int) -> Response:
        return Response()

    router = SimpleRouter()
    router.register("things", Things, basename="thing")

    class Urls:
        urlpatterns: ClassVar[list[Any]] = [
            path("api/", include(router.urls)),
            path("api/permitted/", Permitted.as_view()),
            path("api/function/", function),
            path("api/ruled/<int:number>/", ruled),
        ]

    return Urls


RULES = [
    {"path": "/api/ruled/<int:number>/", "methods": ["GET"], "feature": DOMAIN},
    {"path": "/api/things/free/", "feature": DOMAIN},  # which is exempt
]


def document(*, is_guarded: bool, rules: Any = (), **framework: Any) -> Any:
    settings = {"DEFAULT_SCHEMA_CLASS": SCHEMA, **framework}
    with override_settings(REST_FRAMEWORK=settings):
        urls = made(is_guarded=is_guarded)
        with api({}, urls=urls, rules=rules):
            generator: Any = SchemaGenerator
            return generator(patterns=urls.urlpatterns).get_schema(public=True)


@pytest.fixture(scope="module")
def guarded() -> Any:
    return document(is_guarded=True, rules=RULES)


def statuses(found: Any) -> dict[str, list[str]]:
    """The error statuses of every operation."""
    return {
        f"{method} {where}": sorted(s for s in operation["responses"] if s >= "400")
        for where, operations in found["paths"].items()
        for method, operation in operations.items()
    }


def test_document_is_valid(guarded: Any) -> None:
    validate(guarded)


def test_guarded_operations_tell_of_their_denials(guarded: Any) -> None:
    denials = ["402", "403", "503"]
    assert statuses(guarded) == {
        "get /api/things/": [],
        "post /api/things/": denials,
        "put /api/things/{id}/": denials,
        "patch /api/things/{id}/": denials,
        "post /api/things/{id}/publish/": denials,
        "get /api/things/free/": [],
        "get /api/permitted/": ["402", "403", "429", "503"],
        "post /api/permitted/": ["402", "403", "429", "503"],
        "get /api/function/": ["402", "403", "404", "503"],
        "get /api/ruled/{number}/": denials,
        "post /api/ruled/{number}/": [],
    }


def test_denials_have_the_schema_of_a_problem(guarded: Any) -> None:
    response = guarded["paths"]["/api/things/"]["post"]["responses"]["402"]
    schema = {"$ref": "#/components/schemas/AccessDeniedProblem"}
    assert response["content"] == {"application/json": {"schema": schema}}
    problem = guarded["components"]["schemas"]["AccessDeniedProblem"]
    assert problem["required"] == ["type", "title", "status", "detail", "reason"]


def test_what_is_documented_by_hand_stays(guarded: Any) -> None:
    responses = guarded["paths"]["/api/permitted/"]["post"]["responses"]
    assert responses["402"]["description"] == "My own."


def test_what_somebody_else_answers_has_no_schema_of_ours(guarded: Any) -> None:
    responses = guarded["paths"]["/api/permitted/"]["get"]["responses"]
    assert "content" not in responses["429"]


def test_document_differs_from_the_unguarded_ones_in_denials_alone(
    guarded: Any,
) -> None:
    unguarded = document(is_guarded=False)
    assert guarded != unguarded
    without = deepcopy(guarded)
    for operations in without["paths"].values():
        for operation in operations.values():
            for status in ("402", "403", "404", "429", "503"):
                found = operation["responses"].get(status, {})
                if found.get("description") != "My own.":
                    operation["responses"].pop(status, None)
    del without["components"]["schemas"]["AccessDeniedProblem"]
    assert without == unguarded


def test_problem_json_is_documented_with_our_handler() -> None:
    found = document(is_guarded=True, EXCEPTION_HANDLER=exception_handler)
    validate(found)
    responses = found["paths"]["/api/things/"]["post"]["responses"]
    assert list(responses["402"]["content"]) == ["application/problem+json"]
    assert list(responses["201"]["content"]) == ["application/json"]


@pytest.mark.parametrize(("token", "is_shown"), [(WITHIN, True), (AT_LIMIT, False)])
def test_document_for_one_customer_shows_what_it_may(
    sidecar: LocalSidecar, token: str, is_shown: bool
) -> None:
    class View(Api):
        permission_classes = (requires(DOMAIN),)
        serializer_class = Thing

        def get(self, request: Request) -> Response:
            return Response()

    headers = {"authorization": f"Token {token}"}
    request = Request(APIRequestFactory().get("/", headers=headers))
    request.authenticators = [Tokens()]
    with override_settings(REST_FRAMEWORK={"DEFAULT_SCHEMA_CLASS": SCHEMA}):
        patterns = [path("view/", View.as_view())]
        with api({"view/": View.as_view()}, target=sidecar.target):
            generator: Any = SchemaGenerator
            found = generator(patterns=patterns).get_schema(request, public=False)
    assert ("/view/" in found["paths"]) is is_shown


def test_routes_tell_where_each_need_stands() -> None:
    with api({}, urls=made(is_guarded=True), rules=RULES):
        rows = {
            (row.path, row.methods): row.source for row in routes_of() if row.is_guarded
        }
    assert rows == {
        ("/api/things/", ("POST",)): "action",
        ("/api/things/(?P<pk>[^/.]+)/", ("PUT", "PATCH")): "action",
        ("/api/things/(?P<pk>[^/.]+)/publish/", ("POST",)): "decorator",
        ("/api/permitted/", ("GET", "POST")): "permission, throttle",
        ("/api/function/", ("GET",)): "decorator",
        ("/api/ruled/<int:number>/", ("GET",)): "rule 0",
    }
