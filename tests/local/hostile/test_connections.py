"""Connections that speak no gRPC, or too much of it: the others go on being served."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
from contextlib import ExitStack, suppress

import grpc
import pytest

from sidecar_client.methods import GET_ENTITLEMENT
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.hostile.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OPENING,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    field,
    frame,
    question,
)
from tests.local.hostile.target import Target, bounded

_PATIENCE = 0.1
_RANDOM = random.Random(0)
_SOME = _RANDOM.randbytes(50_000)


def call(stream: int, flags: int = END_HEADERS) -> bytes:
    """The headers of one more call on a connection."""
    return frame(HEADERS, flags, stream, question())


def client_hello() -> bytes:
    """How a client of TLS begins."""
    sent = ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), sent, server_hostname="localhost"
    )
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


ODD = range(1, 10_001, 2)
FLOODS = {
    "calls taken back at once": OPENING
    + b"".join(call(n) + frame(RST_STREAM, 0, n, b"\0\0\0\x08") for n in ODD),
    "calls that never end": OPENING + b"".join(call(n) for n in ODD),
}
INPUTS = {
    "noise": _SOME,
    "nothing": b"",
    "half of a preface": PREFACE[:10],
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "endless line of HTTP/1.1": b"GET /" + b"a" * 1_000_000,
    "TLS": client_hello(),
    "noise after the preface": PREFACE + _SOME,
    "noise after the settings": OPENING + _SOME,
    "frame that says 16 MB": OPENING + b"\xff\xff\xff" + frame(DATA, 0, 1)[3:],
    "frame of an unknown kind": OPENING + frame(0xEE, 0xFF, 0, _SOME[:100]),
    "data of no call": OPENING + frame(DATA, END_STREAM, 1, _SOME[:100]),
    "data of no stream": OPENING + frame(DATA, 0, 0, _SOME[:100]),
    "call of an even number": OPENING + call(2),
    "calls that go back": OPENING + call(5) + call(3),
    "header that cannot be": OPENING + frame(HEADERS, END_HEADERS, 1, _SOME[:2000]),
    "index beyond the table": OPENING + frame(HEADERS, END_HEADERS, 1, b"\xff" * 20),
    "promise of a client": OPENING + frame(PUSH_PROMISE, 0, 1, _SOME[:100]),
    "stream that waits for itself": OPENING + frame(PRIORITY, 0, 1, b"\0\0\0\1\0"),
    "window without end": OPENING + frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 3,
    "settings that cannot be": OPENING
    + frame(SETTINGS, 0, 0, b"\x00\x04\xff\xff\xff\xff" + b"\x00\x05\0\0\0\0"),
    "settings again and again": OPENING + frame(SETTINGS, 0, 0) * 10_000,
    "pings again and again": OPENING + frame(PING, 0, 0, b"12345678") * 10_000,
    "goodbye, then calls": OPENING + frame(GOAWAY, 0, 0, b"\0" * 8) + call(1),
    "headers without end": OPENING
    + call(1, flags=0)
    + frame(CONTINUATION, 0, 1, field(b"x" * 100, b"y" * 100) * 50) * 1000,
    "headers of a megabyte": OPENING
    + call(1, flags=0)
    + frame(CONTINUATION, 0, 1, field(b"x" * 100, b"y" * 100) * 50) * 100
    + frame(CONTINUATION, END_HEADERS, 1),
    "message that says 4 GB": OPENING
    + call(1)
    + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff" + _SOME[:1000]),
    "compressed noise": OPENING
    + call(1)
    + frame(DATA, END_STREAM, 1, b"\1\0\0\3\xe8" + _SOME[:1000]),
    "message cut short": OPENING + call(1) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\7x"),
}


def send(target: Target, data: bytes) -> None:
    """Send it, read what comes for a moment, and hang up."""
    with (
        socket.create_connection(("127.0.0.1", target.port), 5) as connection,
        suppress(OSError),
    ):
        connection.sendall(data)
        connection.settimeout(_PATIENCE)
        while connection.recv(65_536):
            pass


@pytest.mark.parametrize("name", INPUTS)
def test_others_are_served_whatever_one_connection_sends(
    target: Target, name: str
) -> None:
    with bounded(target, megabytes=60):
        send(target, INPUTS[name])


@pytest.mark.parametrize("name", FLOODS)
def test_others_are_served_while_one_floods(target: Target, name: str) -> None:
    # What waits for its turn takes memory, and what it took is used again.
    with bounded(target, megabytes=250):
        send(target, FLOODS[name])


async def test_burst_of_many_workers_is_answered_in_full(target: Target) -> None:
    question = pb.GetEntitlementRequest(customer_id="c", feature_id="f")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{target.port}") as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            GET_ENTITLEMENT.path
        )
        payload = question.SerializeToString()
        answers = await asyncio.gather(*(ask(payload, timeout=30) for _ in range(3000)))
    assert len(set(answers)) == 1
    target.check_serves()


def test_noise_of_every_length_is_survived(target: Target) -> None:
    count = 2000 if "EXPLORE" in os.environ else 40
    with bounded(target, megabytes=30):
        for _ in range(count):
            begin = _RANDOM.choice([b"", PREFACE, OPENING, OPENING + call(1)])
            noise = _RANDOM.randbytes(_RANDOM.randrange(2000))
            with socket.create_connection(("127.0.0.1", target.port), 5) as connection:
                connection.sendall(begin + noise)


def test_connections_that_say_nothing_keep_nobody_waiting(target: Target) -> None:
    with bounded(target, megabytes=60), ExitStack() as held:
        for _ in range(400):
            held.enter_context(socket.create_connection(("127.0.0.1", target.port), 5))
        target.check_serves()
