"""A Litestar application behind the ASGI middleware: rules, usage, lifespan."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, Response, WebSocket, get, post, websocket
from litestar.exceptions import ClientException
from starlette.testclient import TestClient, WebSocketDenialResponse

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Guard, Settings, Subject
from stigg_guard.asgi import (
    StiggGuardMiddleware,
    entitlements_from,
    guard_from,
    usage_from,
)
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN

RULES: list[dict[str, Any]] = [
    {"path": "/domains", "feature": DOMAIN},
    {"path": "/templates/{count:int}", "methods": ["POST"], "meters": TEMPLATES},
    {"path": "/feed", "feature": DOMAIN},
]
log: list[str] = []


def customer_of(scope: Any) -> str:
    """The customer that the headers name."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return headers.get(b"x-customer", b"").decode()


@get("/domains")
async def domains() -> list[str]:
    return ["example.com"]


@post("/templates/{count:int}")
async def create(request: Request[Any, Any, Any]) -> dict[str, int]:
    count: int = request.path_params["count"]
    if count == 0:
        raise ClientException("nothing to create")
    usage_from(request.scope).value = count
    return {"created": count}


@get("/left")
async def left(request: Request[Any, Any, Any]) -> float:
    return await entitlements_from(request.scope).aremaining(TEMPLATES)


@get("/asked")
async def asked(request: Request[Any, Any, Any]) -> str:
    subject = Subject(customer_of(request.scope))
    await guard_from(request.scope).require(subject, DOMAIN)
    return "granted"


@websocket("/feed")
async def feed(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text("news")
    await socket.close()


def denied(request: Request[Any, Any, Any], error: AccessDenied) -> Response[str]:
    return Response(str(error.decision.reason), status_code=402)


@asynccontextmanager
async def own(app: Litestar) -> AsyncGenerator[None]:
    log.append("started")
    yield
    log.append("ended")


def application(sidecar: LocalSidecar, **settings: Any) -> StiggGuardMiddleware:
    app = Litestar(
        route_handlers=[domains, create, left, asked, feed],
        exception_handlers={AccessDenied: denied},
        lifespan=[own],
        openapi_config=None,
    )
    return StiggGuardMiddleware(
        app,  # type: ignore[arg-type]
        target=sidecar.target,
        timeout=5,
        write_timeout=5,
        customer=customer_of,
        rules=RULES,
        **settings,
    )


@pytest.fixture
def client(sidecar: LocalSidecar) -> Iterator[TestClient]:
    with TestClient(application(sidecar)) as client:
        yield client


def test_rules_guard_its_handlers(client: TestClient) -> None:
    assert client.get("/domains", headers=AS_WITHIN).json() == ["example.com"]
    answer = client.get("/domains", headers=AS_AT_LIMIT)
    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/domains").json()["reason"] == "NO_CUSTOMER"


def test_rules_meter_its_handlers(client: TestClient, sidecar: LocalSidecar) -> None:
    assert client.post("/templates/0", headers=AS_WITHIN).status_code == 400
    assert used(sidecar, WITHIN) == 3
    assert client.post("/templates/2", headers=AS_WITHIN).json() == {"created": 2}
    assert used(sidecar, WITHIN) == 5
    assert client.get("/left", headers=AS_WITHIN).json() == 1
    assert client.post("/templates/1", headers=AS_AT_LIMIT).status_code == 402
    assert used(sidecar, AT_LIMIT) == 6


def test_websocket_is_guarded_by_rules(client: TestClient) -> None:
    with client.websocket_connect("/feed", headers=AS_WITHIN) as socket:
        assert socket.receive_text() == "news"
    with (
        pytest.raises(WebSocketDenialResponse) as error,
        client.websocket_connect("/feed", headers=AS_AT_LIMIT),
    ):
        pass
    assert error.value.status_code == 402


def test_handler_asks_by_itself(client: TestClient) -> None:
    assert client.get("/asked", headers=AS_WITHIN).text == "granted"
    answer = client.get("/asked", headers=AS_AT_LIMIT)
    assert (answer.status_code, answer.text) == (
        402,
        "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
    )


def test_its_lifespan_runs_and_usage_that_waits_is_delivered(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    path = str(tmp_path / "outbox.sqlite3")
    stored = Guard(
        Settings.from_options(
            {"target": "127.0.0.1:9", "outbox": path, "outbox_worker": False},
            owner="Guard",
        )
    )
    assert stored.report(Subject(WITHIN), TEMPLATES, 2) == "stored"
    stored.close()
    log.clear()
    with TestClient(application(sidecar, outbox=path)):
        assert log == ["started"]
    assert log == ["started", "ended"]
    assert used(sidecar, WITHIN) == 5
