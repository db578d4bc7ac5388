"""A table for a terminal: titles, and columns as wide as they need to be.

What stands in the cells is said where they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from stigg_guard.commands.words import columns


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Iterable[str | None] = (),
) -> Iterator[str]:
    """The lines of a table; each row may have a colour, where there are colours."""
    widths = [max(map(columns, column)) for column in zip(titles, *rows, strict=True)]
    yield click.style(_aligned(titles, widths), dim=True)
    chosen = [*colours]
    for place, row in enumerate(rows):
        colour = chosen[place] if place < len(chosen) else None
        line = _aligned(row, widths)
        yield click.style(line, fg=colour) if colour else line


def _aligned(cells: Sequence[str], widths: Iterable[int]) -> str:
    return "  ".join(
        cell + " " * (width - columns(cell))
        for cell, width in zip(cells, widths, strict=True)
    ).rstrip()
