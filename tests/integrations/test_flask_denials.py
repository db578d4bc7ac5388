"""Who answers a denied request in Flask: error handlers, on_denied, or stigg_guard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, Response, abort, session
from flask.typing import ResponseReturnValue
from flask_cors import CORS
from werkzeug.exceptions import Forbidden, HTTPException

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Decision, Subject
from stigg_guard.errors import StiggGuardError
from stigg_guard.view import Redirect
from stigg_guard_flask import (
    DeniedRequest,
    PaymentRequired,
    guard_from,
    requires_feature,
)
from tests.behaviour.routes import ARCHIVED, AT_LIMIT, DOMAIN
from tests.integrations.flask_apps import BROWSER, HTMX, ask, guarded_app

REASON = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    """An application with one guarded view."""
    with guarded_app(sidecar) as app:
        guarded(app)
        yield app


def guarded(app: Flask | Blueprint, **options: Any) -> None:
    view = requires_feature(DOMAIN, **options)(lambda: "hello")
    app.add_url_rule("/", "view", view)


def saying(what: str) -> Callable[[Any], ResponseReturnValue]:
    def say(error: Any) -> ResponseReturnValue:
        return what, 418

    return say


def test_error_handler_of_402_answers_a_denial(app: Flask) -> None:
    @app.errorhandler(402)
    def sorry(error: DeniedRequest) -> ResponseReturnValue:
        assert isinstance(error, AccessDenied)
        about = {"code": error.code, "name": error.name, "text": error.description}
        return about | {"why": error.decision.reason, "id": error.problem["feature_id"]}

    answer = ask(app, customer=AT_LIMIT)
    assert answer.status_code == 200
    assert answer.json == {
        "code": 402,
        "name": "Payment Required",
        "text": "The current plan does not include this feature.",
        "why": REASON,
        "id": DOMAIN,
    }


def test_error_handler_of_the_status_that_is_answered_is_called(app: Flask) -> None:
    app.register_error_handler(402, saying("pay"))
    app.register_error_handler(Forbidden, saying("forbidden"))
    assert ask(app, customer=AT_LIMIT).text == "pay"
    assert ask(app, customer=ARCHIVED).text == "forbidden"


def test_status_of_the_view_chooses_the_error_handler(app: Flask) -> None:
    app.register_error_handler(404, saying("no such page"))
    app.add_url_rule(
        "/hidden", "hidden", requires_feature(DOMAIN, on_denied=404)(lambda: "hidden")
    )
    assert ask(app, "/hidden", AT_LIMIT).text == ask(app, "/none").text


def test_application_may_abort_with_402_too(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar) as app:
        app.add_url_rule("/", "view", lambda: abort(402))
        app.register_error_handler(PaymentRequired, saying("pay"))
        assert ask(app).text == "pay"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (AccessDenied, 402),
        (StiggGuardError, 402),
        (DeniedRequest, HTTPException),
        (402, HTTPException),
        (PaymentRequired, HTTPException),
    ],
)
def test_nearer_handler_of_the_application_wins(
    app: Flask, first: Any, second: Any
) -> None:
    app.register_error_handler(second, saying("second"))
    app.register_error_handler(first, saying("first"))
    assert ask(app, customer=AT_LIMIT).text == "first"


@pytest.mark.parametrize("kind", [AccessDenied, 402, HTTPException])
def test_handler_of_a_blueprint_comes_before_that_of_the_application(
    app: Flask, kind: Any
) -> None:
    outer = Blueprint("outer", __name__, url_prefix="/outer")
    inner = Blueprint("inner", __name__, url_prefix="/inner")
    for blueprint in (outer, inner):
        guarded(blueprint)
    app.register_error_handler(kind, saying("of the application"))
    outer.register_error_handler(kind, saying("of the blueprint"))
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    assert ask(app, customer=AT_LIMIT).text == "of the application"
    assert ask(app, "/outer/", AT_LIMIT).text == "of the blueprint"
    assert ask(app, "/outer/inner/", AT_LIMIT).text == "of the blueprint"


def test_handler_for_all_http_errors_can_keep_the_answer(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def as_json(error: HTTPException) -> ResponseReturnValue:
        response = error.get_response()
        response.headers["X-House"] = str(error)
        return response

    answer = ask(app, customer=AT_LIMIT)
    assert answer.status_code == 402
    assert answer.json is not None
    assert answer.json["reason"] == REASON
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-House"] == (
        "402 Payment Required: The current plan does not include this feature."
    )


def test_handler_that_returns_the_error_gives_the_usual_answer(
    app: Flask, sidecar: LocalSidecar
) -> None:
    app.register_error_handler(HTTPException, lambda error: error)
    again = ask(app, customer=AT_LIMIT)
    with guarded_app(sidecar) as other:
        guarded(other)
        usual = ask(other, customer=AT_LIMIT)
    assert (again.status_code, again.json) == (402, usual.json)
    assert again.headers == usual.headers


@pytest.mark.parametrize("of_blueprint", [True, False])
def test_handler_for_what_broke_gets_no_denial(app: Flask, of_blueprint: bool) -> None:
    reports = Blueprint("reports", __name__, url_prefix="/reports")
    guarded(reports)
    reports.add_url_rule("/broken", "broken", lambda: str(1 / 0))
    handled: Any = reports if of_blueprint else app
    handled.register_error_handler(Exception, saying("broken"))
    app.register_blueprint(reports)
    assert ask(app, "/reports/broken").text == "broken"
    assert ask(app, "/reports/", AT_LIMIT).status_code == 402


async def apologise(error: AccessDenied) -> ResponseReturnValue:
    return f"no {error.decision.requirement.name}", 409


def test_async_handler_answers(app: Flask) -> None:
    app.register_error_handler(AccessDenied, apologise)
    assert ask(app, customer=AT_LIMIT).text == f"no {DOMAIN}"


def own(_request: Request, decision: Decision) -> ResponseReturnValue:
    return {"own": decision.reason}, 409


def test_answer_of_the_view_comes_before_every_handler(app: Flask) -> None:
    app.register_error_handler(AccessDenied, saying("application"))
    view = requires_feature(DOMAIN, on_denied=own)(lambda: "hello")
    app.add_url_rule("/own", "own", view)
    answer = ask(app, "/own", AT_LIMIT)
    assert (answer.status_code, answer.json) == (409, {"own": REASON})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(AccessDenied, 418), (402, 418), (HTTPException, 409)],
)
def test_answer_of_the_settings_comes_after_handlers_of_denials(
    sidecar: LocalSidecar, kind: Any, expected: int
) -> None:
    with guarded_app(sidecar, on_denied=own) as app:
        guarded(app)
        app.register_error_handler(kind, saying("handler"))
        assert ask(app, customer=AT_LIMIT).status_code == expected


def test_denial_that_the_view_itself_asks_for_is_answered_alike(app: Flask) -> None:
    @app.get("/asks")
    def asks() -> ResponseReturnValue:
        guard_from().require(Subject(AT_LIMIT), DOMAIN)
        return "in"

    app.register_error_handler(402, lambda error: {"why": error.decision.reason})
    assert ask(app, "/asks").json == {"why": REASON}


def test_decorator_that_answers_http_errors_sees_a_denial(app: Flask) -> None:
    def answering(view: Callable[[], Any]) -> Callable[[], Any]:
        @wraps(view)
        def answered() -> Any:
            try:
                return view()
            except HTTPException as error:
                return {"message": error.description}, error.code

        return answered

    view = answering(requires_feature(DOMAIN)(lambda: "hello"))
    app.add_url_rule("/api", "api", view)
    answer = ask(app, "/api", AT_LIMIT)
    assert answer.status_code == 402
    assert answer.json == {"message": "The current plan does not include this feature."}


def test_view_may_catch_the_denial_of_a_function_it_calls(app: Flask) -> None:
    @requires_feature(DOMAIN)
    def logo() -> str:
        return "logo"

    @app.get("/page")
    def page() -> ResponseReturnValue:
        try:
            return logo()
        except AccessDenied as error:
            return f"no logo: {error.decision.reason}"

    assert ask(app, "/page").text == "logo"
    assert ask(app, "/page", AT_LIMIT).text == f"no logo: {REASON}"


def test_denial_outside_of_debugging_is_answered_whatever_is_trapped(
    app: Flask,
) -> None:
    app.config["TRAP_HTTP_EXCEPTIONS"] = app.config["PROPAGATE_EXCEPTIONS"] = True
    app.testing = app.debug = True
    assert ask(app, customer=AT_LIMIT).status_code == 402


def test_preflight_passes_the_handlers_by(app: Flask) -> None:
    app.register_error_handler(AccessDenied, saying("handler"))
    view = requires_feature(DOMAIN)(lambda: "hello")
    app.add_url_rule("/api", "api", view, methods=["GET", "OPTIONS"])
    preflight = {"Access-Control-Request-Method": "GET"}
    answer = ask(app, "/api", AT_LIMIT, method="OPTIONS", headers=preflight)
    assert (answer.status_code, answer.data) == (200, b"")


def test_browser_gets_the_page_and_a_program_the_problem(app: Flask) -> None:
    page = ask(app, customer=AT_LIMIT, headers=BROWSER)
    assert page.status_code == 402
    assert page.content_type == "text/html; charset=utf-8"
    assert "<h1>Upgrade to continue</h1>" in page.text
    assert f"<span>{REASON}</span><span>{DOMAIN}</span>" in page.text
    assert ask(app, customer=AT_LIMIT).content_type == "application/problem+json"
    assert set(page.vary) == {"Accept", "HX-Request"}


def test_page_shows_usage_and_the_way_to_more(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar, upgrade_url="/plans?a=1&b=2") as app:
        app.add_url_rule(
            "/", "v", requires_feature("feature-01-templates", usage=1)(lambda: "")
        )
        page = ask(app, customer=AT_LIMIT, headers=BROWSER).text
    assert "6 of 6 used" in page
    assert '<progress max="6" value="6"' in page
    assert '<a href="/plans?a=1&amp;b=2">' in page


def test_what_a_page_shows_is_escaped(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar) as app:
        guarded(app, message="<b>pay</b>")
        page = ask(app, customer=AT_LIMIT, headers=BROWSER).text
    assert "&lt;b&gt;pay&lt;/b&gt;" in page


def test_redirect_takes_a_browser_there_and_back(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar, on_denied="/plans/?from=app") as app:
        guarded(app)
        found = ask(app, "/?q=a%20b&r=1", AT_LIMIT, headers=BROWSER)
        assert found.status_code == 303
        assert found.location == "/plans/?from=app&next=/%3Fq%3Da%2520b%26r%3D1"
        assert ask(app, customer=AT_LIMIT).status_code == 402


def test_redirect_of_a_mounted_application_leads_back_to_it(
    sidecar: LocalSidecar,
) -> None:
    with guarded_app(sidecar, on_denied="/plans/") as app:
        guarded(app)
        mounted = {"base_url": "http://localhost/shop"}
        found = ask(app, "/?a=1", AT_LIMIT, headers=BROWSER, **mounted)
        assert found.location == "/plans/?next=/shop/%3Fa%3D1"


def test_nobody_is_led_back_to_a_post(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar) as app:
        view = requires_feature(DOMAIN, on_denied=Redirect("/plans/"))(lambda: "")
        app.add_url_rule("/", "view", view, methods=["POST"])
        found = ask(app, "/", AT_LIMIT, method="POST", headers=BROWSER)
        assert (found.status_code, found.location) == (303, "/plans/")


def test_htmx_is_told_by_its_own_header_where_to_go(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar, on_denied="/plans/") as app:
        guarded(app)
        found = ask(app, "/", AT_LIMIT, headers=HTMX)
        assert found.status_code == 402
        assert found.headers["HX-Redirect"] == "/plans/?next=/"
        assert "Location" not in found.headers


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("http://localhost/shop/?page=2", "/shop/%3Fpage%3D2"),
        ("http://localhost", "/"),
        ("http://localhost//evil.example/", "/%252Fevil.example/"),
        ('http://localhost/">?">', "/%2522%253E%3F%2522%253E"),
        ("http://elsewhere.example/shop/", "/part"),
        ("http://[evil.example/", "/part"),
        ("", "/part"),
    ],
)
def test_htmx_leads_back_to_the_page_that_is_seen(
    sidecar: LocalSidecar, page: str, back: str
) -> None:
    with guarded_app(sidecar, on_denied="/plans/") as app:
        app.add_url_rule("/part", "part", requires_feature(DOMAIN)(lambda: "part"))
        sent = {**HTMX, "HX-Current-URL": page}
        found = ask(app, "/part", AT_LIMIT, headers=sent)
    assert found.headers["HX-Redirect"] == f"/plans/?next={back}"


@pytest.mark.parametrize(
    "whole",
    [
        {"HX-Boosted": "true"},
        {"HX-History-Restore-Request": "true"},
        {"HX-Request-Type": "full"},
    ],
)
def test_htmx_gets_a_fragment_unless_it_asks_for_a_page(
    app: Flask, whole: dict[str, str]
) -> None:
    fragment = ask(app, customer=AT_LIMIT, headers=HTMX)
    assert fragment.status_code == 402
    assert fragment.text.startswith('<div class="stigg-guard-denial" role="alert">')
    assert "<strong>Upgrade to continue</strong>" in fragment.text
    page = ask(app, customer=AT_LIMIT, headers={**HTMX, **whole})
    assert page.text.startswith("<!doctype html>")


def test_htmx_that_wants_json_gets_the_problem(app: Flask) -> None:
    sent = {**HTMX, "Accept": "application/json"}
    answer = ask(app, customer=AT_LIMIT, headers=sent)
    assert answer.content_type == "application/problem+json"


def test_one_who_is_not_logged_in_is_shown_the_way_to_it(
    sidecar: LocalSidecar,
) -> None:
    options: dict[str, Any] = {"no_customer": "unauthorized", "login_url": "/login"}
    with guarded_app(sidecar, customer=lambda: None, **options) as app:
        guarded(app)
        page = ask(app, headers=BROWSER)
        assert page.status_code == 401
        assert '<a href="/login?next=/">Log in</a>' in page.text
        assert "Log in" in ask(app, headers=HTMX).text


def test_way_back_is_safe_to_show_in_any_template(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    (tmp_path / "pay.jinja").write_text("{{ next }}")  # Flask does not escape these
    app = Flask(__name__, template_folder=str(tmp_path))
    with guarded_app(sidecar, app=app, on_denied="pay.jinja"):

        @app.get("/<path:rest>")
        @requires_feature(DOMAIN)
        def view(rest: str) -> ResponseReturnValue:
            return rest

        assert callable(view)
        url = "/a%22%3E%3Cscript%3E%3Fb/%C3%BC"
        assert ask(app, url, AT_LIMIT, headers=BROWSER).text == url


def test_cors_headers_stand_on_denials_whichever_comes_first(
    sidecar: LocalSidecar,
) -> None:
    for cors_first in (True, False):
        app = Flask(__name__)
        if cors_first:
            CORS(app)
        with guarded_app(sidecar, app=app):
            if not cors_first:
                CORS(app)
            guarded(app)
            origin = {"Origin": "https://shop.example"}
            answer = ask(app, customer=AT_LIMIT, headers=origin)
        assert answer.status_code == 402
        allowed = answer.headers["Access-Control-Allow-Origin"]
        assert allowed in ("*", origin["Origin"])


def test_preflight_of_flask_cors_asks_nothing(sidecar: LocalSidecar) -> None:
    app = Flask(__name__)
    CORS(app)
    with guarded_app(sidecar, app=app, rules=[{"path": "/a/*", "feature": DOMAIN}]):
        app.add_url_rule("/a/b", "view", lambda: "hello")
        preflight = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "GET",
        }
        answer = ask(app, "/a/b", AT_LIMIT, method="OPTIONS", headers=preflight)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" in answer.headers
    assert not sidecar.calls


def test_session_is_kept_through_a_denial(app: Flask) -> None:
    app.secret_key = "for the test"

    @app.before_request
    def count() -> None:
        session["visits"] = session.get("visits", 0) + 1

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Visits"] = str(session["visits"])
        return response

    client = app.test_client()
    visits = [
        client.get("/", headers={"X-Customer": AT_LIMIT}).headers["X-Visits"]
        for _ in range(3)
    ]
    assert visits == ["1", "2", "3"]
