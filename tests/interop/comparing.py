"""Compares what two callers got, and says each difference with the way to it.

What they were asked does not live here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TypeAlias

from tests.interop.calls import Json, Result


class _Absent:
    """Stands for what is not there."""


_ABSENT = _Absent()
_Part: TypeAlias = "Json | _Absent"


def differences(expected: Sequence[Result], got: Sequence[Result]) -> list[str]:
    """One line for each thing that differs; none when both got the same."""
    found: list[str] = []
    for alone in (*expected[len(got) :], *got[len(expected) :]):
        found.append(f"{alone.name}: only one has a result")
    for ours, theirs in zip(expected, got, strict=False):
        if ours.name != theirs.name:
            found.append(f"{ours.name}: a result of {theirs.name} instead")
        if ours.status != theirs.status:
            found.append(f"{ours.name}: {ours.status} is {theirs.status}")
        # In which words a library tells that time is over is its own matter.
        elif ours.status != "DEADLINE_EXCEEDED" and ours.message != theirs.message:
            found.append(f"{ours.name}: {ours.message!r} is {theirs.message!r}")
        found += _apart(ours.name, ours.response, theirs.response)
    return found


def _apart(where: str, ours: _Part, theirs: _Part) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _apart(
                f"{where}.{key}", ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
            )
    elif isinstance(ours, list) and isinstance(theirs, list):
        for number, pair in enumerate(zip_longest(ours, theirs, fillvalue=_ABSENT)):
            yield from _apart(f"{where}[{number}]", *pair)
    elif where.endswith(".measurement_id") and _are_texts(ours, theirs):
        return  # Made up anew for each report.
    # 1 and 1.0 are the same in JSON; 1 and true are not.
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        yield f"{where}: {_said(ours)} is {_said(theirs)}"


def _said(value: _Part) -> str:
    return "nothing" if value is _ABSENT else repr(value)


def _are_texts(*values: _Part) -> bool:
    return all(isinstance(value, str) and value for value in values)
