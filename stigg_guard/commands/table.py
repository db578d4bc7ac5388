"""A table for a terminal: titles, and columns as wide as they need to be.

What stands in the cells is said where they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import click

from stigg_guard.commands.words import columns, fitted

Colour: TypeAlias = str | Mapping[int, str] | None
"""Of a row, or of some of its cells by their place."""


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Iterable[Colour] = (),
    *,
    most: int | None = None,
    least: Mapping[int, int] | None = None,
) -> Iterator[str]:
    """The lines of a table; each row may have a colour, where there are colours.

    A table that is wider than `most` columns has cells cut: those of the columns in
    `least`, in its order, each down to the width that is said there.
    """
    widths = natural_widths(titles, rows)
    for place, fewest in (least or {}).items():
        too_many = 0 if most is None else max(0, whole_width(widths) - most)
        widths[place] = max(min(fewest, widths[place]), widths[place] - too_many)
    yield click.style(_aligned(titles, widths, None), dim=True)
    chosen = [*colours]
    for place, row in enumerate(rows):
        colour = chosen[place] if place < len(chosen) else None
        line = _aligned(row, widths, colour)
        yield click.style(line, fg=colour) if isinstance(colour, str) else line


def natural_widths(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    """How wide each column is where nothing is cut."""
    return [max(map(columns, column)) for column in zip(titles, *rows, strict=True)]


def whole_width(widths: Sequence[int]) -> int:
    """How wide a table is, gaps included."""
    return sum(widths) + 2 * (len(widths) - 1)


def _aligned(cells: Sequence[str], widths: Iterable[int], colour: Colour) -> str:
    colours: Mapping[int, str] = colour if isinstance(colour, Mapping) else {}
    shown = [
        _cell(cell, width, colours.get(place))
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(shown).rstrip()


def _cell(cell: str, width: int, colour: str | None) -> str:
    text = fitted(cell, width)
    bare = text.rstrip()
    if colour is None or not bare:
        return text
    return click.style(bare, fg=colour) + text[len(bare) :]
