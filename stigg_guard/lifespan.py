"""How a guard begins and ends with the application that it belongs to.

Who says when is the application's server: `asgi`, or an adapter's lifespan.
"""

from __future__ import annotations

import asyncio
import logging

from stigg_guard.guard import AsyncGuard
from stigg_guard.metering.outbox.base import OutboxUnavailable

_logger = logging.getLogger("stigg_guard")


async def start(guard: AsyncGuard) -> None:
    """Begin to deliver the usage that waits in the outbox.

    Raises `ConfigurationError` for an outbox that only a person can mend; one that is
    away is opened by the first metered request.
    """
    if guard.stores.has_started:
        return
    try:
        await asyncio.to_thread(guard.stores.start)
    except OutboxUnavailable as error:
        _logger.warning("The outbox cannot be opened yet: %s", error)


async def end(guard: AsyncGuard) -> None:
    """Send what waits, for DRAIN_TIMEOUT at most, and close the connections."""
    await guard.aclose()
    guard.sync.close()
