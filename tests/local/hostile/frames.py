"""Frames of HTTP/2, made by hand, so that they can be wrong.

What a server must do with them does not live here.
"""

from __future__ import annotations

from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = range(6)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame whose length is right."""
    return (
        len(payload).to_bytes(3, "big")
        + bytes([kind, flags])
        + stream.to_bytes(4, "big")
        + payload
    )


def field(name: bytes, value: bytes) -> bytes:
    """A header field that enters no table; names and values up to 126 bytes."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def question(path: bytes = b"/stigg.sidecar.v1.SidecarService/GetEntitlement") -> bytes:
    """The header block of a call."""
    return b"".join(
        [
            field(b":method", b"POST"),
            field(b":scheme", b"http"),
            field(b":path", path),
            field(b":authority", b"127.0.0.1"),
            field(b"te", b"trailers"),
            field(b"content-type", b"application/grpc"),
        ]
    )


OPENING: Final = PREFACE + frame(SETTINGS, 0, 0)
