"""The HTTP port in front of requests that nobody sends in good faith."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.hostile.target import Target, bounded
from tests.local.hostile.values import values

_RANDOM: Final = random.Random(0)
_PATIENCE: Final = 0.1
HOST: Final = b"Host: 127.0.0.1\r\n"
POST: Final = b"POST /graphql HTTP/1.1\r\n" + HOST
INPUTS: Final = {
    "noise": _RANDOM.randbytes(50_000),
    "no line": b"\r\n\r\n" * 1000,
    "endless line": b"GET /" + b"a" * 1_000_000,
    "endless header": b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
    "odd version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "length and chunks": POST
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length below nothing": POST + b"Content-Length: -1\r\n\r\n",
    "length of a terabyte": POST + b"Content-Length: 1000000000000\r\n\r\n{}",
    "chunks that are none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "chunk of 4 GB": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{}\r\n",
    "zero byte in a name": b"GET / HTTP/1.1\r\nX\0Y: 1\r\n\r\n",
    "bytes in a path": b"GET /\xff\xfe%00%ff HTTP/1.1\r\n" + HOST + b"\r\n",
    "way up": b"GET /../../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
    "host that is none": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n\r\n",
    "expects to go on": POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
}


@pytest.fixture
def client(target: Target) -> Iterator[httpx.Client]:
    """A program in front of the HTTP side, which is left as it was."""
    with httpx.Client(base_url=f"http://127.0.0.1:{target.http_port}") as client:
        yield client
        client.delete("/local/faults")
        client.delete("/local/clock")


@pytest.mark.parametrize("name", INPUTS)
def test_others_are_served_whatever_one_connection_sends(
    target: Target, client: httpx.Client, name: str
) -> None:
    with bounded(target, megabytes=60):
        said = b""
        with (
            socket.create_connection(("127.0.0.1", target.http_port), 5) as connection,
            suppress(OSError),
        ):
            connection.sendall(INPUTS[name])
            connection.settimeout(_PATIENCE)
            while part := connection.recv(65_536):
                said += part
        assert b" 500 " not in said[:20]
        assert client.get("/livez").status_code == 200


def test_connections_that_say_nothing_keep_nobody_waiting(
    target: Target, client: httpx.Client
) -> None:
    with bounded(target, megabytes=60), ExitStack() as held:
        for _ in range(400):
            held.enter_context(
                socket.create_connection(("127.0.0.1", target.http_port), 5)
            )
        assert client.get("/livez").status_code == 200


BODIES: Final[list[tuple[str, dict[str, Any]]]] = [
    ("/local/clock", {"advance": 60}),
    ("/local/clock", {"set": "2026-01-31T00:00:00Z"}),
    ("/local/faults", {"refuse": "unavailable", "delay": 0, "methods": [], "share": 1}),
    ("/local/faults", {"code": "INTERNAL"}),
    ("/graphql", {"query": "{__typename}", "variables": {}, "operationName": None}),
]


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, Any]:
    """A body that is taken, with some parts replaced; or something else."""
    path, body = draw(st.sampled_from(BODIES))
    if not draw(st.integers(0, 4)):
        return path, draw(values)
    names = draw(st.lists(st.sampled_from(list(body)), max_size=2))
    return path, {**body, **{name: draw(values) for name in names}}


def test_every_body_has_a_clear_answer(target: Target, client: httpx.Client) -> None:
    @given(changed())
    def post(asked: tuple[str, Any]) -> None:
        path, body = asked
        text = json.dumps(body, ensure_ascii=True, default=repr).encode()
        _check(client.post(path, content=text))
        client.delete("/local/faults")

    with bounded(target, megabytes=30):
        post()
        client.delete("/local/clock")


def test_bytes_that_are_no_json_have_a_clear_answer(
    target: Target, client: httpx.Client
) -> None:
    @given(st.binary(max_size=200))
    def post(data: bytes) -> None:
        for path in dict(BODIES):
            _check(client.post(path, content=data))

    with bounded(target, megabytes=30):
        post()


@pytest.mark.parametrize("path", dict(BODIES))
def test_body_that_is_too_large_or_too_deep_is_refused(
    target: Target, client: httpx.Client, path: str
) -> None:
    with bounded(target, megabytes=120):
        deep = client.post(path, content=b"[" * 100_000)
        assert deep.status_code == 400
        _check(deep)
        with suppress(httpx.WriteError):
            assert client.post(path, content=b" " * 20_000_000).status_code == 413


def test_paths_and_methods_that_are_none_have_a_clear_answer(
    client: httpx.Client,
) -> None:
    for path in ("/nothing", "/local", "/local/faults/x", "/%00", "/a" * 3000):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "BREW"):
            answer = client.request(method, path)
            assert answer.status_code in (404, 405)
            assert answer.json()["message"]


def _check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    told = answer.json()
    if answer.status_code >= 400:
        assert told.get("message") or told.get("errors")
        assert len(answer.content) < 10_000
