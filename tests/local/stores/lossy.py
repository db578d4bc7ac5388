"""A proxy that breaks a connection just before or just after what is asked is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress


class LossyProxy:
    """Passes on what it gets, but for the next request or answer that it is to lose."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.lost = 0
        self._upstream = port
        self._loses = ""

    def lose(self, what: str) -> None:
        """Break the connection of the next `request`, or of the next `answer`."""
        self._loses = what

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream)
        ways = [
            asyncio.create_task(self._pass_on(reader, ours, "request")),
            asyncio.create_task(self._pass_on(theirs, writer, "answer")),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, ours):
            end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                if self._loses == what and b"CLIENT" not in data:
                    self._loses = ""
                    self.lost += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def lossy_proxy(port: int) -> AsyncGenerator[LossyProxy]:
    """A running proxy in front of a port."""
    proxy = LossyProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
