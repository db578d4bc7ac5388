"""One request or WebSocket of an ASGI application: what it knows, and its answer.

What begins and ends it is `asgi`; what may happen in between is `flow`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, TypeAlias, cast

from stigg_guard.denial import Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import AsyncGuard
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.metering.body import length_of
from stigg_guard.response_start import ResponseStart, completed
from stigg_guard.steps import RequestScope
from stigg_guard.view import ViewSpec

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

    `make_denial` makes the answer to a denied request that no function answers.
    `has_started` once the response began, `is_open` while a WebSocket is accepted,
    `is_gone` once the client is known to have left. `left` are the bytes of a streamed
    body that are still to be sent, infinite where nobody knows.
    """

    guard: AsyncGuard
    scope: RequestScope
    make_denial: Callable[[AccessDenied, Scope], Awaitable[Denial]]
    has_started: bool = False
    is_open: bool = False
    is_gone: bool = False
    left: float = inf
    _entitlements: LazyEntitlements | None = field(default=None, init=False, repr=False)

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
            self.scope.decisions.clear()
            self.scope.measurements.clear()
            self.scope.entitlements = None

    def entitlements(
        self, request: object, make: type[LazyEntitlements] = LazyEntitlements
    ) -> LazyEntitlements:
        """What the customer has, asked at first use, once for the whole request.

        On an open WebSocket it is asked anew for each call of this.
        """
        if self.has_started:
            self.scope.entitlements = None
        if self._entitlements is None:

            def ready() -> RequestScope:
                self.scope.request = self.scope.request or request
                return self.scope

            self._entitlements = make(self.guard, ready)
        return self._entitlements

    async def start(self, status: int | None, message: Message) -> Message:
        """Settle what was admitted, once: the response begins with this message.

        What comes back is the message with the headers it lacks.
        """
        if self.has_started:
            return message
        self.has_started = True
        if self.scope.admissions:
            start = None if status is None else ResponseStart.of_asgi(message, status)
            await self.guard.settle(
                self.scope, status, response=start, is_streamed=True
            )
            if self.scope.streams and start is not None:
                self.left = length_of(start.headers["content-length"])
        return message if status is None else self.with_headers(message)

    async def sent(self, chunk: bytes | str, *, is_last: bool = False) -> None:
        """Count a chunk that is handed to the server now; the last one ends it all."""
        if chunk and not self.is_gone:
            self.scope.sent(chunk)
            self.left -= len(chunk)
        if is_last or self.left <= 0:
            # A client that has all of it may hang up now.
            await self.finish()

    async def finish(self) -> None:
        """What was streamed has ended, as its sender wanted."""
        await self.guard.finish(self.scope, is_complete=not self.is_gone)

    async def settle(self, status: int | None) -> None:
        """Report what was used; None: the request did not finish."""
        if self.scope.admissions or self.scope.streams:
            await self.guard.settle(self.scope, status)

    def with_headers(self, message: Message) -> Message:
        """The beginning of a response, with the headers it lacks."""
        wanted = self.guard.headers(self.scope)
        if message["type"] == "websocket.accept":
            wanted.pop("Cache-Control", None)
        if not wanted:
            return message
        raw: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
        own = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in raw]
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in completed(wanted, own)
        ]
        return {**message, "headers": headers}

    def forget(self) -> None:
        """Let go of the request, which holds this: no cycle."""
        self.scope.request = self.scope.result = self._entitlements = None
        self.scope.arguments = {}

    async def answer(
        self, error: AccessDenied, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a denied request as its view or the application wants it."""
        await self.settle(None)
        if self.is_open:
            await _close(error, send)
            return
        self.scope.decisions.append(error.decision)
        send = self._heading_send(send)
        wanted = self.guard.wanted(error)
        if callable(wanted):
            response = wanted(self.scope.request, error.decision)
            await _own_response(response)(scope, receive, send)
            return
        denial = await self.make_denial(error, scope)
        await _send_denial(denial, error, scope, send)

    def _heading_send(self, send: Send) -> Send:
        async def heading_send(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                message = self.with_headers(message)
            await send(message)

        return heading_send


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


def header(scope: Mapping[str, Any], name: bytes) -> str | None:
    """All values of a request header, None when it is absent."""
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1") if values else None


def _own_response(answer: object) -> ASGIApp:
    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        response: Any = await answer if inspect.isawaitable(answer) else answer
        if not callable(response):
            raise TypeError(
                f"on_denied returned {response!r}; return a response, which is an"
                " ASGI application."
            )
        await cast("ASGIApp", response)(scope, receive, send)

    return respond


async def _send_denial(
    denial: Denial, error: AccessDenied, scope: Scope, send: Send
) -> None:
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
