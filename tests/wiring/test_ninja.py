"""Where a guard may stand in an API of django-ninja."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.test import Client, override_settings
from django.urls import path

from sidecar_client.local import LocalSidecar
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import configure, project
from tests.wiring.rows import wiring

configure()

NAME = "django-ninja"
DECORATORS = ("stigg_guard_django", "stigg_guard_django.ninja")


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    with LocalSidecar() as running:
        yield running


def decorator_of(module: str) -> Callable[..., Any]:
    from importlib import import_module

    found: Callable[..., Any] = import_module(module).requires_feature
    return found


@wiring(NAME, "`@requires_feature` below `@api.get(...)`", "guarded and documented")
def test_below_the_operation(sidecar: LocalSidecar) -> None:
    from ninja import NinjaAPI

    from stigg_guard_django.ninja import requires_feature

    api = NinjaAPI(urls_namespace="below")

    @api.get("/")
    @requires_feature(DOMAIN)
    def reports(request: Any) -> str:
        return "reports"

    class Urls:
        urlpatterns: ClassVar[list[Any]] = [path("", api.urls)]

    with project(target=sidecar.target), override_settings(ROOT_URLCONF=Urls):
        assert Client(headers={"X-Customer": WITHIN}).get("/").json() == "reports"
        assert Client(headers={"X-Customer": AT_LIMIT}).get("/").status_code == 402


@pytest.mark.parametrize("module", DECORATORS)
@wiring(
    NAME,
    "`@requires_feature` above `@api.get(...)`",
    "refused at import: the API has taken the function without its guard",
    is_right=False,
)
def test_above_the_operation(module: str) -> None:
    from ninja import NinjaAPI

    api = NinjaAPI(urls_namespace="above")

    @api.get("/")
    def reports(request: Any) -> str:
        return "reports"

    with pytest.raises(TypeError, match=r"reports\(\).*put it below, right above"):
        decorator_of(module)(DOMAIN)(reports)
