"""The ASGI middleware around everything: access, bounds, headers, the log.

What it enforces is decided in `access`; what a request is answered does not live here.
"""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar_client.local.http.access import Access, Turned
from sidecar_client.local.http.answers import MOST_BODY, problem
from sidecar_client.local.shown import limited, printable
from sidecar_client.local.stores.base import StoreError

logger = logging.getLogger("sidecar_client.local")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set where a route says nothing else."""
_CLOSE = {"Connection": "close"}


class Gate:
    """Lets requests through to the application, or answers why not."""

    def __init__(
        self, app: ASGIApp, access: Access, *, most_body: int = MOST_BODY
    ) -> None:
        self._app = app
        self._access = access
        self._most_body = most_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; never raises, so that nothing is logged twice."""
        if scope["type"] != "http":
            return
        answer = _Answer(scope, send)
        try:
            app = self._met(Request(scope)) or self._app
            await app(scope, _Bounded(receive, self._most_body), answer)
        except ClientDisconnect:
            pass  # There is nobody to answer, and nothing failed here.
        except StoreError as error:
            logger.warning("%s %s: %s", scope["method"], _path(scope), error)
            if answer.status == 0:
                await problem(503, str(error))(scope, receive, answer)
        except Exception:
            name = f"{scope['method']} {_path(scope)}"
            logger.exception("%s failed", name)
            if answer.status == 0:
                message = f"{name} failed inside the local sidecar; its log says why."
                await problem(500, message)(scope, receive, answer)
        finally:
            answer.log()

    def _met(self, request: Request) -> Response | None:
        """What is answered at the gate; None if the request may pass."""
        if self._access.entry(request):
            return self._enter(request)
        if turned := self._access.turns_away(request):
            return _turned(request, turned)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._most_body:
            return problem(413, _too_large(self._most_body), _CLOSE)
        return None

    def _enter(self, request: Request) -> Response:
        response = RedirectResponse("/", status_code=303)
        name, value = self._access.cookie(request)
        # Lax: whoever follows a link in a chat is not asked for the token again.
        response.set_cookie(name, value, httponly=True, samesite="lax")
        return response


class _Answer:
    """Sends a response with our headers, and logs the request once."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = perf_counter()
        self._is_logged = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif not message.get("more_body"):
            # Before it is sent: whoever reads the answer finds it in the log.
            self.log()
        await self._send(message)

    def log(self) -> None:
        """Log the request, unless that was done."""
        if not self._is_logged:
            self._is_logged = True
            method, path = self._scope["method"], _path(self._scope)
            took = (perf_counter() - self._began) * 1000
            logger.debug("%s %s: %d in %.1f ms", method, path, self.status, took)


class _Bounded:
    """Receives a body, and no more of it than is taken."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._most:
            raise HTTPException(413, _too_large(self._most), _CLOSE)
        return message


def _turned(request: Request, turned: Turned) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if turned.status == 401 else {}
    if "text/html" in request.headers.get("accept", ""):
        return PlainTextResponse(f"{turned.message}\n", turned.status, headers)
    return problem(turned.status, turned.message, headers)


def _too_large(most: int) -> str:
    return f"the body is larger than {most:,} bytes; send less at once"


def _path(scope: Scope) -> str:
    return limited(printable(scope["path"]), 200)
