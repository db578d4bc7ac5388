"""What reports carry besides their value, as it is typed: dimensions, and a time.

How they are sent is said in `sending`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import click

from stigg_guard.commands.failure import Failure
from stigg_guard.metering.moment import as_moment
from stigg_guard.requirement import Dimension, as_dimensions

_FORMS: Final = 'use name=value, such as region=eu, size=5, free=true or code="007"'


def of_report(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options --dimension and --at."""
    dimension = click.option(
        "--dimension",
        "typed_dimensions",
        metavar="NAME=VALUE",
        multiple=True,
        help='A number, true, false, or text; "..." is always text. May be repeated.',
    )
    at = click.option(
        "--at",
        "typed_moment",
        metavar="TIME",
        help="ISO 8601, in UTC where no zone is said, or now. [default: the sidecar's]",
    )
    return dimension(at(function))


def as_typed(texts: Iterable[str]) -> dict[str, Dimension]:
    """Dimensions from `name=value`; raises `Failure` for what is none."""
    found: dict[str, Dimension] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Failure(f'--dimension is "{text}"; {_FORMS}.')
        if name in found:
            raise Failure(f'--dimension "{name}" was given twice; give it once.')
        found[name] = _value(value, text)
    try:
        return dict(as_dimensions(found))
    except ValueError as error:
        raise Failure(str(error)) from error


def _value(text: str, whole: str) -> Dimension:
    """A number, true, false or a quoted text as JSON has them; all else is text."""
    try:
        value: Any = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        if text.startswith('"'):
            raise Failure(
                f'--dimension is "{whole}", whose quotes do not fit; {_FORMS}.'
            ) from None
        return text
    return value if isinstance(value, str | int | float) else text


def _no_number(name: str) -> None:
    raise ValueError(name)


def as_time(text: str | None) -> datetime | None:
    """The time that is typed, in UTC; None: the sidecar's own."""
    if text is None:
        return None
    if text == "now":
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return as_moment("--at", aware)
    except ValueError:
        raise Failure(
            f'--at is "{text}"; use a time such as 2026-11-28T12:00:00Z, or now.'
        ) from None
