"""What became of rows, as the columns that change: few updates for many rows.

Which rows may be changed is `outbox`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from django.db.models import Case, F, FloatField, Value, When

from stigg_guard.metering.outbox.base import Delivered, Parked, PutOff, Result
from stigg_guard_django.models import error_text, numbers

_AT_ONCE: Final = 200


Changes: TypeAlias = Mapping[str, Any]


def outcomes(results: Iterable[Result]) -> Iterator[tuple[Changes, list[int]]]:
    """Columns that change, and the ids of rows in which they change alike."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(_likeness(result), []).append(result)
    for group in groups.values():
        for start in range(0, len(group), _AT_ONCE):
            some = group[start : start + _AT_ONCE]
            yield _changes(some), numbers(result.id for result in some)


def _likeness(result: Result) -> tuple[object, ...]:
    if isinstance(result, Delivered):
        return (Delivered,)
    tried = isinstance(result, Parked) or result.tried
    return type(result), result.error, result.doubtful, tried


def _changes(results: Sequence[Result]) -> Changes:
    """The columns that results change, which are alike but for when they are due."""
    result = results[0]
    changes: dict[str, Any] = {"worker": "", "lease_until": None}
    if not isinstance(result, PutOff) or result.tried:
        changes["attempts"] = F("attempts") + 1
    if isinstance(result, Delivered):
        return changes | {"state": "delivered", "queue": None, "doubtful": False}
    changes["error"] = None if result.error is None else error_text(result.error)
    changes["doubtful"] = result.doubtful
    if isinstance(result, Parked):
        return changes | {"state": "parked", "queue": None}
    return changes | {"state": "pending", "due_at": _due(results)}


def _due(results: Iterable[Result]) -> Case:
    """Another time for each row: a worker spreads the next attempts."""
    return Case(
        *(
            When(pk__in=numbers([result.id]), then=Value(result.due_at))
            for result in results
            if isinstance(result, PutOff)
        ),
        output_field=FloatField(),
    )
