"""Guarded views of APIs keep their types; mypy and pyright check this file."""

from __future__ import annotations

from typing import Any, assert_type

from ninja import NinjaAPI, Schema
from rest_framework import viewsets
from rest_framework.decorators import action, api_view
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stigg_guard_django import ninja, usage_from
from stigg_guard_django.drf import (
    APIAccessDenied,
    GuardedViewSetMixin,
    MeteringThrottle,
    RequiresFeature,
    meters,
    meters_usage,
    requires,
    requires_feature,
)

HasDomain = requires("feature-03-custom-domain")
assert_type(HasDomain, type[RequiresFeature])
assert_type(requires("feature-06-max-file-size", at_least=25), type[RequiresFeature])
assert_type(HasDomain.of_object(lambda site: str(site.pk)), type[RequiresFeature])
assert_type(meters("feature-01-templates", on_denied=429), type[MeteringThrottle])


@requires_feature("feature-03-custom-domain", message="Ask sales.")
def function(request: Request, number: int) -> Response:
    return Response(number)


def call(request: Request) -> None:
    assert_type(function(request, 7), Response)


view = api_view(["GET"])(function)


def copies(request: Request) -> int:
    return len(request.data)


class View(APIView):
    permission_classes = (IsAuthenticated & (HasDomain | IsAdminUser),)
    throttle_classes = (meters("feature-01-templates"),)

    @meters_usage("feature-01-templates", value=copies)
    def post(self, request: Request, number: int) -> Response:
        usage_from(request).value = 3
        return Response(number)


def method(request: Request) -> None:
    assert_type(View().post(request, 7), Response)


class Set(GuardedViewSetMixin, viewsets.ViewSet):
    stigg_requirements = {  # noqa: RUF012  # as a reader writes it
        "create": meters("feature-01-templates"),
        "publish": [requires("feature-03-custom-domain"), meters("feature-01-x")],
    }

    def create(self, request: Request) -> Response:
        return Response()

    @action(detail=True)
    @requires_feature("feature-03-custom-domain")
    def publish(self, request: Request, pk: str) -> Response:
        return Response(pk)


def denied(error: APIAccessDenied) -> None:
    assert_type(error.get_codes(), str)
    assert_type(error.decision.allowed, bool)


api = NinjaAPI()
ninja.answer_denials(api)


class Template(Schema):
    name: str


@api.post("/templates/{number}")
@ninja.meters_usage("feature-01-templates")
async def operation(request: Any, number: int, template: Template) -> Template:
    return template


async def call_operation(request: Any) -> None:
    found = await operation(request, 7, Template(name="one"))
    assert_type(found, Template)
