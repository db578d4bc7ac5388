"""Bodies that are wrong in one place, made of the schemas of an OpenAPI document.

What becomes of them is asserted where they are sent.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final, cast

Place = tuple[str | int, ...]
WRONG: Final[tuple[Any, ...]] = (
    *(True, None, -1, 1.5, 10**30, "", "a b", "x" * 300, [], {}, [[]]),
    *({"a": 1}, [5]),
)


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value that has every field of the schema."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for name in ("anyOf", "oneOf", "enum"):
        if name in schema:
            first = schema[name][0]
            return first if name == "enum" else example(first, schemas)
    match schema.get("type"):
        case "object":
            return _object(schema, schemas)
        case "array":
            return [example(schema["items"], schemas)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string" if schema.get("format") == "date-time":
            return "2026-01-31T00:00:00Z"
        case _:
            return schema.get("const", "usd")


def _object(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    found = {name: example(part, schemas) for name, part in properties.items()}
    if isinstance(of_others := schema.get("additionalProperties"), dict):
        found["key"] = example(cast("dict[str, Any]", of_others), schemas)
    return found


def wrong(body: Any) -> Iterator[tuple[Place, Any]]:
    """The body with one place that is wrong, odd or unknown, and that place."""
    for value in WRONG:
        yield (), value
    for place in _places(body):
        for value in WRONG:
            yield place, _put(body, place, value)
        if isinstance(place[-1], str):
            unknown = (*place[:-1], "unknown")
            yield unknown, _put(body, unknown, 1)


def _places(value: Any, here: Place = ()) -> Iterator[Place]:
    if here:
        yield here
    parts: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        parts = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items: list[Any] = cast("Any", value)
        parts = list(enumerate(items))
    for step, part in parts:
        yield from _places(part, (*here, step))


def _put(body: Any, place: Place, value: Any) -> Any:
    changed = copy.deepcopy(body)
    part = changed
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return changed
