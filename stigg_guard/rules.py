"""URL rules: which method and path template, or which route by its name, needs what.

Templates may be written as the framework writes its routes. How a rule's need is met
lives in `flow`; where a rule is looked up, in the adapters' middleware.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stigg_guard.view import ViewSpec, in_order

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

# A placeholder of Django or Flask (`<int:id>`), or of Starlette (`{id:int}`).
_PLACEHOLDER: Final = re.compile(
    r"<(?:(?P<before>\w+)(?:\([^)]*\))?:)?\w+>|\{\w+(?::(?P<after>\w+))?\}"
)
_PATTERNS: Final = {
    # All digits that frameworks take for one: what they route here is meant.
    "int": r"-?\d+",
    "float": r"-?\d+(?:\.\d+)?",
    "path": r".+",
    "uuid": r"[0-9a-fA-F-]{32,36}",
    "slug": r"[-\w]+",
    **dict.fromkeys(("str", "string", "any"), r"[^/]+"),
}
_UNKNOWN: Final = r".+"
"""A converter of the application's own may take slashes: rather too much."""
_EXAMPLES: Final = {"uuid": "00000000-0000-4000-8000-000000000000"}


class RouteName(NamedTuple):
    """What a framework calls a route: Django's view name, Flask's endpoint.

    `namespaces` are those it is in, each in full: Django's namespaces, or blueprints.
    """

    name: str | None
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A need of every request to some routes, for some methods or for all.

    Exactly one of these says which. `path` is matched as a whole, case and trailing
    slash included; it begins with "/". Placeholders are `<id>`, `<int:id>`, `{id}` or
    `{id:int}`; a final `*` stands for any rest. `name` is a route's name in full, and
    `namespace` holds for all routes in it, in Django and Flask, which know them. A rule
    for GET holds for HEAD too. Raises `ValueError` for a rule that matches nothing or
    everything.
    """

    path: str | None = None
    name: str | None = None
    namespace: str | None = None
    methods: frozenset[str] | None = None
    spec: ViewSpec
    pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_where(self)
        pattern = None if self.path is None else compile_template(self.path)
        object.__setattr__(self, "pattern", pattern)

    @property
    def where(self) -> str:
        """Which routes it is for, in words: `path "/reports/"`."""
        return f'{_kinds_of(self)[0]} "{self.path or self.name or self.namespace}"'

    def matches(
        self,
        method: str,
        path: str,
        route: str | None = None,
        name: RouteName | None = None,
    ) -> bool:
        """Whether the rule holds for a request; a WebSocket handshake is a GET.

        `route` is the template of the route that the framework chose, and `name` its
        name, where they are known: a rule written like the route holds whatever the
        path looks like.
        """
        if self.methods is not None and method not in self.methods:
            return False
        if self.pattern is None:
            return name is not None and self.is_named(name)
        return route == self.path or self.pattern.fullmatch(path) is not None

    def is_named(self, name: RouteName) -> bool:
        """Whether the rule is for a route by its name or by one of its namespaces."""
        if self.name is not None:
            return name.name == self.name
        return self.namespace in name.namespaces


def matching(
    rules: Iterable[Rule],
    method: str,
    path: str,
    route: str | None = None,
    name: RouteName | None = None,
) -> tuple[ViewSpec, ...]:
    """What the rules ask of a request, in their order; all that match apply."""
    return in_order(
        tuple(rule.spec for rule in rules if rule.matches(method, path, route, name))
    )


def _kinds_of(rule: Rule) -> list[str]:
    kinds = ("path", "name", "namespace")
    return [kind for kind in kinds if getattr(rule, kind) is not None]


def _check_where(rule: Rule) -> None:
    kinds = _kinds_of(rule)
    if len(kinds) != 1:
        raise ValueError(
            f"a rule has {' and '.join(kinds) or 'neither path nor name'}; give exactly"
            ' one of "path", "name" and "namespace".'
        )
    for kind in kinds:
        value: object = getattr(rule, kind)
        if kind != "path" and not (isinstance(value, str) and value.strip(":. ")):
            raise ValueError(
                f"{kind} is {value!r}; give the {kind} of a route as a non-empty"
                ' string, such as "reports".'
            )


def rule_methods(methods: Collection[str] | None) -> frozenset[str] | None:
    """The methods of a rule as written by a user: None is every method."""
    if methods is None:
        return None
    if isinstance(methods, str):
        raise ValueError(f'methods is "{methods}"; give a list, such as ["{methods}"].')
    given: object = methods
    if not isinstance(given, Collection):  # an iterator would be empty the second time
        raise ValueError(f'methods is {given!r}; give a list, such as ["POST"].')
    if not methods:
        raise ValueError(
            "methods is empty, so the rule matches nothing; leave it out"
            " for every method."
        )
    for method in methods:
        if not isinstance(method, str) or method.upper() not in METHODS:
            raise ValueError(
                f"methods contains {method!r}; use HTTP methods, such as"
                f" {', '.join(sorted(METHODS)[:5])}."
            )
    upper = {method.upper() for method in methods}
    return frozenset(upper | {"HEAD"} if "GET" in upper else upper)


def compile_template(path: object) -> re.Pattern[str]:
    """The pattern of a path template."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(
            f'path is {path!r}; write a template that begins with "/", such as'
            ' "/api/reports/<int:id>/".'
        )
    stem = path.rstrip("*")
    pattern, end, is_open = "", 0, stem != path
    for placeholder in _PLACEHOLDER.finditer(stem):
        kind = placeholder["before"] or placeholder["after"] or "str"
        pattern += _literal(stem[end : placeholder.start()], path)
        pattern += _PATTERNS.get(kind, _UNKNOWN)
        is_open |= kind == "path"
        end = placeholder.end()
    pattern += _literal(stem[end:], path)
    if is_open and not _PLACEHOLDER.sub("", stem).strip("/"):
        raise ValueError(
            f'path is "{path}", which matches every request; name the part of the'
            " site that the rule is for."
        )
    return re.compile(pattern + (".*" if stem != path else ""), re.DOTALL)


def example(path: str, *, word: str = "1") -> str:
    """A path that a template matches, for looking it up among routes.

    `word` stands where any text may.
    """

    def filling(found: re.Match[str]) -> str:
        kind = found["before"] or found["after"] or "str"
        return _EXAMPLES.get(kind, "1" if kind in ("int", "float") else word)

    return _PLACEHOLDER.sub(filling, path).rstrip("*")


def examples(path: str) -> tuple[str, ...]:
    """Paths that a template matches: with a number and with a word as its texts."""
    return tuple(dict.fromkeys((example(path), example(path, word="word"))))


def _literal(text: str, path: str) -> str:
    if any(character in text for character in "<>{}*?# "):
        raise ValueError(
            f'path is "{path}", and "{text}" in it can match no request; placeholders'
            " are written <id>, <int:id>, {id} or {id:int}, a wildcard only at the end."
        )
    return re.escape(text)
