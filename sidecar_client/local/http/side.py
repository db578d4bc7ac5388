"""The HTTP side of one sidecar: its application and the server that runs it.

How the two are put together lives here; routes, rules and uvicorn do not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sidecar_client.local.about import About
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.faults import Faults
from sidecar_client.local.feed import Feed
from sidecar_client.local.http.app import create_app
from sidecar_client.local.http.options import HttpOptions
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.server import HttpServer
from sidecar_client.local.metrics import Metrics
from sidecar_client.local.service import SidecarService
from sidecar_client.local.watch import Watch
from sidecar_client.local.webhook_sender import WebhookSender
from sidecar_client.local.world import World


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
        about: Callable[[], About],
        follow_faults: Callable[[], Awaitable[None]],
    ) -> None:
        if watch.metrics is None:
            # Once, so that a restart goes on counting.
            watch.metrics = Metrics(
                feed=feed, clock=clock, faults=faults, version=about().version
            )
        self._host = options.host
        parts = Parts(
            options=options,
            world=world,
            service=service,
            clock=clock,
            feed=feed,
            faults=faults,
            metrics=watch.metrics,
            webhooks=webhooks,
            is_ready=is_ready,
            about=about,
            follow_faults=follow_faults,
        )
        self._server = HttpServer(create_app(parts))

    async def start(self, port: int) -> int:
        """Listen and return the port. Raises `ConfigurationError` if it is taken."""
        return await self._server.start(self._host, port)

    async def stop(self) -> None:
        """Answer what is running, then stop. Does nothing when stopped."""
        await self._server.stop()
