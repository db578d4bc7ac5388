"""The behaviour suite's application in plain ASGI: no framework, only rules."""

from __future__ import annotations

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
)
from stigg_guard.specs import feature_spec
from tests.behaviour.frameworks.starlette_ import AsgiTestClient
from tests.behaviour.routes import (
    DOMAIN,
    REQUIRED,
    WEBSOCKET,
    ViewBroke,
    rules_for_everything,
)


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
        await _answer(scope, send)


async def _answer(scope: Scope, send: Send) -> None:
    query = dict(parse_qsl(scope["query_string"].decode()))
    if query.get("raise"):
        raise ViewBroke("as it was told to")
    if scope["path"] == REQUIRED:
        subject = customer_of(scope)
        assert subject is not None
        await guard_from(scope).require(subject, DOMAIN)
    body = b"" if scope["method"] == "HEAD" else json.dumps({"ok": True}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": int(query.get("status", "200")),
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": body})


class AsgiClient(AsgiTestClient):
    """Rules stand where decorators would."""

    has_decorators = False

    def application(self, settings: dict[str, Any]) -> ASGIApp:
        socket = Rule(path=WEBSOCKET, spec=feature_spec(DOMAIN))
        return StiggGuardMiddleware(
            application,
            rules=(*rules_for_everything(), socket),
            customer=customer_of,
            **settings,
        )
