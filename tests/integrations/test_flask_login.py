"""Flask-Login beside a guard: who is logged in is known wherever the guard stands."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from sidecar_client.local import LocalSidecar
from stigg_guard_flask import guard_blueprint, requires_feature
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.flask_apps import BROWSER, guarded_app

flask_login: Any = import_module("flask_login")  # it has no types


class User(flask_login.UserMixin):  # type: ignore[misc]
    """A user whose id is their customer's."""

    def __init__(self, name: str) -> None:
        self.id = name


def customer_of() -> str | None:
    user = flask_login.current_user
    return user.id if user.is_authenticated else None


def application(sidecar: LocalSidecar, *, login_first: bool) -> Iterator[Flask]:
    app = Flask(__name__)
    app.secret_key = "for the test"
    manager = flask_login.LoginManager()
    manager.user_loader(User)
    if login_first:
        manager.init_app(app)
    rules = [{"path": "/ruled", "feature": DOMAIN}]
    options: dict[str, Any] = {"no_customer": "login", "login_url": "/login"}
    options |= {"customer": customer_of, "rules": rules}
    with guarded_app(sidecar, app=app, **options):
        if not login_first:
            manager.init_app(app)
        add_views(app)
        yield app


@pytest.fixture(params=[True, False], ids=["login first", "guard first"])
def app(sidecar: LocalSidecar, request: pytest.FixtureRequest) -> Iterator[Flask]:
    yield from application(sidecar, login_first=request.param)


def add_views(app: Flask) -> None:
    def view() -> ResponseReturnValue:
        return "in"

    def log_in(name: str) -> ResponseReturnValue:
        flask_login.login_user(User(name))
        return "hello"

    logged_in = flask_login.login_required
    reports = guard_blueprint(Blueprint("reports", __name__), requires=DOMAIN)
    reports.add_url_rule("/reports", "list", view)
    app.register_blueprint(reports)
    app.add_url_rule("/login/<name>", "login", log_in)
    app.add_url_rule("/ruled", "ruled", view)
    app.add_url_rule("/inside", "inside", logged_in(requires_feature(DOMAIN)(view)))
    app.add_url_rule("/outside", "outside", requires_feature(DOMAIN)(logged_in(view)))


PATHS = ("/ruled", "/reports", "/inside", "/outside")


def statuses(client: FlaskClient) -> list[int]:
    return [client.get(path).status_code for path in PATHS]


def test_who_is_logged_in_is_the_customer(app: Flask) -> None:
    for name, expected in {WITHIN: 200, AT_LIMIT: 402}.items():
        client = app.test_client()
        assert client.get(f"/login/{name}").status_code == 200
        assert statuses(client) == [expected] * 4


def test_nobody_gets_in_without_a_login_and_nothing_is_asked(
    app: Flask, sidecar: LocalSidecar
) -> None:
    assert statuses(app.test_client()) == [401] * 4
    assert not sidecar.calls


def test_browser_is_sent_to_log_in_and_back(app: Flask) -> None:
    answer = app.test_client().get("/ruled?page=2", headers=BROWSER)
    assert answer.status_code == 303
    assert answer.location == "/login?next=/ruled%3Fpage%3D2"
