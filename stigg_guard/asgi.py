"""Guard any ASGI application: rules before it, denials in its place, usage after it.

Policy is `flow`'s; what a framework knows better, such as its request, overrides here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from stigg_guard.denial import Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.flow import RequestScope
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.rules import Rule, matching
from stigg_guard.settings import Settings
from stigg_guard.view import CustomerResolver, ViewSpec, in_order

__all__ = ["Exchange", "StiggGuardMiddleware", "exchange_of", "guard_from"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY: Final = "stigg_guard"
"""Where a scope carries its `Exchange`."""

POLICY_VIOLATION: Final = 1008
"""The close code of a WebSocket that may not go on (RFC 6455, section 7.4.1)."""


@dataclass(slots=True)
class Exchange:
    """One request or WebSocket on its way through: its guard and what it knows.

    `has_started` once the response began, `is_open` while a WebSocket is accepted.
    """

    guard: AsyncGuard
    scope: RequestScope
    has_started: bool = False
    is_open: bool = False

    async def admit(self, specs: tuple[ViewSpec, ...], request: object) -> None:
        """Let a view run, or raise `AccessDenied`."""
        self.prepare(request)
        await self.guard.admit(specs, self.scope)

    def prepare(self, request: object) -> None:
        """Make ready for questions about `request`.

        A WebSocket may live for hours: what was answered before it was accepted is
        asked again for its messages.
        """
        self.scope.request = request
        if self.has_started:
            self.scope.answers.clear()

    async def start(self, status: int | None) -> None:
        """Settle what was admitted, once: the response begins with this status."""
        if not self.has_started:
            self.has_started = True
            await self.settle(status)

    async def settle(self, status: int | None) -> None:
        """Report what was used; None: the request did not finish."""
        if self.scope.admissions:
            await self.guard.settle(self.scope, status)


def exchange_of(scope: Mapping[str, Any]) -> Exchange:
    """The exchange that the middleware began, or an error that says how to add it."""
    exchange = scope.get(KEY)
    if not isinstance(exchange, Exchange):
        raise ConfigurationError(
            "this request did not pass through StiggGuardMiddleware; add it to the"
            " application: Middleware(StiggGuardMiddleware, customer=customer_of, ...)"
            " in Starlette, app.add_middleware(StiggGuardMiddleware, ...) in FastAPI."
        )
    return exchange


def guard_from(scope: Mapping[str, Any]) -> AsyncGuard:
    """The guard of the application that this scope belongs to."""
    return exchange_of(scope).guard


class StiggGuardMiddleware:
    """Guards an ASGI application: `StiggGuardMiddleware(app, target=..., rules=[...])`.

    Takes the settings by their names in lower case, or a `guard` that lives elsewhere.
    `customer` is called with the scope. HTTP and WebSocket only; all else passes
    through. Messages are forwarded as they come, never kept.
    """

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
        self.guard = AsyncGuard(own) if guard is None else guard.aio
        self._owns_guard = guard is None
        self._customer = own.customer
        self._rules = own.rules if guard is None else guard.settings.rules + own.rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan" and self._owns_guard:
            await self.app(scope, receive, self._closing_send(send))
        else:
            await self.app(scope, receive, send)

    def connection(self, scope: Scope) -> object:
        """What the user's functions get for a request that no view has seen yet."""
        return scope

    def is_exempt(self, scope: Scope) -> bool:
        """Whether the view of this request is exempt from the rules."""
        return False

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._begin(scope)
        is_http = scope["type"] == "http"
        watch = _http_send if is_http else _websocket_send
        try:
            specs = self._ruled(scope)
            if specs:
                await exchange.admit(specs, self.connection(scope))
            await self.app(scope, receive, watch(exchange, send))
        except AccessDenied as error:
            if exchange.is_open:
                await _close(error, send)
            elif exchange.has_started:
                raise
            else:
                await exchange.settle(None)
                await self._answer(error, exchange, scope, receive, send)
        finally:
            await exchange.settle(None)
            exchange.scope.request = None  # the scope holds the exchange: no cycle

    def _begin(self, scope: Scope) -> Exchange:
        method = scope.get("method", "GET").upper()
        exchange = Exchange(
            self.guard,
            RequestScope(
                customer=self._customer,
                method=method,
                is_preflight=method == "OPTIONS"
                and _header(scope, b"access-control-request-method") is not None,
            ),
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

    async def _answer(
        self,
        error: AccessDenied,
        exchange: Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        on_denied = error.on_denied
        if on_denied is None:
            on_denied = self.guard.settings.on_denied
        if callable(on_denied):
            request = exchange.scope.request or self.connection(scope)
            answer = on_denied(request, error.decision)
            response: Any = await answer if inspect.isawaitable(answer) else answer
            if not callable(response):
                raise TypeError(
                    f"on_denied returned {response!r}; return a response, which is an"
                    " ASGI application."
                )
            await cast("ASGIApp", response)(scope, receive, send)
            return
        accept = _header(scope, b"accept")
        denial = self.guard.denials.denial(
            error.decision, accept=accept, view=on_denied
        )
        await send_denial(denial, error, scope, send)

    def _closing_send(self, send: Send) -> Send:
        async def closing_send(message: Message) -> None:
            if message["type"] in (
                "lifespan.shutdown.complete",
                "lifespan.shutdown.failed",
            ):
                await self.guard.aclose()
                self.guard.sync.close()
            await send(message)

        return closing_send


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


async def send_denial(
    denial: Denial, error: AccessDenied, scope: Scope, send: Send
) -> None:
    """Answer a request or a WebSocket handshake with a denial."""
    prefix = ""
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await _close(error, send)
            return
        prefix = "websocket."
    headers = {**denial.headers, "Content-Length": str(len(denial.body))}
    await send(
        {
            "type": f"{prefix}http.response.start",
            "status": denial.status,
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers.items()
            ],
        }
    )
    body = b"" if scope.get("method") == "HEAD" else denial.body
    await send({"type": f"{prefix}http.response.body", "body": body})


async def _close(error: AccessDenied, send: Send) -> None:
    """Close a WebSocket; before it is accepted, servers answer this with a 403."""
    reason = error.decision.reason
    await send(
        {
            "type": "websocket.close",
            "code": POLICY_VIOLATION,
            "reason": reason.value if reason is not None else "",
        }
    )


def _http_send(exchange: Exchange, send: Send) -> Send:
    async def settling_send(message: Message) -> None:
        if not exchange.has_started and message["type"] == "http.response.start":
            await exchange.start(message["status"])
        await send(message)

    return settling_send


def _websocket_send(exchange: Exchange, send: Send) -> Send:
    async def settling_send(message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            await exchange.start(200)
            exchange.is_open = True
        elif kind == "websocket.close":
            exchange.is_open = False
            await exchange.start(None)
        elif kind == "websocket.http.response.start":
            await exchange.start(message["status"])
        await send(message)

    return settling_send


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1") if values else None
