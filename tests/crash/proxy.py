"""A TCP proxy that does to connections what networks do: delays, drops, resets, cuts.

What it stands in front of does not know about it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards to `port` of loopback from a port of its own, in a thread.

    `trouble` is the share of the chunks, of either direction, that meet one of: a
    delay; a cut before it is forwarded; a cut after it was, so that a request arrives
    and its answer does not; silence for a while.
    """

    def __init__(self, port: int, *, seed: int = 0) -> None:
        self.trouble = 0.0
        self._to = port
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._start(), self._loop)
        self.port: int = starting.result(10)

    def close(self) -> None:
        """Cut everything and end."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            _reset(writer)
            return
        pumps = [
            asyncio.ensure_future(self._pump(reader, outer, writer)),
            asyncio.ensure_future(self._pump(inner, writer, outer)),
        ]
        with suppress(asyncio.CancelledError):
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        _reset(writer)
        _reset(outer)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                kind = self._kind()
                if kind == "delay":
                    await asyncio.sleep(self._random.uniform(0, 0.1))
                elif kind == "silence":
                    await asyncio.sleep(self._random.uniform(0.5, 1.5))
                elif kind == "cut before":
                    return
                sink.write(data)
                await sink.drain()
                if kind == "cut after":
                    # It is on its way; its answer will not be.
                    await asyncio.sleep(0)
                    _reset(back)
                    return

    def _kind(self) -> str:
        if self._random.random() >= self.trouble:
            return ""
        return self._random.choice(["delay", "silence", "cut before", "cut after"])


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset: what was not sent is thrown away."""
    with suppress(OSError):
        found: socket.socket | None = writer.get_extra_info("socket")
        if found is not None and writer.transport.get_write_buffer_size() == 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.close()
