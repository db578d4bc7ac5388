"""The behaviour suite's application in plain ASGI: no framework, only rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from stigg_guard import Rule, Subject
from stigg_guard.asgi import (
    ASGIApp,
    Receive,
    Scope,
    Send,
    StiggGuardMiddleware,
    guard_from,
    usage_from,
)
from stigg_guard.specs import feature_spec
from tests.behaviour.frameworks.starlette_ import AsgiTestClient
from tests.behaviour.routes import (
    COUNTED_GUARD,
    COUNTED_WEBSOCKET,
    DOMAIN,
    REQUIRED,
    WEBSOCKET,
    rules_for_everything,
)
from tests.behaviour.views import Told


def customer_of(scope: Mapping[str, Any]) -> Subject | None:
    """The customer and resource that the headers name."""
    headers = {name: value.decode() for name, value in scope["headers"]}
    customer = headers.get(b"x-customer")
    return Subject(customer, headers.get(b"x-resource")) if customer else None


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """What every view answers, or the error that it raises."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 1000})
    else:
        await _answer(scope, receive, send)


async def _stream(told: Told, receive: Receive, send: Send) -> None:
    """As an application does that looks whether anybody is there."""
    while (await receive()).get("more_body", False):
        pass
    gone = asyncio.ensure_future(receive())
    async for chunk in told.astream():
        if gone.done():
            return
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    gone.cancel()
    await send({"type": "http.response.body"})


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    told = Told.by(dict(parse_qsl(scope["query_string"].decode())))
    if told.use is not None:
        usage_from(scope).value = told.use
    if scope["path"] == REQUIRED:
        subject = customer_of(scope)
        assert subject is not None
        await guard_from(scope).require(subject, DOMAIN)
    body = b"" if scope["method"] == "HEAD" else json.dumps({"ok": True}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": told.status,
            "headers": [
                (b"content-type", b"application/json"),
                *((n.encode(), v.encode()) for n, v in told.headers.items()),
            ],
        }
    )
    if told.chunks is not None:
        await _stream(told, receive, send)
        return
    await send({"type": "http.response.body", "body": body})


class AsgiClient(AsgiTestClient):
    """Rules stand where decorators would."""

    has_decorators = False

    def application(self, settings: dict[str, Any]) -> ASGIApp:
        sockets = (
            Rule(path=WEBSOCKET, spec=feature_spec(DOMAIN)),
            Rule(path=COUNTED_WEBSOCKET, spec=COUNTED_GUARD.spec()),
        )
        return StiggGuardMiddleware(
            application,
            rules=(*rules_for_everything(), *sockets),
            customer=customer_of,
            **settings,
        )
