"""The middleware for any WSGI application: URL rules, denials and reports around it.

What a rule means lives in `rules`, how a denial looks in `denial`. Source: PEP 3333.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any

from stigg_guard.decision import Decision
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import AsyncGuard, Guard, checked_guard
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.rule_settings import only_paths
from stigg_guard.rules import Rule, matching
from stigg_guard.settings import Settings
from stigg_guard.steps import RequestScope, Usage
from stigg_guard.templates import refuse_templates
from stigg_guard.view import CustomerResolver
from stigg_guard.webhooks.wsgi import WebhookReceiver
from stigg_guard.wsgi_exchange import KEY, Exchange, ExcInfo, exchange_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "Exchange",
    "StiggGuardMiddleware",
    "WebhookReceiver",
    "decision_from",
    "entitlements_from",
    "guard_from",
    "usage_from",
]


class StiggGuardMiddleware:
    """Guards a WSGI application by URL rules, and answers `AccessDenied` it raises.

    `guard` takes a ready guard; without one the settings make it. `customer` is called
    with the environ, and so is every other function; `on_denied` returns a WSGI
    application. Rules match PATH_INFO, the part of the path the application routes by.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        guard: Guard | AsyncGuard | None = None,
        rules: Iterable[Rule | Mapping[str, Any]] = (),
        customer: CustomerResolver | str | None = None,
        **settings: object,
    ) -> None:
        options = settings | {"rules": rules, "customer": customer}
        read = Settings.from_options(options, owner=type(self).__name__)
        if guard is not None and settings:
            raise ConfigurationError(
                f"{type(self).__name__} was given a guard and {', '.join(settings)};"
                " give the settings to the guard."
            )
        given = None if guard is None else checked_guard(guard, type(self).__name__)
        self.guard = Guard(read) if given is None else given.sync
        self._app = app
        self._customer = read.customer
        rules = read.rules if guard is None else guard.settings.rules + read.rules
        self._rules = only_paths(rules, type(self).__name__)
        refuse_templates(type(self).__name__, self.guard.settings, self._rules)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request, as PEP 3333 says."""
        self.guard.begin()
        scope = request_scope(environ, self._customer)
        exchange = environ[KEY] = Exchange(self.guard, scope, start_response)
        specs = matching(self._rules, scope.method, routed_path(environ))
        if specs and scope.is_preflight:
            return self._bodiless(environ, start_response)
        try:
            if specs:
                self.guard.admit(specs, scope)
            chunks = self._app(environ, exchange.start_response)
            if exchange.is_announced:
                exchange.commit()
                return exchange.counted(chunks)
            return _Awaited(chunks, exchange, self._answer, environ)
        except AccessDenied as error:
            return self._answer(error, environ, exchange)
        except BaseException:
            exchange.abandon()
            raise

    def _bodiless(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Let a preflight through: CORS may be handled inside, and needs no body."""

        def start(
            status: str,
            headers: list[tuple[str, str]],
            exc_info: ExcInfo | None = None,
            /,
        ) -> Callable[[bytes], object]:
            kept = [item for item in headers if item[0].lower() != "content-length"]
            start_response(status, [*kept, ("Content-Length", "0")], exc_info)
            return len  # what is written goes nowhere

        chunks = self._app(environ, start)
        try:
            for _ in chunks:
                pass
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return []

    def _answer(
        self, error: AccessDenied, environ: WSGIEnvironment, exchange: Exchange
    ) -> Iterable[bytes]:
        exchange.abandon()
        if exchange.is_committed:
            raise error
        wanted = self.guard.wanted(error)
        exchange.scope.decisions.append(error.decision)
        if callable(wanted):
            own: WSGIApplication = wanted(environ, error.decision)
            return own(environ, exchange.forward_with_headers)
        denial = self.guard.denial(error, accept=environ.get("HTTP_ACCEPT"))
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else denial.body
        headers = [*denial.headers.items(), ("Content-Length", str(len(denial.body)))]
        exchange.forward_with_headers(_status_line(denial.status), headers)
        return [body]


class _Awaited:
    """The body of an application that calls `start_response` while it is iterated."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        exchange: Exchange,
        answer: Callable[[AccessDenied, WSGIEnvironment, Exchange], Iterable[bytes]],
        environ: WSGIEnvironment,
    ) -> None:
        self._chunks = chunks
        self._exchange = exchange
        self._answer = answer
        self._environ = environ
        self._closes = [getattr(chunks, "close", None)]

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        rest = iter(self._chunks)
        try:
            first = list(_one(rest))
            if not exchange.is_announced:
                raise AssertionError("the application did not call start_response")
        except AccessDenied as error:
            own = self._answer(error, self._environ, exchange)
            self._closes.append(getattr(own, "close", None))
            return iter(own)
        except BaseException:
            exchange.abandon()
            raise
        exchange.commit()
        return iter(exchange.counted(chain(first, rest)))

    def close(self) -> None:
        """Close what was iterated; a body nobody asked for is abandoned."""
        try:
            for close in self._closes:
                if close is not None:
                    close()
        finally:
            self._exchange.abandon()


def _one(rest: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in rest:
        yield chunk
        return


def guard_from(environ: WSGIEnvironment) -> Guard:
    """The guard of the application that a request is for."""
    return exchange_of(environ).guard


def usage_from(environ: WSGIEnvironment, feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever a rule says.

    With the id of a feature, or the name of an event, it is of that alone.
    """
    return exchange_of(environ).scope.usage(feature_id or "")


def entitlements_from(environ: WSGIEnvironment) -> LazyEntitlements:
    """What the customer of this request has: nothing is asked before first use."""
    return exchange_of(environ).entitlements


def decision_from(
    environ: WSGIEnvironment, feature_id: str | None = None
) -> Decision | None:
    """What was decided of this request: of a feature or currency, or of all it needs.

    Of all, a denial in shadow mode comes first. None when nothing was asked.
    """
    return exchange_of(environ).scope.decision(feature_id)


def request_scope(
    environ: WSGIEnvironment, customer: CustomerResolver | None = None
) -> RequestScope:
    """A fresh scope for a WSGI request."""
    method: str = environ["REQUEST_METHOD"].upper()
    return RequestScope(
        request=environ,
        customer=customer,
        method=method,
        is_preflight=method == "OPTIONS"
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ,
    )


def routed_path(environ: WSGIEnvironment) -> str:
    """PATH_INFO as text: WSGI carries its UTF-8 bytes as Latin-1."""
    raw: str = environ.get("PATH_INFO", "")
    return raw.encode("latin-1").decode("utf-8", "replace") or "/"


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Denied"
