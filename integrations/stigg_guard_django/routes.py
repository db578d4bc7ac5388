"""The routes of a project: what their views need, and which paths lead to them.

What is made of it lives in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.exceptions import Resolver404
from django.utils.regex_helper import normalize

from stigg_guard import specs_of
from stigg_guard.rules import RouteName, Rule, example
from stigg_guard.view import ViewSpec

HANDLERS: Final = (
    *("dispatch", "get", "post", "put", "patch", "delete", "head", "options", "trace"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: paths that lead to it, as examples, its name and its view."""

    examples: tuple[str, ...]
    name: RouteName
    view: Any

    @property
    def specs(self) -> tuple[ViewSpec, ...]:
        """What the view asks for; for a class, what its methods ask for."""
        owner = getattr(self.view, "view_class", getattr(self.view, "cls", None))
        methods = (getattr(owner, name, None) for name in HANDLERS)
        return (
            *specs_of(self.view),
            *(spec for method in methods for spec in specs_of(method)),
        )


def routes() -> Iterator[Route]:
    """Every route of the project's URLconf."""
    return _walk(get_resolver().url_patterns, ("/",), ())


def _walk(
    patterns: Iterable[URLPattern | URLResolver],
    before: tuple[str, ...],
    namespaces: tuple[str, ...],
) -> Iterator[Route]:
    for pattern in patterns:
        parts = _examples(pattern.pattern)
        here = tuple(stem + part for stem in before for part in parts)
        if isinstance(pattern, URLResolver):
            own = (pattern.namespace,) if pattern.namespace else ()
            yield from _walk(pattern.url_patterns, here, (*namespaces, *own))
        else:
            view_name = ":".join((*namespaces, pattern.name or pattern.lookup_str))
            name = route_name(view_name, namespaces)
            yield Route(examples=here, name=name, view=pattern.callback)


def route_name(view_name: str, namespaces: Iterable[str]) -> RouteName:
    """A route's name as Django's `ResolverMatch` tells it."""
    in_full = accumulate(namespaces, "{}:{}".format)
    return RouteName(view_name, tuple(in_full))


def _examples(pattern: Any) -> tuple[str, ...]:
    """Texts that one part of a route matches, with something in its placeholders."""
    converters = {
        name: type(found).__name__ for name, found in pattern.converters.items()
    }
    return tuple(
        form % {name: _FILLINGS.get(converters.get(name, ""), "1") for name in names}
        for form, names in normalize(pattern.regex.pattern)
    )


_FILLINGS: Final = {"UUIDConverter": "00000000-0000-4000-8000-000000000000"}


def rule_reaches(rule: Rule, found: Iterable[Route]) -> bool:
    """Whether the rule holds for some route, by its name or by a path to it."""
    if rule.path is None or rule.pattern is None:
        return any(rule.is_named(route.name) for route in found)
    if any(rule.pattern.fullmatch(path) for route in found for path in route.examples):
        return True
    try:
        get_resolver().resolve(example(rule.path))
    except Resolver404:
        return False
    return True
