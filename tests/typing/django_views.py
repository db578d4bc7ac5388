"""Guarded Django views keep their types: only type checkers read this file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import assert_type

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver, include, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy
from django.views import View
from django.views.generic import TemplateView

from stigg_guard import Decision, Entitlements, Subject, feature
from stigg_guard_django import (
    MetersUsageMixin,
    RequestEntitlements,
    RequiresFeatureMixin,
    StiggRequest,
    decision_from,
    entitlements_from,
    guard_exempt,
    guarded_path,
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
    usage_from,
)
from stigg_guard_django.paths import Needs


@requires_feature("feature-03-custom-domain")
def domains(request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


@meters_usage("feature-01-templates", value=2, message=gettext_lazy("Six are free."))
async def create(request: HttpRequest, number: int) -> HttpResponse:
    usage_from(request).value = 1
    assert_type(decision_from(request), Decision | None)
    return HttpResponse()


@requires_any("feature-03-custom-domain", feature("feature-06-max-file-size"))
@requires_all("feature-04-analytics")
@guard_exempt
def stacked(request: HttpRequest, *, name: str = "") -> HttpResponse:
    return HttpResponse()


assert_type(domains(HttpRequest()), JsonResponse)
assert_type(stacked(HttpRequest(), name="x"), HttpResponse)


class Methods(View):
    @requires_feature("feature-04-analytics", on_denied="/pricing/")
    def get(self, request: HttpRequest, number: int) -> JsonResponse:
        return JsonResponse({})


assert_type(Methods().get(HttpRequest(), 7), JsonResponse)


@method_decorator(requires_feature("feature-04-analytics"), name="dispatch")
class Whole(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


assert_type(Whole().get(HttpRequest()), HttpResponse)


def customer_of(request: HttpRequest) -> Subject | None:
    return None


class Reports(LoginRequiredMixin, RequiresFeatureMixin, TemplateView):
    feature = "feature-04-analytics"
    customer = staticmethod(customer_of)
    message = gettext_lazy("Reports are in Essentials.")
    shadow = True

    def get_requirement(self) -> Needs | None:
        return super().get_requirement() if self.kwargs else None

    def get_resource(self) -> str | None:
        return None

    def is_exempt(self) -> bool:
        return self.request.user.is_authenticated

    def handle_denied(self, decision: Decision) -> HttpResponse:
        return HttpResponse(decision.requirement.name, status=402)


class Both(RequiresFeatureMixin, MetersUsageMixin, View):
    feature = (feature("feature-06-max-file-size", at_least=5), "feature-04-analytics")
    meters = "feature-01-templates"
    metered_methods = ("POST",)
    when = (200, 201)

    async def get_customer(self) -> str | None:
        return "customer"

    def get_value(self) -> float:
        return 2

    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


assert_type(Reports.as_view(feature="other"), Callable[..., HttpResponse])
assert_type(
    RequiresFeatureMixin().get_customer(),
    Subject | str | Awaitable[Subject | str | None] | None,
)

urlpatterns = [
    path("domains/", domains),
    guarded_path("reports/", Reports.as_view(), {}, "reports", feature="feature-04"),
    guarded_path("all/", include("shop.urls"), requires=["feature-04", feature("x")]),
    guarded_path("one/", domains, meters="feature-01", message=gettext_lazy("Full.")),
]
assert_type(urlpatterns, list[URLPattern | URLResolver])


def editor(request: StiggRequest) -> HttpResponse:
    assert_type(request.stigg, RequestEntitlements)
    assert_type(request.stigg.has("feature-03-custom-domain"), bool)
    assert_type(request.stigg.remaining("feature-01-templates"), float)
    assert_type(request.stigg.entitlements, Entitlements)
    return HttpResponse()


async def aeditor(request: StiggRequest) -> HttpResponse:
    assert_type(await create(request, 7), HttpResponse)
    assert_type(await Both().get_customer(), str | None)
    assert_type(await Both().post(request), HttpResponse)
    assert_type(await request.stigg.ahas("feature-03-custom-domain"), bool)
    assert_type(await entitlements_from(request).avalue("feature-06"), float)
    return HttpResponse()
