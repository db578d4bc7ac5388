"""What is wrong with the shape of a catalog or a request, in words of who wrote it.

Only the translation of pydantic's errors lives here; the shapes themselves do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, cast

from pydantic import ValidationError

from sidecar_client.local.problem import Path, Problem
from sidecar_client.local.shown import MOST_VALUE, limited, written

_TIME: Final = "a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z"
_WORDS: Final = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "datetime_from_date_parsing": _TIME,
    "datetime_parsing": _TIME,
    "datetime_type": _TIME,
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "a number above {gt:.0f}",
    "greater_than_equal": "{ge:.0f} or more",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt:.0f}",
    "less_than_equal": "{le:.0f} or less",
    "list_type": "a list",
    "literal_error": "{expected}",
    "mapping_type": "a mapping",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "string_too_long": "a text of at most {max_length} characters",
    "string_too_short": "a text that is not empty",
    "string_type": "a text",
    "string_unicode": "a text of valid Unicode characters",
    "too_long": "at most {max_length} of them",
    "too_short": "a list that is not empty",
    "tuple_type": "a list",
    "union_tag_invalid": "{expected_tags}",
}
_OTHER: Final = "what the documentation says"
_IN_JSON: Final = {"a mapping": "an object"}
# How pydantic marks the place of a dictionary's key.
_KEY: Final = "[key]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Misfit:
    """One thing that does not fit, where it is."""

    path: Path
    kind: str
    value: object
    context: Mapping[str, Any]


def misshapen(error: ValidationError, data: object) -> Iterator[Problem]:
    """Each place of the data that has not the shape of a catalog, once."""
    for path, misfits in _places(error, data):
        first = misfits[0]
        if first.kind in ("extra_forbidden", "missing"):
            says = "not a key here; remove it"
            if first.kind == "missing":
                says = "missing; add it"
            message = f"`{limited(str(path[-1]), MOST_VALUE)}` is {says}"
        else:
            message = _message(misfits)
        yield Problem(path=path, message=message)


def unfit(error: ValidationError, data: object, *, whole: str) -> Iterator[str]:
    """Each place of a request that has not its shape; `whole` is what its root is."""
    for path, misfits in _places(error, data):
        place = ".".join(limited(str(step), MOST_VALUE) for step in path)
        match misfits[0].kind:
            case "extra_forbidden":
                yield f"{place} is not a field here; remove it"
            case "missing":
                yield f"{place} is missing; add it"
            case _:
                message = _message(misfits)
                for word, in_json in _IN_JSON.items():
                    message = message.replace(f"; use {word}", f"; use {in_json}")
                if message.startswith("is "):
                    yield f"{place or whole} {message}"
                else:
                    yield f"{place}: {message}" if place else message


def _places(
    error: ValidationError, data: object
) -> Iterator[tuple[Path, list[_Misfit]]]:
    """Each place that is wrong, with all forms that it could have and has not."""
    found = _misfits(error, data)
    for path, group in groupby(found, lambda misfit: misfit.path):
        yield path, list(group)


def _misfits(error: ValidationError, data: object) -> Iterator[_Misfit]:
    for item in error.errors(include_url=False):
        path, kind = item["loc"], item["type"]
        context: Mapping[str, Any] = item.get("ctx", {})
        # A key that is none may read like a mark.
        is_key = bool(path) and path[-1] == _KEY and kind != "extra_forbidden"
        if is_key and kind == "string_type":
            kind = "invalid_key"
        value = item["input"]
        if kind == "too_short" and value:
            continue  # Its items are what is wrong, and are told.
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            name = str(context["discriminator"]).strip("'")
            path = (*path, name)
            if kind == "union_tag_not_found":
                kind = "missing"
            else:
                value = value[name]
        path = _within(data, path, is_missing=kind == "missing")
        yield _Misfit(path=path, kind=kind, value=value, context=context)


def _within(data: object, path: Path, *, is_missing: bool) -> Path:
    """The path without the names of forms that a value may have."""
    steps: list[str | int] = []
    for at, step in enumerate(path):
        is_there, inner = _step(data, step)
        if is_there:
            steps.append(step)
            data = inner
        elif is_missing and at == len(path) - 1:
            steps.append(step)
    return tuple(steps)


def _step(data: object, step: str | int) -> tuple[bool, object]:
    """Whether the data has such a part, and the part."""
    if isinstance(data, Mapping):
        parts = cast("Mapping[object, object]", data)
        return step in parts, parts.get(step)
    if isinstance(data, list | tuple):
        items = cast("list[object]", data)
        if isinstance(step, int) and step < len(items):
            return True, items[step]
        return False, None
    # What is neither is no form's name but a part's, where it has parts.
    is_plain = data is None or isinstance(data, str | int | float)
    return not is_plain, data


def _message(misfits: list[_Misfit]) -> str:
    first = misfits[0]
    for misfit in misfits:
        # What is said in our words already says more than the other forms could.
        if misfit.kind == "value_error":
            return str(misfit.context["error"])
    if first.kind == "invalid_key":
        return f"the key {written(first.value)} is no text; put it in quotes"
    given = "empty (null)" if first.value is None else written(first.value)
    *others, last = dict.fromkeys(_fitting(misfit) for misfit in misfits)
    either = f"{', '.join(others)} or " if others else ""
    return f"is {given}; use {either}{last}"


def _fitting(misfit: _Misfit) -> str:
    words = _WORDS.get(misfit.kind, _OTHER).format(**misfit.context)
    return words.replace(", ", " or ") if misfit.kind == "union_tag_invalid" else words
