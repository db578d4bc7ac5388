"""Where a guard may stand in Flask, and what happens in each wrong place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from typing import Any, ClassVar

import pytest
from flask import Blueprint, Flask, g, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView, View

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, ConfigurationError
from stigg_guard_flask import (
    StiggGuard,
    guard,
    guard_blueprint,
    guard_exempt,
    guard_from,
    requires_feature,
    webhook_blueprint,
)
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.flask_apps import ask, guarded_app
from tests.wiring.rows import wiring

BELOW = r"write the guard below it: @app\.route, then @requires_feature"


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    with guarded_app(sidecar) as app:
        yield app


def is_guarded(app: Flask, path: str = "/", method: str = "GET") -> bool:
    """Whether those who may get in, and those who may not do not."""
    asked = (ask(app, path, who, method=method) for who in (WITHIN, AT_LIMIT))
    return [answer.status_code for answer in asked] == [200, 402]


@wiring("Flask", "below `@app.route`, on a function", "guarded, sync or async")
def test_below_the_route(app: Flask) -> None:
    @app.get("/")
    @requires_feature(DOMAIN)
    def view() -> ResponseReturnValue:
        return "hello"

    @app.get("/later")
    @requires_feature(DOMAIN)
    async def later() -> ResponseReturnValue:
        return "hello"

    assert callable(view)
    assert callable(later)
    assert is_guarded(app)
    assert is_guarded(app, "/later")


@wiring("Flask", "on a method of a `MethodView`", "that method is guarded")
@pytest.mark.parametrize("every_request", [True, False])
def test_on_methods_of_a_class(app: Flask, every_request: bool) -> None:
    class Pages(MethodView):
        init_every_request = every_request

        def get(self) -> ResponseReturnValue:
            return "free"

        @requires_feature(DOMAIN)
        async def post(self) -> ResponseReturnValue:
            return "made"

    app.add_url_rule("/", view_func=Pages.as_view("pages"))
    assert ask(app, "/", AT_LIMIT).status_code == 200
    assert is_guarded(app, method="POST")


@wiring(
    "Flask",
    "in `decorators = [requires_feature(...)]` of a `View`",
    "all of its methods are guarded",
)
@pytest.mark.parametrize("every_request", [True, False])
@pytest.mark.parametrize("base", [View, MethodView])
def test_in_the_decorators_of_a_class(
    app: Flask, base: type[View], every_request: bool
) -> None:
    class Page(base):  # type: ignore[valid-type,misc]  # both are classes of views
        init_every_request = every_request
        decorators: ClassVar[list[Callable[..., Any]]] = [requires_feature(DOMAIN)]

        def get(self) -> ResponseReturnValue:
            return "page"

        def dispatch_request(self) -> ResponseReturnValue:
            return self.get()

    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert is_guarded(app)


@wiring("Flask", "on `dispatch_request` of a `View`", "all of its methods are guarded")
def test_on_dispatch_request(app: Flask) -> None:
    class Page(View):
        methods: ClassVar[Collection[str] | None] = ["GET", "POST"]

        @requires_feature(DOMAIN)
        def dispatch_request(self) -> ResponseReturnValue:
            return "page"

    app.add_url_rule("/", view_func=Page.as_view("page"))
    assert is_guarded(app)
    assert is_guarded(app, method="POST")


@wiring(
    "Flask",
    '`guard_blueprint(reports, requires="feature")`',
    "every view of it and of blueprints in it is guarded, after all functions of"
    " `before_request`",
)
def test_on_a_blueprint_as_a_whole(sidecar: LocalSidecar) -> None:
    reports = guard_blueprint(Blueprint("reports", __name__), requires=DOMAIN)

    @reports.before_request
    def log_in() -> None:
        g.customer = request.headers["X-Customer"]

    reports.add_url_rule("/", "list", lambda: "list")
    with guarded_app(sidecar, customer=lambda: g.customer) as app:
        app.register_blueprint(reports)
        assert is_guarded(app)


@wiring(
    "Flask",
    "below `@reports.before_request`",
    "the blueprint is guarded; functions of `before_request` that are registered later"
    " run after it, so prefer `guard_blueprint`",
)
def test_on_a_function_of_before_request(app: Flask) -> None:
    reports = Blueprint("reports", __name__)
    later: list[str] = []

    @reports.before_request
    @requires_feature(DOMAIN)
    def only_with_domain() -> None:
        """The decorator asks."""

    reports.before_request(lambda: later.append("ran"))
    reports.add_url_rule("/", "list", lambda: "list")
    app.register_blueprint(reports)
    assert is_guarded(app)
    assert later == ["ran"]


@wiring(
    "Flask",
    "rules with a path, an endpoint as `name`, or a blueprint as `namespace`",
    "guarded; `@guard_exempt` frees a view, a method or a blueprint",
)
def test_by_rules(sidecar: LocalSidecar) -> None:
    rules = [
        {"path": "/paths/*", "feature": DOMAIN},
        {"name": "named", "feature": DOMAIN},
        {"namespace": "reports", "feature": DOMAIN},
    ]
    with guarded_app(sidecar, rules=rules) as app:
        reports = Blueprint("reports", __name__, url_prefix="/reports")
        for path, endpoint in {"/paths/one": "one", "/name": "named"}.items():
            app.add_url_rule(path, endpoint, lambda: "hello")
        reports.add_url_rule("/", "list", lambda: "list")
        reports.add_url_rule("/free", "free", guard_exempt(lambda: "free"))
        app.register_blueprint(reports)
        for path in ("/paths/one", "/name", "/reports/"):
            assert is_guarded(app, path)
        assert ask(app, "/reports/free", AT_LIMIT).status_code == 200


@wiring("Flask", "on a function that a view calls", "asked when it is called")
def test_on_a_function_that_a_view_calls(app: Flask) -> None:
    @requires_feature(DOMAIN)
    def logo() -> str:
        return "logo"

    @app.get("/")
    def page() -> ResponseReturnValue:
        return logo()

    assert is_guarded(app)


CACHING: Any = import_module("flask_caching")  # its types want more than tests say


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@pytest.fixture
def cached(app: Flask) -> Decorator:
    """Flask-Caching's decorator for a minute."""
    return CACHING.Cache(app, config={"CACHE_TYPE": "SimpleCache"}).cached(timeout=60)  # type: ignore[no-any-return]


@wiring(
    "Flask",
    "above `@cache.cached` of Flask-Caching",
    "each request is asked, and what is below is cached",
)
def test_above_a_cache(app: Flask, cached: Decorator) -> None:
    made: list[str] = []

    @app.get("/")
    @requires_feature(DOMAIN)
    @cached
    def view() -> ResponseReturnValue:
        made.append("page")
        return "page"

    assert callable(view)
    assert is_guarded(app)
    assert is_guarded(app)
    assert made == ["page"]


@wiring(
    "Flask",
    "below `@cache.cached` of Flask-Caching",
    "refused at import: the cache would give to everybody what one customer may have",
    is_right=False,
)
def test_below_a_cache(app: Flask, cached: Decorator) -> None:
    with pytest.raises(ConfigurationError, match="the view 'view' has its guard below"):

        @app.get("/")
        @cached
        @requires_feature(DOMAIN)
        def view() -> ResponseReturnValue:
            return "page"


@pytest.mark.parametrize("of_method", [True, False])
def test_below_a_cache_on_a_class(
    app: Flask, cached: Decorator, of_method: bool
) -> None:
    def get(_self: object) -> ResponseReturnValue:
        return "page"

    guarded: Any = requires_feature(DOMAIN)
    members: dict[str, Any] = (
        {"get": cached(guarded(get))}
        if of_method
        else {"get": get, "decorators": [guarded, cached]}
    )
    page: Any = type("Page", (MethodView,), members)
    with pytest.raises(ConfigurationError, match="write the guard above"):
        app.add_url_rule("/", view_func=page.as_view("page"))


@wiring(
    "Flask",
    "above `@app.route`",
    "refused while the module is imported: Flask would call what stands below",
    is_right=False,
)
def test_above_the_route(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match=rf"the view 'view'.*{BELOW}"):

        @requires_feature(DOMAIN)
        @app.get("/")
        def view() -> ResponseReturnValue:
            return "open to all"


def test_above_the_route_with_others_between(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match=BELOW):

        @requires_feature(DOMAIN)
        @guard_exempt
        @app.get("/")
        @requires_feature("feature-06-max-file-size")
        def view() -> ResponseReturnValue:
            return "open to more"


@wiring(
    "Flask",
    "above `@reports.route` of a blueprint",
    "refused by `register_blueprint`",
    is_right=False,
)
def test_above_the_route_of_a_blueprint(app: Flask) -> None:
    reports = Blueprint("reports", __name__)

    @requires_feature(DOMAIN)
    @reports.get("/")
    def overview() -> ResponseReturnValue:
        return "open to all"

    assert callable(overview)
    with pytest.raises(ConfigurationError, match=rf"'overview'.*{BELOW}"):
        app.register_blueprint(reports)


@wiring(
    "Flask",
    "above `@app.route` of an application that gets its `StiggGuard` later",
    "refused by `init_app`",
    is_right=False,
)
def test_above_the_route_before_the_extension() -> None:
    app = Flask(__name__)

    @requires_feature(DOMAIN)
    @app.get("/")
    def view() -> ResponseReturnValue:
        return "open to all"

    assert callable(view)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=BELOW):
            StiggGuard(app)


@wiring(
    "Flask",
    "above `@reports.before_request`",
    "refused at the first request, and at every other",
    is_right=False,
)
def test_above_before_request(app: Flask) -> None:
    reports = Blueprint("reports", __name__)

    @requires_feature(DOMAIN)
    @reports.before_request
    def only_with_domain() -> None:
        """Never asks: Flask was given what stands below the guard."""

    assert callable(only_with_domain)
    app.register_blueprint(reports)
    app.add_url_rule("/", "view", lambda: "hello")
    app.testing = True
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"@app\.before_request, then"):
            ask(app)


@wiring(
    "Flask",
    "on a function of `after_request` or `teardown_request`",
    "refused at the first request, and at every other: the view has run by then",
    is_right=False,
)
@pytest.mark.parametrize("kind", ["after_request", "teardown_request"])
def test_on_a_function_of_after_request(app: Flask, kind: str) -> None:
    @requires_feature(DOMAIN)
    def too_late(response: Any) -> Any:
        return response

    getattr(app, kind)(too_late)
    app.add_url_rule("/", "view", lambda: "hello")
    app.testing = True
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"'too_late' has a guard.*on the"):
            ask(app)


@wiring(
    "Flask",
    "on a job, or below `@app.cli.command`",
    "refused when it is called: `@guard.requires_feature` is for functions",
    is_right=False,
)
def test_on_a_command(app: Flask) -> None:
    @app.cli.command()
    @requires_feature(DOMAIN)
    def nightly() -> None:
        """Called outside of any request."""

    done = app.test_cli_runner().invoke(nightly)
    assert isinstance(done.exception, ConfigurationError)
    assert "'nightly' is guarded as a view is" in str(done.exception)
    assert "from stigg_guard_flask import guard" in str(done.exception)


@wiring("Flask", "below `@app.cli.command`, with `@guard.requires_feature`", "guarded")
def test_function_decorator_on_a_command(app: Flask) -> None:
    @app.cli.command()
    @guard.requires_feature(DOMAIN, customer=lambda: AT_LIMIT)
    def nightly() -> None:
        raise AssertionError("ran")

    done = app.test_cli_runner().invoke(nightly)
    assert isinstance(done.exception, AccessDenied)


@wiring("Flask", "on a class of views", "refused at import", is_right=False)
def test_on_a_class() -> None:
    with pytest.raises(TypeError, match="stands on the class Page; decorate its"):

        @requires_feature(DOMAIN)
        class Page(MethodView):
            pass


@wiring(
    "Flask",
    "on a `Blueprint`",
    "refused with the `guard_blueprint(...)` to write",
    is_right=False,
)
def test_on_a_blueprint_object() -> None:
    reports: Any = Blueprint("reports", __name__)
    with pytest.raises(TypeError, match=r'guard_blueprint\(reports, requires="'):
        requires_feature(DOMAIN)(reports)


@wiring("Flask", "on the `Flask` object", "refused: rules do that", is_right=False)
def test_on_an_application_object() -> None:
    with pytest.raises(TypeError, match='stands on the application "shop"; guard it'):
        requires_feature(DOMAIN)(Flask("shop"))


@wiring(
    "Flask",
    "`guard_blueprint` after `register_blueprint`",
    "refused, as Flask refuses every change to a registered blueprint",
    is_right=False,
)
def test_after_registration(app: Flask) -> None:
    reports = Blueprint("reports", __name__)
    app.register_blueprint(reports)
    with pytest.raises(ConfigurationError, match="before register_blueprint"):
        guard_blueprint(reports, requires=DOMAIN)


@wiring(
    "Flask",
    "in an application without `StiggGuard`",
    "every request to a guarded view or blueprint fails and says what to add",
    is_right=False,
)
@pytest.mark.parametrize("by_blueprint", [True, False])
def test_without_the_extension(by_blueprint: bool) -> None:
    app = Flask(__name__)
    app.testing = True
    reports = Blueprint("reports", __name__)
    view: Any = lambda: "open to all"  # noqa: E731  # it is decorated or not
    if by_blueprint:
        guard_blueprint(reports, requires=DOMAIN)
    else:
        view = requires_feature(DOMAIN)(view)
    reports.add_url_rule("/", "view", view)
    app.register_blueprint(reports)
    with pytest.raises(ConfigurationError, match=r"add StiggGuard\(.*init_app\(app\)"):
        ask(app)


@wiring(
    "Flask",
    "two `StiggGuard` on one application",
    "refused by the second",
    is_right=False,
)
def test_two_extensions(app: Flask) -> None:
    with pytest.raises(ConfigurationError, match="has a StiggGuard already"):
        StiggGuard().init_app(app)
    assert guard_from(app).settings.customer is not None


def test_function_may_be_registered_with_and_without_a_guard(app: Flask) -> None:
    def hello() -> ResponseReturnValue:
        return "hello"

    app.add_url_rule("/free", "free", hello)
    app.add_url_rule("/held", "held", requires_feature(DOMAIN)(hello))
    app.add_url_rule("/also-free", "also-free", hello)
    assert ask(app, "/free", AT_LIMIT).status_code == 200
    assert ask(app, "/also-free", AT_LIMIT).status_code == 200
    assert is_guarded(app, "/held")


@wiring(
    "Flask",
    "`app.register_blueprint(webhook_blueprint())`",
    "receives webhooks; exempt from rules",
)
def test_blueprint_of_webhooks_is_nobodys_page() -> None:
    app, rule = Flask("site"), {"path": "/webhooks/stigg", "feature": DOMAIN}
    StiggGuard(app, webhook_secret="s", rules=[rule])
    app.register_blueprint(webhook_blueprint())
    answer = app.test_client().post(
        "/webhooks/stigg", json={"type": "x"}, headers={"Stigg-Webhooks-Secret": "s"}
    )
    assert answer.status_code == 200


@wiring(
    "Flask",
    "`webhook_blueprint` without `STIGG_GUARD_WEBHOOK_SECRET`",
    "refused when it is registered, or by `init_app`",
    is_right=False,
)
def test_blueprint_of_webhooks_without_a_secret_is_refused() -> None:
    app = Flask("site")
    StiggGuard(app)
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRET is not set"):
        app.register_blueprint(webhook_blueprint())
