"""`outbox retry`: what a person looked at is sent again.

Sending it is `outbox run`'s, or the application's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from stigg_guard.commands.failure import Command, Failure, confirm
from stigg_guard.commands.listing import value_of
from stigg_guard.commands.selection import AT_ONCE, Selection, batches, named
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import counted, printable
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import Row

_MOST_TOLD: Final = 10


@click.command(cls=Command)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every parked row.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_source
def retry(source: Source, *, ids: Sequence[str], is_all: bool, yes: bool) -> None:
    """Make parked rows pending: they are sent again."""
    check_choice(ids, is_all=is_all, option="--all")
    outbox = source.opened().outbox
    chosen, doubtful = _chosen(outbox, ids)
    if doubtful:
        _warn(doubtful)
        confirm("Send them again?" if len(doubtful) > 1 else "Send it again?", yes=yes)
    done = sum(outbox.retry(some) for some in batches(chosen, AT_ONCE))
    click.echo(f"{counted(done, 'row')} will be sent again.")
    if done < len(chosen):
        less = counted(len(chosen) - done, "row")
        click.echo(f"{less} changed meanwhile; `outbox list` shows them.")


def check_choice(ids: Sequence[str], *, is_all: bool, option: str) -> None:
    """Either ids or all; else `Failure`."""
    if is_all and ids:
        raise Failure(f'"{ids[0]}" and {option} were given; give ids or {option}.')
    if not is_all and not ids:
        raise Failure(
            f"No row is named; give ids, as `outbox list` shows, or {option}."
        )


def _chosen(outbox: Outbox, ids: Sequence[str]) -> tuple[list[str], list[Row]]:
    """The ids of the parked rows that are meant, and those rows that are doubtful."""
    rows = (
        iter(named(outbox, ids, states=("parked",)))
        if ids
        else Selection(states=("parked",)).rows(outbox)
    )
    chosen: list[str] = []
    doubtful: list[Row] = []
    for row in rows:
        chosen.append(row.id)
        if row.doubtful:
            doubtful.append(row)
    return chosen, doubtful


def _warn(doubtful: Sequence[Row]) -> None:
    for row in doubtful[:_MOST_TOLD]:
        measurement = row.measurement
        click.echo(
            printable(
                f"Row {row.id} ({measurement.subject.customer_id}, {measurement.name},"
                f" {value_of(measurement)}) may have arrived already; sent again, it is"
                " counted twice then."
            ),
            err=True,
        )
    if len(doubtful) > _MOST_TOLD:
        more = counted(len(doubtful) - _MOST_TOLD, "more row").replace(
            "more rows", "more"
        )
        click.echo(f"So may {more}.", err=True)
