"""Blinker signals of a guarded Flask application, and receivers that fail."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from blinker import ANY, Signal
from flask import Blueprint, Flask, got_request_exception, request
from werkzeug.exceptions import HTTPException

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Subject
from stigg_guard_flask import guard_from, meters_usage, requires_feature, signals
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.counting_sidecar import counting_sidecar
from tests.integrations.flask_apps import ask, guarded_app

Heard = list[tuple[Any, dict[str, Any]]]


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    with guarded_app(sidecar) as app:
        add_views(app)
        yield app


def add_views(app: Flask) -> None:
    app.add_url_rule("/domain", "d", requires_feature(DOMAIN)(lambda: "domain"))
    app.add_url_rule(
        "/templates", "t", meters_usage(TEMPLATES)(lambda: "made"), methods=["POST"]
    )


@contextmanager
def hearing(signal: Signal, sender: Any = None) -> Generator[Heard]:
    """All that a signal sends meanwhile."""
    heard: Heard = []

    def receive(sender: Any, **about: Any) -> None:
        heard.append((sender, about))

    with signal.connected_to(receive, ANY if sender is None else sender):
        yield heard


def test_denied_request_is_told_with_its_decision(app: Flask) -> None:
    with hearing(signals.access_denied) as heard:
        assert ask(app, "/domain").status_code == 200
        assert not heard
        assert ask(app, "/domain", AT_LIMIT).status_code == 402
    [(sender, about)] = heard
    assert sender is app
    assert about["decision"].requirement.feature_id == DOMAIN
    assert about["decision"].subject == Subject(AT_LIMIT)


def test_denial_by_rule_blueprint_or_require_is_told_too(sidecar: LocalSidecar) -> None:
    rules = [{"path": "/ruled", "feature": DOMAIN}]
    with guarded_app(sidecar, rules=rules) as app:
        reports = Blueprint("reports", __name__, url_prefix="/reports")
        reports.before_request(requires_feature(DOMAIN)(lambda: None))
        reports.add_url_rule("/", "list", lambda: "list")
        app.register_blueprint(reports)
        app.add_url_rule("/ruled", "ruled", lambda: "ruled")

        @app.get("/asks")
        def asks() -> str:
            guard_from().require(Subject(AT_LIMIT), DOMAIN)
            return "in"

        assert callable(asks)
        with hearing(signals.access_denied) as heard:
            for path in ("/ruled", "/reports/", "/asks"):
                assert ask(app, path, AT_LIMIT).status_code == 402
    assert len(heard) == 3


def test_receiver_is_called_in_the_request(app: Flask) -> None:
    paths: list[str] = []

    def receive(_app: Flask, **_about: Any) -> None:
        paths.append(request.path)

    with signals.access_denied.connected_to(receive):
        ask(app, "/domain", AT_LIMIT)
    assert paths == ["/domain"]


def test_request_that_shadow_mode_let_through_is_told_apart(
    sidecar: LocalSidecar,
) -> None:
    rules = [{"path": "/domain", "feature": DOMAIN}]
    with guarded_app(sidecar, shadow=True, rules=rules) as app:
        add_views(app)
        with (
            hearing(signals.shadow_denied) as shadows,
            hearing(signals.access_denied) as denials,
        ):
            assert ask(app, "/domain").status_code == 200
            assert not shadows
            assert ask(app, "/domain", AT_LIMIT).status_code == 200
            assert ask(app, "/templates", AT_LIMIT, method="POST").status_code == 200
    assert not denials
    assert [sender for sender, _ in shadows] == [app, app]
    names = [about["decision"].requirement.name for _, about in shadows]
    assert names == [DOMAIN, TEMPLATES]
    assert all(about["decision"].is_shadow for _, about in shadows)


def test_denial_that_another_extension_answers_is_told(sidecar: LocalSidecar) -> None:
    """As Flask-RESTful and Flask-RESTX do it, when they come after the guard."""
    with guarded_app(sidecar) as app:
        add_views(app)
        flask: Any = app
        handle = flask.handle_user_exception

        def as_json(error: Exception) -> Any:
            if not isinstance(error, HTTPException):
                return handle(error)
            got_request_exception.send(app, exception=error)
            return {"message": error.description}, error.code

        flask.handle_user_exception = as_json
        with hearing(signals.access_denied) as heard:
            answer = ask(app, "/domain", AT_LIMIT)
    assert answer.status_code == 402
    assert answer.json == {"message": "The current plan does not include this feature."}
    assert [about["decision"].requirement.name for _, about in heard] == [DOMAIN]


def test_denial_that_the_application_caught_is_not_told(app: Flask) -> None:
    @app.get("/catches")
    def catches() -> str:
        try:
            guard_from().require(Subject(AT_LIMIT), DOMAIN)
        except AccessDenied:
            return "another way"
        return "in"

    assert callable(catches)
    with hearing(signals.access_denied) as heard:
        assert ask(app, "/catches").text == "another way"
    assert not heard


def test_usage_is_told_when_the_sidecar_took_it(app: Flask) -> None:
    with hearing(signals.usage_reported) as heard:
        assert ask(app, "/templates", method="POST").status_code == 200
    [(sender, about)] = heard
    assert sender is app
    measurement = about["measurement"]
    assert (measurement.feature_id, measurement.value) == (TEMPLATES, 1)
    assert measurement.subject == Subject(WITHIN)


def test_dropped_usage_is_told_with_its_cause(sidecar: LocalSidecar) -> None:
    options: dict[str, Any] = {"queue_size": 1, "on_queue_full": "drop"}
    options["drain_timeout"] = 0
    with guarded_app(sidecar, **options) as app:
        guard = guard_from(app)
        sidecar.stop()
        with hearing(signals.usage_dropped) as heard:
            fates = [guard.report(Subject(WITHIN), TEMPLATES, n) for n in (1, 2)]
    assert fates == ["stored", "dropped"]
    sender, about = heard[0]
    assert sender is app
    assert about["measurement"].value == 2
    assert "queue" in about["cause"]


def test_parked_usage_is_told(tmp_path: Path) -> None:
    options: dict[str, Any] = {"outbox": str(tmp_path / "o.db")}
    options["on_ambiguous"] = "park"
    with counting_sidecar() as sidecar, guarded_app(sidecar, **options) as app:
        guard = guard_from(app)
        sidecar.faults.append("after")
        with hearing(signals.usage_parked) as heard:
            assert guard.report(Subject("c"), "feature-1") == "parked"
    [(sender, about)] = heard
    assert sender is app
    assert about["measurement"].feature_id == "feature-1"
    assert about["cause"]


def test_each_application_has_its_own_signals(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar) as one, guarded_app(sidecar) as other:
        for app in (one, other):
            add_views(app)
        with hearing(signals.access_denied, one) as heard:
            ask(other, "/domain", AT_LIMIT)
            assert not heard
            ask(one, "/domain", AT_LIMIT)
        assert [sender for sender, _ in heard] == [one]


def fail(_app: Flask, **_about: Any) -> None:
    raise OSError("the audit log is full")


@pytest.mark.parametrize(
    ("signal", "path", "method", "customer", "expected"),
    [
        (signals.access_denied, "/domain", "GET", AT_LIMIT, 402),
        (signals.usage_reported, "/templates", "POST", WITHIN, 200),
    ],
)
def test_receiver_that_fails_is_logged_and_disturbs_nobody(
    app: Flask,
    caplog: pytest.LogCaptureFixture,
    signal: Signal,
    path: str,
    method: str,
    customer: str,
    expected: int,
) -> None:
    with signal.connected_to(fail), hearing(signal) as heard:
        assert ask(app, path, customer, method=method).status_code == expected
    assert len(heard) == 1
    assert "the audit log is full" in caplog.text
    assert "fail" in caplog.messages[-1]


def test_async_receivers_are_called(app: Flask) -> None:
    heard: list[str] = []

    async def receive(_app: Flask, decision: Any) -> None:
        heard.append(decision.requirement.name)

    with signals.access_denied.connected_to(receive):
        ask(app, "/domain", AT_LIMIT)
    assert heard == [DOMAIN]


def test_muted_signal_is_not_sent(app: Flask) -> None:
    with hearing(signals.access_denied) as heard, signals.access_denied.muted():
        ask(app, "/domain", AT_LIMIT)
    assert not heard
