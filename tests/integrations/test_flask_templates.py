"""What Flask's views and templates ask of entitlements, and the pages of denials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Response,
    render_template,
    render_template_string,
    stream_with_context,
)
from flask.typing import ResponseReturnValue
from jinja2 import DictLoader, TemplateNotFound, UndefinedError

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError
from stigg_guard_flask import (
    StiggGuard,
    entitlements_from,
    meters_usage,
    requires_feature,
)
from tests.behaviour.routes import (
    ANALYTICS,
    ARCHIVED,
    AT_LIMIT,
    DOMAIN,
    FILE_SIZE,
    TEMPLATES,
    WITHIN,
)
from tests.integrations.flask_apps import BROWSER, HTMX, ask, customer_of, guarded_app

PAGE = """\
{% if entitled("feature-03-custom-domain", "feature-04-analytics") %}domain{% endif %}
{% set files = entitlement("feature-06-max-file-size") %}{{ files.value }} MB
{% set left = entitlement("feature-01-templates") %}{{ left.used }} of {{ left.limit }}
"""


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    with guarded_app(sidecar) as app:
        yield app


def page() -> str:
    return render_template_string(PAGE)


def words(text: str) -> str:
    return " ".join(text.split())


def test_template_shows_what_the_customer_has_for_one_question(
    app: Flask, sidecar: LocalSidecar
) -> None:
    app.add_url_rule("/", "page", page)
    assert words(ask(app).text) == "domain 100 MB 3 of 6"
    assert sum(sidecar.calls.values()) == 1
    assert words(ask(app, customer=AT_LIMIT).text) == "10 MB 6 of 6"


def test_template_that_asks_nothing_costs_no_question(
    app: Flask, sidecar: LocalSidecar
) -> None:
    app.add_url_rule("/", "page", lambda: render_template_string("hello"))
    assert ask(app).text == "hello"
    assert not sidecar.calls


def test_macro_of_an_imported_template_may_ask(app: Flask) -> None:
    macro = '{% macro mark() %}{{ "yes" if entitled("' + DOMAIN + '") }}{% endmacro %}'
    text = '{% import "macros.html" as macros %}{{ macros.mark() }}'
    loaded: Any = app
    loaded.jinja_loader = DictLoader({"macros.html": macro, "page.html": text})
    app.add_url_rule("/", "page", lambda: render_template("page.html"))
    assert ask(app).text == "yes"


def test_shared_caches_keep_no_page_that_shows_what_a_customer_has(app: Flask) -> None:
    app.add_url_rule("/", "page", page)
    app.add_url_rule("/plain", "plain", lambda: render_template_string("plain"))
    assert ask(app).headers["Cache-Control"] == "private"
    assert "Cache-Control" not in ask(app, "/plain").headers


def test_view_asks_what_its_customer_has(app: Flask, sidecar: LocalSidecar) -> None:
    @app.get("/")
    def view() -> ResponseReturnValue:
        found = entitlements_from()
        assert found is entitlements_from()
        assert found.has(DOMAIN)
        assert found.remaining(TEMPLATES) == 3
        assert found.remaining("feature-99-unknown") == 0
        assert not math.isinf(found.value(FILE_SIZE))
        return "seen"

    assert callable(view)
    assert ask(app).text == "seen"
    assert sum(sidecar.calls.values()) == 1


def test_async_view_asks_in_its_own_way(app: Flask) -> None:
    @app.get("/")
    async def view() -> ResponseReturnValue:
        found = entitlements_from()
        both = await found.ahas(DOMAIN), found.has(ANALYTICS)
        return render_template_string(PAGE) if all(both) else "nothing"

    assert callable(view)
    assert words(ask(app).text) == "domain 100 MB 3 of 6"


def test_customer_is_looked_up_once_for_guard_and_template(
    sidecar: LocalSidecar,
) -> None:
    asked: list[str | None] = []

    def customer() -> str | None:
        asked.append(customer_of())
        return asked[-1]

    with guarded_app(sidecar, customer=customer) as app:
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        assert ask(app).status_code == 200
    assert asked == [WITHIN]


def test_request_without_a_customer_has_nothing(sidecar: LocalSidecar) -> None:
    with guarded_app(sidecar, customer=lambda: None) as app:
        app.add_url_rule("/", "page", page)
        assert words(ask(app).text) == "0 MB None of None"
    assert not sidecar.calls


def test_template_of_a_stream_may_ask(app: Flask) -> None:
    @app.get("/")
    @meters_usage(TEMPLATES, streamed="end")
    def view() -> ResponseReturnValue:
        def stream() -> Iterator[str]:
            yield "has it: "
            yield render_template_string('{{ entitled("' + DOMAIN + '") }}')

        return Response(stream_with_context(stream()))

    assert callable(view)
    assert ask(app).text == "has it: True"


def test_template_is_rendered_when_the_sidecar_is_gone(
    sidecar: LocalSidecar,
) -> None:
    options: dict[str, Any] = {"on_unavailable": "deny", "timeout": 0.5}
    with guarded_app(sidecar, **options) as app:
        app.add_url_rule("/", "page", page)
        sidecar.stop()
        answer = ask(app)
    assert answer.status_code == 200
    assert "domain" not in answer.text


@pytest.mark.parametrize("text", ["{{ entitled('f') }}", "{{ entitlement('f').used }}"])
def test_template_outside_of_a_request_says_what_to_do(app: Flask, text: str) -> None:
    with (
        app.app_context(),
        pytest.raises(ConfigurationError, match="in a template was called outside of"),
    ):
        render_template_string(text)


def test_view_function_outside_of_a_request_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"guard_from\(app\)\.entitlements"):
        entitlements_from()


def test_request_made_by_hand_has_entitlements(app: Flask) -> None:
    with app.test_request_context("/", headers={"X-Customer": WITHIN}):
        assert entitlements_from().has(DOMAIN)
        assert words(page()) == "domain 100 MB 3 of 6"


@pytest.mark.parametrize("text", ["{{ entitled() }}", "{{ entitled('') }}"])
def test_question_without_a_feature_is_refused(app: Flask, text: str) -> None:
    with (
        app.test_request_context("/", headers={"X-Customer": WITHIN}),
        pytest.raises((TypeError, ValueError), match="feature"),
    ):
        render_template_string(text)


@pytest.mark.parametrize("is_made", [True, False])
def test_options_that_come_after_the_extension_are_kept(
    sidecar: LocalSidecar, is_made: bool
) -> None:
    app = Flask(__name__)
    if is_made:
        assert app.jinja_env.globals
    with guarded_app(sidecar, app=app):
        if not is_made:
            app.jinja_options = {
                "variable_start_string": "[[",
                "variable_end_string": "]]",
            }
        text = "{{ entitled('f') }}" if is_made else "[[ entitled('f') ]]"
        app.add_url_rule("/", "page", lambda: render_template_string(text))
        assert ask(app).text == "False"


def test_application_without_the_extension_has_no_such_function() -> None:
    app = Flask(__name__)
    with app.test_request_context(), pytest.raises(UndefinedError, match="entitled"):
        render_template_string("{{ entitled('f') }}")


def templates_in(folder: Path, **texts: str) -> str:
    (folder / "stigg_guard").mkdir(parents=True)
    for name, text in texts.items():
        (folder / "stigg_guard" / f"{name}.html").write_text(text)
    return str(folder)


@pytest.mark.parametrize("of_blueprint", [True, False])
def test_template_of_the_project_is_the_page_of_a_denial(
    sidecar: LocalSidecar, tmp_path: Path, of_blueprint: bool
) -> None:
    text = "{{ problem.title }}, {{ decision.requirement.name }}, {{ request.path }}"
    folder = templates_in(tmp_path, **{"402": text})
    app = Flask(__name__, template_folder=None if of_blueprint else folder)
    if of_blueprint:
        app.register_blueprint(Blueprint("look", __name__, template_folder=folder))
    with guarded_app(sidecar, app=app):
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        answer = ask(app, customer=AT_LIMIT, headers=BROWSER)
    assert answer.status_code == 402
    assert answer.text == f"Upgrade to continue, {DOMAIN}, /"


def test_page_of_the_project_may_extend_ours(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    own = '{% extends "stigg_guard/402.html" %}{% block title %}Pay{% endblock %}'
    (tmp_path / "pay.html").write_text(own)
    app = Flask(__name__, template_folder=str(tmp_path))
    with guarded_app(sidecar, app=app, on_denied="pay.html"):
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        answer = ask(app, customer=AT_LIMIT, headers=BROWSER)
        assert ask(app, customer=AT_LIMIT).content_type == "application/problem+json"
    assert answer.status_code == 402
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<title>Pay</title>" in answer.text
    assert "<h1>Upgrade to continue</h1>" in answer.text


def test_template_of_a_view_may_have_a_fragment_beside_it(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    for name in ("pay", "pay_fragment", "buy"):
        (tmp_path / f"{name}.html").write_text(name + ": {{ detail }}")
    app = Flask(__name__, template_folder=str(tmp_path))
    said = "The current plan does not include this feature."
    with guarded_app(sidecar, app=app):
        for name in ("pay", "buy"):
            view = requires_feature(DOMAIN, on_denied=f"{name}.html")(page)
            app.add_url_rule(f"/{name}", name, view)
        assert ask(app, "/pay", AT_LIMIT, headers=BROWSER).text == f"pay: {said}"
        assert ask(app, "/pay", AT_LIMIT, headers=HTMX).text == f"pay_fragment: {said}"
        assert ask(app, "/buy", AT_LIMIT, headers=HTMX).text == f"buy: {said}"


def test_other_denials_have_a_page_by_their_status_or_one_for_all(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    texts = {"denied": "any: {{ status }} {{ title }}", "403": "own: {{ reason }}"}
    app = Flask(__name__, template_folder=templates_in(tmp_path, **texts))
    options: dict[str, Any] = {"on_unavailable": "deny", "timeout": 0.5}
    with guarded_app(sidecar, app=app, **options):
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        archived = ask(app, customer=ARCHIVED, headers=BROWSER)
        sidecar.stop()
        gone = ask(app, customer=AT_LIMIT, headers=BROWSER)
    assert (archived.status_code, archived.text) == (403, "own: CUSTOMER_IS_ARCHIVED")
    assert gone.status_code == 503
    assert gone.headers["Retry-After"] == "5"
    assert gone.text == "any: 503 Try again shortly"


def test_applications_have_their_own_templates(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    extension = StiggGuard(target=sidecar.target, customer=customer_of, timeout=5)
    texts: list[str] = []
    for name in ("one", "other"):
        folder = templates_in(tmp_path / name, **{"402": name})
        app = Flask(name, template_folder=folder)
        extension.init_app(app)
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        texts.append(ask(app, customer=AT_LIMIT, headers=BROWSER).text)
    assert texts == ["one", "other"]


def test_denied_page_may_ask_what_the_customer_has(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    text = '{{ entitlement("feature-06-max-file-size").value }} MB'
    app = Flask(__name__, template_folder=templates_in(tmp_path, **{"402": text}))
    with guarded_app(sidecar, app=app):
        app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
        assert ask(app, customer=AT_LIMIT, headers=BROWSER).text == "10 MB"


def test_application_that_finds_no_template_of_ours_shows_the_plain_page(
    app: Flask,
) -> None:
    app.jinja_env.loader = DictLoader({})
    app.add_url_rule("/", "page", requires_feature(DOMAIN)(page))
    answer = ask(app, customer=AT_LIMIT, headers=BROWSER)
    assert answer.status_code == 402
    assert "<h1>Upgrade to continue</h1>" in answer.text


def test_missing_template_of_the_application_is_an_error(app: Flask) -> None:
    view = requires_feature(DOMAIN, on_denied="none.html")(page)
    app.add_url_rule("/", "page", view)
    app.testing = True
    with pytest.raises(TemplateNotFound, match=r"none\.html"):
        ask(app, customer=AT_LIMIT, headers=BROWSER)
