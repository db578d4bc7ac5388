"""Gives back what discarded rows hold, or says that it cannot be done now.

Holds in memory are not given back: the processes that have them see it by themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from stigg_guard.commands.failure import Failure, Undone
from stigg_guard.metering.holds.base import GiveBack, HoldsUnavailable, Op, Peek, Place
from stigg_guard.metering.outbox.row import Row
from stigg_guard.metering.stores import Stores
from stigg_guard.metering.worker import place_of


def held_place(row: Row) -> Place | None:
    """Where the row holds units, if it does."""
    return place_of(row.measurement) if row.is_held else None


def check_reachable(stores: Stores, place: Place) -> None:
    """Raise `Failure` when holds cannot be given back now: nothing is begun then."""
    if not _is_done(stores, Peek(place=place)):
        raise Failure(
            "The rows hold units, and the hold store (HOLDS) is out, so these could"
            " not be given back. Start it, or try again later. Nothing was changed."
        )


def give_back(stores: Stores, rows: Iterable[Row]) -> None:
    """End the holds of discarded rows; raises `Undone` when that became impossible."""
    keys: defaultdict[Place, list[str]] = defaultdict(list)
    for row in rows:
        if place := held_place(row):
            keys[place].append(row.measurement.key)
    for place, found in keys.items():
        if not _is_done(stores, GiveBack(place=place, keys=tuple(found))):
            raise Undone(
                "The hold store (HOLDS) went out meanwhile: the last rows are"
                " discarded, but what they held counts as used until it runs out;"
                " `outbox list` shows what was not discarded."
            )


def _is_done(stores: Stores, op: Op) -> bool:
    """Carry a step out; False when it was done in the place of a store that is out."""
    reply = stores.perform(op)
    is_out: bool = getattr(stores.holds, "is_out", False)
    return not is_out and not isinstance(reply, HoldsUnavailable)
