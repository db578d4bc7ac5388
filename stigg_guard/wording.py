"""What a view needs, in the words of a person: `feature-01-templates (meters 1)`.

Which view needs what is said in `routing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from stigg_guard.requirement import AnyOf, Metering, Need, Requirement
from stigg_guard.view import ViewSpec


def words_of(spec: ViewSpec) -> str:
    """What a decorator or rule asks for, with its exceptions."""
    words = _need_words(spec.need, spec)
    if spec.exempt_when is not None:
        words = f"{words}, unless {_name(spec.exempt_when)}"
    return f"{words}, in shadow" if spec.shadow else words


def _need_words(need: Need, spec: ViewSpec) -> str:
    if isinstance(need, Requirement):
        return _requirement_words(need, spec)
    joint = " or " if isinstance(need, AnyOf) else " and "
    parts = [_need_words(part, spec) for part in need.parts]
    return joint.join(
        text if isinstance(part, Requirement) else f"({text})"
        for part, text in zip(need.parts, parts, strict=True)
    )


def _requirement_words(need: Requirement, spec: ViewSpec) -> str:
    details = list(_details(need, spec))
    name = need.name if need.currency_id is None else f"credits {need.name}"
    return f"{name} ({', '.join(details)})" if details else name


def _details(need: Requirement, spec: ViewSpec) -> Iterator[str]:
    if need.metering is not None:
        yield _metering(need.metering, spec)
        if need.metering.event is not None:
            yield f"as {need.metering.event}" if need.feature_id else "event"
    elif need.usage is not None:
        yield f"usage {_units(need.usage)}"
    if need.values:
        yield f"values {', '.join(need.values)}"
    if need.at_least is not None:
        yield f"at least {_units(need.at_least)}"


def _metering(metering: Metering, spec: ViewSpec) -> str:
    is_total = metering.update == "set"
    if spec.value is not None:
        verb = "sets" if is_total else "meters"
        return f"{verb} {_name(spec.value)}"
    if is_total:
        return f"sets {_units(spec.units)}"
    verb = "gives back" if spec.units < 0 else "meters"
    return f"{verb} {_units(abs(spec.units))}"


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "function", function)  # of a NamedFunction
    name: str = getattr(function, "__name__", type(function).__name__)
    return "a function" if name == "<lambda>" else f"{name}()"


def _units(value: float) -> str:
    return f"{value:,.15g}"
