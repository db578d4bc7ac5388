"""WebSocket endpoints of FastAPI: denied handshakes, open connections, servers."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from sidecar_client.local import LocalSidecar
from stigg_guard import Decision, Usage
from stigg_guard_starlette import meters_usage, requires_feature
from stigg_guard_starlette.fastapi import meters, requires
from tests.behaviour.routes import DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, site

KINDS = ["decorated", "depending", "ruled"]
RULE = {"path": "/ruled", "feature": DOMAIN}


def sockets(sidecar: LocalSidecar) -> FastAPI:
    app = site(sidecar, rules=[RULE])

    async def greet(socket: WebSocket, name: str = "you") -> None:
        await socket.accept()
        await socket.send_text(name)
        await socket.close()

    app.websocket("/decorated")(requires_feature(DOMAIN)(greet))
    app.websocket("/depending", dependencies=[Depends(requires(DOMAIN))])(greet)
    app.websocket("/ruled")(greet)
    return app


@pytest.mark.parametrize("kind", KINDS)
def test_denied_handshake_is_answered_with_the_denial(
    sidecar: LocalSidecar, kind: str
) -> None:
    with TestClient(sockets(sidecar)) as client:
        path = f"/{kind}?name=ada"
        with client.websocket_connect(path, headers=AS_WITHIN) as socket:
            assert socket.receive_text() == "ada"
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect(path, headers=AS_AT_LIMIT),
        ):
            pass
    assert denied.value.status_code == 402
    assert denied.value.json()["feature_id"] == DOMAIN


@pytest.mark.parametrize("kind", KINDS)
async def test_server_that_cannot_answer_a_handshake_is_told_to_close(
    sidecar: LocalSidecar, kind: str
) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-customer", AS_AT_LIMIT["X-Customer"].encode())]
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": f"/{kind}",
        "query_string": b"",
        "headers": headers,
        "subprotocols": [],
        "extensions": {},
    }
    await sockets(sidecar)(scope, receive, send)
    assert sent == [
        {
            "type": "websocket.close",
            "code": 1008,
            "reason": "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
        }
    ]


def test_decision_and_usage_are_given_to_a_websocket_too(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.websocket("/")
    async def feed(
        socket: WebSocket,
        decision: Annotated[Decision, Depends(requires(DOMAIN))],
        usage: Annotated[Usage, Depends(meters(TEMPLATES))],
    ) -> None:
        usage.value = 2
        await socket.accept()
        await socket.send_json(decision.allowed)
        await socket.close()

    with (
        TestClient(app) as client,
        client.websocket_connect("/", headers=AS_WITHIN) as socket,
    ):
        assert socket.receive_json() is True
    assert used(sidecar, WITHIN) == 5


def test_open_websocket_is_closed_when_a_message_is_denied(
    sidecar: LocalSidecar,
) -> None:
    @meters_usage(TEMPLATES, value=2)
    async def paid(socket: WebSocket) -> str:
        return "paid"

    app = site(sidecar)

    @app.websocket("/")
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.receive_text()
            await socket.send_text(await paid(socket))

    with (
        TestClient(app) as client,
        client.websocket_connect("/", headers=AS_WITHIN) as socket,
    ):
        socket.send_text("one")
        assert socket.receive_text() == "paid"
        socket.send_text("two")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1008
    assert used(sidecar, WITHIN) == 5
