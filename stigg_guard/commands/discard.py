"""`outbox discard`: usage that is never to be reported is deleted, its holds ended.

What is lost is shown before it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import click

from stigg_guard.commands.failure import Command, confirm
from stigg_guard.commands.giving_back import (
    check_reachable,
    give_back,
    held_place,
)
from stigg_guard.commands.retry import check_choice
from stigg_guard.commands.selection import AT_ONCE, Selection, batches, named
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import counted, printable, units
from stigg_guard.guard import Guard
from stigg_guard.metering.holds.base import Place
from stigg_guard.metering.outbox.row import Row

_MOST_TOLD: Final = 40


@click.command(cls=Command)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all-parked", is_flag=True, help="Every parked row.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_source
def discard(source: Source, *, ids: Sequence[str], all_parked: bool, yes: bool) -> None:
    """Delete pending or parked rows: their usage is never reported."""
    check_choice(ids, is_all=all_parked, option="--all-parked")
    guard = source.opened()
    lost = _Lost()
    chosen = [lost.add(row) for row in _rows(guard, ids)]
    if not chosen:
        click.echo("No row is parked, so nothing is discarded.")
        return
    if lost.held is not None:
        check_reachable(guard.stores, lost.held)
    click.echo(f"This deletes {counted(len(chosen), 'row')}:", err=True)
    for line in lost.lines():
        click.echo(printable(line), err=True)
    confirm("Is this usage never to be reported?", yes=yes)
    _discard(guard, chosen)


def _rows(guard: Guard, ids: Sequence[str]) -> Iterable[Row]:
    if ids:
        return named(guard.outbox, ids, states=("pending", "parked"))
    return Selection(states=("parked",)).rows(guard.outbox)


def _discard(guard: Guard, chosen: Sequence[str]) -> None:
    done = 0
    for some in batches(chosen, AT_ONCE):
        gone = guard.outbox.discard(some)
        done += len(gone)
        give_back(guard.stores, gone)
    click.echo(f"{counted(done, 'row')} discarded.")
    if done < len(chosen):
        kept = counted(len(chosen) - done, "row")
        click.echo(f"{kept} changed meanwhile and stayed; `outbox list` shows them.")


class _Lost:
    """What would be lost, by customer and feature or event."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], float] = defaultdict(float)
        self._totals: dict[tuple[str, str], float] = {}
        self._events: Counter[tuple[str, str]] = Counter()
        self._doubtful = 0
        self.held: Place | None = None
        """One of the places where something is held, if there is one."""

    def add(self, row: Row) -> str:
        """Count a row; its id."""
        measurement = row.measurement
        what = (measurement.subject.customer_id, measurement.name)
        if measurement.event is not None:
            self._events[what] += 1
        elif measurement.update == "set":
            self._totals[what] = measurement.value
        else:
            self._changes[what] += measurement.value
        self._doubtful += row.doubtful
        self.held = self.held or held_place(row)
        return row.id

    def lines(self) -> Iterable[str]:
        """What to show, customer by customer."""
        told = sorted(
            [
                *(
                    (what, f"{units(value)} units")
                    for what, value in self._changes.items()
                ),
                *((what, f"the total {units(v)}") for what, v in self._totals.items()),
                *((what, counted(n, "event")) for what, n in self._events.items()),
            ]
        )
        for (customer, name), lost in told[:_MOST_TOLD]:
            yield f"  {customer}, {name}: {lost}"
        if len(told) > _MOST_TOLD:
            yield f"  and {len(told) - _MOST_TOLD:,} more such lines"
        if self._doubtful:
            yield f"  ({counted(self._doubtful, 'row')} may have arrived already)"
