"""Streams of Flask views: contexts, files and bodies that are never sent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, request, send_file, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.test import TestResponse

from sidecar_client.local import LocalSidecar
from stigg_guard_flask import StiggGuard, guard_from, meters_usage, usage_from
from tests.behaviour.routes import TEMPLATES, WITHIN, tens
from tests.behaviour.usage import used

CUSTOMER = {"X-Customer": WITHIN}


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    app = Flask(__name__)
    StiggGuard(
        app,
        target=sidecar.target,
        customer=lambda: request.headers.get("X-Customer"),
        timeout=5,
        write_timeout=5,
    )
    yield app
    guard_from(app).close()


def answer(app: Flask, **options: Any) -> TestResponse:
    return app.test_client().get("/", headers=CUSTOMER, **options)


def test_stream_with_context_says_at_its_end_what_it_used(
    app: Flask, sidecar: LocalSidecar
) -> None:
    @app.get("/")
    @meters_usage(TEMPLATES, streamed="end")
    def view() -> ResponseReturnValue:
        def stream() -> Iterator[str]:
            for word in request.args["words"].split():
                usage_from().value = len(word)
                yield word

        return Response(stream_with_context(stream()))

    assert answer(app, query_string={"words": "a bc"}).data == b"abc"
    assert used(sidecar, WITHIN) == 5


def test_request_is_there_again_for_functions_that_are_called_at_the_end(
    app: Flask, sidecar: LocalSidecar
) -> None:
    def units(response: Response) -> float:
        return float(request.args["units"]) + response.status_code - 200

    @app.get("/")
    @meters_usage(TEMPLATES, streamed="end", value=units)
    def view() -> ResponseReturnValue:
        return (chunk for chunk in ("a", "b"))

    assert answer(app, query_string={"units": "2"}).data == b"ab"
    assert used(sidecar, WITHIN) == 5


def test_file_is_metered_by_what_was_sent(app: Flask, sidecar: LocalSidecar) -> None:
    @app.get("/")
    @meters_usage(TEMPLATES, streamed=tens)
    def view() -> ResponseReturnValue:
        return send_file(io.BytesIO(b"0123456789" * 2), "text/plain", etag=False)

    assert len(answer(app).data) == 20
    assert used(sidecar, WITHIN) == 5


def test_closed_stream_is_closed_in_the_view_too(
    app: Flask, sidecar: LocalSidecar
) -> None:
    closed: list[str] = []

    @app.get("/")
    @meters_usage(TEMPLATES, streamed="end")
    def view() -> ResponseReturnValue:
        def stream() -> Iterator[str]:
            try:
                while True:
                    yield "0123456789"
            finally:
                closed.append("stream")

        return Response(stream())

    response = answer(app, buffered=False)
    assert next(response.iter_encoded()) == b"0123456789"
    response.close()
    assert closed == ["stream"]
    assert used(sidecar, WITHIN) == 3


def test_answer_without_a_body_is_complete(app: Flask, sidecar: LocalSidecar) -> None:
    @app.get("/")
    @meters_usage(TEMPLATES, streamed="end")
    def view() -> ResponseReturnValue:
        return (chunk for chunk in ("a", "b")), 204

    assert answer(app).data == b""
    assert used(sidecar, WITHIN) == 4


def test_function_of_named_things_alone_needs_no_request(
    app: Flask, sidecar: LocalSidecar
) -> None:
    def units(result: str, least: int = 1) -> int:
        return max(least, len(result))

    @app.get("/")
    @meters_usage(TEMPLATES, value=units)
    def view() -> ResponseReturnValue:
        return "ab"

    assert answer(app).status_code == 200
    assert used(sidecar, WITHIN) == 5
