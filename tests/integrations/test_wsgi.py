"""The WSGI middleware: what a server and an application may expect of PEP 3333."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder
from werkzeug.wrappers import Response

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    AsyncGuard,
    ConfigurationError,
    Decision,
    Guard,
    Subject,
)
from stigg_guard import wsgi as stigg_guard_wsgi
from stigg_guard.wsgi import StiggGuardMiddleware
from stigg_guard_flask import StiggGuard, guard_from
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Sent: TypeAlias = list[str | bytes]
TEXT = [("Content-Type", "text/plain")]
METERED = {"path": "/", "meters": TEMPLATES, "on_unavailable": "deny"}


def customer_of(environ: WSGIEnvironment) -> str | None:
    return environ.get("HTTP_X_CUSTOMER")


@pytest.fixture
def guard(sidecar: LocalSidecar) -> Iterator[Guard]:
    """A guard with the middlewares' resolver."""
    guard = Guard(target=sidecar.target, timeout=5, customer=customer_of)
    yield guard
    guard.close()


def environ_of(path: str = "/", customer: str = WITHIN, **more: Any) -> WSGIEnvironment:
    headers = [("X-Customer", customer)]
    builder = EnvironBuilder(path, headers=headers, method="POST")
    return builder.get_environ() | more


def is_settled(environ: WSGIEnvironment) -> bool:
    """Whether nothing that was admitted is still open."""
    exchange = environ["stigg_guard.exchange"]
    assert isinstance(exchange, stigg_guard_wsgi.Exchange)
    return exchange.scope.admissions == []


class Server:
    """A server's side of one request: what reached it, in order."""

    def __init__(self) -> None:
        self.sent: Sent = []

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: Any = None,
        /,
    ) -> Callable[[bytes], object]:
        if exc_info is not None and self.sent:
            raise exc_info[1].with_traceback(exc_info[2])
        self.sent.append(status)
        return self.sent.append

    def run(self, app: WSGIApplication, environ: WSGIEnvironment) -> Sent:
        chunks = app(environ, self.start_response)
        try:
            self.sent.extend(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return self.sent


def plain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"hello"]


def test_iterable_of_the_application_is_handed_on_as_it_is(guard: Guard) -> None:
    with open(__file__, "rb") as file:
        body = FileWrapper(file)

        def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response("200 OK", TEXT)
            return body

        guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
        assert guarded(environ_of(), Server().start_response) is body


def test_usage_is_reported_before_the_status_leaves(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    seen: list[float] = []
    server = Server()

    def start_response(*arguments: Any) -> Callable[[bytes], object]:
        seen.append(used(sidecar, WITHIN))
        return server.start_response(*arguments)

    guarded = StiggGuardMiddleware(plain, guard=guard, rules=[METERED])
    assert list(guarded(environ_of(), start_response)) == [b"hello"]
    assert seen == [4]


def test_generator_that_starts_late_is_guarded(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    closed: list[bool] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        try:
            start_response("201 Created", TEXT)
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    assert Server().run(guarded, environ_of()) == ["201 Created", b"a", b"b"]
    assert used(sidecar, WITHIN) == 4
    assert closed == [True]
    assert Server().run(guarded, environ_of(customer=AT_LIMIT))[0] == (
        "402 Payment Required"
    )


def test_generator_without_a_body_is_metered(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("204 No Content", [])
        yield from ()

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    assert Server().run(guarded, environ_of()) == ["204 No Content"]
    assert used(sidecar, WITHIN) == 4


def test_application_that_writes_is_metered_once(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"a")
        write(b"b")
        return [b"c"]

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    assert Server().run(guarded, environ_of()) == ["200 OK", b"a", b"b", b"c"]
    assert used(sidecar, WITHIN) == 4


def test_application_that_breaks_is_not_metered(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    def breaks(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        raise OSError("broken")

    def breaks_late(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        yield from breaks(environ, start_response)

    for app in (breaks, breaks_late):
        guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
        server, environ = Server(), environ_of()
        with pytest.raises(OSError, match="broken"):
            server.run(guarded, environ)
        assert server.sent == []
        assert is_settled(environ)
    assert used(sidecar, WITHIN) == 3


def test_answer_to_an_error_counts_as_no_success(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        error = OSError("broken")
        info: tuple[type[OSError], OSError, TracebackType | None]
        info = (OSError, error, error.__traceback__)
        start_response("200 Sorry", TEXT, info)  # type: ignore[arg-type]  # no frame
        return [b"sorry"]

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    assert Server().run(guarded, environ_of()) == ["200 Sorry", b"sorry"]
    assert used(sidecar, WITHIN) == 3


def test_error_after_the_start_reaches_the_server(guard: Guard) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        yield b"a"
        error = OSError("broken")
        start_response("500 Broken", TEXT, (OSError, error, error.__traceback__))  # type: ignore[arg-type]  # no frame

    guarded = StiggGuardMiddleware(app, guard=guard)
    server = Server()
    with pytest.raises(OSError, match="broken"):
        server.run(guarded, environ_of())
    assert server.sent == ["200 OK", b"a"]


def test_body_that_nobody_reads_is_closed_and_not_metered(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            raise NotImplementedError

        def close(self) -> None:
            closed.append(True)

    def app(*_: object) -> Iterable[bytes]:
        return Body()

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    environ = environ_of()
    chunks: Any = guarded(environ, Server().start_response)
    chunks.close()
    assert closed == [True]
    assert is_settled(environ)
    assert used(sidecar, WITHIN) == 3


@pytest.mark.parametrize("path", ["/", "/late"])
def test_denial_raised_inside_is_answered(guard: Guard, path: str) -> None:
    def view(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterator[bytes]:
        inner = stigg_guard_wsgi.guard_from(environ)
        inner.require(Subject(environ["HTTP_X_CUSTOMER"]), DOMAIN)
        yield from plain(environ, start_response)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chunks = view(environ, start_response)
        return chunks if environ["PATH_INFO"] == "/late" else list(chunks)

    guarded = StiggGuardMiddleware(app, guard=guard)
    assert Server().run(guarded, environ_of(path)) == ["200 OK", b"hello"]
    denied = Client(guarded).get(path, headers={"X-Customer": AT_LIMIT})
    assert denied.status == "402 Payment Required"
    assert denied.mimetype == "application/problem+json"
    assert denied.content_length == len(denied.data) > 0


def test_denial_after_the_response_began_is_an_error(guard: Guard) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", TEXT)(b"hello")
        stigg_guard_wsgi.guard_from(environ).require(Subject(AT_LIMIT), DOMAIN)
        return []

    server = Server()
    with pytest.raises(AccessDenied):
        server.run(StiggGuardMiddleware(app, guard=guard), environ_of())
    assert server.sent == ["200 OK", b"hello"]


def test_denied_head_has_the_length_and_no_body(guard: Guard) -> None:
    rules = [{"path": "/", "feature": DOMAIN}]
    guarded = StiggGuardMiddleware(plain, guard=guard, rules=rules)
    environ = environ_of(customer=AT_LIMIT, REQUEST_METHOD="HEAD")
    assert Server().run(guarded, environ) == ["402 Payment Required", b""]


def test_on_denied_returns_an_application_of_its_own(sidecar: LocalSidecar) -> None:
    def sorry(environ: WSGIEnvironment, decision: Decision) -> Response:
        return Response(f"{environ['PATH_INFO']} {decision.reason}", 409)

    guarded = StiggGuardMiddleware(
        plain,
        target=sidecar.target,
        timeout=5,
        customer=customer_of,
        rules=[
            {"path": "/general", "feature": DOMAIN},
            {"path": "/special", "feature": DOMAIN, "on_denied": 404},
        ],
        on_denied=sorry,
    )
    client = Client(guarded)
    general = client.get("/general", headers={"X-Customer": AT_LIMIT})
    assert general.status_code == 409
    assert general.text == "/general NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    special = client.get("/special", headers={"X-Customer": AT_LIMIT})
    assert special.status_code == 404
    guarded.guard.close()


def test_scope_lets_the_application_say_what_was_really_used(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["stigg_guard.exchange"].scope.usage().value = 2
        return plain(environ, start_response)

    guarded = StiggGuardMiddleware(app, guard=guard, rules=[METERED])
    Server().run(guarded, environ_of())
    assert used(sidecar, WITHIN) == 5


def test_middleware_of_its_own_customer_leaves_the_guard_alone(guard: Guard) -> None:
    def always(_: WSGIEnvironment) -> str:
        return AT_LIMIT

    rules = [{"path": "/", "feature": DOMAIN}]
    fixed = StiggGuardMiddleware(plain, guard=guard, rules=rules, customer=always)
    assert Server().run(fixed, environ_of())[0] == "402 Payment Required"
    usual = StiggGuardMiddleware(plain, guard=guard, rules=rules)
    assert Server().run(usual, environ_of())[0] == "200 OK"


def test_rules_of_the_guard_hold_too_and_an_async_guard_will_do(
    sidecar: LocalSidecar,
) -> None:
    guard = AsyncGuard(
        target=sidecar.target,
        timeout=5,
        customer=customer_of,
        rules=[{"path": "/a", "feature": DOMAIN}],
    )
    guarded = StiggGuardMiddleware(
        plain, guard=guard, rules=[{"path": "/b", "feature": DOMAIN}]
    )
    for path, status in (("/a", 402), ("/b", 402), ("/c", 200)):
        answer = Client(guarded).get(path, headers={"X-Customer": AT_LIMIT})
        assert answer.status_code == status
    guarded.guard.close()


def test_rule_by_name_is_refused(guard: Guard) -> None:
    with pytest.raises(ConfigurationError, match="StiggGuardMiddleware: rule 0 is for"):
        StiggGuardMiddleware(
            plain, guard=guard, rules=[{"namespace": "api", "feature": DOMAIN}]
        )


def test_rule_matches_the_path_that_the_application_routes_by(guard: Guard) -> None:
    rules = [{"path": path, "feature": DOMAIN} for path in ("/", "/größe")]
    guarded = StiggGuardMiddleware(plain, guard=guard, rules=rules)
    mounted = DispatcherMiddleware(plain, {"/api": guarded})
    for path, status in (
        ("/api/größe", 402),
        ("/api/gr%C3%B6%C3%9Fe", 402),
        ("/größe", 200),
        ("/api", 402),
        ("/", 200),
        ("/api/other", 200),
    ):
        answer = Client(mounted).get(path, headers={"X-Customer": AT_LIMIT})
        assert answer.status_code == status


def test_flask_inside_keeps_its_own_guard(guard: Guard, sidecar: LocalSidecar) -> None:
    app = Flask(__name__)
    rules = [{"path": "/flask", "meters": TEMPLATES}]
    StiggGuard(
        app, target=sidecar.target, timeout=5, customer=lambda: WITHIN, rules=rules
    )
    app.add_url_rule("/flask", view_func=lambda: "flask")
    outer = StiggGuardMiddleware(
        app.wsgi_app, guard=guard, rules=[{"path": "/flask", "feature": DOMAIN}]
    )
    client = Client(outer)
    assert client.get("/flask", headers={"X-Customer": AT_LIMIT}).status_code == 402
    assert client.get("/flask", headers={"X-Customer": WITHIN}).text == "flask"
    assert used(sidecar, WITHIN) == 4
    guard_from(app).close()


@pytest.mark.parametrize("customer", [WITHIN, AT_LIMIT])
def test_conversation_is_valid_wsgi(guard: Guard, customer: str) -> None:
    rules = [{"path": "/", "feature": DOMAIN}]
    guarded = validator(
        StiggGuardMiddleware(validator(plain), guard=guard, rules=rules)
    )
    Server().run(guarded, environ_of(customer=customer, REQUEST_METHOD="GET"))


def test_application_that_starts_twice_is_told(guard: Guard) -> None:
    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return []

    with pytest.raises(AssertionError, match="twice"):
        Server().run(StiggGuardMiddleware(app, guard=guard), environ_of())


def test_application_that_never_starts_is_told(guard: Guard) -> None:
    def app(*_: object) -> Iterable[bytes]:
        return [b"hello"]

    guarded = StiggGuardMiddleware(app, guard=guard)
    with pytest.raises(AssertionError, match="did not call start_response"):
        Server().run(guarded, environ_of())


def test_bad_wiring_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"StiggGuardMiddleware\(timout=...\)"):
        StiggGuardMiddleware(plain, timout=1)
    with pytest.raises(ConfigurationError, match=r"rule 0: .* names nothing"):
        StiggGuardMiddleware(plain, rules=[{"path": "/"}])
    with pytest.raises(ConfigurationError, match="a guard and timeout; give the set"):
        StiggGuardMiddleware(plain, guard=Guard(), timeout=1)
    wrong: Any = "127.0.0.1:80"
    with pytest.raises(ConfigurationError, match="give it a Guard or an AsyncGuard"):
        StiggGuardMiddleware(plain, guard=wrong)
    with pytest.raises(ConfigurationError, match="wrap the application: app = "):
        stigg_guard_wsgi.guard_from(environ_of())


def test_template_is_refused_as_there_is_nothing_to_render_it() -> None:
    def app(*_: Any) -> Any:
        """Never called."""

    wanted: list[dict[str, Any]] = [
        {"on_denied": "upgrade.html"},
        {"rules": [{"path": "/d", "feature": DOMAIN, "on_denied": "upgrade.html"}]},
        {"guard": Guard(on_denied="upgrade.html")},
    ]
    for options in wanted:
        with pytest.raises(ConfigurationError, match="the template"):
            StiggGuardMiddleware(app, **options)


def test_application_may_look_at_what_its_customer_has(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    asked_for: list[object] = []

    def asking_customer_of(environ: WSGIEnvironment) -> str | None:
        asked_for.append(environ)
        return customer_of(environ)

    def application(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        entitlements = stigg_guard_wsgi.entitlements_from(environ)
        assert not sidecar.calls
        start_response("200 OK", TEXT)
        has = entitlements.has(DOMAIN), entitlements.has("feature-08-editors")
        return [f"{has} {entitlements.remaining(TEMPLATES):g}".encode()]

    app = StiggGuardMiddleware(application, guard=guard, customer=asking_customer_of)
    answer = Client(app).get("/", headers={"X-Customer": WITHIN})
    assert answer.text == "(True, False) 3"
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    assert len(asked_for) == 1
