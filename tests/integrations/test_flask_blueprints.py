"""Flask blueprints that are guarded as a whole, nested ones and exempt views too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, g, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, feature
from stigg_guard_flask import (
    guard_blueprint,
    guard_exempt,
    guard_from,
    meters_usage,
    requires_any,
    requires_feature,
)
from stigg_guard_flask.routes import routes_of
from tests.behaviour.routes import (
    ANALYTICS,
    AT_LIMIT,
    DOMAIN,
    FILE_SIZE,
    TEMPLATES,
    WITHIN,
)
from tests.behaviour.usage import used
from tests.integrations.flask_apps import ask, guarded_app


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    with guarded_app(sidecar) as app:
        yield app


def blueprint(name: str = "reports", **options: Any) -> Blueprint:
    return Blueprint(name, __name__, url_prefix=f"/{name}", **options)


def hello(**_: object) -> ResponseReturnValue:
    return "hello"


def statuses(app: Flask, path: str, method: str = "GET") -> tuple[int, int]:
    """What an entitled customer and one without the feature are answered."""
    return (
        ask(app, path, method=method).status_code,
        ask(app, path, AT_LIMIT, method=method).status_code,
    )


@pytest.mark.parametrize("guards_first", [True, False])
def test_every_view_of_a_guarded_blueprint_asks(app: Flask, guards_first: bool) -> None:
    reports = blueprint()
    if guards_first:
        assert guard_blueprint(reports, requires=DOMAIN) is reports
    reports.add_url_rule("/", "list", hello)
    reports.add_url_rule("/<int:number>", "one", hello, methods=["GET", "POST"])
    if not guards_first:
        guard_blueprint(reports, requires=DOMAIN)
    app.register_blueprint(reports)
    app.add_url_rule("/free", "free", hello)
    assert statuses(app, "/reports/") == (200, 402)
    assert statuses(app, "/reports/1", "POST") == (200, 402)
    assert statuses(app, "/free") == (200, 200)


def test_guard_of_a_blueprint_asks_after_every_function_of_before_request(
    sidecar: LocalSidecar,
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)

    @reports.before_request
    def log_in() -> None:
        g.customer = request.headers["X-Customer"]

    with guarded_app(sidecar, customer=lambda: g.customer) as app:
        reports.add_url_rule("/", "list", hello)
        app.register_blueprint(reports)
        assert statuses(app, "/reports/") == (200, 402)


def test_answer_of_before_request_comes_first_and_nothing_is_asked(
    app: Flask, sidecar: LocalSidecar
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.before_request(lambda: ("log in first", 401))
    reports.add_url_rule("/", "list", hello)
    app.register_blueprint(reports)
    assert ask(app, "/reports/", AT_LIMIT).status_code == 401
    assert not sidecar.calls


def test_guard_holds_for_blueprints_inside_and_not_for_those_around(app: Flask) -> None:
    outer, inner, innermost = blueprint("outer"), blueprint("inner"), blueprint("last")
    guard_blueprint(inner, requires=DOMAIN)
    for one in (outer, inner, innermost):
        one.add_url_rule("/", "view", hello)
    inner.register_blueprint(innermost)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert statuses(app, "/outer/") == (200, 200)
    assert statuses(app, "/outer/inner/") == (200, 402)
    assert statuses(app, "/outer/inner/last/") == (200, 402)


def test_blueprint_that_is_registered_under_two_names_is_guarded_under_both(
    app: Flask,
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/", "list", hello)
    app.register_blueprint(reports)
    app.register_blueprint(reports, name="copies", url_prefix="/copies")
    assert statuses(app, "/reports/") == (200, 402)
    assert statuses(app, "/copies/") == (200, 402)


def test_guard_of_some_methods_leaves_the_others_free(app: Flask) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN, methods=["post"])
    reports.add_url_rule("/", "list", hello, methods=["GET", "POST"])
    app.register_blueprint(reports)
    assert statuses(app, "/reports/") == (200, 200)
    assert statuses(app, "/reports/", "POST") == (200, 402)


def test_guard_for_get_holds_for_head(app: Flask) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN, methods=["GET"])
    reports.add_url_rule("/", "list", hello, methods=["GET", "POST"])
    app.register_blueprint(reports)
    assert statuses(app, "/reports/", "HEAD") == (200, 402)
    assert statuses(app, "/reports/", "POST") == (200, 200)


def test_two_guards_of_a_blueprint_both_hold(app: Flask) -> None:
    reports = guard_blueprint(blueprint(), requires=FILE_SIZE)
    guard_blueprint(reports, requires=DOMAIN, methods=["POST"])
    reports.add_url_rule("/", "list", hello, methods=["GET", "POST"])
    app.register_blueprint(reports)
    assert statuses(app, "/reports/") == (200, 200)
    assert statuses(app, "/reports/", "POST") == (200, 402)


def test_blueprint_takes_ids_needs_and_decorators(
    app: Flask, sidecar: LocalSidecar
) -> None:
    reports = blueprint()
    guard_blueprint(
        reports,
        requires=[
            FILE_SIZE,
            feature(TEMPLATES),
            requires_any("feature-99-unknown", DOMAIN),
            requires_feature(ANALYTICS, exempt_when=lambda: "staff" in request.args),
        ],
    )
    reports.add_url_rule("/", "list", hello)
    app.register_blueprint(reports)
    assert ask(app, "/reports/").status_code == 200
    assert sidecar.calls == {"GetEntitlement": 5}
    sidecar.calls.clear()
    assert ask(app, "/reports/?staff").status_code == 200
    assert sidecar.calls == {"GetEntitlement": 4}
    denied = ask(app, "/reports/", AT_LIMIT)
    assert denied.json is not None
    assert denied.json["feature_id"] == TEMPLATES


@pytest.mark.parametrize("meters", [TEMPLATES, meters_usage(TEMPLATES, value=1)])
def test_metered_blueprint_takes_a_unit_for_each_success(
    app: Flask, sidecar: LocalSidecar, meters: Any
) -> None:
    reports = guard_blueprint(blueprint(), meters=meters, methods=["POST"])
    reports.add_url_rule("/", "list", hello, methods=["GET", "POST"])
    reports.add_url_rule("/bad", "bad", lambda: ("bad", 400), methods=["POST"])
    app.register_blueprint(reports)
    assert statuses(app, "/reports/") == (200, 200)
    assert ask(app, "/reports/bad", method="POST").status_code == 400
    assert used(sidecar, WITHIN) == 3
    assert ask(app, "/reports/", method="POST").status_code == 200
    assert used(sidecar, WITHIN) == 4


def test_value_of_a_metered_blueprint_comes_from_the_view(
    app: Flask, sidecar: LocalSidecar
) -> None:
    def units(arguments: dict[str, int], result: str) -> int:
        return arguments["number"] + len(result)

    def view(number: int) -> str:
        return "x" * (number - 1)

    reports = guard_blueprint(blueprint(), meters=meters_usage(TEMPLATES, value=units))
    reports.add_url_rule("/<int:number>", "one", view)
    app.register_blueprint(reports)
    assert ask(app, "/reports/2").status_code == 200
    assert used(sidecar, WITHIN) == 6


def test_guarded_view_of_a_guarded_blueprint_asks_once(
    app: Flask, sidecar: LocalSidecar
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/", "list", requires_feature(DOMAIN)(hello))
    app.register_blueprint(reports)
    assert ask(app, "/reports/").status_code == 200
    assert sidecar.calls == {"GetEntitlement": 1}


def test_exempt_views_and_methods_of_a_guarded_blueprint_are_free(app: Flask) -> None:
    class Pages(MethodView):
        @guard_exempt
        def get(self) -> ResponseReturnValue:
            return "page"

        def post(self) -> ResponseReturnValue:
            return "made"

    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/price", "price", guard_exempt(lambda: "price"))
    reports.add_url_rule("/pages", view_func=Pages.as_view("pages"))
    app.register_blueprint(reports)
    assert statuses(app, "/reports/price") == (200, 200)
    assert statuses(app, "/reports/pages") == (200, 200)
    assert statuses(app, "/reports/pages", "POST") == (200, 402)


def test_exempt_blueprint_escapes_the_guards_around_it_and_keeps_its_own(
    app: Flask,
) -> None:
    outer = guard_blueprint(blueprint("outer"), requires="feature-99-unknown")
    free = guard_exempt(blueprint("free"))
    inner = guard_blueprint(blueprint("inner"), requires=DOMAIN)
    for one in (outer, free, inner):
        one.add_url_rule("/", "view", hello)
    free.register_blueprint(inner)
    outer.register_blueprint(free)
    app.register_blueprint(outer)
    assert statuses(app, "/outer/") == (403, 403)
    assert statuses(app, "/outer/free/") == (200, 200)
    assert statuses(app, "/outer/free/inner/") == (200, 402)


def test_exempt_blueprint_escapes_rules(sidecar: LocalSidecar) -> None:
    rules = [{"path": "/free/*", "feature": DOMAIN}]
    with guarded_app(sidecar, rules=rules) as app:
        free = guard_exempt(blueprint("free"))
        free.add_url_rule("/", "view", hello)
        app.register_blueprint(free)
        assert statuses(app, "/free/") == (200, 200)


def test_rule_names_an_endpoint_or_a_blueprint(sidecar: LocalSidecar) -> None:
    rules = [
        {"name": "reports.one", "feature": DOMAIN},
        {"namespace": "outer.inner", "feature": DOMAIN},
    ]
    with guarded_app(sidecar, rules=rules) as app:
        reports, outer, inner = blueprint(), blueprint("outer"), blueprint("inner")
        for one in (reports, outer, inner):
            one.add_url_rule("/", "all", hello)
            one.add_url_rule("/one", "one", hello)
        outer.register_blueprint(inner)
        app.register_blueprint(reports)
        app.register_blueprint(outer)
        assert statuses(app, "/reports/") == (200, 200)
        assert statuses(app, "/reports/one") == (200, 402)
        assert statuses(app, "/outer/one") == (200, 200)
        assert statuses(app, "/outer/inner/") == (200, 402)


def test_endpoint_with_a_dot_needs_no_blueprint(sidecar: LocalSidecar) -> None:
    rules = [{"name": "api.one", "feature": DOMAIN}]
    with guarded_app(sidecar, rules=rules) as app:
        app.add_url_rule("/one", "api.one", hello)
        assert statuses(app, "/one") == (200, 402)


def test_static_files_of_a_guarded_blueprint_are_free(
    app: Flask, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    (tmp_path / "page.css").write_text("body {}")
    reports = blueprint(static_folder=str(tmp_path), static_url_path="/static")
    guard_blueprint(reports, meters=TEMPLATES)
    app.register_blueprint(reports)
    with ask(app, "/reports/static/page.css", AT_LIMIT) as response:
        assert response.status_code == 200
    assert not sidecar.calls


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/reports/none", "GET", 404),
        ("/reports/", "DELETE", 405),
        ("/reports/", "OPTIONS", 200),
    ],
)
def test_nothing_is_asked_where_no_view_follows(
    app: Flask, sidecar: LocalSidecar, path: str, method: str, expected: int
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/", "list", hello)
    app.register_blueprint(reports)
    assert ask(app, path, AT_LIMIT, method=method).status_code == expected
    assert not sidecar.calls


def test_guarded_blueprint_asks_the_guard_of_the_application_it_serves(
    sidecar: LocalSidecar,
) -> None:
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/", "list", hello)
    everyone = guarded_app(sidecar, customer=lambda: WITHIN)
    with guarded_app(sidecar) as one, everyone as other:
        for app in (one, other):
            app.register_blueprint(reports)
        assert statuses(one, "/reports/") == (200, 402)
        assert statuses(other, "/reports/") == (200, 200)
        assert guard_from(one).counts["denied"] == 1
        assert "denied" not in guard_from(other).counts


def test_guarded_blueprint_of_an_application_without_the_extension_is_closed() -> None:
    app = Flask(__name__)
    app.testing = True
    reports = guard_blueprint(blueprint(), requires=DOMAIN)
    reports.add_url_rule("/", "list", hello)
    app.register_blueprint(reports)
    with pytest.raises(ConfigurationError, match="has no StiggGuard; where it is made"):
        ask(app, "/reports/")


def test_guard_after_registration_is_refused(app: Flask) -> None:
    reports = blueprint()
    app.register_blueprint(reports)
    with pytest.raises(ConfigurationError, match="call it before register_blueprint"):
        guard_blueprint(reports, requires=DOMAIN)


def unguarded(view: Any) -> Any:
    """A decorator that is none of ours."""
    return view


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, 'nothing for "reports" to require'),
    ({"requires": []}, 'nothing for "reports" to require'),
    ({"requires": ""}, "feature"),
    ({"requires": 5}, "guard_blueprint.. was given 5, which guards nothing"),
    ({"requires": [hello]}, "hello"),
    ({"requires": [unguarded]}, "which guards nothing"),
    ({"meters": 5}, "guard_blueprint.. was given 5, which guards nothing"),
    ({"requires": DOMAIN, "methods": "POST"}, r'give a list, such as \["POST"\]'),
    ({"requires": DOMAIN, "methods": ["FETCH"]}, "methods contains 'FETCH'"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_wrong_arguments_are_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        guard_blueprint(blueprint(), **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Flask("shop"), "the application 'shop'; guard it by rules"),
        (hello, "give it a flask.Blueprint"),
    ],
)
def test_only_blueprints_are_guarded_as_a_whole(wrong: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        guard_blueprint(wrong, requires=DOMAIN)


def test_routes_are_listed_with_what_their_blueprints_need(app: Flask) -> None:
    outer = guard_blueprint(blueprint("outer"), requires=FILE_SIZE)
    inner = guard_blueprint(blueprint("inner"), meters=TEMPLATES, methods=["POST"])
    free = guard_exempt(blueprint("free"))
    for one in (outer, inner, free):
        one.add_url_rule("/", "view", hello, methods=["GET", "POST"])
    inner.add_url_rule("/price", "price", guard_exempt(lambda: "price"))
    outer.register_blueprint(inner)
    outer.register_blueprint(free)
    app.register_blueprint(outer)
    rows = {
        (route.path, *route.methods): (route.requirements, route.source)
        for route in routes_of(app)
        if route.path.startswith("/outer")
    }
    meters = f"{TEMPLATES} (meters 1)"
    assert rows == {
        ("/outer/", "GET", "POST"): ((FILE_SIZE,), "blueprint outer"),
        ("/outer/inner/", "GET"): ((FILE_SIZE,), "blueprint outer"),
        ("/outer/inner/", "POST"): (
            (FILE_SIZE, meters),
            "blueprint outer, blueprint outer.inner",
        ),
        ("/outer/inner/price", "GET"): ((), "exempt"),
        ("/outer/free/", "GET", "POST"): ((), "exempt"),
    }


def test_routes_are_listed_with_the_guards_of_before_request(app: Flask) -> None:
    reports = blueprint()
    app.before_request(requires_feature(FILE_SIZE)(lambda: None))
    reports.before_request(requires_feature(DOMAIN)(lambda: None))
    reports.add_url_rule("/", "list", guard_exempt(lambda: "list"))
    app.register_blueprint(reports)
    (row,) = [route for route in routes_of(app) if route.path == "/reports/"]
    assert row.requirements == (FILE_SIZE, DOMAIN)
    assert row.source == "before_request"
    assert statuses(app, "/reports/") == (200, 402)
