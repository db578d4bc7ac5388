"""The contract of a store, edges included; every store obeys it.

What is kept and which steps are atomic live here; how it is kept does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

MOST_MARKS = 100_000
"""How many marks a store remembers; beyond it, the oldest are forgotten."""


class Entry(NamedTuple):
    """A record and its version, which every write raises."""

    version: int
    record: BaseModel | None
    """None, with the version 0, where nothing is kept."""


ABSENT = Entry(0, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is written at once, or not at all."""

    expected: Mapping[str, int] = field(default_factory=dict[str, int])
    """The version that each of these keys must still have; 0 for one that is absent."""
    written: Mapping[str, BaseModel | None] = field(
        default_factory=dict[str, BaseModel | None]
    )
    """What each key has afterwards; None removes it."""
    marks: Sequence[str] = ()
    """Marks to set, of which none may be set already."""


class StoreError(Exception):
    """A store that does not answer, or whose content cannot be read; says the cure."""


@runtime_checkable
class Store(Protocol):
    """Records under names, and marks: names that are only remembered, for a while.

    All methods raise `StoreError`. Names are texts such as `customer/acme`: a kind, a
    slash, and ids that have no slash.
    """

    shared: bool
    """Whether other processes may write to it."""

    async def open(self) -> None:
        """Get ready; the other methods may be called from now on."""
        ...

    async def close(self) -> None:
        """Let go of files and connections. What is kept stays, where it can."""
        ...

    async def read(self, names: Sequence[str]) -> list[Entry]:
        """The entry of each name, in the order asked, as of one moment."""
        ...

    async def marked(self, marks: Sequence[str]) -> list[bool]:
        """Whether each mark is set, in the order asked."""
        ...

    async def commit(self, changes: Changes) -> bool:
        """Make all changes in one atomic step; False if something was not as expected.

        Then nothing has changed, and the work is to be done again from a new reading.
        """
        ...

    async def scan(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, Entry]]:
        """Up to `limit` entries whose names begin so and come after `after`.

        In the order of the names' code points. A prefix has the kind and its slash.
        """
        ...
