"""Strategies for requests to the REST API, as its OpenAPI document has them.

Schemathesis makes them; here ids are put in that are there, so that they go through.
"""

from __future__ import annotations

import string
from typing import Any, Final, cast

import schemathesis
from hypothesis import strategies as st

from sidecar_client.local.http.rest.openapi import document
from sidecar_client.local.http.rest.routes import ENDPOINTS

_IDS: Final = {
    "customer": ("acme", "old", "buyer"),
    "subscription": ("s-old", "s-buyer"),
    "feature": ("seats", "size", "export", "sso"),
    "currenc": ("tokens",),
    "product": ("app", "sites"),
    "plan": ("free", "pro", "team", "site"),
    "addon": ("more-seats",),
    "resource": ("r-1",),
}
_new = st.text(string.ascii_lowercase, min_size=1, max_size=2)
_DOCUMENT: Final[dict[str, Any]] = document(ENDPOINTS)
_LOADED: Final[Any] = schemathesis.openapi.from_dict(_DOCUMENT)
_CASES: Final[dict[str, st.SearchStrategy[Any]]] = {
    operation.label: operation.as_strategy()
    for found in _LOADED.get_all_operations()
    for operation in [found.ok()]
}


def _required(label: str) -> list[str]:
    """What a body must have, by the document."""
    method, path = label.split(" ")
    operation = _DOCUMENT["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = _DOCUMENT["components"]["schemas"][name]
    required: list[str] = schema.get("required", [])
    return required


_REQUIRED: Final = {label: _required(label) for label in _CASES}


def catalog(plain: dict[str, Any]) -> dict[str, Any]:
    """The catalog with a customer more, whose subscriptions have known ids."""
    buyer = {
        "id": "buyer",
        "resources": ["r-1"],
        "subscriptions": [{"id": "s-buyer", "plan": "pro"}],
    }
    old = {"id": "old", "subscriptions": [{"id": "s-old", "plan": "free"}]}
    return {**plain, "customers": [{"id": "acme", "name": "Acme"}, old, buyer]}


@st.composite
def cases(draw: st.DrawFn) -> Any:
    """A request as the document has it, mostly with ids that are there."""
    label = draw(st.sampled_from(list(_CASES)))
    case = draw(_CASES[label])
    case.headers = {**case.headers, "X-API-KEY": "any"}
    if not draw(st.integers(0, 5)):
        return case
    for where in (case.path_parameters, case.query):
        for name in list(where):
            where[name] = _put(draw, name, where[name], case.path)
    body: Any = case.body
    if isinstance(body, dict):
        thinned = _thinned(draw, cast("Any", body), _REQUIRED[label])
        case.body = _filled(draw, thinned, case.path)
    return case


def _thinned(
    draw: st.DrawFn, body: dict[str, Any], required: list[str]
) -> dict[str, Any]:
    """The same body with few of its optional parts, which mostly go wrong."""
    kept = draw(st.sets(st.sampled_from(sorted(body)), max_size=2)) if body else ()
    return {
        name: value for name, value in body.items() if name in kept or name in required
    }


def _filled(draw: st.DrawFn, value: Any, path: str) -> Any:
    if isinstance(value, list):
        parts: list[Any] = cast("Any", value)
        return [_filled(draw, part, path) for part in parts[:3]]
    if not isinstance(value, dict):
        return value
    return {
        name: _put(draw, name, part, path)
        if isinstance(part, str)
        else _filled(draw, part, path)
        for name, part in cast("dict[str, Any]", value).items()
    }


def _put(draw: st.DrawFn, name: str, value: Any, path: str) -> Any:
    """An id of the kind that the name tells, or the path where it is just `id`."""
    lower = name.lower()
    if not lower.endswith(("id", "ids")):
        return value
    text = lower if lower != "id" else path.rpartition("/v1/")[2]
    for kind, ids in _IDS.items():
        if text.startswith(kind):
            return draw(st.sampled_from(ids) | _new)
    return draw(_new)
