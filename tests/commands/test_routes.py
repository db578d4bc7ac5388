"""`routes` in its three front ends: how an application is named, and what is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from flask import Flask
from flask.cli import ScriptInfo

from stigg_guard.commands import console
from stigg_guard_django import guard_exempt, requires_feature
from stigg_guard_flask import StiggGuard, meters_usage
from stigg_guard_flask.commands import stigg_guard as flask_commands
from tests.commands.fronts import Done, run_django, run_main
from tests.commands.test_console import command
from tests.integrations.django_site import project

FLASK = """
from flask import Flask
from stigg_guard import guard_exempt
from stigg_guard_flask import StiggGuard, meters_usage, requires_feature

app = Flask(__name__, static_folder=None)
StiggGuard(app, customer=lambda: "c", rules=[{"path": "/reports", "feature": "r"}])

@app.post("/templates")
@requires_feature("feature-03-custom-domain")
@meters_usage("feature-01-templates", value=3)
def create(): return "created"

@app.get("/reports")
def reports(): return "reports"

@app.get("/about")
def about(): return "about"

@app.get("/health")
@guard_exempt
def health(): return "fine"

class Shop:
    inner = app

def create_app(name="x", *, debug=False):
    assert (name, debug) in [("x", False), ("it's", True)]
    return app

def broken(): raise RuntimeError("no database")
number = 7
"""

SETTINGS = """
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["stigg_guard_django"]
ROOT_URLCONF = "shop_urls"
"""

URLS = """
from django.http import HttpResponse
from django.urls import path
from stigg_guard_django import requires_feature

@requires_feature("feature-04-analytics")
def analytics(request): return HttpResponse("analytics")

urlpatterns = [path("analytics/", analytics)]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an application, where the command is typed."""
    for name, text in {
        "shop": FLASK,
        "shop_settings": SETTINGS,
        "shop_urls": URLS,
        "shop_asgi": "from django.core.asgi import get_asgi_application\n"
        "application = get_asgi_application()\n",
        "shop_broken": "1 / 0",
        "shop_imports": "import nowhere",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("shop")]:
        del sys.modules[name]


def routes(*arguments: str) -> Done:
    return run_main(lambda: console.main(["routes", *arguments]))


def test_guarded_routes_are_a_table_with_a_line_for_each_need(folder: Path) -> None:
    done = routes("shop:app")
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "methods  path        needs                            by         name\n"
        "POST     /templates  feature-03-custom-domain         decorator  create\n"
        "                     feature-01-templates (meters 3)  decorator\n"
        "GET      /reports    r                                rule 0     reports\n"
        "\n"
        "4 routes: 2 guarded, 1 unguarded, 1 exempt; see --all.\n"
    )


def test_all_shows_unguarded_and_exempt_routes_too(folder: Path) -> None:
    lines = routes("shop:app", "--all").out.splitlines()
    assert [line.split() for line in lines[4:6]] == [
        ["GET", "/about", "-", "unguarded", "about"],
        ["GET", "/health", "-", "exempt", "health"],
    ]
    assert lines[-1] == "4 routes: 2 guarded, 1 unguarded, 1 exempt."


def test_json_is_one_route_a_line(folder: Path) -> None:
    lines = [json.loads(line) for line in routes("shop:app", "--json").out.splitlines()]
    assert [line["path"] for line in lines] == ["/templates", "/reports"]
    assert lines[1] == {
        "path": "/reports",
        "methods": ["GET"],
        "name": "reports",
        "requirements": ["r"],
        "source": "rule 0",
        "guarded": True,
    }
    assert len(routes("shop:app", "--json", "--all").out.splitlines()) == 4


def test_unguarded_route_fails_a_pipeline_that_asks_for_it(folder: Path) -> None:
    done = routes("shop:app", "--fail-on-unguarded")
    assert done.status == 3
    assert done.error == (
        "1 route unguarded: GET /about. Guard them, mark them with guard_exempt, or"
        " leave them out with --ignore."
    )
    done = routes("shop:app", "--fail-on-unguarded", "--ignore", "/about")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("3 routes: 2 guarded, 0 unguarded, 1 exempt; see --all.\n")


@pytest.mark.parametrize(
    "app",
    [
        "shop",
        "shop:Shop.inner",
        "shop:create_app()",
        """shop:create_app("it's", debug=True)""",
    ],
)
def test_application_is_named_as_servers_name_it(app: str, folder: Path) -> None:
    assert routes(app).out == routes("shop:app").out


@pytest.mark.parametrize(
    ("app", "error"),
    [
        ("nowhere:app", '"nowhere:app" names the module "nowhere", and there is no'),
        ("shop.app", '"shop.app" names the module "shop.app", and there is no "shop.'),
        ("shop:nothing", '"shop:nothing": shop has no "nothing".'),
        ("shop:app app", '"app app" in "shop:app app" is neither a name nor a call'),
        ("shop:create_app(app)", '"create_app(app)" in "shop:create_app(app)" is'),
        (
            "shop:create_app",
            '"shop:create_app" is a function; write "shop:create_app()',
        ),
        ("shop:broken()", '"broken()" in "shop:broken()" cannot be called: RuntimeE'),
        ("shop:number", "\"shop:number\" is 'int', whose routes nobody knows here: it"),
        ("shop:number()", '"number()" in "shop:number()" cannot be called: TypeError'),
        ("shop_broken:app", '"shop_broken" cannot be imported: ZeroDivisionError: '),
        ("shop_imports:app", '"shop_imports" cannot be imported: ModuleNotFoundError'),
        (":app", '":app" is no application; give "module:app", "module:create_app()"'),
        ("shop_urls", '"shop_urls" has neither a ROOT_URLCONF nor an "app"; name what'),
    ],
)
def test_application_that_cannot_be_had_is_one_error(
    app: str, error: str, folder: Path
) -> None:
    done = routes(app)
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith(error)


def test_routes_without_an_application_ask_for_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert routes().error.startswith("No application is named; give ")


@pytest.mark.parametrize(
    "arguments", [["shop_settings"], [], ["shop_asgi"], ["shop_asgi:application"]]
)
def test_django_project_is_named_by_settings_environment_or_handler(
    arguments: list[str], folder: Path
) -> None:
    by_environment = (
        {}
        if arguments == ["shop_settings"]
        else {"DJANGO_SETTINGS_MODULE": "shop_settings"}
    )
    done = command("routes", *arguments, PYTHONWARNINGS="error", **by_environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split() == [
        *("any", "/analytics/", "feature-04-analytics", "decorator"),
        "shop_urls.analytics",
    ]


def test_flask_command_shows_the_routes_of_its_application() -> None:
    app = Flask(__name__, static_folder=None)
    StiggGuard(app, customer=lambda: None)
    app.post("/templates")(meters_usage("templates")(lambda: "created"))
    info = ScriptInfo(create_app=lambda: app)
    done = run_main(lambda: flask_commands.main(["routes"], "flask", obj=info))
    assert (done.status, done.err) == (0, "")
    assert "POST     /templates  templates (meters 1)  decorator" in done.out


def test_manage_command_shows_the_routes_of_its_project() -> None:
    def domains(request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")

    def about(request: HttpRequest) -> HttpResponse:
        return HttpResponse("about")

    views: dict[str, Any] = {
        "domains/": requires_feature("domains")(domains),
        "health/": guard_exempt(domains),
        "about/": about,
    }
    with project(views):
        done = run_django("routes", "--fail-on-unguarded")
    assert done.status == 3
    assert "any      /domains/  domains  decorator" in done.out
    assert done.error.startswith("1 route unguarded: any /about/. ")
