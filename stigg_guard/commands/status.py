"""`outbox status`: how many rows wait, for how long, and whether that is an alarm.

Which rows they are is told by `outbox list`.
"""

from __future__ import annotations

import json
import time
from typing import Any

import click

from stigg_guard.commands.failure import Alarm, Command
from stigg_guard.commands.seconds import Seconds
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import age, counted, moment, printable
from stigg_guard.metering.outbox.row import Status


@click.command(cls=Command)
@click.option("--json", "is_json", is_flag=True, help="One JSON document.")
@click.option(
    "--fail-if-older",
    type=Seconds(min=0),
    metavar="SECONDS",
    help="Exit with 3 when a row has waited longer.",
)
@click.option(
    "--fail-if-parked", is_flag=True, help="Exit with 3 when a row is parked."
)
@pass_source
def status(
    source: Source, *, is_json: bool, fail_if_older: float | None, fail_if_parked: bool
) -> None:
    """Count the rows by state."""
    outbox = source.opened().outbox
    found, now = outbox.status(), time.time()
    waited = None if found.oldest_at is None else max(0.0, now - found.oldest_at)
    show = _json if is_json else _lines
    click.echo(show(outbox.location, found, waited))
    reasons: list[str] = []
    if fail_if_older is not None and waited is not None and waited > fail_if_older:
        reasons.append(
            f"the oldest row has waited {waited:.0f} s, more than {fail_if_older:g} s"
        )
    if fail_if_parked and found.parked:
        reasons.append(f"{counted(found.parked, 'row')} parked until a person decides")
    if reasons:
        raise Alarm(f"The outbox in {outbox.location}: {'; '.join(reasons)}.")


def _lines(location: str, found: Status, waited: float | None) -> str:
    oldest = "none waits"
    if waited is not None and found.oldest_at is not None:
        oldest = f"waits {age(waited)}, since {moment(found.oldest_at)}"
    return "\n".join(
        [
            f"Outbox:     {printable(location)}",
            f"Pending:    {found.pending:,}",
            f"In flight:  {found.in_flight:,}",
            f"Parked:     {found.parked:,}",
            f"Delivered:  {found.delivered:,}",
            f"Oldest:     {oldest}",
        ]
    )


def _json(location: str, found: Status, waited: float | None) -> str:
    told: dict[str, Any] = {
        "location": location,
        "pending": found.pending,
        "in_flight": found.in_flight,
        "parked": found.parked,
        "delivered": found.delivered,
        "oldest_at": None if found.oldest_at is None else moment(found.oldest_at),
        "oldest_age": None if waited is None else round(waited, 3),
    }
    return json.dumps(told)
