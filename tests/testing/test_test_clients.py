"""Overrides under the test clients of Flask, Starlette and FastAPI, and servers."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient as FastapiClient
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import stigg_guard_flask as in_flask
import stigg_guard_starlette as in_starlette
from stigg_guard.testing import (
    OverrideError,
    metered,
    override_entitlements,
    recorded_usage,
    unavailable_sidecar,
)
from stigg_guard_starlette.fastapi import meters, requires
from tests.behaviour.servers import uvicorn_serving, wsgi_serving


def customer_of(request: object) -> str:
    return "alice"


SETTINGS: dict[str, Any] = {
    "target": "127.0.0.1:1",
    "timeout": 0.2,
    "on_unavailable": "deny",
    "customer": customer_of,
}
Get = Callable[[str], int]


def flask_app() -> Flask:
    app = Flask(__name__)
    in_flask.StiggGuard(**SETTINGS).init_app(app)

    @app.get("/domain")
    @in_flask.requires_feature("domain")
    def domain() -> str:
        return "yours"

    @app.get("/templates")
    @in_flask.meters_usage("templates")
    def templates() -> str:
        return "one more"

    return app


def starlette_app() -> Starlette:
    @in_starlette.requires_feature("domain")
    async def domain(request: Request) -> Response:
        return PlainTextResponse("yours")

    @in_starlette.meters_usage("templates")
    def templates(request: Request) -> Response:  # runs in a thread of anyio's
        return PlainTextResponse("one more")

    @in_starlette.meters_usage("templates", streamed="end")
    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"more"

        return StreamingResponse(chunks())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        yield

    return Starlette(
        routes=[
            Route("/domain", domain),
            Route("/templates", templates),
            Route("/stream", stream),
        ],
        middleware=[Middleware(in_starlette.StiggGuardMiddleware, **SETTINGS)],
        lifespan=lifespan,
    )


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(in_starlette.StiggGuardMiddleware, **SETTINGS)

    @app.get("/domain", dependencies=[Depends(requires("domain"))])
    async def domain() -> str:
        return "yours"

    @app.get("/templates")
    def templates(_: Annotated[object, Depends(meters("templates"))]) -> str:
        return "one more"

    return app


@pytest.fixture(params=["flask", "starlette", "fastapi", "asgi-live", "wsgi-live"])
def get(request: pytest.FixtureRequest) -> Iterator[Get]:
    """Sends a request; the clients are made before any override begins."""
    if request.param == "flask":
        client = flask_app().test_client()
        yield lambda path: client.get(path).status_code
    elif request.param == "starlette":
        with TestClient(starlette_app()) as portal:
            yield lambda path: portal.get(path).status_code
    elif request.param == "fastapi":
        fastapi_client = FastapiClient(fastapi_app())
        yield lambda path: fastapi_client.get(path).status_code
    else:
        is_asgi = request.param == "asgi-live"
        serving: AbstractContextManager[int] = (
            uvicorn_serving(starlette_app()) if is_asgi else wsgi_serving(flask_app())
        )
        with serving as port:
            yield lambda path: _live(f"http://127.0.0.1:{port}{path}")


def _live(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_block_reaches_the_application(get: Get) -> None:
    assert get("/domain") == 503
    with override_entitlements({"domain": True}):
        assert get("/domain") == 200
        with override_entitlements({"domain": False}):
            assert get("/domain") == 402
        assert get("/domain") == 200
    assert get("/domain") == 503


def test_usage_is_counted_and_recorded(get: Get) -> None:
    with override_entitlements({"templates": metered(limit=6, used=3)}) as six:
        with recorded_usage() as recorded:
            found = [get("/templates") for _ in range(4)]
        assert six.used("templates", "alice") == 6
    assert found == [200, 200, 200, 402]
    recorded.assert_reported("templates", value=1, customer="alice", times=3)


def test_outage_reaches_the_application(get: Get) -> None:
    with override_entitlements({"domain": True}), unavailable_sidecar():
        assert get("/domain") == 503


def test_unknown_feature_is_an_error_and_no_denial(get: Get) -> None:
    with pytest.raises(OverrideError, match='"domain" of customer "alice"'):
        with override_entitlements({"other": True}):
            try:
                status = get("/domain")
            except OverrideError:
                raise
            except OSError:
                status = 500
            assert status == 500


def test_client_may_be_used_in_threads_with_different_overrides() -> None:
    with TestClient(starlette_app()) as client:

        def ask(value: bool) -> int:
            with override_entitlements({"domain": value}):
                return client.get("/domain").status_code

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(ask, [True, False] * 10)) == [200, 402] * 10


async def test_async_client_may_be_used_in_tasks_with_different_overrides() -> None:
    transport = httpx.ASGITransport(starlette_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:

        async def ask(value: bool) -> int:
            async with override_entitlements({"domain": value}):
                return (await client.get("/domain")).status_code

        found = await asyncio.gather(*map(ask, [True, False] * 10))
    assert list(found) == [200, 402] * 10


def test_stream_is_metered_in_its_override() -> None:
    with TestClient(starlette_app()) as client:
        with override_entitlements({"templates": metered(limit=6)}) as six:
            assert client.get("/stream").content == b"onemore"
            assert six.used("templates", "alice") == 1
