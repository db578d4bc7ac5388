"""`entitlements`: everything a customer has, as a table or as lines of JSON.

Whether something is allowed is asked with `check`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click

from stigg_guard.commands import terminal
from stigg_guard.commands.amounts import (
    amount,
    entitlement_as_json,
    period_end,
    said_by,
    short_amount,
    subject_in_words,
    used_bar,
)
from stigg_guard.commands.failure import Alarm, Command, Failure, Undone
from stigg_guard.commands.identity import of_customer, subject_of
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.table import (
    Colour,
    natural_widths,
    table,
    whole_width,
)
from stigg_guard.commands.words import counted, printable
from stigg_guard.decision import Answer, Answers, NoAnswer
from stigg_guard.subject import Subject

_TITLES: Final = ("feature", "type", "access", "granted", "period ends", "reason")
_ACCESS, _GRANTED = 2, 3
# What is cut where even the tightest layout is too wide: down to how much, in order.
_LEAST: Final = {"reason": 10, "granted": 8, "feature": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How much room the cells take."""

    bar: int = 0
    """How long the bars of what is used are."""
    is_dated: bool = False
    is_wordy: bool = False


# From roomy to tight: the first that fits is used.
_LAYOUTS: Final = (
    _Layout(bar=10, is_dated=True, is_wordy=True),
    _Layout(bar=10, is_wordy=True),
    _Layout(bar=10),
    _Layout(bar=5),
    _Layout(),
)


@click.command("entitlements", cls=Command)
@of_customer
@click.option("--json", "is_json", is_flag=True, help="One entitlement a line.")
@pass_source
def entitlements(
    source: Source, *, customer: str, resource: str | None, is_json: bool
) -> None:
    """Show everything that CUSTOMER is entitled to, and why some of it is denied.

    The exit status is 1 when there is nothing, and 3 when the sidecar gave no verdict.
    """
    subject = subject_of(customer, resource)
    found = _answers(source, subject)
    if not found.by_id:
        why = f": {found.reason}" if found.reason else ""
        raise Undone(f"Customer {subject_in_words(subject)} has no entitlements{why}.")
    for line in _json(found) if is_json else _shown(found):
        click.echo(line)


def _answers(source: Source, subject: Subject) -> Answers:
    found = source.asking().sidecar.entitlements(subject)
    if isinstance(found, NoAnswer):
        if found.refused:
            raise Failure(f"The sidecar refused the question: {found.cause}.")
        raise Alarm(f"The sidecar gave no verdict: {found.cause}.{source.hint}")
    if not found.is_verdict:
        raise Alarm("The sidecar gave no verdict: it has no data.")
    return found


def _shown(found: Answers) -> Iterator[str]:
    width = terminal.width()
    titles, rows = _without_empty([])
    for layout in _LAYOUTS:
        titles, rows = _without_empty(
            [_cells(name, item, layout) for name, item in sorted(found.by_id.items())]
        )
        if width is None or whole_width(natural_widths(titles, rows)) <= width:
            break
    least = {titles.index(name): n for name, n in _LEAST.items() if name in titles}
    yield from table(titles, rows, map(_colour, rows), most=width, least=least)
    yield ""
    are_fallback = any(answer.is_fallback for answer in found.by_id.values())
    speaker = said_by("sidecar_fallback" if are_fallback else "sidecar")
    yield f"{counted(len(rows), 'entitlement')}, said by {speaker}."


def _without_empty(
    rows: Sequence[Sequence[str]],
) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Titles and rows without the last columns, where nothing stands in them."""
    kept = [
        place
        for place in range(len(_TITLES))
        if place <= _GRANTED or any(row[place] for row in rows)
    ]
    titles = [_TITLES[place] for place in kept]
    return titles, [[row[place] for place in kept] for row in rows]


def _cells(name: str, answer: Answer, layout: _Layout) -> Sequence[str]:
    entitlement = answer.entitlement
    return (
        printable(name),
        entitlement.kind if entitlement else "",
        "yes" if answer.has_access else "no",
        _granted(answer, layout),
        period_end(entitlement, is_dated=layout.is_dated) if entitlement else "",
        str(answer.reason or ""),
    )


def _granted(answer: Answer, layout: _Layout) -> str:
    entitlement = answer.entitlement
    if entitlement is None or not _shows_amount(answer):
        return ""
    told = amount(entitlement) if layout.is_wordy else short_amount(entitlement)
    return f"{used_bar(entitlement, layout.bar)} {printable(told)}".strip()


def _shows_amount(answer: Answer) -> bool:
    """Whether amounts say something: those of what was revoked are empty."""
    entitlement = answer.entitlement
    return answer.has_access or (
        entitlement is not None and entitlement.kind in ("metered", "credit")
    )


def _colour(row: Sequence[str]) -> Colour:
    return {_ACCESS: "green" if row[_ACCESS] == "yes" else "red"}


def _json(found: Answers) -> Iterator[str]:
    for name, answer in sorted(found.by_id.items()):
        told: dict[str, object] = {
            "id": name,
            "has_access": answer.has_access,
            "reason": answer.reason and answer.reason.value,
            "is_fallback": answer.is_fallback,
        }
        if answer.entitlement is not None:
            told |= entitlement_as_json(answer.entitlement)
        yield json.dumps(told)
