"""Streams and WebSockets of ASGI applications: disconnects, files, generators."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from sidecar_client.local import LocalSidecar
from stigg_guard import Rule
from stigg_guard import asgi as plain
from stigg_guard.asgi import ASGIApp, Message, Receive, Scope, Send
from stigg_guard.metering.holds.base import Peek, Place, Standing
from stigg_guard.specs import meter_spec
from stigg_guard_starlette import StiggGuardMiddleware, meters_usage, usage_from
from stigg_guard_starlette.fastapi import meters
from tests.behaviour.frameworks.asgi import customer_of as customer_of_scope
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import TEMPLATES, WITHIN, fives, tens
from tests.behaviour.servers import hang_up_amid, uvicorn_serving
from tests.behaviour.test_streams import eventually
from tests.behaviour.usage import used
from tests.behaviour.views import Told
from tests.counting_sidecar import counting_sidecar

FASTAPI = tuple(int(part) for part in version("fastapi").split(".")[:2])

CHUNK = b"0123456789"
CUSTOMER = {"X-Customer": WITHIN}


def guarded(sidecar: LocalSidecar, app: ASGIApp, streamed: Any) -> ASGIApp:
    """A plain ASGI application whose "/" is metered."""
    rule = Rule(path="/", spec=meter_spec(TEMPLATES, streamed=streamed))
    return plain.StiggGuardMiddleware(
        app, rules=[rule], customer=customer_of_scope, target=sidecar.target, timeout=5
    )


async def run(app: ASGIApp, send: Send, *incoming: str) -> None:
    waiting = [*incoming]

    async def receive() -> Message:
        return {"type": waiting.pop(0)}

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"x-customer", WITHIN.encode())],
    }
    await app(scope, receive, send)


def sending(*chunks: bytes, length: int | None = None, ends: bool = True) -> ASGIApp:
    """An application that sends these chunks, and ends its body or does not."""
    headers = [] if length is None else [(b"content-length", b"%d" % length)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks:
            message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await send(message)
        if ends:
            await receive()
            await send({"type": "http.response.body"})

    return app


async def test_last_chunk_waits_for_the_acknowledgement(sidecar: LocalSidecar) -> None:
    seen: list[tuple[bool, float]] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            usage = await asyncio.to_thread(used, sidecar, WITHIN)
            seen.append((message.get("more_body", False), usage))

    await run(guarded(sidecar, sending(CHUNK), "end"), send, "http.request")
    assert seen == [(True, 3), (False, 4)]


@pytest.mark.parametrize(
    ("app", "usage"),
    [
        (sending(CHUNK, ends=False), 3),
        (sending(CHUNK, length=10, ends=False), 4),
        (sending(CHUNK, length=20, ends=False), 3),
    ],
)
async def test_body_is_complete_when_it_ended_or_has_its_length(
    sidecar: LocalSidecar, app: ASGIApp, usage: float
) -> None:
    async def send(_: Message) -> None: ...

    await run(guarded(sidecar, app, "end"), send)
    assert await asyncio.to_thread(used, sidecar, WITHIN) == usage


async def test_end_that_is_sent_to_a_client_that_left_is_none(
    sidecar: LocalSidecar,
) -> None:
    async def send(_: Message) -> None: ...

    await run(guarded(sidecar, sending(CHUNK), "end"), send, "http.disconnect")
    assert await asyncio.to_thread(used, sidecar, WITHIN) == 3


async def test_server_that_takes_no_more_is_metered_by_what_it_took(
    sidecar: LocalSidecar,
) -> None:
    taken: list[Message] = []

    async def send(message: Message) -> None:
        if len(taken) > 2:
            raise OSError("the client is gone")
        taken.append(message)

    with pytest.raises(OSError, match="the client is gone"):
        await run(guarded(sidecar, sending(*[CHUNK] * 9), tens), send)
    usage = await asyncio.to_thread(used, sidecar, WITHIN)
    # The start and two chunks were taken; the next one was handed over.
    assert usage == 3 + 3
    assert sidecar.calls["ReportUsage"] == 1


@pytest.mark.parametrize(("streamed", "usage"), [("start", 4), ("end", 3), (tens, 4)])
async def test_request_that_is_cancelled_amid_its_stream_is_metered_once(
    sidecar: LocalSidecar, streamed: Any, usage: float
) -> None:
    is_sent = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            is_sent.set()
            await asyncio.sleep(3600)

    app = guarded(sidecar, sending(CHUNK, CHUNK), streamed)
    task = asyncio.create_task(run(app, send))
    await is_sent.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(eventually, lambda: used(sidecar, WITHIN) == usage)
    assert await asyncio.to_thread(used, sidecar, WITHIN) == usage
    assert sidecar.calls["ReportUsage"] == (0 if usage == 3 else 1)


def customer_1(_: Scope) -> str:
    return "customer-1"


async def test_request_that_is_cancelled_before_its_stream_began_holds_nothing() -> (
    None
):
    is_counted, may_answer = threading.Event(), threading.Event()

    def on_applied() -> None:
        is_counted.set()
        may_answer.wait(20)

    with counting_sidecar(limit=6) as sidecar:
        sidecar.on_applied = on_applied
        app = plain.StiggGuardMiddleware(
            sending(CHUNK),
            rules=[
                Rule(path="/", spec=meter_spec("feature-1", streamed=streamed))
                for streamed in ("start", "end")
            ],
            customer=customer_1,
            target=sidecar.target,
            write_timeout=20,
        )

        async def send(_: Message) -> None: ...

        task = asyncio.create_task(run(app, send))
        await asyncio.to_thread(is_counted.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_answer.set()

        def held() -> float:
            place = Place("customer-1", None, "feature-1")
            found = app.guard.stores.perform(Peek(place=place))
            assert isinstance(found, Standing)
            return found.held

        assert await asyncio.to_thread(eventually, lambda: held() == 0)
        assert sidecar.total() == 1
        await app.guard.aclose()


def site(sidecar: LocalSidecar, *routes: Any, inner: Any = ()) -> Starlette:
    guard = Middleware(
        StiggGuardMiddleware, customer=customer_of, target=sidecar.target, timeout=5
    )
    return Starlette(routes=routes, middleware=[guard, *inner])


@meters_usage(TEMPLATES, streamed="end")
async def stream(request: Request) -> Response:
    return StreamingResponse(Told.by(request.query_params).astream())


@meters_usage(TEMPLATES, streamed=tens)
def sync_stream(request: Request) -> Response:
    return StreamingResponse(Told.by(request.query_params).stream())


async def passing(request: Request, call_next: Callable[[Request], Any]) -> Any:
    return await call_next(request)


def test_middleware_that_ends_every_body_hides_no_disconnect(
    sidecar: LocalSidecar,
) -> None:
    inner = [Middleware(BaseHTTPMiddleware, dispatch=passing)]
    app = site(sidecar, Route("/", stream), inner=inner)
    with uvicorn_serving(app) as port:
        hang_up_amid(port, "/?chunks=inf", WITHIN, after=20)
    assert used(sidecar, WITHIN) == 3
    with TestClient(app) as client:
        assert client.get("/?chunks=2", headers=CUSTOMER).content == CHUNK * 2
    assert used(sidecar, WITHIN) == 4


def test_sync_endpoint_with_a_sync_iterator_ends_where_the_client_hangs_up(
    sidecar: LocalSidecar,
) -> None:
    with uvicorn_serving(site(sidecar, Route("/", sync_stream))) as port:
        hang_up_amid(port, "/?chunks=inf", WITHIN, after=20)
        assert eventually(lambda: used(sidecar, WITHIN) >= 5)
    assert sidecar.calls["ReportUsage"] == 1


def test_file_is_metered_by_what_was_sent(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(CHUNK * 2)

    @meters_usage(TEMPLATES, streamed=tens)
    async def file(request: Request) -> Response:
        return FileResponse(tmp_path / "file")

    with TestClient(site(sidecar, Route("/", file))) as client:
        assert client.get("/", headers=CUSTOMER).content == CHUNK * 2
        assert used(sidecar, WITHIN) == 5
        partly = client.get("/", headers={**CUSTOMER, "Range": "bytes=0-9"})
        assert partly.content == CHUNK
    assert used(sidecar, WITHIN) == 6


def test_stream_says_at_its_end_what_it_used(sidecar: LocalSidecar) -> None:
    @meters_usage(TEMPLATES, streamed="end")
    async def view(request: Request) -> Response:
        async def words() -> AsyncIterator[str]:
            for number in range(1, 3):
                usage_from(request, TEMPLATES).value = number
                yield str(number)

        return StreamingResponse(words())

    with TestClient(site(sidecar, Route("/", view))) as client:
        assert client.get("/", headers=CUSTOMER).text == "12"
    assert used(sidecar, WITHIN) == 5


def socket_site(sidecar: LocalSidecar, streamed: Any) -> Starlette:
    @meters_usage(TEMPLATES, streamed=streamed)
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while (text := await websocket.receive_text()) != "break":
                await websocket.send_text(text)
        except WebSocketDisconnect:
            return
        raise ZeroDivisionError

    return site(sidecar, WebSocketRoute("/", chat))


def comes_to(sidecar: LocalSidecar, usage: float) -> bool:
    """Whether the usage is reported; a test client leaves before its application."""
    give_up = time.monotonic() + 10
    while used(sidecar, WITHIN) != usage and time.monotonic() < give_up:
        time.sleep(0.01)
    return used(sidecar, WITHIN) == usage


def test_websocket_is_metered_by_each_message_and_reported_once(
    sidecar: LocalSidecar,
) -> None:
    with TestClient(socket_site(sidecar, fives)) as client:
        with client.websocket_connect("/", headers={**CUSTOMER}) as websocket:
            for _ in range(3):
                websocket.send_text("hello")
                assert websocket.receive_text() == "hello"
            assert used(sidecar, WITHIN) == 3
        assert comes_to(sidecar, 6)
    assert sidecar.calls["ReportUsage"] == 1


@pytest.mark.parametrize(("streamed", "usage"), [("start", 4), ("end", 3), (fives, 4)])
def test_websocket_that_breaks_is_metered_by_its_policy(
    sidecar: LocalSidecar, streamed: Any, usage: float
) -> None:
    def break_it(client: TestClient) -> None:
        with client.websocket_connect("/", headers={**CUSTOMER}) as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"
            websocket.send_text("break")
            websocket.receive_text()

    with TestClient(socket_site(sidecar, streamed)) as client:
        with pytest.raises(ZeroDivisionError):
            break_it(client)
        assert comes_to(sidecar, usage)


def test_websocket_that_ended_without_an_error_is_complete(
    sidecar: LocalSidecar,
) -> None:
    with TestClient(socket_site(sidecar, "end")) as client:
        with client.websocket_connect("/", headers={**CUSTOMER}) as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"
        assert comes_to(sidecar, 4)


def who(name: str = "nobody") -> str:
    return name


def fastapi_site(sidecar: LocalSidecar) -> FastAPI:
    app = FastAPI()
    app.add_middleware(
        StiggGuardMiddleware, customer=customer_of, target=sidecar.target, timeout=5
    )
    return app


@pytest.mark.skipif(FASTAPI < (0, 134), reason="it streams what endpoints yield")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_endpoint_that_yields_is_metered_at_its_end(
    sidecar: LocalSidecar, kind: str
) -> None:
    app = fastapi_site(sidecar)

    @meters_usage(TEMPLATES, streamed="end")
    async def items(number: int) -> AsyncIterator[int]:
        for item in range(number):
            yield item

    @meters_usage(TEMPLATES, streamed="end")
    def sync_items(number: int) -> Iterator[int]:
        yield from range(number)

    app.get("/")(items if kind == "async" else sync_items)
    with TestClient(app) as client:
        response = client.get("/?number=2", headers=CUSTOMER)
        assert response.text.split() == ["0", "1"]
    assert used(sidecar, WITHIN) == 4


def test_dependency_meters_by_what_was_sent(sidecar: LocalSidecar) -> None:
    app = fastapi_site(sidecar)
    metering = Depends(meters(TEMPLATES, streamed=tens))

    @app.get("/", dependencies=[metering])
    def view() -> StreamingResponse:
        return StreamingResponse(iter([CHUNK, CHUNK]))

    with TestClient(app) as client:
        assert client.get("/", headers=CUSTOMER).content == CHUNK * 2
    assert used(sidecar, WITHIN) == 5


def test_arguments_are_those_that_fastapi_parsed(sidecar: LocalSidecar) -> None:
    app, told = fastapi_site(sidecar), list[dict[str, Any]]()

    def units(arguments: dict[str, Any]) -> float:
        told.append(arguments)
        return float(arguments["number"])

    @app.post("/async/{number}")
    @meters_usage(TEMPLATES, value=units)
    async def view(number: int, by: Annotated[str, Depends(who)]) -> dict[str, int]:
        return {"number": number}

    @app.post("/sync/{number}")
    @meters_usage(TEMPLATES, value=units)
    def sync_view(number: int, by: Annotated[str, Depends(who)]) -> dict[str, int]:
        return {"number": number}

    with TestClient(app) as client:
        assert client.post("/async/4?name=me", headers=CUSTOMER).status_code == 402
        assert client.post("/async/2", headers=CUSTOMER).status_code == 200
        assert client.post("/sync/2", headers=CUSTOMER).status_code == 402
        assert client.post("/sync/1", headers=CUSTOMER).json() == {"number": 1}
    assert told[0] == {"number": 4, "by": "me"}
    assert used(sidecar, WITHIN) == 6


def test_result_of_an_endpoint_is_what_it_returned(sidecar: LocalSidecar) -> None:
    app = fastapi_site(sidecar)

    async def units(result: dict[str, int], response: Any) -> float:
        assert response.headers["Content-Type"] == "application/json"
        return result["units"]

    @app.post("/")
    @meters_usage(TEMPLATES, value=units)
    def view() -> dict[str, int]:
        return {"units": 2}

    with TestClient(app) as client:
        assert client.post("/", headers=CUSTOMER).status_code == 200
    assert used(sidecar, WITHIN) == 5


def test_dependency_refuses_a_function_of_the_result() -> None:
    def units(result: object) -> float:
        return 1

    with pytest.raises(ValueError, match="take `response`, or use @meters_usage"):
        meters(TEMPLATES, value=units)
