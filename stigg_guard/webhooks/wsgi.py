"""`WebhookReceiver` for WSGI: an application that receives the vendor's webhooks.

What it does with them is `flow`'s. Source: PEP 3333.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from stigg_guard.guard import AsyncGuard, Guard, checked_guard
from stigg_guard.webhooks.bodies import reader
from stigg_guard.webhooks.handlers import (
    Handling,
    WebhookHandler,
    checked_handler,
    checked_types,
)
from stigg_guard.webhooks.incoming import Incoming
from stigg_guard.wsgi_exchange import exchange_of

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment


class WebhookReceiver:
    """Receives webhooks: call it for the requests to one path.

    It is as `stigg_guard.asgi.WebhookReceiver`, for WSGI applications.
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
        self.guard = None if guard is None else checked_guard(guard, place).sync
        self._handlings: tuple[Handling, ...] = ()
        if on_event is not None:
            handler = checked_handler(on_event, f"{place}(on_event)")
            self._handlings = (Handling(handler, found),)

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request."""
        guard = self.guard or exchange_of(environ).guard
        request = Incoming(
            method=environ["REQUEST_METHOD"].upper(),
            secret=environ.get("HTTP_STIGG_WEBHOOKS_SECRET"),
            length=environ.get("CONTENT_LENGTH"),
            read=reader(_body_of(environ)),
        )
        answer = guard.receive_webhook(request, self._handlings)
        headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body)))]
        status = HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if request.method == "HEAD" else [answer.body]


def _body_of(environ: WSGIEnvironment) -> Callable[[int], bytes]:
    """What reads the body, and never beyond its end: servers may wait there."""
    source: InputStream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return source.read
    length: str = environ.get("CONTENT_LENGTH") or "0"
    left = int(length) if length.isascii() and length.isdigit() else 0

    def read(size: int) -> bytes:
        nonlocal left
        found = source.read(min(size, left))
        left -= len(found)
        return found

    return read
