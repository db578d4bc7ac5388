"""The Flask extension: settings, factories, rules and denials."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
from flask import Blueprint, Flask, Request, Response, g, request
from flask.typing import ResponseReturnValue

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, ConfigurationError, Decision
from stigg_guard_flask import (
    StiggGuard,
    guard_exempt,
    guard_from,
    meters_usage,
    requires_feature,
)
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used


def customer_of() -> str | None:
    return request.headers.get("X-Customer")


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    """An application without an extension yet, configured for the sidecar."""
    app = Flask(__name__)
    app.config["STIGG_GUARD_TARGET"] = sidecar.target
    app.config["STIGG_GUARD_TIMEOUT"] = 5
    yield app
    if "stigg_guard" in app.extensions:
        guard_from(app).close()


def status(app: Flask, path: str, customer: str, method: str = "GET") -> int:
    client = app.test_client()
    headers = {"X-Customer": customer}
    with client.open(path, method=method, headers=headers) as response:
        return response.status_code


def hello(**_: object) -> ResponseReturnValue:
    return "hello"


def test_settings_come_from_config_and_options_win(app: Flask) -> None:
    app.config["STIGG_GUARD_RETRY_AFTER"] = 7
    app.config["STIGG_GUARD_ON_UNAVAILABLE"] = "allow"
    StiggGuard(on_unavailable="deny").init_app(app)
    settings = guard_from(app).settings
    assert settings.on_unavailable == "deny"
    assert settings.retry_after == 7


def test_unknown_config_key_is_named_with_the_right_one(app: Flask) -> None:
    app.config["STIGG_GUARD_TIMEOUTS"] = 1
    with pytest.raises(
        ConfigurationError,
        match=r"STIGG_GUARD_TIMEOUTS is not.*mean STIGG_GUARD_TIMEOUT\?",
    ):
        StiggGuard(app)


def test_unknown_option_is_named_with_the_right_one(app: Flask) -> None:
    with pytest.raises(
        ConfigurationError, match=r"StiggGuard\(timeouts=...\).*timeout"
    ):
        StiggGuard(app, timeouts=1)


def test_wrong_value_is_named_as_it_was_given(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match=r"^StiggGuard\(timeout=...\) is -1;"):
        StiggGuard(app, timeout=-1)
    app.config["STIGG_GUARD_ON_UNAVAILABLE"] = "maybe"
    with pytest.raises(
        ConfigurationError, match=r'^STIGG_GUARD_ON_UNAVAILABLE is "maybe"; use "allow"'
    ):
        StiggGuard(app)


def test_option_and_config_key_are_checked_together(app: Flask) -> None:
    app.config["STIGG_GUARD_UPGRADE_URL"] = "/plans/"
    StiggGuard(app, html="redirect")
    assert guard_from(app).settings.html == "redirect"


def test_resolver_that_does_not_import_stops_the_application(app: Flask) -> None:
    app.config["STIGG_GUARD_CUSTOMER"] = "tests.nowhere.customer_of"
    with pytest.raises(ConfigurationError, match=r'"tests\.nowhere" does not import'):
        StiggGuard(app)


def test_resolver_of_two_arguments_stops_the_application(app: Flask) -> None:
    def customer(user: str, plan: str) -> str:
        return user + plan

    with pytest.raises(ConfigurationError, match="of nothing or of the request"):
        StiggGuard(app, customer=customer)


def test_second_extension_on_one_application_is_refused(app: Flask) -> None:
    StiggGuard(app)
    with pytest.raises(ConfigurationError, match="has a StiggGuard already"):
        StiggGuard(app)


def test_guarded_view_without_the_extension_says_what_to_add(app: Flask) -> None:
    app.add_url_rule("/", view_func=requires_feature(DOMAIN)(hello))
    app.testing = True
    with pytest.raises(
        ConfigurationError, match=r"StiggGuard\(customer=...\).init_app"
    ):
        app.test_client().get("/")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("check", r"has no 'check'; .* guard_from\(\)\.check"),
        ("requires_feature", "write: from stigg_guard_flask import requires_feature"),
        ("limit", "has no 'limit'$"),
    ],
)
def test_extension_says_where_to_find_what_it_is_not(name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(StiggGuard(), name)


@pytest.mark.parametrize("is_in_app", [True, False])
def test_guard_that_is_not_there_is_asked_for_clearly(is_in_app: bool) -> None:
    app = Flask("shop")
    StiggGuard()
    words = 'application "shop" has no StiggGuard' if is_in_app else "app_context"
    context = app.app_context() if is_in_app else nullcontext()
    with context, pytest.raises(ConfigurationError, match=words):
        guard_from()


def test_one_extension_serves_several_applications(
    app: Flask, sidecar: LocalSidecar
) -> None:
    extension = StiggGuard(customer=customer_of)
    other = Flask("other")
    other.config["STIGG_GUARD_TARGET"] = sidecar.target
    other.config["STIGG_GUARD_STATUSES"] = {
        "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION": 404
    }
    view = requires_feature(DOMAIN)(hello)
    for one in (app, other):
        extension.init_app(one)
        one.add_url_rule("/", view_func=view)
    assert guard_from(app) is not guard_from(other)
    assert (status(app, "/", WITHIN), status(other, "/", WITHIN)) == (200, 200)
    assert (status(app, "/", AT_LIMIT), status(other, "/", AT_LIMIT)) == (402, 404)
    guard_from(other).close()


def test_rule_sees_what_functions_of_before_request_found_out(app: Flask) -> None:
    rules = [{"path": "/reports/*", "feature": DOMAIN}]
    StiggGuard(app, customer=lambda: g.customer, rules=rules)
    reports = Blueprint("reports", __name__)

    @app.before_request
    def greet() -> None:
        g.customer = None

    @reports.before_request
    def log_in() -> None:
        g.customer = customer_of()

    reports.add_url_rule("/reports/<name>", view_func=hello)
    app.register_blueprint(reports)
    assert status(app, "/reports/a", WITHIN) == 200
    assert status(app, "/reports/a", AT_LIMIT) == 402


def test_login_of_the_application_answers_before_a_rule_asks(
    app: Flask, sidecar: LocalSidecar
) -> None:
    StiggGuard(app, customer=customer_of, rules=[{"path": "/", "feature": DOMAIN}])
    app.before_request(lambda: ("log in first", 401))
    app.add_url_rule("/", view_func=hello)
    assert status(app, "/", AT_LIMIT) == 401
    assert not sidecar.calls


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/api/none", "GET", 404),
        ("/api/one", "DELETE", 405),
        ("/api/one", "OPTIONS", 200),
    ],
)
def test_rule_asks_nothing_where_no_view_follows(
    app: Flask, sidecar: LocalSidecar, path: str, method: str, expected: int
) -> None:
    StiggGuard(app, customer=customer_of, rules=[{"path": "/api/*", "feature": DOMAIN}])
    app.add_url_rule("/api/one", view_func=hello)
    assert status(app, path, AT_LIMIT, method) == expected
    assert not sidecar.calls


def test_rule_in_config_meters_usage(app: Flask, sidecar: LocalSidecar) -> None:
    app.config["STIGG_GUARD_RULES"] = [
        {"path": "/templates", "methods": ["POST"], "meters": TEMPLATES, "value": 2}
    ]
    StiggGuard(app, customer=customer_of)
    app.add_url_rule("/templates", view_func=hello, methods=["GET", "POST"])
    assert status(app, "/templates", WITHIN, "GET") == 200
    assert used(sidecar, WITHIN) == 3
    assert status(app, "/templates", WITHIN, "POST") == 200
    assert used(sidecar, WITHIN) == 5


@pytest.mark.parametrize(
    ("where", "statuses"),
    [
        ({"name": "hello"}, (402, 200)),
        ({"name": "reports.hello"}, (200, 402)),
        ({"namespace": "reports"}, (200, 402)),
    ],
)
def test_rule_is_for_an_endpoint_or_a_blueprint(
    where: dict[str, str], statuses: tuple[int, int], app: Flask
) -> None:
    app.config["STIGG_GUARD_RULES"] = [{**where, "feature": DOMAIN}]
    StiggGuard(app, customer=customer_of)
    reports = Blueprint("reports", __name__, url_prefix="/reports")
    reports.add_url_rule("/", view_func=hello)
    app.register_blueprint(reports)
    app.add_url_rule("/", view_func=hello)
    paths = ("/", "/reports/")
    assert tuple(status(app, path, AT_LIMIT) for path in paths) == statuses


def test_rule_names_its_resolver_by_dotted_path(app: Flask) -> None:
    path = "tests.integrations.flask_site.customer_of"
    rule = {"path": "/held", "feature": DOMAIN, "customer": path}
    StiggGuard(app, rules=[rule])
    app.add_url_rule("/held", view_func=hello)
    assert status(app, "/held", WITHIN) == 200
    assert status(app, "/held", AT_LIMIT) == 402


def test_rule_with_a_resolver_that_does_not_import_is_named(app: Flask) -> None:
    rule = {"path": "/held", "feature": DOMAIN, "customer": "tests.nowhere.customer_of"}
    words = r"rule 0: customer is \"tests\.nowhere\.customer_of\"; .* does not import"
    with pytest.raises(ConfigurationError, match=words):
        StiggGuard(app, rules=[rule])


def test_exempt_view_escapes_rules_and_not_its_decorators(app: Flask) -> None:
    StiggGuard(app, customer=customer_of, rules=[{"path": "/x/*", "feature": DOMAIN}])
    app.add_url_rule("/x/free", view_func=guard_exempt(lambda: "free"), endpoint="free")
    app.add_url_rule(
        "/x/held", view_func=guard_exempt(requires_feature(DOMAIN)(hello)), endpoint="h"
    )
    assert status(app, "/x/free", AT_LIMIT) == 200
    assert status(app, "/x/held", AT_LIMIT) == 402


@pytest.mark.parametrize("registers_first", [True, False])
def test_error_handler_of_the_application_wins(
    app: Flask, registers_first: bool
) -> None:
    def sorry(error: AccessDenied) -> ResponseReturnValue:
        return {"sorry": error.decision.reason}, 418

    if registers_first:
        app.register_error_handler(AccessDenied, sorry)
    StiggGuard(app, customer=customer_of)
    if not registers_first:
        app.register_error_handler(AccessDenied, sorry)
    app.add_url_rule("/", view_func=requires_feature(DOMAIN)(hello))
    response = app.test_client().get("/", headers={"X-Customer": AT_LIMIT})
    assert response.status_code == 418
    assert response.json == {"sorry": "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"}


def refuse(request: Request, decision: Decision) -> ResponseReturnValue:
    return request.path, 403


async def apologise(request: object, decision: Decision) -> ResponseReturnValue:
    return f"no {decision.requirement.feature_id}", 409


def test_on_denied_makes_the_response_also_when_async(app: Flask) -> None:
    StiggGuard(app, customer=customer_of, on_denied=refuse)
    app.add_url_rule("/", view_func=requires_feature(DOMAIN)(hello))
    own = requires_feature(DOMAIN, on_denied=apologise)(lambda: "own")
    app.add_url_rule("/own", "own", own)
    client = app.test_client()
    general = client.get("/", headers={"X-Customer": AT_LIMIT})
    assert (general.status_code, general.text) == (403, "/")
    special = client.get("/own", headers={"X-Customer": AT_LIMIT})
    assert (special.status_code, special.text) == (409, f"no {DOMAIN}")


def test_denial_passes_the_functions_of_after_request(app: Flask) -> None:
    StiggGuard(app, customer=customer_of)

    @app.after_request
    def allow_origin(response: Response) -> Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    app.add_url_rule("/", view_func=requires_feature(DOMAIN)(hello))
    response = app.test_client().get("/", headers={"X-Customer": AT_LIMIT})
    assert response.status_code == 402
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_denied_head_has_no_body(app: Flask) -> None:
    StiggGuard(app, customer=customer_of)
    app.add_url_rule("/", view_func=requires_feature(DOMAIN)(hello))
    response = app.test_client().head("/", headers={"X-Customer": AT_LIMIT})
    assert (response.status_code, response.data) == (402, b"")


def test_guard_of_the_current_application_is_at_hand(app: Flask) -> None:
    StiggGuard(app, customer=customer_of)
    with app.app_context():
        assert guard_from() is guard_from(app)


def test_setting_up_and_serving_free_views_loads_no_grpc() -> None:
    code = """
import sys
from flask import Flask
from stigg_guard_flask import StiggGuard, meters_usage
app = Flask("app")
StiggGuard(app, target="127.0.0.1:1", rules=[{"path": "/held", "feature": "f"}])
app.add_url_rule("/free", view_func=lambda: "free")
app.add_url_rule("/held", view_func=meters_usage("f")(lambda: "held"), endpoint="held")
assert app.test_client().get("/free").status_code == 200
assert app.test_client().get("/held").status_code == 403
assert "grpc" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_metered_view_in_an_application_factory(sidecar: LocalSidecar) -> None:
    extension = StiggGuard(customer=customer_of)
    templates = Blueprint("templates", __name__)
    templates.add_url_rule(
        "/templates", view_func=meters_usage(TEMPLATES)(hello), methods=["POST"]
    )

    def create_app(target: str) -> Flask:
        app = Flask(__name__)
        app.config["STIGG_GUARD_TARGET"] = target
        extension.init_app(app)
        app.register_blueprint(templates)
        return app

    app = create_app(sidecar.target)
    assert status(app, "/templates", WITHIN, "POST") == 200
    assert used(sidecar, WITHIN) == 4
    guard_from(app).close()
