"""The hold stores that all processes share, put together for one application.

The parts live beside it; without a Redis there is nothing to put together.
"""

from __future__ import annotations

from stigg_guard.metering.holds.base import AsyncHolds, Holds
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from stigg_guard.metering.holds.unavailable import (
    AsyncGuardedHolds,
    GuardedHolds,
    Policy,
    StandIn,
)


def shared_holds(
    url: str, *, prefix: str, memory: MemoryHolds, on_unavailable: Policy
) -> tuple[Holds, AsyncHolds]:
    """The stores for threads and for event loops, over one Redis; nothing connects yet.

    Both are out together, and `memory` stands in for both. Raises `ConfigurationError`
    for a URL that is none, and `ImportError` with the line to type without redis-py.
    """
    stand_in = StandIn(memory, on_unavailable)
    return (
        GuardedHolds(RedisHolds(url, prefix=prefix), stand_in),
        AsyncGuardedHolds(AsyncRedisHolds(url, prefix=prefix), stand_in),
    )
