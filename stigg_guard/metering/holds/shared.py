"""Holds that all processes share, put together: a Redis, and what stands in for it.

The parts live beside it; without a Redis there is nothing to put together.
"""

from __future__ import annotations

from typing import Literal

from stigg_guard.metering.holds.base import AsyncHolds, Holds
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from stigg_guard.metering.holds.unavailable import (
    AsyncGuardedHolds,
    GuardedHolds,
    StandIn,
)


def shared_holds(
    url: str,
    *,
    prefix: str,
    memory: MemoryHolds,
    on_unavailable: Literal["memory", "deny"],
) -> tuple[Holds, AsyncHolds]:
    """The holds in a Redis for threads and for event loops, with one stand-in.

    Raises `ConfigurationError` for a URL that cannot be used, and `ImportError` where
    redis-py is missing.
    """
    stand_in = StandIn(memory, on_unavailable)
    return (
        GuardedHolds(RedisHolds(url, prefix=prefix), stand_in),
        AsyncGuardedHolds(AsyncRedisHolds(url, prefix=prefix), stand_in),
    )
