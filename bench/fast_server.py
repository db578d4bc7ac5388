"""A server that is not the limit: HTTP/2 framed by hand, one answer to every call.

It knows what a benchmark's clients send and nothing more; never use it elsewhere.
`python -m bench.fast_server` prints its port and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

from bench.question import ANSWER, framed

_PREFACE: Final = 24
_HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 1, 4, 6, 8
_ACK = _END_STREAM = 1
# All the window there is, at once: no call ever waits for it.
_WINDOW: Final = (1 << 31) - 1 - 65_535


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field that no HPACK table takes note of."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


# 0x88 is `:status: 200` in the static table.
_HEAD: Final = b"\x88" + _literal(b"content-type", b"application/grpc")
_TAIL: Final = _literal(b"grpc-status", b"0")
_BODY: Final = framed(ANSWER)
_GREETING: Final = _frame(_SETTINGS, 0, 0, b"") + _frame(
    _WINDOW_UPDATE, 0, 0, _WINDOW.to_bytes(4, "big")
)


def _answer(stream: bytes) -> bytes:
    return b"".join(
        (
            len(_HEAD).to_bytes(3, "big") + b"\x01\x04" + stream + _HEAD,
            len(_BODY).to_bytes(3, "big") + b"\x00\x00" + stream + _BODY,
            len(_TAIL).to_bytes(3, "big") + b"\x01\x05" + stream + _TAIL,
        )
    )


class FastConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        start = 0
        if not self._greeted:
            if len(buffer) < _PREFACE:
                self._buffer = buffer
                return
            self._greeted, start = True, _PREFACE
        replies: list[bytes] = []
        while len(buffer) - start >= 9:
            end = start + 9 + int.from_bytes(buffer[start : start + 3], "big")
            if end > len(buffer):
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            if kind <= _HEADERS:
                if flags & _END_STREAM:
                    replies.append(_answer(buffer[start + 5 : start + 9]))
            elif not flags & _ACK:
                if kind == _PING:
                    replies.append(_frame(_PING, _ACK, 0, buffer[start + 9 : end]))
                elif kind == _SETTINGS:
                    replies.append(_frame(_SETTINGS, _ACK, 0, b""))
            start = end
        self._buffer = buffer[start:]
        if replies:
            self._transport.write(b"".join(replies))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FastConnection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """Serve on uvloop where it is installed."""
    try:
        # Of the bench's own environment.
        from uvloop import run  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        asyncio.run(_serve())
    else:
        run(_serve())


if __name__ == "__main__":
    main()
