"""The contract of a usage store, edges included; every store obeys it.

What is kept and which steps are atomic live here; how it is kept does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """One counter: a feature's usage by a customer or its resource, in one window."""

    customer_id: str
    resource_id: str | None
    """None for what is used on a subscription of the whole customer."""
    feature_id: str
    window_start: datetime | None
    """None for usage that never resets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChange:
    """A change of one counter: add `value` to it, or make it `value`."""

    key: UsageKey
    update: Literal["delta", "set"]
    value: float


class UsageOutOfRange(Exception):
    """A change would take a counter below zero or beyond what a number can hold."""

    def __init__(self, change: UsageChange, total: float) -> None:
        super().__init__(f"{change.key.feature_id}: {total:g}")
        self.change = change
        """The first change that does not fit."""
        self.total = total
        """What the counter would have become."""


class UsageStore(Protocol):
    """Counters of usage. A counter that was never changed is 0."""

    async def read(self, keys: Sequence[UsageKey]) -> list[float]:
        """The value of each key, in the order asked."""
        ...

    async def apply(self, changes: Sequence[UsageChange]) -> list[float]:
        """Make all changes in order, in one atomic step; the value after each.

        Later changes see earlier ones. If one would leave a total below zero or not
        finite, `UsageOutOfRange` is raised and nothing has changed.
        """
        ...

    async def seed(self, changes: Sequence[UsageChange]) -> None:
        """Make each change whose counter was never changed; leave the others alone."""
        ...
