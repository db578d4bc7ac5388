"""What is kept of reset periods long over, and of nobody, is removed, little by little.

What goes, and how fast, lives here; other kinds of records are kept by their writers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel

from sidecar_client.local.records import WINDOW, Aggregate, Key, customer_key
from sidecar_client.local.stores.base import Entry, StoreError
from sidecar_client.local.world import Transaction, World

logger = logging.getLogger("sidecar_client.local")

KEPT_FOR: Final = timedelta(days=400)
"""After the end of its reset period, usage is kept for so long; that of customers who
are not there and of no period, after the last event."""
_LONGEST_PERIOD: Final = timedelta(days=366)
_KINDS: Final = (
    *("usage", "history", "billed"),
    *("aggregate", "billed_aggregate", "seen"),
)
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
    quiet_since = world.clock() - KEPT_FOR
    before = (quiet_since - _LONGEST_PERIOD).strftime(WINDOW)
    over = [name for name, _ in found if _is_over(name, before)]
    lonely = [
        name for name, entry in found if _may_be_of_nobody(name, entry, quiet_since)
    ]
    if over or lonely:

        async def remove(transaction: Transaction) -> None:
            for name in [*over, *await _of_nobody(transaction, lonely)]:
                transaction.remove(Key(name, BaseModel))

        await world.transact(remove)
    return found[-1][0] if len(found) == _AT_ONCE else None


def _may_be_of_nobody(name: str, entry: Entry, quiet_since: datetime) -> bool:
    """Whether it is of no period, and as good as forgotten if its customer is none."""
    kind, *parts = name.split("/", _WINDOW_AT + 1)
    if kind == "seen":
        return not parts[_WINDOW_AT - 1]
    updated = entry.record.updated if isinstance(entry.record, Aggregate) else None
    is_quiet = updated is not None and updated < quiet_since
    return is_quiet and not parts[_WINDOW_AT - 1]


async def _of_nobody(transaction: Transaction, names: Sequence[str]) -> list[str]:
    """Those of customers that never came; of seen values, once their counter went."""
    owners = [customer_key(name.split("/", 2)[1]) for name in names]
    counters = [
        Key("/".join(["aggregate", *name.split("/")[1:_WINDOW_AT], ""]), Aggregate)
        for name in names
    ]
    found = zip(
        names,
        await transaction.read_all(owners),
        await transaction.read_all(counters),
        strict=True,
    )
    return [
        name
        for name, owner, counter in found
        if owner is None and (counter is None or not name.startswith("seen/"))
    ]


def _is_over(name: str, before: str) -> bool:
    """Whether the name is of a period that began before then; not of one without."""
    parts = name.split("/", _WINDOW_AT + 1)
    return len(parts) > _WINDOW_AT and "" < parts[_WINDOW_AT] < before
