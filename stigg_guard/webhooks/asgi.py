"""`WebhookReceiver` for ASGI: an application that receives the vendor's webhooks.

What it does with them is `flow`'s. Starlette and FastAPI stand on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from stigg_guard.decorators import EXEMPT
from stigg_guard.exchange import Receive, Scope, Send, exchange_of, header
from stigg_guard.guard import AsyncGuard, Guard, checked_guard
from stigg_guard.webhooks.bodies import async_reader
from stigg_guard.webhooks.handlers import (
    Handling,
    WebhookHandler,
    checked_handler,
    checked_types,
)
from stigg_guard.webhooks.incoming import SECRET_HEADER, Incoming, WebhookAnswer

_SECRET = SECRET_HEADER.lower().encode()


class WebhookReceiver:
    """Receives webhooks at one path: mount it, or route to it.

    It uses the guard of the `StiggGuardMiddleware` around it, or the one that it is
    given. `on_event` is told of each event, or of those of some `types`; it may be
    async. Without a guard or a WEBHOOK_SECRET every request raises
    `ConfigurationError`.
    """

    def __init__(
        self,
        on_event: WebhookHandler | None = None,
        *,
        types: Iterable[str] = (),
        guard: Guard | AsyncGuard | None = None,
    ) -> None:
        place = type(self).__name__
        found = checked_types(types, f"{place}(types=...)")
        self.guard = None if guard is None else checked_guard(guard, place).aio
        self._handlings: tuple[Handling, ...] = ()
        if on_event is not None:
            handler = checked_handler(on_event, f"{place}(on_event)")
            self._handlings = (Handling(handler, found),)
        setattr(self, EXEMPT, True)  # the vendor is no customer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise RuntimeError(
                f"WebhookReceiver was asked for {scope['type']!r}; it answers HTTP"
                " alone."
            )
        answer = await self.answer(scope, receive)
        headers = [
            *((k.lower().encode(), v.encode()) for k, v in answer.headers.items()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        body = b"" if scope["method"] == "HEAD" else answer.body
        start = {"status": answer.status, "headers": headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> WebhookAnswer:
        """What a request is answered with."""
        guard = self.guard or exchange_of(scope).guard
        request = Incoming(
            method=scope["method"].upper(),
            secret=header(scope, _SECRET),
            length=header(scope, b"content-length"),
            read=async_reader(receive),
        )
        return await guard.receive_webhook(request, self._handlings)
