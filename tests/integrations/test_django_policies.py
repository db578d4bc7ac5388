"""What Django adds to the guard's policies: page caches, staff, lazy texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.utils.asyncio import async_unsafe
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import cache_control, cache_page, never_cache

from sidecar_client.local import LocalSidecar
from stigg_guard_django import decision_from, is_staff, requires_feature
from tests.integrations.django_site import GUARD, configure, project

configure()

DOMAIN = "feature-03-custom-domain"
WITHIN = "customer-demo-01"
AT_LIMIT = "customer-demo-02"
BROWSER = "text/html"
CACHING = (
    "django.middleware.cache.UpdateCacheMiddleware",
    GUARD,
    "django.middleware.cache.FetchFromCacheMiddleware",
)
RULE = {"path": "/page", "feature": DOMAIN}


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for subscribers")


guarded = requires_feature(DOMAIN)(page)


def statuses(path: str = "/page") -> list[int]:
    """What somebody who may gets, and then somebody who may not."""
    cache.clear()
    asked = (WITHIN, AT_LIMIT)
    return [Client().get(path, headers={"X-Customer": c}).status_code for c in asked]


# Caches


@pytest.mark.parametrize(
    ("view", "rules"), [(guarded, []), (cache_page(60)(guarded), []), (page, [RULE])]
)
def test_page_cache_keeps_no_guarded_page(
    sidecar: LocalSidecar, view: Callable[..., Any], rules: list[Any]
) -> None:
    settings = {"target": sidecar.target, "rules": rules}
    with project({"page": view}, middleware=CACHING, **settings):
        assert statuses() == [200, 402]
    with project({"page": view}, **settings):
        assert statuses() == [200, 402]


def test_page_that_says_nothing_of_caches_would_be_kept(sidecar: LocalSidecar) -> None:
    settings = {"target": sidecar.target, "cache_control": None}
    with project({"page": guarded}, middleware=CACHING, **settings):
        assert statuses() == [200, 200]


@pytest.mark.parametrize(
    ("decorate", "expected"),
    [
        (cache_control(max_age=60), {"private", "max-age=60"}),
        (cache_control(public=True, max_age=60), {"public", "max-age=60"}),
        (
            never_cache,
            {"private", "max-age=0", "no-cache", "no-store", "must-revalidate"},
        ),
    ],
)
def test_what_the_project_says_of_caches_is_kept(
    sidecar: LocalSidecar, decorate: Callable[..., Any], expected: set[str]
) -> None:
    inside = requires_feature(DOMAIN)(decorate(page))
    views = {"outside": decorate(guarded), "inside": inside}
    with project(views, target=sidecar.target):
        outside = Client().get("/outside", headers={"X-Customer": WITHIN})
        found = Client().get("/inside", headers={"X-Customer": WITHIN})
    assert set(outside.headers["Cache-Control"].split(", ")) == expected
    assert set(found.headers["Cache-Control"].split(", ")) == expected


# Staff


STAFF = User(username="staff", is_staff=True)


@pytest.mark.parametrize(
    ("user", "status"),
    [
        (STAFF, 200),
        (User(username="customer"), 402),
        (User(username="gone", is_staff=True, is_active=False), 402),
        (AnonymousUser(), 402),
    ],
)
def test_active_staff_is_exempt(sidecar: LocalSidecar, user: Any, status: int) -> None:
    request = RequestFactory().get("/", headers={"X-Customer": AT_LIMIT})
    request.user = user
    view = requires_feature(DOMAIN, exempt_when=is_staff)(page)
    with project(target=sidecar.target):
        if status == 200:
            assert view(request).status_code == 200
            assert not sidecar.calls
        else:
            with pytest.raises(Exception, match="NO_FEATURE_ENTITLEMENT"):
                view(request)


def staff_from_database() -> User:
    return STAFF


def lazy_staff(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """A user that only a query can tell, as `request.user` is."""

    async def respond(request: HttpRequest) -> Any:
        query: Any = async_unsafe("no queries on an event loop")(staff_from_database)
        request.user = SimpleLazyObject(query)  # type: ignore[assignment]
        return await get_response(request)

    return respond


lazy_staff.async_capable = True  # type: ignore[attr-defined]
lazy_staff.sync_capable = False  # type: ignore[attr-defined]


async def test_staff_is_found_out_from_async_code_too(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN)
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")

    middleware = (f"{__name__}.lazy_staff", GUARD)
    settings = {"target": sidecar.target, "exempt_when": "stigg_guard_django.is_staff"}
    with project({"page": view}, middleware=middleware, **settings):
        found = await AsyncClient().get("/page", headers={"X-Customer": AT_LIMIT})
    assert found.status_code == 200
    assert not sidecar.calls


def test_staff_without_a_user_says_which_middleware_is_missing() -> None:
    with pytest.raises(ImproperlyConfigured, match="AuthenticationMiddleware"):
        is_staff(HttpRequest())


# Answers


def test_browser_finds_its_way_back_from_where_it_is_sent(
    sidecar: LocalSidecar,
) -> None:
    settings = {"target": sidecar.target, "on_denied": "/plans/?from=guard"}
    with project({"page": guarded}, **settings):
        found = Client().get(
            "/page?a=1&b=2", headers={"X-Customer": AT_LIMIT, "Accept": BROWSER}
        )
    assert found.status_code == 303
    location = "/plans/?from=guard&next=/page%3Fa%3D1%26b%3D2"
    assert found.headers["Location"] == location


def test_message_may_be_translated_when_it_is_shown(sidecar: LocalSidecar) -> None:
    lazy = gettext_lazy("Yes")
    view = requires_feature(DOMAIN, message=lazy)(page)
    settings = {"target": sidecar.target, "features": {DOMAIN: {"MESSAGE": lazy}}}
    with project({"page": view, "other": guarded}, **settings):
        for path in ("/page", "/other"):
            found = Client().get(
                path, headers={"X-Customer": AT_LIMIT, "Accept-Language": "de"}
            )
            assert found.json()["detail"] == "Yes"


def test_view_sees_what_shadow_mode_undid(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN, shadow=True)
    def view(request: HttpRequest) -> HttpResponse:
        decision = decision_from(request, DOMAIN)
        assert decision is not None
        assert decision_from(request, "other") is None
        return HttpResponse(str(decision.is_shadow))

    with project({"page": view}, target=sidecar.target):
        found = [
            Client().get("/page", headers={"X-Customer": customer}).content
            for customer in (WITHIN, AT_LIMIT)
        ]
    assert found == [b"False", b"True"]
