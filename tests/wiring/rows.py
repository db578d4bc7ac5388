"""What the docs page on wiring says, row by row: each row is a test that shows it.

The page is written by `python -m tests.wiring`; the tests stand beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

FRAMEWORKS: Final = (
    *("Django", "Django REST framework", "django-ninja"),
    *("Flask", "Starlette", "FastAPI", "Functions"),
)
HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parents[1] / "docs" / "wiring.md"

INTRODUCTION: Final = """\
# Where a guard may stand

Each row is a test of the suite that runs the real framework; the page is written from
them. What is refused is refused when the program starts, by an error or by a system
check that names the right place.
"""


class Row(NamedTuple):
    """One line of the page: `place` is code or words, `outcome` what happens there."""

    place: str
    outcome: str
    is_right: bool


_ROWS: dict[str, dict[str, Row]] = {name: {} for name in FRAMEWORKS}


def wiring(
    framework: str, place: str, outcome: str, *, is_right: bool = True
) -> Callable[[Test], Test]:
    """Have a test stand for a row; `is_right` False is for places that are wrong."""

    def note(test: Test) -> Test:
        _ROWS[framework][f"{test.__module__}.{test.__name__}"] = Row(
            place, outcome, is_right
        )
        return test

    return note


def page() -> str:
    """The page as Markdown, from all rows of all test files beside this one."""
    for path in sorted(HERE.glob("test_*.py")):
        import_module(f"tests.wiring.{path.stem}")
    return INTRODUCTION + "".join(
        _section(name, _in_order(rows)) for name, rows in _ROWS.items() if rows
    )


def _in_order(rows: dict[str, Row]) -> list[Row]:
    """Rows file by file, whichever file was imported first."""
    return [
        rows[name] for name in sorted(rows, key=lambda name: name.rpartition(".")[0])
    ]


def _section(framework: str, rows: list[Row]) -> str:
    lines = [f"\n## {framework}\n", "| Where | Works | What happens |", "|---|---|---|"]
    for row in sorted(rows, key=lambda row: not row.is_right):
        works = "yes" if row.is_right else "no"
        lines.append(f"| {row.place} | {works} | {row.outcome} |")
    return "\n".join(lines) + "\n"
