"""Routes of Django that are guarded: by `guarded_path`, or by a rule on their name."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import URLPattern, URLResolver, include, path, resolve, reverse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from sidecar_client.local import LocalSidecar
from stigg_guard import currency, feature, specs_of
from stigg_guard.requirement import AnyOf
from stigg_guard_django import guard_exempt, guarded_path, guarded_re_path
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import configure, project

configure()


def may() -> Client:
    """The client of a customer who has what the tests ask for."""
    return Client(headers={"X-Customer": WITHIN})


def may_not() -> Client:
    """The client of a customer who has not."""
    return Client(headers={"X-Customer": AT_LIMIT})


def plain(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse("plain")


async def aplain(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse("plain")


@guard_exempt
def pricing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("pricing")


VIEWS: tuple[Any, ...] = (plain, aplain)


class Reports(View):
    def get(self, request: HttpRequest, number: int = 0) -> HttpResponse:
        return HttpResponse(f"report {number}")


class Nested:
    app_name = "deep"
    urlpatterns: ClassVar[list[URLPattern | URLResolver]] = [
        path("<int:number>/", Reports.as_view(), name="detail")
    ]


class Inner:
    app_name = "reports"
    urlpatterns: ClassVar[list[URLPattern | URLResolver]] = [
        path("", Reports.as_view(), name="list"),
        path("pricing/", pricing, name="pricing"),
        path("deep/", include((Nested.urlpatterns, "deep"))),
        path("unnamed/", plain),
    ]


INCLUDED = include((Inner.urlpatterns, "reports"))


class Routes:
    """A URLconf of these patterns."""

    def __init__(self, *patterns: Any) -> None:
        self.urlpatterns = list(patterns)


class Laid:
    """The project of the tests with these routes, while a test runs."""

    def __init__(self, sidecar: LocalSidecar, *patterns: Any, **guard: Any) -> None:
        self.project = project(target=sidecar.target, **guard)
        self.urls = override_settings(ROOT_URLCONF=Routes(*patterns))

    def __enter__(self) -> None:
        self.project.__enter__()
        self.urls.enable()

    def __exit__(self, *_: object) -> None:
        self.urls.disable()
        self.project.__exit__(None, None, None)


def test_guarded_path_guards_its_view(sidecar: LocalSidecar) -> None:
    route = guarded_path("reports/", plain, name="reports", feature=DOMAIN)
    with Laid(sidecar, route):
        assert reverse("reports") == "/reports/"
        assert may().get("/reports/").content == b"plain"
        assert may_not().get("/reports/").status_code == 402


async def test_guarded_path_guards_async_views(sidecar: LocalSidecar) -> None:
    route = guarded_path("reports/", aplain, feature=DOMAIN)
    with Laid(sidecar, route):
        client = AsyncClient()
        may = await client.get("/reports/", headers={"X-Customer": WITHIN})
        may_not = await client.get("/reports/", headers={"X-Customer": AT_LIMIT})
    assert (may.content, may_not.status_code) == (b"plain", 402)


def test_guarded_re_path_hands_its_arguments_on(sidecar: LocalSidecar) -> None:
    route = guarded_re_path(
        r"^reports/(?P<number>\d+)/$", Reports.as_view(), {}, "one", feature=DOMAIN
    )
    with Laid(sidecar, route):
        assert reverse("one", args=[7]) == "/reports/7/"
        assert may().get("/reports/7/").content == b"report 7"
        assert may_not().get("/reports/7/").status_code == 402


def test_guarded_path_meters(sidecar: LocalSidecar) -> None:
    route = guarded_path("new/", plain, meters=TEMPLATES, value=2)
    with Laid(sidecar, route):
        may().post("/new/")
    assert used(sidecar, WITHIN) == 5


def test_guarded_path_takes_any_need(sidecar: LocalSidecar) -> None:
    need = AnyOf((feature(DOMAIN), currency("cur-0001")))
    with Laid(sidecar, guarded_path("x/", plain, requires=need)):
        assert may().get("/x/").status_code == 200
    assert specs_of(guarded_path("x/", plain, requires=need).callback)[0].need == need


def test_guarded_path_requires_all_of_a_list(sidecar: LocalSidecar) -> None:
    with Laid(sidecar, guarded_path("x/", plain, requires=[DOMAIN, "feature-none"])):
        assert may().get("/x/").status_code == 403
    with Laid(sidecar, guarded_path("x/", plain, requires=[DOMAIN, feature(DOMAIN)])):
        assert may().get("/x/").status_code == 200


def test_guarded_path_keeps_what_other_decorators_noted() -> None:
    route = guarded_path("x/", csrf_exempt(plain), feature=DOMAIN)
    assert getattr(route.callback, "csrf_exempt", None) is True


def test_guarded_include_guards_everything_below(sidecar: LocalSidecar) -> None:
    with Laid(sidecar, guarded_path("reports/", INCLUDED, feature=DOMAIN)):
        for url in ("/reports/", "/reports/deep/7/", "/reports/unnamed/"):
            assert may().get(url).status_code == 200, url
            assert may_not().get(url).status_code == 402, url
        assert may_not().get("/reports/nowhere/").status_code == 404


def test_guarded_include_keeps_names_and_namespaces(sidecar: LocalSidecar) -> None:
    with Laid(sidecar, guarded_path("reports/", INCLUDED, feature=DOMAIN)):
        assert reverse("reports:deep:detail", args=[7]) == "/reports/deep/7/"
        match = resolve("/reports/deep/7/")
        assert match.view_name == "reports:deep:detail"
        assert match.route == "reports/deep/<int:number>/"
        assert match.func.view_class is Reports  # type: ignore[attr-defined]


def test_guarded_include_leaves_the_same_routes_elsewhere_free(
    sidecar: LocalSidecar,
) -> None:
    guarded = guarded_path("guarded/", INCLUDED, feature=DOMAIN)
    with Laid(sidecar, guarded, path("free/", INCLUDED)):
        assert may_not().get("/guarded/").status_code == 402
        assert may_not().get("/free/").status_code == 200


def test_guarded_includes_inside_each_other_all_hold(sidecar: LocalSidecar) -> None:
    inner = guarded_path("inner/", INCLUDED, feature=ANALYTICS)
    outer = guarded_path("outer/", include([inner]), feature=DOMAIN)
    with Laid(sidecar, outer):
        view = resolve("/outer/inner/").func
    assert [spec.need for spec in specs_of(view)] == [
        feature(DOMAIN),
        feature(ANALYTICS),
    ]


def test_exemption_in_a_urlconf_is_that_of_one_route(
    sidecar: LocalSidecar,
) -> None:
    class_view = Reports.as_view()
    routes: list[Any] = [
        *(path(f"exempt/{n}/", guard_exempt(v)) for n, v in enumerate(VIEWS)),
        *(path(f"{n}/", v) for n, v in enumerate(VIEWS)),
        path("exempt/class/", guard_exempt(class_view)),
        path("class/", class_view),
    ]
    with Laid(sidecar, guarded_path("", include(routes), feature=DOMAIN)):
        for name in ("0", "1", "class"):
            assert may_not().get(f"/exempt/{name}/").status_code == 200
            assert may_not().get(f"/{name}/").status_code == 402


def test_exempt_view_in_a_guarded_include_is_free(sidecar: LocalSidecar) -> None:
    with Laid(sidecar, guarded_path("reports/", INCLUDED, feature=DOMAIN)):
        assert may_not().get("/reports/pricing/").content == b"pricing"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, r"guarded_path\(\) was given nothing to ask for; give one of feature"),
        ({"feature": "f", "requires": "g"}, "given feature and requires to ask for"),
        ({"feature": "f", "meters": "g"}, "given feature and meters to ask for"),
        ({"feature": "f", "value": 2}, r'guarded_path\(\): "value" is not a key'),
        ({"requires": [7]}, r"guarded_path\(\): requires\(\) was given 7"),
        (
            {"requires": "f", "usage": 2},
            r'"usage" does not go with requires.*feature\(',
        ),
        ({"feature": "f", "usage": -1}, r"guarded_path\(\): usage is -1"),
        ({"feature": "f", "customer": "nowhere.at_all"}, "customer is"),
    ],
)
def test_guarded_path_refuses_what_it_cannot_ask(
    asked: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        guarded_path("x/", plain, **asked)


def test_guarded_path_refuses_what_is_no_view() -> None:
    with pytest.raises(TypeError, match=r"Reports\.as_view\(\)"):
        guarded_path("x/", Reports, feature=DOMAIN)


RULED: list[tuple[dict[str, str], str, bool]] = [
    ({"name": "reports:list"}, "/reports/", True),
    ({"name": "reports:list"}, "/reports/deep/7/", False),
    ({"name": "list"}, "/reports/", False),
    ({"name": "reports:deep:detail"}, "/reports/deep/7/", True),
    ({"namespace": "reports"}, "/reports/", True),
    ({"namespace": "reports"}, "/reports/deep/7/", True),
    ({"namespace": "reports"}, "/reports/unnamed/", True),
    ({"namespace": "reports:deep"}, "/reports/deep/7/", True),
    ({"namespace": "reports:deep"}, "/reports/", False),
    ({"namespace": "reports"}, "/reports/pricing/", False),
    ({"namespace": "report"}, "/reports/", False),
    ({"namespace": "reports"}, "/plain/", False),
    ({"name": "plain"}, "/plain/", True),
]


@pytest.mark.parametrize(("where", "url", "holds"), RULED)
def test_rule_by_name_holds_for_its_routes(
    where: dict[str, str], url: str, holds: bool, sidecar: LocalSidecar
) -> None:
    routes = (path("reports/", INCLUDED), path("plain/", plain, name="plain"))
    with Laid(sidecar, *routes, rules=[{**where, "feature": DOMAIN}]):
        assert may_not().get(url).status_code == (402 if holds else 200)


@pytest.mark.parametrize(
    ("where", "reached"),
    [
        ({"name": "reports:list"}, True),
        ({"name": "reports:lists"}, False),
        ({"namespace": "reports:deep"}, True),
        ({"namespace": "deep"}, False),
    ],
)
def test_rule_whose_name_no_route_has_is_a_warning(
    where: dict[str, str], reached: bool, sidecar: LocalSidecar
) -> None:
    (kind, value), *_ = where.items()
    rules = [{**where, "feature": DOMAIN}]
    with Laid(sidecar, path("reports/", INCLUDED), rules=rules):
        messages = [m for m in run_checks() if m.id == "stigg_guard.W001"]
    assert [f'matches the {kind} "{value}"' in m.msg for m in messages] == (
        [] if reached else [True]
    )


def test_checks_see_what_a_guarded_include_asks_for(sidecar: LocalSidecar) -> None:
    route = guarded_path("reports/", INCLUDED, feature=DOMAIN)
    with Laid(sidecar, route), override_settings(MIDDLEWARE=[]):
        assert "stigg_guard.E003" in [str(m.id) for m in run_checks()]
