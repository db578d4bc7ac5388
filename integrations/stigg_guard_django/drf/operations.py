"""What the operations of an API need, wherever that is said of them: for people.

Checks, routes and OpenAPI documents are made of it; nothing here is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from stigg_guard import specs_of
from stigg_guard.view import ViewSpec
from stigg_guard_django.drf.viewsets import Requirements, specs_of_action


class Sourced(NamedTuple):
    """A need of an operation, and where it stands."""

    spec: ViewSpec
    source: str


def needs_of_view(view: Any, method: str) -> tuple[Sourced, ...]:
    """What a method of a route needs; its view is what `as_view()` made."""
    options: dict[str, Any] = getattr(view, "initkwargs", {})
    actions: dict[str, str] = getattr(view, "actions", None) or {}
    name = actions.get(method, method)
    lists = [
        options.get(each, getattr(view.cls, each, None)) or ()
        for each in ("permission_classes", "throttle_classes")
    ]
    own: Any = options.get("stigg_requirements")
    return needs_of(view.cls, name, *lists, own=own)


def needs_of(
    cls: type,
    name: str,
    permissions: Iterable[Any],
    throttles: Iterable[Any],
    *,
    own: Requirements | None = None,
) -> tuple[Sourced, ...]:
    """What a method or action needs, in the order in which it is asked."""
    found = [Sourced(s, "permission") for each in permissions for s in _parts(each)]
    found += [Sourced(s, "throttle") for each in throttles for s in _parts(each)]
    found += [Sourced(spec, "action") for spec in specs_of_action(cls, name, own)]
    found += [Sourced(spec, "decorator") for spec in _of_handler(cls, name)]
    return tuple({id(each.spec): each for each in found}.values())


def _parts(found: Any) -> Iterator[ViewSpec]:
    """The needs in a permission or throttle, and in those that it is composed of."""
    spec = getattr(found, "spec", None)
    if isinstance(spec, ViewSpec):
        yield spec
    parts = getattr(found, "parts", ())
    names = ("op1_class", "op2_class", "op1", "op2")
    for part in (*parts, *(getattr(found, name, None) for name in names)):
        if part is not None:
            yield from _parts(part)


def _of_handler(cls: type, name: str) -> tuple[ViewSpec, ...]:
    """What decorators say; `@api_view` hides its function in a handler of its own."""
    handler = getattr(cls, name, None)
    if cls.__qualname__ != "WrappedAPIView":
        return specs_of(handler)
    cells = getattr(handler, "__closure__", None) or ()
    return tuple(spec for cell in cells for spec in specs_of(cell.cell_contents))
