"""uvicorn on the loop that serves gRPC already, from start to stop.

What makes it fit into somebody's process lives here; what it serves does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server

_MOST_CONNECTIONS = 500
_GRACE = 1


class HttpServer:
    """One run of the HTTP server, on one event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve what comes in at the socket, until `stop`, which closes it."""
        server = _Server(_config(self._app))
        self._server = server
        self._serving = asyncio.create_task(server.serve(sockets=[listening]))
        await server.is_up.wait()
        if not server.started:
            await self._serving

    async def stop(self) -> None:
        """Answer what is running, then stop listening. Does nothing when stopped."""
        serving, self._serving = self._serving, None
        if self._server is not None and serving is not None:
            self._server.should_exit = True
            await serving


def _config(app: ASGIApp) -> Config:
    return _Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )


class _Config(Config):
    def configure_logging(self) -> None:
        """Leave the loggers alone: an application of the process may run on uvicorn."""


class _Protocol(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Requests are logged by the gate, in the sidecar's own log."""
        self.access_log = False
        super().connection_made(transport)


class _Server(Server):
    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when it listens."""
        try:
            await super().startup(sockets)
        finally:
            self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the process."""
        yield
