"""Guard any ASGI application: rules before it, denials in its place, usage after it.

Policy is `flow`'s; what a framework knows better, such as its request, overrides here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from stigg_guard.decision import Decision
from stigg_guard.denial import Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.exchange import (
    KEY,
    ASGIApp,
    Exchange,
    Message,
    Receive,
    Scope,
    Send,
    exchange_of,
    header,
)
from stigg_guard.guard import AsyncGuard, Guard, checked_guard
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.lifespan import end, start
from stigg_guard.rule_settings import only_paths
from stigg_guard.rules import Rule, matching
from stigg_guard.settings import Settings
from stigg_guard.steps import RequestScope, Usage
from stigg_guard.templates import refuse_templates
from stigg_guard.view import CustomerResolver, ViewSpec, in_order
from stigg_guard.webhooks.asgi import WebhookReceiver

_ENDS: Final = ("lifespan.shutdown.complete", "lifespan.shutdown.failed")

__all__ = [
    "ASGIApp",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "StiggGuardMiddleware",
    "WebhookReceiver",
    "decision_from",
    "entitlements_from",
    "guard_from",
    "usage_from",
]


def guard_from(scope: Mapping[str, Any]) -> AsyncGuard:
    """The guard of the application that this scope belongs to."""
    return exchange_of(scope).guard


def usage_from(scope: Mapping[str, Any], feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever a rule says.

    With the id of a feature, or the name of an event, it is of that alone.
    """
    return exchange_of(scope).scope.usage(feature_id or "")


def entitlements_from(scope: Mapping[str, Any]) -> LazyEntitlements:
    """What the customer of this request has: nothing is asked before first use."""
    return exchange_of(scope).entitlements(scope)


def decision_from(
    scope: Mapping[str, Any], feature_id: str | None = None
) -> Decision | None:
    """What was decided of this request: of a feature or currency, or of all it needs.

    Of all, a denial in shadow mode comes first. None when nothing was asked.
    """
    return exchange_of(scope).scope.decision(feature_id)


class StiggGuardMiddleware:
    """Guards an ASGI application: `StiggGuardMiddleware(app, target=..., rules=[...])`.

    Takes the settings by their names in lower case, or a `guard` that lives elsewhere.
    `customer` is called with the scope. HTTP and WebSocket only; all else passes
    through. Messages are forwarded as they come, never kept.
    """

    renders_templates = False
    """Whether `on_denied` may name a template: a framework's middleware renders it."""

    def __init__(
        self,
        app: ASGIApp,
        /,
        *,
        guard: Guard | AsyncGuard | None = None,
        rules: Iterable[Rule | Mapping[str, Any]] = (),
        customer: CustomerResolver | str | None = None,
        **settings: object,
    ) -> None:
        if guard is not None and settings:
            raise ConfigurationError(
                f"StiggGuardMiddleware was given a guard and {', '.join(settings)};"
                " put these into the guard's settings."
            )
        own = Settings.from_options(
            {**settings, "rules": rules, "customer": customer},
            owner="StiggGuardMiddleware",
        )
        self.app = app
        given = None if guard is None else checked_guard(guard, type(self).__name__)
        self.guard = AsyncGuard(own) if given is None else given.aio
        self._owns_guard = guard is None
        self._customer = own.customer
        rules = own.rules if guard is None else guard.settings.rules + own.rules
        self._rules = only_paths(rules, type(self).__name__)
        self._is_checked = False
        if not self.renders_templates:
            refuse_templates(type(self).__name__, self.guard.settings, self._rules)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are looked at."""
        return self._rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, self._living_send(send))
        else:
            await self.app(scope, receive, send)

    def check(self) -> None:
        """Raise `ConfigurationError` for what cannot work, before the first request."""

    def connection(self, scope: Scope) -> object:
        """What the user's functions get for a request that no view has seen yet."""
        return scope

    def is_exempt(self, scope: Scope) -> bool:
        """Whether the view of this request is exempt from the rules."""
        return False

    async def denial(self, error: AccessDenied, scope: Scope) -> Denial:
        """The answer to a denied request, where no function makes it."""
        return self.guard.denial(error, accept=header(scope, b"accept"))

    def owned_guards(self) -> Iterable[AsyncGuard]:
        """The guards that end with this application: not one that was given."""
        return (self.guard,) if self._owns_guard else ()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check_once()
        exchange = self._begin(scope)
        is_http = scope["type"] == "http"
        watch = _http_send if is_http else _websocket_send
        is_cut = False
        try:
            specs = self._ruled(scope)
            if specs and exchange.scope.is_preflight:
                # CORS may be handled inside; a body is nothing that it needs.
                send = _bodiless_send(send)
            elif specs:
                exchange.scope.arguments = scope.get("path_params") or {}
                await exchange.admit(specs, self.connection(scope))
            if is_http:
                receive = _watching_receive(exchange, receive)
            await self.app(scope, receive, watch(exchange, send))
            if not is_http:
                await exchange.finish()
        except AccessDenied as error:
            if exchange.has_started and not exchange.is_open:
                raise
            exchange.scope.request = exchange.scope.request or self.connection(scope)
            await exchange.answer(error, scope, receive, send)
        except asyncio.CancelledError:
            is_cut = True
            raise
        finally:
            await exchange.settle(None)
            if not is_cut:  # else what was begun goes on, and needs the request
                exchange.forget()

    def _begin(self, scope: Scope) -> Exchange:
        self.guard.begin()
        method = scope.get("method", "GET").upper()
        exchange = Exchange(
            self.guard,
            RequestScope(
                customer=self._customer,
                method=method,
                is_preflight=method == "OPTIONS"
                and header(scope, b"access-control-request-method") is not None,
            ),
            self.denial,
        )
        scope[KEY] = exchange
        return exchange

    def _ruled(self, scope: Scope) -> tuple[ViewSpec, ...]:
        if not self._rules:
            return ()
        specs = matching(
            self._rules, scope.get("method", "GET").upper(), route_path(scope)
        )
        return () if specs and self.is_exempt(scope) else in_order(specs)

    def _living_send(self, send: Send) -> Send:
        async def living_send(message: Message) -> None:
            kind = message["type"]
            if kind == "lifespan.startup.complete":
                self._check_once()
                await start(self.guard)
            elif kind in _ENDS:
                for guard in self.owned_guards():
                    await end(guard)
            await send(message)

        return living_send

    def _check_once(self) -> None:
        if not self._is_checked:
            self.check()
            self._is_checked = True


def route_path(scope: Mapping[str, Any]) -> str:
    """The path that frameworks route by: without the root path, where it begins so.

    Starlette's patterns end with "$", which lets one newline at the end through; so it
    is the same path here.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return path.removesuffix("\n")


def _bodiless_send(send: Send) -> Send:
    async def bodiless_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, b"0" if name.lower() == b"content-length" else value)
                for name, value in message.get("headers", ())
            ]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return bodiless_send


def _http_send(exchange: Exchange, send: Send) -> Send:
    async def settling_send(message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            message = await exchange.start(message["status"], message)
        elif exchange.scope.streams:
            if kind == "http.response.body":
                is_last = not message.get("more_body", False)
                await exchange.sent(message.get("body", b""), is_last=is_last)
            elif kind == "http.response.pathsend":
                await exchange.finish()  # the server sends a file by itself
        await send(message)

    return settling_send


def _watching_receive(exchange: Exchange, receive: Receive) -> Receive:
    async def watching_receive() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            exchange.is_gone = True
        return message

    return watching_receive


def _websocket_send(exchange: Exchange, send: Send) -> Send:
    async def settling_send(message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            if exchange.scope.streams:
                await exchange.sent(message.get("bytes") or message.get("text") or "")
        elif kind == "websocket.accept":
            message = await exchange.start(200, message)
            exchange.is_open = True
        elif kind == "websocket.close":
            exchange.is_open = False
            await exchange.start(None, message)
        elif kind == "websocket.http.response.start":
            message = await exchange.start(message["status"], message)
        await send(message)

    return settling_send
