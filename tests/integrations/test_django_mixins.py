"""Class-based views of Django, guarded and metered by their attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.utils.translation import gettext_lazy, override
from django.views import View
from django.views.generic import FormView, TemplateView

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    ConfigurationError,
    Decision,
    Subject,
    feature,
    specs_of,
)
from stigg_guard_django import (
    MetersUsageMixin,
    RequiresFeatureMixin,
    meters_usage,
    requires_feature,
)
from stigg_guard_django.paths import Needs
from tests.behaviour.routes import (
    ANALYTICS,
    AT_LIMIT,
    DOMAIN,
    FILE_SIZE,
    TEMPLATES,
    WITHIN,
)
from tests.behaviour.usage import used
from tests.integrations.django_site import configure, project

configure()

# Their modules need settings when they are imported.
from django.contrib.auth.mixins import (  # noqa: E402
    LoginRequiredMixin,
    PermissionRequiredMixin,
)
from rest_framework.views import APIView  # noqa: E402


def may() -> Client:
    """The client of a customer who has what the tests ask for."""
    return Client(headers={"X-Customer": WITHIN})


def may_not() -> Client:
    """The client of a customer who has not."""
    return Client(headers={"X-Customer": AT_LIMIT})


class Plain(View):
    def get(self, request: HttpRequest, **_: object) -> HttpResponseBase:
        return HttpResponse("got")

    def post(self, request: HttpRequest, **_: object) -> HttpResponseBase:
        return HttpResponse("posted", status=201)


class Domains(RequiresFeatureMixin, Plain):
    feature = DOMAIN


class AsyncDomains(RequiresFeatureMixin, View):
    feature = DOMAIN

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("got")


class Creates(MetersUsageMixin, Plain):
    meters = TEMPLATES
    metered_methods = ("POST",)


class AsyncCreates(MetersUsageMixin, View):
    meters = TEMPLATES

    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=201)


def statuses(sidecar: LocalSidecar, view: type[View], **options: Any) -> list[int]:
    """What GET and POST answer to a customer who has less than the other."""
    with project({"x/": view.as_view(**options)}, target=sidecar.target):
        return [may_not().get("/x/").status_code, may_not().post("/x/").status_code]


def test_class_runs_only_for_customers_who_have_its_feature(
    sidecar: LocalSidecar,
) -> None:
    with project({"x/": Domains.as_view()}, target=sidecar.target):
        assert may().get("/x/").content == b"got"
        assert may().post("/x/").content == b"posted"
    assert statuses(sidecar, Domains) == [402, 402]


async def test_async_class_runs_only_for_customers_who_have_its_feature(
    sidecar: LocalSidecar,
) -> None:
    client = AsyncClient()
    with project({"x/": AsyncDomains.as_view()}, target=sidecar.target):
        may = await client.get("/x/", headers={"X-Customer": WITHIN})
        may_not = await client.get("/x/", headers={"X-Customer": AT_LIMIT})
        unknown = await client.put("/x/", headers={"X-Customer": WITHIN})
    assert [r.status_code for r in (may, may_not, unknown)] == [200, 402, 405]


def test_async_class_runs_under_wsgi(sidecar: LocalSidecar) -> None:
    with project({"x/": AsyncDomains.as_view()}, target=sidecar.target):
        assert may().get("/x/").content == b"got"
        assert may_not().get("/x/").status_code == 402


def test_view_called_without_the_middleware_raises_its_denial(
    sidecar: LocalSidecar,
) -> None:
    with project(target=sidecar.target):
        request = RequestFactory().get("/", headers={"X-Customer": AT_LIMIT})
        with pytest.raises(AccessDenied):
            Domains.as_view()(request)


class ByMethod(RequiresFeatureMixin, Plain):
    feature = DOMAIN
    feature_by_method: Mapping[str, Needs | None] = {"GET": None, "post": ANALYTICS}

    def put(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("put")


def test_feature_by_method_is_in_place_of_the_classs(sidecar: LocalSidecar) -> None:
    with project({"x/": ByMethod.as_view()}, target=sidecar.target):
        assert may_not().get("/x/").status_code == 200
        assert may_not().head("/x/").status_code == 200
        assert may_not().post("/x/").json()["feature_id"] == ANALYTICS
        assert may_not().put("/x/").json()["feature_id"] == DOMAIN


class GuardedGet(RequiresFeatureMixin, Plain):
    feature_by_method = {"GET": DOMAIN}  # noqa: RUF012


def test_what_a_get_needs_is_needed_of_head(sidecar: LocalSidecar) -> None:
    with project({"x/": GuardedGet.as_view()}, target=sidecar.target):
        assert may_not().head("/x/").status_code == 402
        assert may_not().post("/x/").status_code == 201


class Large(RequiresFeatureMixin, Plain):
    feature = FILE_SIZE
    at_least = 25


class Two(RequiresFeatureMixin, Plain):
    feature = (feature(FILE_SIZE, at_least=5), ANALYTICS)


@pytest.mark.parametrize("view", [Large, Two])
def test_attributes_are_the_words_of_the_decorator(
    view: type[View], sidecar: LocalSidecar
) -> None:
    assert statuses(sidecar, view) == [402, 402]


def test_as_view_takes_attributes_too(sidecar: LocalSidecar) -> None:
    answers = statuses(sidecar, Domains, feature=FILE_SIZE, at_least=5)
    assert answers == [200, 201]
    assert statuses(sidecar, Domains) == [402, 402]
    view = Domains.as_view(message="Domains are for big plans.", feature=DOMAIN)
    with project({"x/": view}, target=sidecar.target):
        assert may_not().get("/x/").json()["detail"] == "Domains are for big plans."


def test_view_tells_what_its_class_needs() -> None:
    assert [spec.need for spec in specs_of(Domains.as_view())] == [feature(DOMAIN)]


def always_within(request: HttpRequest) -> str:
    return WITHIN


def is_get(request: HttpRequest) -> bool:
    return request.method == "GET"


def a_method(self: View) -> str | None:
    return None


def test_functions_of_the_request_are_no_methods(sidecar: LocalSidecar) -> None:
    class Impersonated(Domains):
        customer = staticmethod(always_within)

    class Exempt(Domains):
        exempt_when = staticmethod(is_get)

    assert statuses(sidecar, Impersonated) == [200, 201]
    assert statuses(sidecar, Exempt) == [200, 402]


class Translated(Domains):
    message = gettext_lazy("Yes")


def test_message_is_translated_for_who_reads_it(sidecar: LocalSidecar) -> None:
    with project({"x/": Translated.as_view()}, target=sidecar.target):
        assert may_not().get("/x/").json()["detail"] == "Yes"
        with override("de"):
            assert may_not().get("/x/").json()["detail"] == "Ja"


class Acting(Domains):
    """Asks for the customer in the URL, and says so itself when it may not."""

    def get_customer(self) -> Subject | str | None:
        found = self.request.GET.get("as")
        return Subject(found) if found else super().get_customer()  # type: ignore[return-value]

    def is_exempt(self) -> bool:
        return "free" in self.request.GET

    def handle_denied(self, decision: Decision) -> HttpResponse:
        return HttpResponse(f"not {decision.requirement.name}", status=409)


def test_hooks_know_the_view_and_its_request(sidecar: LocalSidecar) -> None:
    with project({"x/": Acting.as_view()}, target=sidecar.target):
        assert may_not().get(f"/x/?as={WITHIN}").status_code == 200
        assert may_not().get("/x/?free=1").status_code == 200
        answer = may_not().get("/x/")
    assert (answer.status_code, answer.content) == (409, f"not {DOMAIN}".encode())


class AsyncHooks(AsyncDomains):
    async def get_customer(self) -> Subject | str | None:
        return self.request.GET.get("as")

    async def handle_denied(self, decision: Decision) -> HttpResponseBase:
        response = super().handle_denied(decision)
        assert not isinstance(response, HttpResponseBase)
        found = await response
        found.headers["X-Own"] = "yes"
        return found


async def test_hooks_of_an_async_view_may_be_async(sidecar: LocalSidecar) -> None:
    with project({"x/": AsyncHooks.as_view()}, target=sidecar.target):
        may = await AsyncClient().get(f"/x/?as={WITHIN}")
        may_not = await AsyncClient().get(f"/x/?as={AT_LIMIT}")
    assert (may.status_code, may_not.status_code) == (200, 402)
    assert may_not.headers["X-Own"] == "yes"


class ByKind(RequiresFeatureMixin, Plain):
    def get_requirement(self) -> Needs | None:
        kind = self.kwargs["kind"]
        return None if kind == "free" else {"big": ANALYTICS}.get(kind, DOMAIN)


def test_requirement_may_depend_on_the_url(sidecar: LocalSidecar) -> None:
    with project({"<kind>/": ByKind.as_view()}, target=sidecar.target):
        assert may_not().get("/free/").status_code == 200
        assert may_not().get("/big/").json()["feature_id"] == ANALYTICS
        assert may_not().get("/small/").json()["feature_id"] == DOMAIN


def test_login_is_asked_for_before_the_feature(sidecar: LocalSidecar) -> None:
    class Members(LoginRequiredMixin, RequiresFeatureMixin, Plain):
        feature = DOMAIN

    with project(
        {"x/": Members.as_view()},
        target=sidecar.target,
        middleware=(
            "django.contrib.sessions.middleware.SessionMiddleware",
            "tests.integrations.test_django_mixins.Anonymous",
            "stigg_guard_django.StiggGuardMiddleware",
        ),
    ):
        answer = may_not().get("/x/")
    assert (answer.status_code, answer.headers["Location"]) == (
        302,
        "/accounts/login/?next=/x/",
    )


class Anonymous:
    """A middleware after which nobody is logged in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()
        return self.get_response(request)


def test_usage_of_the_methods_that_are_named_is_reported(
    sidecar: LocalSidecar,
) -> None:
    with project({"x/": Creates.as_view()}, target=sidecar.target):
        assert may().get("/x/").status_code == 200
        assert used(sidecar, WITHIN) == 3
        assert may().post("/x/").status_code == 201
        assert used(sidecar, WITHIN) == 4
        assert may_not().post("/x/").status_code == 402
        assert may_not().get("/x/").status_code == 200


async def test_async_class_reports_its_usage(sidecar: LocalSidecar) -> None:
    with project({"x/": AsyncCreates.as_view()}, target=sidecar.target):
        answer = await AsyncClient().post("/x/", headers={"X-Customer": WITHIN})
    assert answer.status_code == 201
    assert used(sidecar, WITHIN) == 4


async def test_async_class_that_is_called_without_the_middleware_settles_itself(
    sidecar: LocalSidecar,
) -> None:
    request = AsyncRequestFactory().post("/", headers={"X-Customer": WITHIN})
    with project(target=sidecar.target):
        found: Any = AsyncCreates.as_view()(request)
        assert (await found).status_code == 201
    assert used(sidecar, WITHIN) == 4


class Counted(Creates):
    def get_value(self) -> float:
        return float(self.request.GET["count"])


def test_units_may_depend_on_the_request(sidecar: LocalSidecar) -> None:
    with project({"x/": Counted.as_view()}, target=sidecar.target):
        assert may().post("/x/?count=4").status_code == 402
        assert may().post("/x/?count=3").status_code == 201
    assert used(sidecar, WITHIN) == 6


class Both(RequiresFeatureMixin, MetersUsageMixin, Plain):
    feature = DOMAIN
    meters = TEMPLATES
    metered_methods = ("POST",)


def test_both_mixins_stand_on_one_class(sidecar: LocalSidecar) -> None:
    with project({"x/": Both.as_view()}, target=sidecar.target):
        assert may().get("/x/").status_code == 200
        assert may().post("/x/").status_code == 201
        assert may_not().get("/x/").json()["feature_id"] == DOMAIN
    assert used(sidecar, WITHIN) == 4


def test_decorated_methods_and_mixins_add_up(sidecar: LocalSidecar) -> None:
    class Mixed(RequiresFeatureMixin, Plain):
        feature = FILE_SIZE

        @requires_feature(DOMAIN)
        def get(self, request: HttpRequest, **_: object) -> HttpResponseBase:
            return HttpResponse("got")

        @meters_usage(TEMPLATES)
        def post(self, request: HttpRequest, **_: object) -> HttpResponseBase:
            return HttpResponse(status=201)

    assert statuses(sidecar, Mixed) == [402, 402]
    with project({"x/": Mixed.as_view()}, target=sidecar.target):
        assert [may().get("/x/").status_code, may().post("/x/").status_code] == [
            200,
            201,
        ]
    assert used(sidecar, WITHIN) == 4


class NameForm(forms.Form):
    name = forms.CharField()


class CreateForm(MetersUsageMixin, FormView):  # type: ignore[type-arg]
    meters = TEMPLATES
    form_class = NameForm
    template_name = "page.html"
    success_url = "/done/"


class FormThatSaysItself(CreateForm):
    def form_invalid(self, form: NameForm) -> HttpResponse:
        return HttpResponse("no name", status=200)

    def form_valid(self, form: NameForm) -> HttpResponse:
        return HttpResponse("done", status=200)


@pytest.mark.parametrize("view", [CreateForm, FormThatSaysItself])
def test_form_is_metered_when_it_was_sent_and_valid(
    view: type[CreateForm], sidecar: LocalSidecar
) -> None:
    with project({"x/": view.as_view()}, target=sidecar.target):
        assert may().get("/x/").status_code == 200
        assert may().post("/x/").status_code == 200
        assert used(sidecar, WITHIN) == 3
        assert may().post("/x/", {"name": "a"}).status_code < 400
        assert used(sidecar, WITHIN) == 4
        assert may_not().get("/x/").status_code == 200
        assert may_not().post("/x/", {"name": "a"}).status_code == 402


def test_total_is_not_set_by_a_form_that_is_invalid(sidecar: LocalSidecar) -> None:
    view = CreateForm.as_view(update="set", value=5)
    with project({"x/": view}, target=sidecar.target):
        may().post("/x/")
        assert used(sidecar, WITHIN) == 3
        may().post("/x/", {"name": "a"})
        assert used(sidecar, WITHIN) == 5


def made(*bases: type, **attributes: object) -> type[Any]:
    return type("Reports", bases, attributes)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"feature": ""}, "Reports: the feature id is"),
    ({"feature": DOMAIN, "usage": -1}, "Reports: usage is -1"),
    ({"feature": DOMAIN, "customer": "nowhere.at_all"}, "Reports: customer is"),
    ({"feature": DOMAIN, "on_denied": 200}, "Reports: on_denied is 200"),
    ({"feature": DOMAIN, "shadow": "yes"}, "Reports: shadow is 'yes'"),
    ({"feature": DOMAIN, "message": " "}, "Reports: message is ' '"),
    ({"feature": 7}, r"Reports: feature\(\) was given 7; use ids or feature"),
    ({"usage": 2}, "usage is 2, but feature is None; give the feature's id"),
    (
        {"feature": feature(DOMAIN), "at_least": 2},
        r'at_least is 2, .* feature = feature\("feature-01", at_least=...\)',
    ),
    (
        {"feature": [DOMAIN], "fallback": True},
        "fallback is True, but feature is .*; write it there",
    ),
    ({"feature_by_method": [DOMAIN]}, "feature_by_method is .* use a mapping"),
    ({"feature_by_method": {"FETCH": DOMAIN}}, "methods contains 'FETCH'"),
    (
        {"feature": DOMAIN, "customer": a_method},
        r"customer is a method .* Name a method of the view get_customer\(\)",
    ),
    (
        {"feature": DOMAIN, "values": property(a_method)},
        "values is a method or property.* Give it another name",
    ),
]


@pytest.mark.parametrize(("attributes", "message"), WRONG)
def test_wrong_attributes_are_refused_when_the_class_is_made(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        made(RequiresFeatureMixin, Plain, **attributes)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"meters": TEMPLATES, "update": "sum"}, "Reports: update is"),
        ({"meters": TEMPLATES, "value": "2"}, "Reports: value is"),
        ({"meters": TEMPLATES, "metered_methods": "POST"}, r'give a list.*\["POST"\]'),
        ({"event": ""}, "Reports: event is ''"),
    ],
)
def test_wrong_attributes_of_a_meter_are_refused_when_the_class_is_made(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        made(MetersUsageMixin, Plain, **attributes)


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        (
            (RequiresFeatureMixin, LoginRequiredMixin, View),
            r"left of LoginRequiredMixin, .*"
            r"class Reports\(LoginRequiredMixin, RequiresFeatureMixin, \.\.\.\)",
        ),
        (
            (MetersUsageMixin, PermissionRequiredMixin, TemplateView),
            "MetersUsageMixin stands left of PermissionRequiredMixin",
        ),
        (
            (View, RequiresFeatureMixin),
            r"never be asked; write class Reports\(RequiresFeatureMixin, View\)",
        ),
        ((RequiresFeatureMixin, APIView), "use stigg_guard_django.drf"),
    ],
)
def test_wrong_place_is_refused_when_the_class_is_made(
    bases: tuple[type, ...], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        made(*bases, feature=DOMAIN)


@pytest.mark.parametrize(
    ("bases", "attributes", "message"),
    [
        ((RequiresFeatureMixin, Plain), {}, "Reports .* names no feature; give it"),
        ((MetersUsageMixin, Plain), {}, "Reports .* names nothing to meter; give it"),
        (
            (RequiresFeatureMixin, Plain),
            {"feature_by_method": {"PATCH": DOMAIN}},
            r"Reports.feature_by_method names PATCH, but the view has no patch\(\)",
        ),
    ],
)
def test_class_that_guards_nothing_makes_no_view(
    bases: tuple[type, ...], attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        made(*bases, **attributes).as_view()


def test_base_class_may_leave_the_feature_to_those_that_inherit() -> None:
    base = made(RequiresFeatureMixin, Plain, shadow=True)
    view = made(base, feature=DOMAIN).as_view()
    assert [spec.shadow for spec in specs_of(view)] == [True]
