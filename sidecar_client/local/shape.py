"""What is wrong with the shape of a catalog, in words of people who write one.

Only the translation of pydantic's errors lives here; the shape itself is `catalog`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import ValidationError

from sidecar_client.local.problem import Path, Problem
from sidecar_client.local.shown import MOST_VALUE, limited, shown

_TIME = "a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z"
_WORDS = {
    "bool_type": "true or false",
    "datetime_type": _TIME,
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number above {gt:.0f}",
    "greater_than_equal": "{ge:.0f} or more",
    "int_type": "a whole number",
    "less_than": "less than {lt:.0f}",
    "less_than_equal": "{le:.0f} or less",
    "literal_error": "{expected}",
    "model_type": "a mapping",
    "string_too_short": "a text that is not empty",
    "string_type": "a text",
    "string_unicode": "a text of valid Unicode characters",
    "too_short": "a list that is not empty",
    "tuple_type": "a list",
}
# How pydantic marks the place of a dictionary's key, and of each form of a value.
_KEY = "[key]"
_RULE = "literal["
_MOMENT = "function-before["


def misshapen(error: ValidationError) -> Iterator[Problem]:
    """Each place that has not the shape of a catalog, once."""
    rules = ""
    for item in error.errors(include_url=False):
        path, kind = item["loc"], item["type"]
        context: Mapping[str, object] = item.get("ctx", {})
        # A key that is none may read like a mark.
        last = str(path[-1]) if path and kind != "extra_forbidden" else ""
        if last.startswith(_RULE):
            # It can be a time as well, and is told once, with that form's problem.
            rules = f"{context['expected']} or "
            continue
        if last == _KEY or last.startswith(_MOMENT):
            path = path[:-1]
        if last == _KEY and kind == "string_type":
            kind = "invalid_key"
        yield Problem(path=path, message=_message(kind, item, context, rules))
        rules = ""


def _message(
    kind: str, item: Mapping[str, object], context: Mapping[str, object], rules: str
) -> str:
    if kind == "extra_forbidden":
        return f"`{_last(item)}` is not a key here; remove it"
    if kind == "missing":
        return f"`{_last(item)}` is missing; add it"
    if kind == "value_error":
        return str(context["error"])
    if kind == "invalid_key":
        return f"the key {shown(item['input'])} is no text; put it in quotes"
    given = "empty (null)" if item["input"] is None else shown(item["input"])
    fitting = _WORDS.get(kind, "what the documentation of catalogs says")
    return f"is {given}; use {rules}{fitting.format(**context)}"


def _last(item: Mapping[str, object]) -> str:
    return limited(str(cast("Path", item["loc"])[-1]), MOST_VALUE)
