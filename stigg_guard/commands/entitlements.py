"""`entitlements`: everything a customer has, as a table or as lines of JSON.

Whether something is allowed is asked with `check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from stigg_guard.commands.amounts import (
    amount,
    entitlement_as_json,
    reset,
    said_by,
    subject_in_words,
)
from stigg_guard.commands.failure import Alarm, Command, Undone
from stigg_guard.commands.identity import of_customer, subject_of
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.table import table
from stigg_guard.commands.words import counted, printable
from stigg_guard.entitlements import Entitlements


@click.command("entitlements", cls=Command)
@of_customer
@click.option("--json", "is_json", is_flag=True, help="One entitlement a line.")
@pass_source
def entitlements(
    source: Source, *, customer: str, resource: str | None, is_json: bool
) -> None:
    """Show everything that CUSTOMER is entitled to.

    The exit status is 1 when there is nothing, and 3 when the sidecar gave no verdict.
    """
    subject = subject_of(customer, resource)
    found = source.asking().entitlements(subject)
    if found.source in ("policy", "last_known"):
        raise Alarm(
            "The sidecar gave no verdict, so nothing is known of"
            f" {subject_in_words(subject)}; `doctor` looks for the cause."
        )
    if not found:
        why = f": {found.reason}" if found.reason else ""
        raise Undone(f"Customer {subject_in_words(subject)} has no entitlements{why}.")
    lines = _json(found) if is_json else _table(found)
    for line in lines:
        click.echo(line)


def _table(found: Entitlements) -> Iterator[str]:
    rows = [
        (printable(name), item.kind, printable(amount(item)), reset(item))
        for name, item in sorted(found.items())
    ]
    styles = [None if found.has(name) else "yellow" for name in sorted(found)]
    yield from table(("feature", "kind", "granted", "resets"), rows, styles)
    yield ""
    yield f"{counted(len(found), 'entitlement')}, said by {said_by(found.source)}."


def _json(found: Entitlements) -> Iterator[str]:
    for name, item in sorted(found.items()):
        told = {"id": name, "has_access": found.has(name)}
        yield json.dumps(told | entitlement_as_json(item))
