"""The panel of the debug toolbar, in the real toolbar, sync and async."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from html import unescape
from typing import Any, ClassVar
from unittest.mock import patch

from django.conf import settings
from django.core.checks.registry import registry
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject
from stigg_guard_django import guard_from, meters_usage, requires_feature
from stigg_guard_django.recording import CALLS
from stigg_guard_django.visit import KEY
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import GUARD, configure, project

configure()

PANEL = "stigg_guard_django.panels.StiggGuardPanel"
TEMPLATES = "feature-01-templates"


@requires_feature(DOMAIN)
@meters_usage(TEMPLATES, value=2)
def create(request: HttpRequest) -> HttpResponse:
    guard_from(request).check(Subject("customer-of-nobody"), DOMAIN)
    return HttpResponse("<body>created</body>")


@requires_feature(DOMAIN)
async def domain(request: HttpRequest) -> HttpResponse:
    await guard_from(request).aio.entitlements(WITHIN)
    return HttpResponse("<body>domain</body>")


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<body>plain</body>")


@contextmanager
def site(*, inside: tuple[str, ...] = (GUARD,), **guard: Any) -> Generator[None]:
    """A project with the toolbar at its top, and our middleware inside of it."""
    templates = {"BACKEND": "django.template.backends.django.DjangoTemplates"}
    toolbar = "debug_toolbar.middleware.DebugToolbarMiddleware"
    with (
        project(middleware=(toolbar, *inside), **guard),
        override_settings(DEBUG=True, STATIC_URL="/static/"),
        _told_quietly(
            DEBUG_TOOLBAR_CONFIG={
                "RENDER_PANELS": False,  # older ones take the test client for many
                "SHOW_TOOLBAR_CALLBACK": f"{__name__}.always",
            },
            DEBUG_TOOLBAR_PANELS=[PANEL],
        ),
        # After those: it looks at them as soon as it is installed.
        override_settings(
            INSTALLED_APPS=[
                *settings.INSTALLED_APPS,
                "django.contrib.staticfiles",
                "debug_toolbar",
            ],
            TEMPLATES=[templates | {"APP_DIRS": True}],
        ),
    ):
        # It has models, so it is imported when it is installed.
        from debug_toolbar.toolbar import debug_toolbar_urls

        class Urls:
            urlpatterns: ClassVar[list[Any]] = [
                path("create/", create),
                path("domain/", domain),
                path("plain/", plain),
                *debug_toolbar_urls(),
            ]

        try:
            with override_settings(ROOT_URLCONF=Urls):
                yield
        finally:
            _forget_checks()


@contextmanager
def _told_quietly(**changes: Any) -> Generator[None]:
    """Settings of the toolbar, without the signal of a change.

    Once it was imported, it would answer that by importing its models, and they cannot
    be imported before it is installed.
    """
    with patch.multiple(settings, create=True, **changes):
        _forget_settings()
        yield
    _forget_settings()


def _forget_settings() -> None:
    toolbar: Any = sys.modules.get("debug_toolbar.settings")
    if toolbar is not None:
        toolbar.get_config.cache_clear()
        toolbar.get_panels.cache_clear()
    classes: Any = sys.modules.get("debug_toolbar.toolbar")
    if classes is not None:
        classes.DebugToolbar._panel_classes = None


def _forget_checks() -> None:
    """The toolbar's checks fail where it is not installed, as in the next test."""
    found = registry.registered_checks
    registry.registered_checks = {
        check for check in found if not check.__module__.startswith("debug_toolbar")
    }


def always(request: HttpRequest) -> bool:
    return True


def words_of(html: str) -> str:
    """What a person reads of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def panel_of(response: Any) -> tuple[str, str]:
    """The panel's line in the side bar, and what it shows when it is opened."""
    page = response.content.decode()
    bar = re.search(r'id="djdt-StiggGuardPanel".*?</li>', page, re.DOTALL)
    known = re.search(r'data-(request|store)-id="([^"]+)"', page)
    assert bar is not None
    assert known is not None
    opened = Client().get(
        "/__debug__/render_panel/",
        {f"{known[1]}_id": known[2], "panel_id": "StiggGuardPanel"},
    )
    return words_of(bar[0]), words_of(opened.json()["content"])


def test_panel_shows_questions_decisions_and_usage(sidecar: LocalSidecar) -> None:
    with site(target=sidecar.target):
        bar, shown = panel_of(Client(headers={"X-Customer": WITHIN}).post("/create/"))
    assert re.search(r"Stigg guard 3 questions in \d+\.\d ms$", bar)
    decisions, rest = shown.split("Questions to the sidecar")
    questions, usage = rest.split("Usage")
    assert f"{DOMAIN} allowed the sidecar" in decisions
    assert f"{TEMPLATES} (usage 2) allowed the sidecar" in decisions
    assert re.search(rf"ms {WITHIN} {DOMAIN} yes: boolean, yes", questions)
    asked = rf"ms {WITHIN} {TEMPLATES} \(usage 2\) yes: metered, 3 of 6 used, 3 left"
    assert re.search(asked, questions)
    assert f"customer-of-nobody {DOMAIN} no, CUSTOMER_NOT_FOUND" in questions
    assert re.search(rf"{WITHIN} {TEMPLATES} \+2 acknowledged in \d+\.\d ms", usage)


def test_panel_shows_why_a_request_was_denied(sidecar: LocalSidecar) -> None:
    with site(target=sidecar.target, html="page"):
        client = Client(headers={"X-Customer": AT_LIMIT, "Accept": "text/html"})
        response = client.get("/domain/")
        bar, shown = panel_of(response)
    assert response.status_code == 402
    assert bar.endswith(" ms, denied")
    reason = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert f"{DOMAIN} denied {reason} 402 the sidecar" in shown
    assert shown.endswith("Usage Nothing was used.")


async def test_panel_works_for_async_requests(sidecar: LocalSidecar) -> None:
    headers = {"X-Customer": WITHIN}
    with site(target=sidecar.target):
        response = await AsyncClient().get("/domain/", headers=headers)
        page = response.content.decode()
    bar = re.search(r'id="djdt-StiggGuardPanel".*?</li>', page, re.DOTALL)
    assert bar is not None
    assert re.search(r"2 questions in \d+\.\d ms$", words_of(bar[0]))


def test_panel_of_a_request_without_a_guard_is_empty(sidecar: LocalSidecar) -> None:
    with site(target=sidecar.target):
        bar, shown = panel_of(Client().get("/plain/"))
    assert bar.endswith("0 questions in 0.0 ms")
    assert "No guard was met by this request." in shown
    assert CALLS.get() is None


def test_panel_lets_go_of_a_request_that_met_no_guard_at_all() -> None:
    with site(inside=()):
        response = Client().get("/plain/")
    assert KEY not in vars(response.wsgi_request)  # which else would outlive its answer


def test_outage_is_shown_with_its_cause(sidecar: LocalSidecar) -> None:
    with site(target=sidecar.target):
        sidecar.stop()
        _, shown = panel_of(Client(headers={"X-Customer": WITHIN}).get("/domain/"))
    assert "allowed ON_UNAVAILABLE: the sidecar gave no verdict" in shown
    assert re.search(rf"{DOMAIN} none: GetEntitlement on [\d.:]+: failed to", shown)


def test_toolbar_is_not_needed_and_nothing_is_recorded_without_it() -> None:
    code = (
        "import sys; sys.modules['debug_toolbar'] = None;"
        "from tests.integrations.django_site import configure; configure();"
        "import stigg_guard_django.middleware, stigg_guard.sidecar;"
        "assert 'stigg_guard_django.recording' not in sys.modules;"
        "assert 'recorded' not in stigg_guard.sidecar.SyncSidecar.ask.__code__.co_name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
