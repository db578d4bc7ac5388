"""Every hold store behind one way to drive it, and the steps that tests take."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from stigg_guard.metering.holds.base import (
    AsyncHolds,
    Holds,
    Op,
    Peek,
    Place,
    Settle,
    Standing,
    Take,
    Taken,
    Want,
)

INFINITE = float("inf")
PLACE = Place("customer", None, "templates")
OTHER = Place("customer", None, "seats")

_numbers = itertools.count()


class Store:
    """A hold store, sync or async, as the tests drive it."""

    def __init__(self, perform: Callable[[Op], object]) -> None:
        self.perform = perform

    def take(self, *wants: Want, lease: float = 30) -> Taken:
        return cast("Taken", self.perform(Take(wants=wants, lease=lease)))

    def standing(self, place: Place = PLACE) -> Standing:
        return cast("Standing", self.perform(Peek(place=place)))

    def settle(self, key: str, units: float = 1, **fields: Any) -> None:
        given: dict[str, Any] = {"place": PLACE, "young_for": 1000, "total": None}
        self.perform(Settle(key=key, units=units, **{**given, **fields}))


def want(key: str = "", units: float = 1, **fields: Any) -> Want:
    """A want of a unit of the place, with a key of its own, of a limit of 6."""
    given: dict[str, Any] = {"place": PLACE, "limit": 6, "usage": 0, "period": 100}
    return Want(key=key or f"key-{next(_numbers)}", units=units, **{**given, **fields})


@contextmanager
def driven(store: Holds) -> Generator[Store]:
    """A store for threads."""
    yield Store(store.perform)
    store.close()


@contextmanager
def driven_in_a_loop(store: AsyncHolds) -> Generator[Store]:
    """A store for event loops."""
    with asyncio.Runner() as runner:
        yield Store(lambda op: runner.run(store.perform(op)))
        runner.run(store.aclose())
