"""`doctor`: looks at everything an application's guard needs, and names cures.

What is looked at is in `examination`; what a front end adds, in its adapter.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import click

from stigg_guard.commands.examination import examine
from stigg_guard.commands.failure import Alarm, Command, Undone
from stigg_guard.commands.finding import Finding, Level, worst
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import counted, printable

_COLOURS: Final[dict[Level, str]] = {"ok": "green", "warn": "yellow", "fail": "red"}
_WIDTH: Final = 100


@click.command("doctor", cls=Command)
@click.option("--json", "is_json", is_flag=True, help="One finding a line.")
@click.option("--fail-on-warning", is_flag=True, help="Exit with 3 for a warning.")
@pass_source
def doctor(source: Source, *, is_json: bool, fail_on_warning: bool) -> None:
    """Look at settings, sidecar, holds, outbox and wiring, and name cures.

    Nothing is reported and nothing changed. The exit status is 1 when something
    fails.
    """
    found: list[Finding] = []
    for finding in _findings(source):
        found.append(finding)
        lines = [json.dumps(asdict(finding))] if is_json else _lines(finding)
        for line in lines:
            click.echo(line)
    if not is_json:
        click.echo(f"\n{_summary(found)}")
    if worst(found) == "fail":
        raise Undone("Something fails; see above.")
    if fail_on_warning and worst(found) == "warn":
        raise Alarm("There are warnings; see above.")


def _findings(source: Source) -> Iterator[Finding]:
    yield from examine(source.guard(), is_named=source.target_cure is None)
    yield from source.findings()


def _lines(finding: Finding) -> Iterator[str]:
    level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
    first, *rest = _wrapped(finding.words)
    yield f"{level}  {finding.about:<8}  {first}"
    cure = [f"→ {line}" if not n else f"  {line}" for n, line in _cure_lines(finding)]
    for line in (*rest, *cure):
        yield f"{'':<14}  {line}"


def _cure_lines(finding: Finding) -> Iterator[tuple[int, str]]:
    if finding.cure:
        yield from enumerate(_wrapped(finding.cure))


def _wrapped(words: str) -> list[str]:
    text = printable(" ".join(words.split()))
    return textwrap.wrap(text, _WIDTH - 18, break_on_hyphens=False) or [""]


def _summary(found: list[Finding]) -> str:
    levels = [finding.level for finding in found]
    fails, warns = levels.count("fail"), levels.count("warn")
    if not fails and not warns:
        return "All is well."
    return f"{counted(fails, 'failure')}, {counted(warns, 'warning')}."
