"""What the routes of the HTTP side work with.

Only this bundle lives here; each module of routes takes from it what it needs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar_client.local.about import About
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.faults import Faults
from sidecar_client.local.feed import Feed
from sidecar_client.local.http.options import HttpOptions
from sidecar_client.local.metrics import Metrics
from sidecar_client.local.service import SidecarService
from sidecar_client.local.webhook_sender import WebhookSender
from sidecar_client.local.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The sidecar as its HTTP side knows it."""

    options: HttpOptions
    world: World
    service: SidecarService
    """Answers as over gRPC."""
    clock: MovableClock
    feed: Feed
    faults: Faults
    metrics: Metrics
    webhooks: WebhookSender
    is_ready: Callable[[], bool]
    """Whether calls over gRPC are answered now."""
    has_store: Callable[[], Awaitable[bool]]
    """Whether the store answers now; True where it is not asked for anything."""
    about: Callable[[], About]
    follow_faults: Callable[[], Awaitable[None]]
    """Stops or starts listening for gRPC, as the faults say; to be awaited after each
    change of them."""
    heartbeat: float = 15.0
    """Seconds after which a silent stream says that it is still there."""
