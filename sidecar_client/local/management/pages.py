"""Lists a page at a time: cursors, limits, and which items a page has.

Things are listed in the order of their names; what they are does not matter here.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shown import shown
from sidecar_client.local.stores.base import Entry
from sidecar_client.local.world import World

Item = TypeVar("Item")
Mapped = TypeVar("Mapped")
DEFAULT_LIMIT = 20
MOST = 100
_SCANNED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Which page is wanted: after one cursor, before another, or the first."""

    after: str | None = None
    before: str | None = None
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MOST:
            raise Refusal(
                "INVALID_ARGUMENT", f"limit is {self.limit}; use 1 to {MOST}."
            )
        if self.after is not None and self.before is not None:
            raise Refusal(
                "INVALID_ARGUMENT", "after and before are both given; give one of them."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some items of a list, and the cursors of its neighbours."""

    items: list[Item]
    next: str | None = None
    """What to give as `after` for the next page; None for the last."""
    prev: str | None = None
    """What to give as `before` for the page before; None for the first."""

    def mapped(self, convert: Callable[[list[Item]], list[Mapped]]) -> Page[Mapped]:
        """The page with other items in the places of these."""
        return Page(items=convert(self.items), next=self.next, prev=self.prev)


async def page_of(
    named: AsyncIterator[tuple[str, Item]] | Iterable[tuple[str, Item]], turn: Turn
) -> Page[tuple[str, Item]]:
    """The wanted page of named items that come in the order of their names.

    Items before `start_of(turn)` may be left out.
    """
    after, before = start_of(turn), _name(turn.before, "before")
    held: deque[tuple[str, Item]] = deque(maxlen=turn.limit + 1)
    more = False
    async for name, item in _each(named):
        if after and name <= after:
            continue
        more = len(held) == turn.limit if before is None else name >= before
        if more:
            break
        held.append((name, item))
    passed = bool(after) or len(held) > turn.limit
    items = list(held)[-turn.limit :]
    return Page(
        items=items,
        next=_cursor(items[-1][0]) if items and more else None,
        prev=_cursor(items[0][0]) if items and passed else None,
    )


def start_of(turn: Turn) -> str:
    """The name after which the wanted page begins; empty for the first."""
    return _name(turn.after, "after") or ""


async def records_of(
    world: World, prefix: str, *, after: str = ""
) -> AsyncIterator[tuple[str, Entry]]:
    """Every entry whose name begins so, in the order of the names."""
    while True:
        found = await world.store.scan(prefix, after=after, limit=_SCANNED)
        for name, entry in found:
            yield name, entry
        if len(found) < _SCANNED:
            return
        after = found[-1][0]


async def _each(
    named: AsyncIterator[tuple[str, Item]] | Iterable[tuple[str, Item]],
) -> AsyncIterator[tuple[str, Item]]:
    if isinstance(named, AsyncIterator):
        async for pair in named:
            yield pair
    else:
        for pair in named:
            yield pair


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name(cursor: str | None, field: str) -> str | None:
    if cursor is None:
        return None
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise Refusal(
            "INVALID_ARGUMENT",
            f"{field} is {shown(cursor)}; use a cursor of an earlier answer's "
            "pagination.",
        ) from None
