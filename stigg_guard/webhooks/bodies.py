"""How the body of a webhook is read: never more of it than it may have.

Which bodies those are, files of WSGI or messages of ASGI, is told by who calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from stigg_guard.webhooks.incoming import BodyTooLarge

_CHUNK = 65_536


def reader(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The reader of a body that is a file; `read` gives so many bytes at most."""

    def read_all(most: int) -> bytes:
        found = bytearray()
        while chunk := read(min(_CHUNK, most + 1 - len(found))):
            found += chunk
            if len(found) > most:
                raise BodyTooLarge
        return bytes(found)

    return read_all


def async_reader(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
) -> Callable[[int], Awaitable[bytes]]:
    """The reader of a body that comes in messages of ASGI."""

    async def read_all(most: int) -> bytes:
        found = bytearray()
        while True:
            message = await receive()
            found += message.get("body", b"")
            if len(found) > most:
                raise BodyTooLarge
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return bytes(found)

    return read_all
