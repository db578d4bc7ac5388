"""`outbox list`: rows as a table for people, or as lines of JSON.

All of what is known of a row is in `record`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import click

from stigg_guard.commands.failure import Command
from stigg_guard.commands.record import as_json
from stigg_guard.commands.selection import STATES, WAITING, Selection
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import age, columns, fitted, printable, units
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.row import Row, State

WIDTH: Final = 100
_TITLES: Final = ("id", "state", "age", "tries", "customer", "feature/event", "value")
# The most that these take; ids are shown whole, for they are typed again.
_MOST: Final = {"customer": 16, "feature/event": 20, "value": 12}
# What gives way, and down to how much, where ids are long.
_LEAST: Final = {"feature/event": 13, "customer": 8, "value": 6}
_ERROR: Final = 16


@click.command("list", cls=Command)
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only these; may be repeated. Without it: all that are not delivered.",
)
@click.option("--customer", metavar="ID", help="Only this customer's.")
@click.option("--feature", metavar="ID", help="Only of this feature or event.")
@click.option("--json", "is_json", is_flag=True, help="All fields, one row a line.")
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many rows to show.",
)
@pass_source
def list_(
    source: Source,
    *,
    states: Sequence[State],
    customer: str | None,
    feature: str | None,
    is_json: bool,
    most: int,
) -> None:
    """Show rows, oldest first."""
    outbox = source.opened().outbox
    selection = Selection(states=states or WAITING, customer=customer, feature=feature)
    found = selection.rows(outbox)
    shown = islice(found, most)
    if is_json:
        for row in shown:
            click.echo(as_json(row))
    else:
        rows = list(shown)
        if not rows:
            click.echo(f"No such rows in the outbox in {printable(outbox.location)}.")
        for line in _table(rows):
            click.echo(line)
    if next(found, None) is not None:
        click.echo(f"There are more than {most:,}; --most shows more.", err=True)


def _table(rows: Sequence[Row]) -> Iterable[str]:
    if not rows:
        return
    now = time.time()
    lines = [_TITLES, *(_cells(row, now) for row in rows)]
    errors = ["error", *(row.error for row in rows)]
    widths = _widths(lines)
    for line, error in zip(lines, errors, strict=True):
        known = "  ".join(map(fitted, line, widths))
        rest = WIDTH - columns(known) - 2
        told = fitted(error or "", rest) if rest > 3 else ""
        yield f"{known}  {told}".rstrip()


def _widths(lines: Sequence[tuple[str, ...]]) -> list[int]:
    """The columns that each cell gets, so that an error has room beside them."""
    widths = {
        title: min(_MOST.get(title, WIDTH), max(columns(line[place]) for line in lines))
        for place, title in enumerate(_TITLES)
    }
    for title, least in _LEAST.items():
        taken = sum(widths.values()) + 2 * len(widths)
        too_many = max(0, taken + _ERROR - WIDTH)
        widths[title] = max(least, widths[title] - too_many)
    return list(widths.values())


def _cells(row: Row, now: float) -> tuple[str, ...]:
    measurement = row.measurement
    state = row.state.replace("_", " ")
    cells = (
        row.id,
        f"{state}?" if row.doubtful else state,
        age(now - row.created_at),
        str(row.attempts),
        measurement.subject.customer_id,
        measurement.name,
        value_of(measurement),
    )
    return tuple(map(printable, cells))


def value_of(measurement: Measurement) -> str:
    """What a measurement says: `+3`, `-1`, `=10` for a total, `event`."""
    if measurement.event is not None:
        is_one = measurement.feature_id is None or measurement.value == 1
        return "event" if is_one else f"event {units(measurement.value)}"
    if measurement.update == "set":
        return f"={units(measurement.value)}"
    sign = "+" if measurement.value >= 0 else ""
    return f"{sign}{units(measurement.value)}"
