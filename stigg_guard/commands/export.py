"""`outbox export`: every row with all its fields, read a page at a time.

The fields are in `record`.
"""

from __future__ import annotations

import csv
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TypeAlias

import click

from stigg_guard.commands.failure import Command, Failure
from stigg_guard.commands.record import FIELDS, as_cells, as_json
from stigg_guard.commands.selection import STATES, Selection
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.words import counted, printable
from stigg_guard.metering.outbox.row import Row, State

Write: TypeAlias = Callable[[IO[str], Iterable[Row]], int]


@click.command(cls=Command)
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only these; may be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="json: one document a line.",
)
@click.option("--output", metavar="FILE", help="Instead of standard output.")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@pass_source
def export(
    source: Source,
    *,
    states: Sequence[State],
    form: str,
    output: str | None,
    force: bool,
) -> None:
    """Write every row with all its fields."""
    if output is not None:
        _check_output(output, force=force)
    outbox = source.opened().outbox
    rows = Selection(states=states or STATES).rows(outbox)
    write: Write = _write_csv if form == "csv" else _write_json
    if output is None:
        with _standard_output() as file:
            write(file, rows)
        return
    with _readable_trouble(output), written(output, force=force) as file:
        count = write(file, rows)
    click.echo(f"{counted(count, 'row')} written to {printable(output)}.", err=True)


def _write_json(file: IO[str], rows: Iterable[Row]) -> int:
    count = 0
    for row in rows:
        file.write(f"{as_json(row)}\n")
        count += 1
    file.flush()
    return count


def _write_csv(file: IO[str], rows: Iterable[Row]) -> int:
    count = 0
    table = csv.writer(file, lineterminator="\n")
    table.writerow(FIELDS)
    for row in rows:
        table.writerow(as_cells(row))
        count += 1
    file.flush()
    return count


@contextmanager
def _standard_output() -> Generator[IO[str]]:
    """It takes every text meanwhile: what it cannot spell is escaped."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):
        yield out
        return
    before = out.errors
    out.reconfigure(errors="backslashreplace")
    try:
        yield out
    finally:
        out.reconfigure(errors=before)


def _check_output(path: str, *, force: bool) -> None:
    with _readable_trouble(path):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(found.st_mode):
            raise Failure(
                f'The output "{path}" is no regular file; name another, or leave'
                " --output out to write to standard output."
            )
        if not force:
            raise _is_there(path)


def _is_there(path: str) -> Failure:
    return Failure(
        f'The output "{path}" is there already; name another file, or replace it with'
        " --force."
    )


@contextmanager
def _readable_trouble(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise Failure(
            f'The output "{path}" cannot be written: {error.strerror}; name a file in a'
            " folder that this user may write in, with room on its disk."
        ) from error


@contextmanager
def written(path: str, *, force: bool) -> Generator[IO[str]]:
    """A file, for its owner only, that has its name once all of it is written."""
    goal = os.path.realpath(path)
    descriptor, unfinished = tempfile.mkstemp(
        prefix=f".{os.path.basename(goal)}.", dir=os.path.dirname(goal)
    )
    try:
        with open(
            descriptor, "w", encoding="utf-8", errors="backslashreplace", newline=""
        ) as file:
            yield file
        _name(unfinished, goal, path, force=force)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)


def _name(unfinished: str, goal: str, path: str, *, force: bool) -> None:
    if force:
        os.replace(unfinished, goal)
        return
    try:
        os.link(unfinished, goal)
    except FileExistsError:
        raise _is_there(path) from None
    except OSError:  # a file system without links
        if os.path.lexists(goal):
            raise _is_there(path) from None
        os.rename(unfinished, goal)
