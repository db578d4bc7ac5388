"""The HTTP side of one sidecar: its application and the server that runs it.

How the two are put together lives here; routes, rules and uvicorn do not.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from sidecar_client.local.about import About
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.faults import Faults
from sidecar_client.local.feed import Feed
from sidecar_client.local.http.options import HttpOptions
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.metrics import Metrics
from sidecar_client.local.ports import HTTP, bound
from sidecar_client.local.service import SidecarService
from sidecar_client.local.watch import Watch
from sidecar_client.local.webhook_sender import WebhookSender
from sidecar_client.local.world import World

if TYPE_CHECKING:
    from sidecar_client.local.http.server import HttpServer

logger = logging.getLogger("sidecar_client.local")
_WAITING = 256


class HttpSide:
    """One run of the HTTP side, from `start` to `stop`."""

    def __init__(
        self,
        options: HttpOptions,
        *,
        world: World,
        service: SidecarService,
        clock: MovableClock,
        feed: Feed,
        faults: Faults,
        watch: Watch,
        webhooks: WebhookSender,
        is_ready: Callable[[], bool],
        has_store: Callable[[], Awaitable[bool]],
        about: Callable[[], About],
        follow_faults: Callable[[], Awaitable[None]],
    ) -> None:
        if watch.metrics is None:
            # Once, so that a restart goes on counting.
            watch.metrics = Metrics(
                feed=feed, clock=clock, faults=faults, version=about().version
            )
        self._host = options.host
        self._starting: asyncio.Task[HttpServer | None] | None = None
        self._parts = Parts(
            options=options,
            world=world,
            service=service,
            clock=clock,
            feed=feed,
            faults=faults,
            metrics=watch.metrics,
            webhooks=webhooks,
            is_ready=is_ready,
            has_store=has_store,
            about=about,
            follow_faults=follow_faults,
        )

    async def start(self, port: int) -> int:
        """Listen and return the port. Raises `ConfigurationError` if it is taken.

        Requests wait in line until the routes are loaded, which takes longer than all
        else at a start and goes on beside it.
        """
        listening = bound(self._host, port, HTTP)
        listening.listen(_WAITING)
        self._starting = asyncio.create_task(self._serve(listening))
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Answer what is running, then stop. Does nothing when stopped."""
        starting, self._starting = self._starting, None
        if starting is not None and (server := await starting):
            await server.stop()

    async def _serve(self, listening: socket.socket) -> HttpServer | None:
        try:
            server = await asyncio.to_thread(_server, self._parts)
            await server.start(listening)
        except Exception:
            logger.exception("The HTTP side of the local sidecar does not start")
            listening.close()
            return None
        return server


def _server(parts: Parts) -> HttpServer:
    from sidecar_client.local.http.app import create_app
    from sidecar_client.local.http.server import HttpServer

    return HttpServer(create_app(parts))
