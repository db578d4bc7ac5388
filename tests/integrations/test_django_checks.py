"""System checks of order, caches and deployment, and what happens where they warn."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.views.decorators.cache import cache_page

from sidecar_client.local import LocalSidecar
from stigg_guard_django import meters_usage, requires_feature
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import GUARD, configure, project

configure()

CORS = "corsheaders.middleware.CorsMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"

with_cors = override_settings(
    INSTALLED_APPS=[*settings.INSTALLED_APPS, "corsheaders"],
    CORS_ALLOW_ALL_ORIGINS=True,
)


@requires_feature(DOMAIN)
def domains(request: HttpRequest) -> HttpResponse:
    return HttpResponse("domains")


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def found(*, deploy: bool = False) -> list[CheckMessage]:
    messages = run_checks(include_deployment_checks=deploy)
    return [m for m in messages if str(m.id).startswith("stigg_guard.")]


def ids(*, deploy: bool = False) -> list[str]:
    return [str(message.id) for message in found(deploy=deploy)]


def client(customer: str) -> Client:
    return Client(headers={"X-Customer": customer, "Origin": "https://shop.example"})


@with_cors
@pytest.mark.parametrize(
    ("middleware", "is_told"), [((CORS, GUARD), False), ((GUARD, CORS), True)]
)
def test_cors_below_the_guard_is_told_though_denials_have_their_headers(
    middleware: tuple[str, ...], is_told: bool, sidecar: LocalSidecar
) -> None:
    rules = [{"path": "/ruled", "feature": DOMAIN}]
    views = {"decorated": domains, "ruled": plain}
    with project(views, middleware=middleware, rules=rules, target=sidecar.target):
        assert ids() == (["stigg_guard.I001"] if is_told else [])
        answers = [client(AT_LIMIT).get(f"/{path}") for path in views]
    for denied in answers:
        assert denied.status_code == 402
        assert denied.headers["Access-Control-Allow-Origin"] == "*"


OUTSIDE, INSIDE = (UPDATE, GUARD, FETCH), (GUARD, UPDATE, FETCH)
RULES = [{"path": "/", "feature": DOMAIN}]


@pytest.mark.parametrize(
    ("view", "middleware", "options", "leaks"),
    [
        (domains, OUTSIDE, {}, False),
        (domains, INSIDE, {}, False),
        (plain, OUTSIDE, {"rules": RULES}, False),
        (plain, INSIDE, {"rules": RULES}, True),
        (domains, OUTSIDE, {"cache_control": None}, True),
        (domains, OUTSIDE, {"cache_control": "private, no-store"}, False),
        (domains, INSIDE, {"cache_control": "public"}, True),
    ],
)
def test_cache_of_the_site_is_an_error_where_it_answers_those_who_may_not(
    view: Callable[..., Any],
    middleware: tuple[str, ...],
    options: dict[str, Any],
    leaks: bool,
    sidecar: LocalSidecar,
) -> None:
    target = sidecar.target
    with project({"": view}, middleware=middleware, target=target, **options):
        assert ids() == (["stigg_guard.E005"] if leaks else [])
        assert client(WITHIN).get("/").status_code == 200
        assert client(AT_LIMIT).get("/").status_code == (200 if leaks else 402)


def test_template_of_a_denial_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text("denied")
    engine = "django.template.backends.django.DjangoTemplates"
    views = {
        f"{n}/": requires_feature(DOMAIN, on_denied=name)(plain)
        for n, name in enumerate(("there.html", "absent.html"))
    }
    rules = [{"path": "/0/", "feature": DOMAIN, "on_denied": "of-rule.html"}]
    with (
        override_settings(TEMPLATES=[{"BACKEND": engine, "DIRS": [tmp_path]}]),
        project(views, rules=rules, on_denied="of-all.html"),
    ):
        told = [(str(m.id), str(m.msg).partition(",")[0]) for m in found()]
    assert told == [
        ("stigg_guard.E007", f'on_denied is "{name}.html"')
        for name in ("absent", "of-all", "of-rule")
    ]


def test_cache_of_a_site_without_guards_is_nobodys_matter() -> None:
    with project({"": plain}, middleware=INSIDE, cache_control=None):
        assert ids() == []


@pytest.mark.parametrize(
    ("view", "options", "leaks"),
    [
        (cache_page(60)(domains), {}, False),
        (cache_page(60)(domains), {"cache_control": None}, True),
        (requires_feature(DOMAIN)(cache_page(60)(plain)), {}, False),
        (
            requires_feature(DOMAIN)(cache_page(60)(plain)),
            {"cache_control": None},
            False,
        ),
    ],
)
def test_cached_page_is_an_error_where_a_guard_is_asked_only_once(
    view: Callable[..., Any],
    options: dict[str, Any],
    leaks: bool,
    sidecar: LocalSidecar,
) -> None:
    with project({"": view}, target=sidecar.target, **options):
        assert ids() == (["stigg_guard.E006"] if leaks else [])
        assert client(WITHIN).get("/").status_code == 200
        assert client(AT_LIMIT).get("/").status_code == (200 if leaks else 402)


@pytest.mark.parametrize(
    ("view", "warned"),
    [
        (login_required(domains), False),
        (requires_feature(DOMAIN)(login_required(plain)), True),
        (login_required(plain), False),
    ],
)
def test_guard_above_login_required_is_a_warning(
    view: Callable[..., Any], warned: bool
) -> None:
    middleware = (SESSIONS, AUTHENTICATION, GUARD)
    with project({"": view}, middleware=middleware):
        assert ids() == (["stigg_guard.W003"] if warned else [])


@pytest.mark.parametrize(
    ("guard", "warned"),
    [
        ({"target": "sidecar.internal:80"}, True),
        ({"target": "10.1.2.3:80"}, True),
        ({"target": "localhost:80"}, False),
        ({"target": "unix:/run/sidecar.sock"}, False),
        ({"target": "sidecar.internal:80", "root_certificates": "/ca.pem"}, False),
    ],
)
def test_sidecar_on_another_host_without_tls_is_a_warning_when_deployed(
    guard: dict[str, str], warned: bool
) -> None:
    with project({"": domains}, **guard):
        assert ids() == []
        assert ids(deploy=True) == (["stigg_guard.W004"] if warned else [])
        with override_settings(DEBUG=True):
            assert ids(deploy=True) == []


def test_holds_in_memory_of_several_workers_are_a_warning_when_deployed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metered = meters_usage("feature-01-templates")(plain)
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    with project({"": metered}):
        assert ids() == []
        (message,) = found(deploy=True)
        assert message.id == "stigg_guard.W005"
        assert "WEB_CONCURRENCY says 3 processes" in message.msg
    with project({"": metered}, holds="redis://127.0.0.1:1/0"):
        assert ids(deploy=True) == []
    with project({"": domains}):
        assert ids(deploy=True) == []
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    with project({"": metered}):
        assert ids(deploy=True) == []


def test_holds_are_looked_at_with_the_workers_of_gunicorns_own_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\n")
    monkeypatch.chdir(tmp_path)
    with project({"": meters_usage("feature-01-templates")(plain)}):
        (message,) = found(deploy=True)
    assert "gunicorn.conf.py says 2 processes" in message.msg


def database_ids() -> list[str]:
    messages = run_checks(databases=["default"])
    return [str(m.id) for m in messages if str(m.id).startswith("stigg_guard.")]


def test_outbox_without_its_table_is_a_warning_until_it_is_migrated() -> None:
    with project(outbox="django"):
        assert ids() == []
        assert database_ids() == ["stigg_guard.W006"]
        try:
            # An error would keep the cure from being taken.
            call_command("migrate", "stigg_guard", verbosity=0)
            assert database_ids() == []
        finally:
            call_command("migrate", "stigg_guard", "zero", verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE IF EXISTS django_migrations")
    with project():
        assert database_ids() == []


def test_every_check_is_a_row_of_the_documentation() -> None:
    root = Path(__file__).parents[2]
    sources = (root / "integrations" / "stigg_guard_django").rglob("*checks.py")
    used = {
        name
        for source in sources
        for name in re.findall(r"\b[EWI]0\d\d\b", source.read_text())
    }
    page = (root / "docs" / "quickstart-django.md").read_text()
    assert used == set(re.findall(r"^\| `stigg_guard\.(\w+)`", page, re.MULTILINE))
