"""How a Django project is set up, and what it is told when it is set up wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path, re_path
from django.views import View

import stigg_guard_django
from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Guard
from stigg_guard_django import guard_from, requires_feature
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import GUARD, configure, project

configure()

AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
ROOT = Path(__file__).parents[2]


@requires_feature(DOMAIN)
def domains(request: HttpRequest) -> HttpResponse:
    return HttpResponse("domains")


def plain(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse("plain")


class Domains(View):
    @requires_feature(DOMAIN)
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")


class InheritedMiddleware(stigg_guard_django.StiggGuardMiddleware):
    pass


def ids(*, deploy: bool = False) -> list[str]:
    return [str(message.id) for message in found(deploy=deploy)]


def found(*, deploy: bool = False) -> list[CheckMessage]:
    messages = run_checks(include_deployment_checks=deploy)
    return [m for m in messages if str(m.id).startswith("stigg_guard.")]


def test_public_names_are_these() -> None:
    assert stigg_guard_django.__all__ == [
        "AccessDenied",
        "MetersUsageMixin",
        "RequestEntitlements",
        "RequiresFeatureMixin",
        "StiggGuardMiddleware",
        "StiggRequest",
        "decision_from",
        "entitlements_from",
        "guard",
        "guard_exempt",
        "guard_from",
        "guarded_path",
        "guarded_re_path",
        "is_staff",
        "meters_usage",
        "requires_all",
        "requires_any",
        "requires_feature",
        "usage_from",
        "webhook_view",
    ]


def test_changed_settings_are_noticed_while_other_applications_are_installed() -> None:
    with project(target="127.0.0.1:1"):
        before = guard_from()
        with override_settings(INSTALLED_APPS=["stigg_guard_django"]):
            assert guard_from().settings.target == "127.0.0.1:1"
            with override_settings(STIGG_GUARD={"TARGET": "127.0.0.1:2"}):
                assert guard_from().settings.target == "127.0.0.1:2"
            assert guard_from().settings.target == "127.0.0.1:1"
        assert guard_from() is not before


def test_guard_is_one_for_the_project_and_needs_no_sidecar_to_be_made() -> None:
    with project(target="127.0.0.1:1"):
        guard = guard_from(HttpRequest())
        assert isinstance(guard, Guard)
        assert guard_from() is guard
        assert guard.aio.sync is guard
        assert guard.settings.target == "127.0.0.1:1"


def test_changed_settings_make_a_new_guard(sidecar: LocalSidecar) -> None:
    with project({"": domains}, target=sidecar.target):
        client = Client(headers={"X-Customer": AT_LIMIT})
        before = guard_from()
        assert client.get("/").status_code == 402
        changed = {**settings.STIGG_GUARD, "STATUSES": dict.fromkeys(_LACKING, 451)}
        with override_settings(STIGG_GUARD=changed):
            assert client.get("/").status_code == 451
            assert guard_from() is not before
        assert client.get("/").status_code == 402
        with override_settings(LANGUAGE_CODE="de"):
            kept = guard_from()
        assert guard_from() is kept


_LACKING = ["NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"]


def test_project_without_settings_gets_the_defaults() -> None:
    with override_settings():
        del settings.STIGG_GUARD
        assert guard_from().settings.on_unavailable == "allow"


def test_project_without_the_application_is_told_to_install_it() -> None:
    with (
        override_settings(INSTALLED_APPS=["django.contrib.contenttypes"]),
        pytest.raises(ConfigurationError, match='"stigg_guard_django" to INSTALLED_'),
    ):
        guard_from()


WRONG = {"ON_UNAVAILABLE": "maybe"}
MAYBE = 'STIGG_GUARD["ON_UNAVAILABLE"] is "maybe"; use "allow" or "deny".'


def test_wrong_settings_stop_a_server_when_it_starts() -> None:
    with (
        override_settings(STIGG_GUARD=WRONG, MIDDLEWARE=[GUARD]),
        pytest.raises(ConfigurationError) as caught,
    ):
        WSGIHandler().load_middleware()
    assert str(caught.value) == MAYBE


@pytest.mark.parametrize(
    ("wrong", "check", "message"),
    [
        (WRONG, "E001", MAYBE),
        ({"TARGT": "x:1"}, "E001", 'Did you mean STIGG_GUARD["TARGET"]?'),
        ("localhost:80", "E001", "STIGG_GUARD is 'localhost:80'; use a mapping"),
        ({"TIMEOUT": "soon"}, "E001", 'STIGG_GUARD["TIMEOUT"] is "soon"'),
        ({"RULES": [{"path": "/*", "feature": "f"}]}, "E001", "every request"),
        ({"CUSTOMER": "billing.nobody"}, "E002", '"billing" does not import'),
        ({"CUSTOMER": f"{__name__}.nobody"}, "E002", 'has no "nobody"'),
    ],
)
def test_wrong_settings_are_one_error_of_the_checks(
    wrong: Any, check: str, message: str
) -> None:
    with override_settings(STIGG_GUARD=wrong, ROOT_URLCONF=()):
        messages = found()
    assert [m.id for m in messages] == [f"stigg_guard.{check}"]
    assert message in messages[0].msg


def test_right_wiring_passes_the_checks() -> None:
    rules = [{"path": "/plain/", "feature": ANALYTICS}]
    with project(
        {"domains/": domains, "plain/": plain},
        middleware=(
            "django.contrib.sessions.middleware.SessionMiddleware",
            AUTHENTICATION,
            GUARD,
        ),
        rules=rules,
    ):
        assert ids(deploy=True) == []


@pytest.mark.parametrize("view", [domains, Domains.as_view()])
def test_guarded_views_without_a_customer_are_an_error(
    view: Callable[..., Any],
) -> None:
    with project({"": view}, customer=None):
        assert ids() == ["stigg_guard.E002"]


def test_views_that_name_their_own_customer_need_no_other() -> None:
    view = requires_feature(DOMAIN, customer=lambda *_: WITHIN)(plain)
    with project({"": view}, customer=None):
        assert ids() == []


def test_rules_without_a_customer_are_an_error() -> None:
    rules = [{"path": "/", "feature": DOMAIN}]
    with project({"": plain}, customer=None, rules=rules):
        assert ids() == ["stigg_guard.E002"]


@pytest.mark.parametrize(
    ("views", "rules"),
    [({"": domains}, []), ({"": plain}, [{"path": "/", "feature": DOMAIN}])],
)
def test_guarded_views_without_the_middleware_are_an_error(
    views: Mapping[str, Callable[..., Any]], rules: Iterable[object]
) -> None:
    with project(views, middleware=(), rules=rules):
        assert ids() == ["stigg_guard.E003"]
        assert GUARD in str(found()[0].hint)


def test_unguarded_project_needs_no_middleware() -> None:
    with project({"": plain}, middleware=(), customer=None):
        assert ids() == []


def test_inherited_middleware_counts() -> None:
    middleware = (f"{__name__}.InheritedMiddleware", "nowhere.Middleware")
    with project({"": domains}, middleware=middleware):
        assert ids() == []


def test_middleware_above_the_authentication_is_an_error() -> None:
    middleware = (
        "django.contrib.sessions.middleware.SessionMiddleware",
        GUARD,
        AUTHENTICATION,
    )
    with project({"": domains}, middleware=middleware):
        assert ids() == ["stigg_guard.E004"]


class Urls:
    urlpatterns: ClassVar = [
        path("plain/", plain),
        path("items/<slug:name>/", plain),
        path("teams/", include([path("<uuid:team>/<int:number>/", plain)])),
        re_path(r"^old/(?P<year>[0-9]{4})/$", plain),
        path("files/<path:rest>", plain),
    ]


@pytest.mark.parametrize(
    ("template", "reached"),
    [
        ("/plain/", True),
        ("/plain", False),
        ("/plane/", False),
        ("/items/<slug:name>/", True),
        ("/items/{name}/", True),
        ("/items/new/", True),
        ("/items/<name>", False),
        ("/items/*", True),
        ("/teams/<uuid:team>/<int:number>/", True),
        ("/teams/*", True),
        ("/teams/<int:number>/", False),
        ("/old/*", True),
        ("/old/1999/", True),
        ("/files/a/b.txt", True),
        ("/files/<path:rest>", True),
        ("/api/*", False),
    ],
)
def test_rule_that_reaches_no_route_is_a_warning(template: str, reached: bool) -> None:
    rules = [{"path": template, "feature": DOMAIN}]
    with project(rules=rules), override_settings(ROOT_URLCONF=Urls):
        messages = found()
    assert [m.id for m in messages] == ([] if reached else ["stigg_guard.W001"])
    assert all(
        f'rule 0: no route of the project matches the path "{template}"' in m.msg
        for m in messages
    )


def test_local_sidecar_in_a_deployment_is_a_warning() -> None:
    with project(target="local"):
        assert ids() == []
        assert ids(deploy=True) == ["stigg_guard.W002"]
        with override_settings(DEBUG=True):
            assert ids(deploy=True) == []


SITE = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path
from stigg_guard_django import requires_feature

@requires_feature("feature-03-custom-domain")
def domains(request):
    return HttpResponse("domains")

urlpatterns = [path("domains/", domains)]

def customer_of(request):
    return request.META.get("HTTP_X_CUSTOMER")

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["stigg_guard_django"],
    MIDDLEWARE=["stigg_guard_django.StiggGuardMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    STIGG_GUARD={options},
)
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
    print("grpc" in sys.modules)
"""


def manage(
    tmp_path: Path, options: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "manage.py"
    script.write_text(SITE.replace("{options}", options))
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        text=True,
        timeout=60,
    )


RIGHT = '{"TARGET": "127.0.0.1:1", "CUSTOMER": customer_of}'


def test_check_command_needs_neither_a_sidecar_nor_grpc(tmp_path: Path) -> None:
    ran = manage(tmp_path, RIGHT, "check")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "command", [("check",), ("runserver", "--noreload", "127.0.0.1:0")]
)
def test_commands_stop_at_wrong_settings_without_a_traceback(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ran = manage(tmp_path, '{"ON_UNAVAILABLE": "maybe"}', *command)
    assert ran.returncode == 1
    assert f"(stigg_guard.E001) {MAYBE}" in ran.stderr
    assert "Traceback" not in ran.stderr
