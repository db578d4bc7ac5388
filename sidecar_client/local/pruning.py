"""What is kept of reset periods that are long over is removed, little by little.

What goes, and how fast, lives here; other kinds of records are kept by their writers.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

from pydantic import BaseModel

from sidecar_client.local.records import WINDOW, Key
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.world import Transaction, World

logger = logging.getLogger("sidecar_client.local")

KEPT_FOR: Final = timedelta(days=400)
"""After the end of its reset period, usage is kept for so long."""
_LONGEST_PERIOD: Final = timedelta(days=366)
_KINDS: Final = ("usage", "history", "billed", "aggregate", "seen")
_WINDOW_AT: Final = 4
"""Where the beginning of the period stands in a name, between slashes."""
_AT_ONCE: Final = 500
_PAUSE: Final = 10.0
_REST: Final = 3600.0


async def prune(world: World, *, pause: float = 0.0) -> None:
    """Look at everything once, and remove what is of a period long over."""
    for kind in _KINDS:
        after: str | None = ""
        while after is not None:
            after = await _prune_some(world, f"{kind}/", after)
            await asyncio.sleep(pause)


async def keep_pruning(world: World) -> None:
    """Prune until it is cancelled, so slowly that nobody waits for it."""
    while True:
        await asyncio.sleep(_REST)
        try:
            await prune(world, pause=_PAUSE)
        except StoreError as error:
            logger.debug("pruning rests: %s", error)


async def _prune_some(world: World, prefix: str, after: str) -> str | None:
    """Look at some names; the last of them, or None when there are no more."""
    found = await world.store.scan(prefix, after=after, limit=_AT_ONCE)
    before = (world.clock() - KEPT_FOR - _LONGEST_PERIOD).strftime(WINDOW)
    over = [name for name, _ in found if _is_over(name, before)]
    if over:

        async def remove(transaction: Transaction) -> None:
            for name in over:
                transaction.remove(Key(name, BaseModel))

        await world.transact(remove)
    return found[-1][0] if len(found) == _AT_ONCE else None


def _is_over(name: str, before: str) -> bool:
    """Whether the name is of a period that began before then; not of one without."""
    parts = name.split("/", _WINDOW_AT + 1)
    return len(parts) > _WINDOW_AT and "" < parts[_WINDOW_AT] < before
