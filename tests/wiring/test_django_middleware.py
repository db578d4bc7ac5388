"""The guard's middleware among Django's others: caches and CORS around and inside."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings

from sidecar_client.local import LocalSidecar
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import GUARD, configure, project
from tests.wiring.rows import wiring

configure()

CORS = "corsheaders.middleware.CorsMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
RULES = [{"path": "/reports", "feature": DOMAIN}]


def reports(request: HttpRequest) -> HttpResponse:
    return HttpResponse("31 visits")


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def told(*middleware: str, target: str) -> tuple[list[str], list[int], Any]:
    """What the checks say, and the answers to a customer who may and to one who not."""
    views = {"reports": reports}
    with project(views, middleware=middleware, rules=RULES, target=target):
        checks = [str(message.id) for message in run_checks()]
        answers = [
            Client().get("/reports", headers={"X-Customer": who, "Origin": "https://a"})
            for who in (WITHIN, AT_LIMIT)
        ]
    ours = [name for name in checks if name.startswith("stigg_guard.")]
    return ours, [answer.status_code for answer in answers], answers[1]


@wiring(
    "Django",
    "the middleware below `UpdateCacheMiddleware`",
    "what is guarded is marked as private and not kept",
)
def test_cache_around(sidecar: LocalSidecar) -> None:
    checks, statuses, _ = told(UPDATE, GUARD, FETCH, target=sidecar.target)
    assert (checks, statuses) == ([], [200, 402])


@wiring(
    "Django",
    "the middleware above `UpdateCacheMiddleware`, with rules",
    "the cache answers customers who may not; `stigg_guard.E005`: move the cache to the"
    " top",
    is_right=False,
)
def test_cache_inside(sidecar: LocalSidecar) -> None:
    checks, statuses, _ = told(GUARD, UPDATE, FETCH, target=sidecar.target)
    assert (checks, statuses) == (["stigg_guard.E005"], [200, 200])


@wiring(
    "Django",
    "the middleware below `CorsMiddleware`",
    "browsers may read the denial; above it too, and `stigg_guard.I001` says that it"
    " should be below",
)
@pytest.mark.parametrize(
    ("middleware", "expected"),
    [((CORS, GUARD), []), ((GUARD, CORS), ["stigg_guard.I001"])],
)
def test_cors(
    middleware: tuple[str, ...], expected: list[str], sidecar: LocalSidecar
) -> None:
    with override_settings(CORS_ALLOW_ALL_ORIGINS=True):
        checks, statuses, denied = told(*middleware, target=sidecar.target)
    assert (checks, statuses) == (expected, [200, 402])
    assert denied.headers["Access-Control-Allow-Origin"] == "*"
