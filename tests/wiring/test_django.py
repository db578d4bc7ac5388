"""Where a guard may stand in Django, and what happens in each wrong place."""

# Django's parts need settings when they are imported.
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django import forms
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from django.views.generic import FormView

from sidecar_client.local import LocalSidecar
from stigg_guard_django import (
    MetersUsageMixin,
    RequiresFeatureMixin,
    guard_exempt,
    guarded_path,
    meters_usage,
    requires_feature,
    webhook_view,
)
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import configure, project
from tests.wiring.rows import wiring

configure()

from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
NAME = "Django"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def aplain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


class Plain(View):
    def get(self, request: HttpRequest) -> HttpResponseBase:
        return HttpResponse("got")

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return HttpResponse("posted")


def statuses(
    sidecar: LocalSidecar, view: Callable[..., Any], method: str = "GET", **guard: Any
) -> tuple[int, int]:
    """What a customer gets who may, and then one who may not."""
    with project({"x/": view}, target=sidecar.target, **guard):
        return of_both(method)


def of_both(method: str = "GET", url: str = "/x/") -> tuple[int, int]:
    may, may_not = (
        Client().generic(method, url, headers={"X-Customer": customer}).status_code
        for customer in (WITHIN, AT_LIMIT)
    )
    return may, may_not


async def astatuses(sidecar: LocalSidecar, view: Callable[..., Any]) -> tuple[int, int]:
    """The same under ASGI."""
    with project({"x/": view}, target=sidecar.target):
        may, may_not = [
            (await AsyncClient().get("/x/", headers={"X-Customer": who})).status_code
            for who in (WITHIN, AT_LIMIT)
        ]
    return may, may_not


def ids(views: dict[str, Callable[..., Any]], **options: Any) -> dict[str, str]:
    """What the system checks say, by id: the message and its cure."""
    with project(views, **options):
        return {
            str(found.id): f"{found.msg} {found.hint}"
            for found in run_checks()
            if str(found.id).startswith("stigg_guard.")
        }


@wiring(NAME, "on a view function, sync or async", "guarded, under WSGI and ASGI")
@pytest.mark.parametrize("view", [plain, aplain])
async def test_on_a_function(view: Callable[..., Any], sidecar: LocalSidecar) -> None:
    guarded = requires_feature(DOMAIN)(view)
    assert await astatuses(sidecar, guarded) == (200, 402)
    assert await sync_to_async(statuses)(sidecar, guarded) == (200, 402)


@wiring(NAME, "on a `partial` of a view", "guarded")
def test_on_a_partial(sidecar: LocalSidecar) -> None:
    guarded = requires_feature(DOMAIN)(partial(plain))
    assert statuses(sidecar, guarded) == (200, 402)


@wiring(NAME, "on a method of a class, also a static one", "that method is guarded")
def test_on_a_method(sidecar: LocalSidecar) -> None:
    class Reports(Plain):
        @requires_feature(DOMAIN)
        def get(self, request: HttpRequest) -> HttpResponseBase:
            return HttpResponse("got")

    class Static(View):
        @requires_feature(DOMAIN)
        @staticmethod
        def get(request: HttpRequest) -> HttpResponseBase:
            return HttpResponse("got")

        @staticmethod
        @requires_feature(DOMAIN)
        def post(request: HttpRequest) -> HttpResponseBase:
            return HttpResponse("posted")

    assert statuses(sidecar, Reports.as_view()) == (200, 402)
    assert statuses(sidecar, Reports.as_view(), "POST") == (200, 200)
    assert statuses(sidecar, Static.as_view()) == (200, 402)
    assert statuses(sidecar, Static.as_view(), "POST") == (200, 402)


@wiring(
    NAME,
    '`@method_decorator(requires_feature(...), name="dispatch")`',
    "every method is guarded; with the name of a method, that one",
)
@pytest.mark.parametrize(("name", "posted"), [("dispatch", 402), ("get", 200)])
def test_in_method_decorator(name: str, posted: int, sidecar: LocalSidecar) -> None:
    decorate: Any = method_decorator(requires_feature(DOMAIN), name=name)
    view = decorate(type("Reports", (Plain,), {})).as_view()
    assert statuses(sidecar, view) == (200, 402)
    assert statuses(sidecar, view, "POST") == (200, posted)


class NameForm(forms.Form):
    name = forms.CharField()


@wiring(NAME, "on `form_valid` of a form view", "metered when the form is valid")
def test_on_form_valid(sidecar: LocalSidecar) -> None:
    class Create(FormView):  # type: ignore[type-arg]
        form_class = NameForm
        template_name = "page.html"

        @meters_usage(TEMPLATES)
        def form_valid(self, form: NameForm) -> HttpResponse:
            return HttpResponse("done")

    with project({"x/": Create.as_view()}, target=sidecar.target):
        for data in ({}, {"name": "a"}):
            Client(headers={"X-Customer": WITHIN}).post("/x/", data)
        limited = Client(headers={"X-Customer": AT_LIMIT})
        assert limited.post("/x/", {"name": "a"}).status_code == 402
    assert used(sidecar, WITHIN) == 4


@wiring(NAME, "`RequiresFeatureMixin`, `MetersUsageMixin` left of the view", "guarded")
def test_mixins(sidecar: LocalSidecar) -> None:
    class Reports(RequiresFeatureMixin, MetersUsageMixin, Plain):
        feature = DOMAIN
        meters = TEMPLATES
        metered_methods = ("POST",)

    assert statuses(sidecar, Reports.as_view()) == (200, 402)
    assert statuses(sidecar, Reports.as_view(), "POST") == (200, 402)
    assert used(sidecar, WITHIN) == 4


@wiring(NAME, "`guarded_path` in a URLconf", "guarded; with `include()`, all below")
def test_guarded_path(sidecar: LocalSidecar) -> None:
    class Urls:
        urlpatterns: ClassVar = [
            guarded_path("x/", plain, feature=DOMAIN),
            guarded_path("all/", include([path("x/", plain)]), feature=DOMAIN),
        ]

    with project(target=sidecar.target), override_settings(ROOT_URLCONF=Urls):
        assert of_both() == (200, 402)
        assert of_both(url="/all/x/") == (200, 402)


@wiring(NAME, "a rule for a path, a name or a namespace", "guarded")
@pytest.mark.parametrize(
    "where", [{"path": "/in/x/"}, {"name": "in:x"}, {"namespace": "in"}]
)
def test_rule(where: dict[str, str], sidecar: LocalSidecar) -> None:
    class Urls:
        urlpatterns: ClassVar = [
            path("in/", include(([path("x/", plain, name="x")], "in")))
        ]

    rules = [{**where, "feature": DOMAIN}]
    with (
        project(target=sidecar.target, rules=rules),
        override_settings(ROOT_URLCONF=Urls),
    ):
        assert of_both(url="/in/x/") == (200, 402)
        assert of_both("HEAD", "/in/x/") == (200, 402)


@wiring(NAME, "below `@login_required`", "the login is asked for first")
def test_below_login_required(sidecar: LocalSidecar) -> None:
    view = login_required(requires_feature(DOMAIN)(plain))
    options: dict[str, Any] = {"middleware": _with_users()}
    assert statuses(sidecar, view, **options) == (302, 302)


@wiring(NAME, "below or above `@csrf_exempt`, `@require_POST`", "both hold")
@pytest.mark.parametrize("other", [csrf_exempt, require_POST])
def test_with_other_decorators(
    other: Callable[..., Any], sidecar: LocalSidecar
) -> None:
    middleware = ("django.middleware.csrf.CsrfViewMiddleware", *_guard())
    for view in (
        other(requires_feature(DOMAIN)(csrf_exempt(plain))),
        requires_feature(DOMAIN)(other(csrf_exempt(plain))),
    ):
        options: dict[str, Any] = {"middleware": middleware}
        assert statuses(sidecar, view, "POST", **options) == (200, 402)


@wiring(
    NAME,
    "above `@cache_page`",
    "each request is asked, and the answer is cached here alone",
)
def test_above_cache_page(sidecar: LocalSidecar) -> None:
    calls: list[str] = []

    def counted(request: HttpRequest) -> HttpResponse:
        calls.append(request.path)
        return HttpResponse("counted")

    with override_settings(CACHES=_cache("above")):
        view = requires_feature(DOMAIN)(cache_page(60)(counted))
        assert statuses(sidecar, view) == (200, 402)
        with project({"x/": view}, target=sidecar.target):
            answer = Client(headers={"X-Customer": WITHIN}).get("/x/")
    assert calls == ["/x/"]
    assert answer.headers["Cache-Control"] == "max-age=60, private"


@wiring(NAME, "`@guard_exempt` on a view", "free of rules and of `guarded_path` above")
def test_exempt(sidecar: LocalSidecar) -> None:
    rules = [{"path": "/x/", "feature": DOMAIN}]
    assert statuses(sidecar, guard_exempt(plain), rules=rules) == (200, 200)
    assert statuses(sidecar, plain, rules=rules) == (200, 402)


@wiring(
    NAME,
    "below `@cache_page`",
    "each request is asked and none is cached; with a `CACHE_CONTROL` that is not"
    " private, `stigg_guard.E006`: write `@cache_page` below the guard",
    is_right=False,
)
def test_below_cache_page(sidecar: LocalSidecar) -> None:
    view = cache_page(60)(requires_feature(DOMAIN)(plain))
    with override_settings(CACHES=_cache("below")):
        assert statuses(sidecar, view) == (200, 402)
        assert statuses(sidecar, view) == (200, 402)
    found = ids({"x/": view}, cache_control="max-age=60")
    assert "Write @cache_page below" in found["stigg_guard.E006"]


@wiring(
    NAME,
    "above `@login_required`",
    "`stigg_guard.W003`: write `@login_required` above the guard",
    is_right=False,
)
def test_above_login_required() -> None:
    view = requires_feature(DOMAIN)(login_required(plain))
    found = ids({"x/": view}, middleware=_with_users())
    assert "Write @login_required above" in found["stigg_guard.W003"]


@wiring(
    NAME,
    "on a class",
    "`TypeError`: write `class Reports(RequiresFeatureMixin, ...)`",
    is_right=False,
)
def test_on_a_class() -> None:
    with pytest.raises(TypeError, match=r"class Plain\(RequiresFeatureMixin, \.\.\."):
        requires_feature(DOMAIN)(Plain)


@wiring(
    NAME,
    "on what `include()` returns",
    "`TypeError`: write `guarded_path(route, include(...))`",
    is_right=False,
)
def test_on_an_include() -> None:
    included: Any = include([path("x/", plain)])
    with pytest.raises(TypeError, match=r"guarded_path\(route, include\("):
        requires_feature(DOMAIN)(included)


@wiring(
    NAME,
    "without its parentheses: `@requires_feature`",
    '`TypeError`: write `@requires_feature("feature-id")`',
    is_right=False,
)
def test_without_parentheses() -> None:
    view: Any = plain
    with pytest.raises(TypeError, match=r'write @requires_feature\("feature-id"\)'):
        requires_feature(view)


@wiring(
    NAME,
    "a mixin left of `LoginRequiredMixin`, or right of the view",
    "`TypeError` when the class is made, with the right order",
    is_right=False,
)
@pytest.mark.parametrize(
    ("bases", "right"),
    [
        (
            (RequiresFeatureMixin, LoginRequiredMixin, View),
            r"class Reports\(LoginRequiredMixin, RequiresFeatureMixin, ",
        ),
        ((View, RequiresFeatureMixin), r"class Reports\(RequiresFeatureMixin, View\)"),
    ],
)
def test_mixin_in_the_wrong_order(bases: tuple[type, ...], right: str) -> None:
    with pytest.raises(TypeError, match=right):
        type("Reports", bases, {"feature": ANALYTICS})


@wiring(
    NAME,
    "a mixin that names nothing",
    "`ConfigurationError` when the URLconf is read",
    is_right=False,
)
def test_mixin_that_names_nothing() -> None:
    reports: Any = type("Reports", (RequiresFeatureMixin, Plain), {})
    with pytest.raises(Exception, match="names no feature; give it feature"):
        reports.as_view()


@wiring(
    NAME,
    "guards without `StiggGuardMiddleware`",
    "`stigg_guard.E003`, and denials end as server errors that say so",
    is_right=False,
)
def test_without_the_middleware() -> None:
    found = ids({"x/": requires_feature(DOMAIN)(plain)}, middleware=())
    assert "StiggGuardMiddleware" in found["stigg_guard.E003"]


@wiring(
    NAME,
    "the middleware above `AuthenticationMiddleware`",
    "`stigg_guard.E004`: move it below",
    is_right=False,
)
def test_middleware_above_authentication() -> None:
    middleware = (*_guard(), *_with_users())
    found = ids({"x/": requires_feature(DOMAIN)(plain)}, middleware=middleware)
    assert "below AuthenticationMiddleware" in found["stigg_guard.E004"]


def _guard() -> tuple[str, ...]:
    return ("stigg_guard_django.StiggGuardMiddleware",)


def _with_users() -> tuple[str, ...]:
    sessions = "django.contrib.sessions.middleware.SessionMiddleware"
    return (sessions, AUTHENTICATION, *_guard())


def _cache(name: str) -> dict[str, Any]:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    return {"default": {"BACKEND": backend, "LOCATION": name}}


@wiring(
    NAME,
    '`path("webhooks/stigg/", webhook_view)`',
    "receives webhooks; exempt from rules, CSRF protection and"
    " `LoginRequiredMiddleware`",
)
def test_receiver_of_webhooks_is_nobodys_page() -> None:
    rule = {"path": "/hooks/", "feature": DOMAIN}
    views = {"hooks/": webhook_view}
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    middleware = (csrf, "stigg_guard_django.StiggGuardMiddleware")
    with project(views, middleware=middleware, webhook_secret="s", rules=[rule]):
        client = Client(enforce_csrf_checks=True)
        sent = {"Stigg-Webhooks-Secret": "s"}
        answer = client.post("/hooks/", '{"type": "x"}', "text/json", headers=sent)
        assert answer.status_code == 200
        assert not errors()


@wiring(
    NAME,
    "`webhook_view` without `WEBHOOK_SECRET`",
    "`stigg_guard.E008`, and every webhook fails",
    is_right=False,
)
def test_receiver_of_webhooks_without_a_secret_is_told_of() -> None:
    with project({"hooks/": webhook_view}):
        assert errors() == ["stigg_guard.E008"]


def errors() -> list[str | None]:
    found = run_checks(tags=["stigg_guard"])
    return [message.id for message in found if message.is_serious()]
