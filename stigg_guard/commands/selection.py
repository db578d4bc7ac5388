"""Which rows a command is about: by state, customer and feature, or by their ids.

What is done with them is the command's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, get_args

from stigg_guard.commands.failure import Failure
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import Row, State

STATES: Final[tuple[State, ...]] = get_args(State)
WAITING: Final[tuple[State, ...]] = ("pending", "in_flight", "parked")
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Rows in some of the states; of one customer, of one feature or event, or all."""

    states: Sequence[State]
    customer: str | None = None
    feature: str | None = None

    def rows(self, outbox: Outbox) -> Iterator[Row]:
        """The rows, oldest first, read a page at a time."""
        return (row for row in self._of_states(outbox) if self._fits(row))

    def _of_states(self, outbox: Outbox) -> Iterator[Row]:
        states = set(self.states)
        if states == set(WAITING):
            yield from outbox.waiting()
            return
        state = self.states[0] if len(states) == 1 else None
        after: str | None = None
        while found := outbox.rows(state, after=after, most=AT_ONCE):
            yield from (row for row in found if row.state in states)
            after = found[-1].id

    def _fits(self, row: Row) -> bool:
        measurement = row.measurement
        names = (measurement.feature_id, measurement.event)
        return self.customer in (None, measurement.subject.customer_id) and (
            self.feature is None or self.feature in names
        )


def named(outbox: Outbox, ids: Sequence[str], *, states: Sequence[State]) -> list[Row]:
    """The rows with these ids, each in one of the states; else `Failure`."""
    found: list[Row] = []
    for some in batches(dict.fromkeys(ids), AT_ONCE):
        found += outbox.find(some)
    known = {row.id for row in found} | {row.measurement.key for row in found}
    unknown = [row_id for row_id in ids if row_id not in known]
    if unknown:
        raise Failure(
            f'"{unknown[0]}" is no row of the outbox in {outbox.location}'
            f"{_more(unknown)}; `outbox list` shows the ids. Nothing was changed."
        )
    other = [row for row in found if row.state not in states]
    if other:
        raise Failure(
            f'Row "{other[0].id}" is {_words(other[0].state)}{_more(other)}; only rows'
            f" that are {' or '.join(map(_words, states))} can be meant. Nothing was"
            " changed."
        )
    return list({row.id: row for row in found}.values())


def batches(items: Iterable[str], most: int) -> Iterator[list[str]]:
    """The items, so many at a time."""
    rest = iter(items)
    while batch := list(islice(rest, most)):
        yield batch


def _more(items: Sequence[object]) -> str:
    return f" (and {len(items) - 1:,} more)" if len(items) > 1 else ""


def _words(state: State) -> str:
    return state.replace("_", " ")
