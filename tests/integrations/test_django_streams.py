"""Streams of Django views: iterators that do not suit the server, files, templates."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory

from sidecar_client.local import LocalSidecar
from stigg_guard_django import meters_usage, usage_from
from tests.behaviour.routes import TEMPLATES, WITHIN, tens
from tests.behaviour.servers import hang_up_amid, uvicorn_serving, wsgi_serving
from tests.behaviour.test_streams import eventually
from tests.behaviour.usage import used
from tests.behaviour.views import Told
from tests.integrations.django_site import configure, project

configure()

CUSTOMER = {"X-Customer": WITHIN}


def told(request: HttpRequest) -> Told:
    return Told.by(request.GET.dict())


@meters_usage(TEMPLATES, streamed=tens)
def sync_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(told(request).stream())


@meters_usage(TEMPLATES, streamed=tens)
async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(told(request).astream())


@meters_usage(TEMPLATES, streamed=tens)
def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"0123456789" * 2), filename="file.txt")


@meters_usage(TEMPLATES, streamed="end")
def says_itself(request: HttpRequest) -> StreamingHttpResponse:
    def stream() -> Iterator[str]:
        for number in range(1, 3):
            usage_from(request).value = number
            yield str(number)

    return StreamingHttpResponse(stream())


@meters_usage(TEMPLATES, streamed="end")
async def says_itself_async(request: HttpRequest) -> StreamingHttpResponse:
    async def stream() -> AsyncIterator[str]:
        for number in range(1, 3):
            usage_from(request, TEMPLATES).value = number
            yield str(number)

    return StreamingHttpResponse(stream())


@meters_usage(TEMPLATES, streamed=tens)
def page(request: HttpRequest) -> TemplateResponse:
    return TemplateResponse(request, "page.html", {"page": {"words": "0123456789" * 2}})


VIEWS = {
    "sync/": sync_stream,
    "async/": async_stream,
    "file/": file,
    "says/": says_itself,
    "says-async/": says_itself_async,
    "page/": page,
}
SERVERS: list[tuple[Any, Any]] = [
    (uvicorn_serving, ASGIHandler),
    (wsgi_serving, WSGIHandler),
]


def read(port: int, path: str) -> bytes:
    import httpx

    url = f"http://127.0.0.1:{port}{path}"
    response = httpx.get(url, headers={**CUSTOMER, "Host": "testserver"})
    assert response.status_code == 200
    return response.content


@pytest.mark.parametrize(("serving", "handler"), SERVERS)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_any_iterator_suits_any_server(
    sidecar: LocalSidecar, serving: Any, handler: Any, kind: str
) -> None:
    with project(VIEWS, target=sidecar.target), serving(handler()) as port:
        assert len(read(port, f"/{kind}/?chunks=2")) == 20
        assert used(sidecar, WITHIN) == 5


def test_sync_iterator_under_asgi_ends_where_the_client_hangs_up(
    sidecar: LocalSidecar,
) -> None:
    with project(VIEWS, target=sidecar.target), uvicorn_serving(ASGIHandler()) as port:
        hang_up_amid(port, "/sync/?chunks=inf", WITHIN, after=20)
        assert eventually(lambda: used(sidecar, WITHIN) > 3)
        assert used(sidecar, WITHIN) >= 5
    assert sidecar.calls["ReportUsage"] == 1


@pytest.mark.parametrize(("serving", "handler"), SERVERS)
@pytest.mark.parametrize("path", ["/file/", "/page/"])
def test_files_and_pages_are_metered_by_what_was_sent(
    sidecar: LocalSidecar, serving: Any, handler: Any, path: str
) -> None:
    with project(VIEWS, target=sidecar.target), serving(handler()) as port:
        assert len(read(port, path)) == 20
        assert used(sidecar, WITHIN) == 5


@pytest.mark.parametrize(("serving", "handler"), SERVERS)
@pytest.mark.parametrize("path", ["/says/", "/says-async/"])
def test_stream_says_at_its_end_what_it_used(
    sidecar: LocalSidecar, serving: Any, handler: Any, path: str
) -> None:
    with project(VIEWS, target=sidecar.target), serving(handler()) as port:
        assert read(port, path) == b"12"
        assert used(sidecar, WITHIN) == 5


def test_stream_that_nobody_reads_gives_its_hold_back(sidecar: LocalSidecar) -> None:
    with project(VIEWS, target=sidecar.target, middleware=()):
        factory = RequestFactory(headers=CUSTOMER)
        for _ in range(4):
            sync_stream(factory.get("/?chunks=2")).close()
    assert sidecar.calls["ReportUsage"] == 0


def test_page_that_is_rendered_later_is_counted_then(sidecar: LocalSidecar) -> None:
    with project(VIEWS, target=sidecar.target, middleware=()):
        response = page(RequestFactory(headers=CUSTOMER).get("/"))
        assert used(sidecar, WITHIN) == 3
        response.render()
        assert used(sidecar, WITHIN) == 5


def test_visit_is_over_when_the_stream_is(sidecar: LocalSidecar) -> None:
    requests: list[HttpRequest] = []

    @meters_usage(TEMPLATES, streamed="end")
    def view(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        requests.append(request)
        return StreamingHttpResponse(["a"])

    with project({"": view}, target=sidecar.target):
        response = Client(headers=CUSTOMER).get("/")
        assert "_stigg_guard" in vars(requests[0])
        assert b"".join(response) == b"a"
    assert "_stigg_guard" not in vars(requests[0])


async def test_client_that_hangs_up_while_a_chunk_waits_is_metered_once(
    sidecar: LocalSidecar,
) -> None:
    is_full = asyncio.Event()
    incoming = [{"type": "http.request"}]

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop()
        await is_full.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            is_full.set()
            await asyncio.sleep(3600)

    headers = {"host": "testserver", "x-customer": WITHIN}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/async/",
        "query_string": b"chunks=5",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    with project(VIEWS, target=sidecar.target):
        await ASGIHandler()(scope, receive, send)
        assert await asyncio.to_thread(used, sidecar, WITHIN) == 4
    assert sidecar.calls["ReportUsage"] == 1
