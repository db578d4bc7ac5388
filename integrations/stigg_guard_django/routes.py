"""The routes of a project: what their views need, and which paths lead to them.

What is made of it lives in `checks`; how it is shown, in `stigg_guard.routing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.exceptions import Resolver404
from django.utils.regex_helper import normalize

from stigg_guard import specs_of
from stigg_guard.decorators import is_exempt
from stigg_guard.routing import (
    ANY,
    Asked,
    Endpoint,
    GuardedRoute,
    Handler,
    asked_of,
    guarded_routes,
    rulings,
)
from stigg_guard.rules import RouteName, Rule, example
from stigg_guard.view import ViewSpec
from stigg_guard.wording import words_of
from stigg_guard_django.apps import project_guards
from stigg_guard_django.class_specs import ClassSpecs
from stigg_guard_django.placement import is_api_view

if TYPE_CHECKING:
    from stigg_guard_django.drf.operations import Sourced

HANDLERS: Final = (
    *("dispatch", "get", "post", "put", "patch", "delete", "head", "options", "trace"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: its template, paths that lead to it as examples, and its view."""

    path: str
    name: RouteName
    examples: tuple[str, ...]
    view: Any

    @property
    def owner(self) -> Any:
        """The class that the view was made from, None for a function."""
        return getattr(self.view, "view_class", getattr(self.view, "cls", None))

    @property
    def actions(self) -> Mapping[str, str]:
        """Methods in lower case, and the names of the methods that answer them."""
        found: Mapping[str, str] | None = getattr(self.view, "actions", None)
        if found:  # of a ViewSet
            return found
        names = getattr(self.owner, "http_method_names", ())
        return {name: name for name in names if hasattr(self.owner, name)}

    @property
    def specs(self) -> tuple[ViewSpec, ...]:
        """What the view asks for; for a class, what its methods ask for."""
        methods = [getattr(self.owner, name, None) for name in HANDLERS]
        methods += [
            getattr(self.owner, name, None)
            for name in self.actions.values()
            if name not in HANDLERS
        ]
        operations = [operation.view_func for operation in _operations(self.view)]
        return (
            *specs_of(self.view),
            *(spec for found in operations for spec in specs_of(found)),
            *(spec for method in methods for spec in specs_of(method)),
            *(need.spec for name in self.actions for need in self._in_api(name)),
        )

    @property
    def handlers(self) -> dict[str, Handler]:
        """What answers each method, and what it asks for."""
        operations = _operations(self.view)
        if operations:
            return {
                method: Handler(
                    asked=asked_of(operation.view_func),
                    is_exempt=is_exempt(operation.view_func),
                )
                for operation in operations
                for method in operation.methods
            }
        if self.owner is None or not self.actions:
            handler = self._handler(None, ANY)
            return dict.fromkeys(_allowed(self.view) or (ANY,), handler)
        return {
            method.upper(): self._handler(getattr(self.owner, name, None), method)
            for method, name in self.actions.items()
        }

    def _in_api(self, method: str) -> tuple[Sourced, ...]:
        """What a method needs in an API of Django REST framework."""
        if not is_api_view(self.owner):
            return ()
        from stigg_guard_django.drf.operations import needs_of_view

        return needs_of_view(self.view, method)

    def _handler(self, method: Any, name: str) -> Handler:
        in_api = [Asked(words_of(n.spec), n.source) for n in self._in_api(name)]
        asked = [*asked_of(self.view), *in_api] if in_api else self._asked(method, name)
        return Handler(
            asked=tuple(asked),
            is_exempt=is_exempt(self.view, name),
        )

    def _asked(self, method: Any, name: str) -> Iterator[Asked]:
        """What decorators and mixins say of a method."""
        dispatch = getattr(self.owner, "dispatch", None)
        said = asked_of(self.view, dispatch, method)
        in_class = self._in_class
        if in_class is None:
            yield from said
            return
        # The view carries what its class says of all methods.
        of_others = [words_of(spec) for spec in in_class.all]
        yield from (one for one in said if one.words not in of_others)
        if in_class.asks_by_hook:
            yield Asked("get_requirement()", "mixin")
        elif (needed := in_class.requires(name.upper())) is not None:
            yield Asked(words_of(needed), "mixin")
        if (metered := in_class.meters(name.upper())) is not None:
            yield Asked(words_of(metered), "mixin")

    @property
    def _in_class(self) -> ClassSpecs | None:
        """What the attributes of a class with our mixins say."""
        given = getattr(self.view, "view_initkwargs", {})
        found = given.get("_specs", getattr(self.owner, "_specs", None))
        return found if isinstance(found, ClassSpecs) else None

    def is_at(self, path: str) -> bool:
        """Whether a path leads here, and to no route above."""
        try:
            found = get_resolver().resolve(path)
        except Resolver404:
            return False
        return found.func is self.view and _written(found.route) == self.path


def routes_of(_app: object = None) -> Iterator[GuardedRoute]:
    """Every route of the project's URLconf, guarded or not, in the order of it."""
    endpoints = (
        Endpoint(
            path=route.path,
            name=route.name.name or "",
            route_name=route.name,
            handlers=route.handlers,
            examples=route.examples,
            is_at=route.is_at,
        )
        for route in routes()
    )
    return guarded_routes(endpoints, rulings(project_guards().sync.settings.rules))


def routes() -> Iterator[Route]:
    """Every route of the project's URLconf."""
    return _walk(get_resolver().url_patterns, ("/",), "", ())


def _walk(
    patterns: Iterable[URLPattern | URLResolver],
    before: tuple[str, ...],
    path: str,
    namespaces: tuple[str, ...],
) -> Iterator[Route]:
    for pattern in patterns:
        parts = _examples(pattern.pattern)
        here = tuple(stem + part for stem in before for part in parts)
        own_part = str(pattern.pattern)
        written = path + (own_part.removeprefix("^") if path else own_part)
        if isinstance(pattern, URLResolver):
            own = (pattern.namespace,) if pattern.namespace else ()
            yield from _walk(pattern.url_patterns, here, written, (*namespaces, *own))
        else:
            view_name = ":".join((*namespaces, pattern.name or pattern.lookup_str))
            yield Route(
                path=_written(written),
                name=route_name(view_name, namespaces),
                examples=here,
                view=pattern.callback,
            )


def route_name(view_name: str, namespaces: Iterable[str]) -> RouteName:
    """A route's name as Django's `ResolverMatch` tells it."""
    in_full = accumulate(namespaces, "{}:{}".format)
    return RouteName(view_name, tuple(in_full))


def kept(function: Any) -> dict[str, Any]:
    """What a function keeps of the functions around it, by name."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    cells = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}


def _written(route: str) -> str:
    """A route of Django without the marks of a regular expression at its ends."""
    return f"/{route.removeprefix('^')}".removesuffix("$").removesuffix(r"\Z")


def _operations(view: Any) -> Sequence[Any]:
    """What answers at a path of django-ninja, whose view keeps it within."""
    path_view = getattr(view, "__self__", kept(view).get("self"))
    found: Sequence[Any] = getattr(path_view, "operations", ())
    return found


def _allowed(view: Any) -> tuple[str, ...]:
    """The methods that Django's `require_http_methods` lets through to a view.

    It tells them to nobody, so they are looked up where it keeps them.
    """
    while view is not None:
        methods = kept(view).get("request_method_list")
        if methods is not None:
            return tuple(methods)
        view = getattr(view, "__wrapped__", None)
    return ()


def _examples(pattern: Any) -> tuple[str, ...]:
    """Texts that one part of a route matches, with something in its placeholders."""
    kinds = {name: type(found).__name__ for name, found in pattern.converters.items()}
    return tuple(
        dict.fromkeys(
            form % {name: _filling(kinds.get(name, ""), text) for name in names}
            for form, names in normalize(pattern.regex.pattern)
            for text in ("1", "word")
        )
    )


def _filling(kind: str, text: str) -> str:
    if kind == "UUIDConverter":
        return "00000000-0000-4000-8000-000000000000"
    return text if kind in _TEXTS else "1"


_TEXTS: Final = frozenset({"StringConverter", "SlugConverter", "PathConverter"})


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
