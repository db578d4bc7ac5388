"""Something wrong with a catalog, as its checks yield it.

The place and the message live here; what is wrong, and how it is told, do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

Path = tuple[str | int, ...]
_PARTS = {"currency": "currencies"}
"""What the part of a kind is called, where it is not the kind with an s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with a catalog: where, and what with its cure."""

    path: Path
    message: str
    other: Path | None = None
    """Where the other one is, of two that get into each other's way."""


def unknown(kind: str, name: str, known: Iterable[str], path: Path) -> Problem:
    """A name of which the catalog has no part, with the names that it has."""
    names = list(islice(known, 9))
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    part = _PARTS.get(kind, f"{kind}s")
    return Problem(
        path=path,
        message=f"there is no {kind} {name!r}; "
        f"define it under {part} or use one of: {listed or 'none is defined'}",
    )
