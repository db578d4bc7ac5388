"""URL rules: which method and path template needs what.

Templates may be written as the framework writes its routes. How a rule's need is met
lives in `flow`; where a rule is looked up, in the adapters' middleware.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A need of every request to a path template, for some methods or for all.

    `path` is matched as a whole, case and trailing slash included; it begins with "/".
    Placeholders are `<id>`, `<int:id>`, `{id}` or `{id:int}`; a final `*` stands for
    any rest. A rule for GET holds for HEAD too. Raises `ValueError` for a rule that
    matches nothing or everything.
    """

    path: str
    methods: frozenset[str] | None = None
    spec: ViewSpec
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", compile_template(self.path))

    def matches(self, method: str, path: str, route: str | None = None) -> bool:
        """Whether the rule holds for a request; a WebSocket handshake is a GET.

        `route` is the template of the route that the framework chose, where it is
        known: a rule written like it holds whatever the path looks like.
        """
        if self.methods is not None and method not in self.methods:
            return False
        return route == self.path or self.pattern.fullmatch(path) is not None


def matching(
    rules: Iterable[Rule], method: str, path: str, route: str | None = None
) -> tuple[ViewSpec, ...]:
    """What the rules ask of a request, in their order; all that match apply."""
    return in_order(
        tuple(rule.spec for rule in rules if rule.matches(method, path, route))
    )


def rule_methods(methods: Collection[str] | None) -> frozenset[str] | None:
    """The methods of a rule as written by a user: None is every method."""
    if methods is None:
        return None
    if isinstance(methods, str):
        raise ValueError(f'methods is "{methods}"; give a list, such as ["{methods}"].')
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


def example(path: str) -> str:
    """A path that a template matches, for looking it up among routes."""
    filled = _PLACEHOLDER.sub(
        lambda found: _EXAMPLES.get(found["before"] or found["after"], "1"), path
    )
    return filled.rstrip("*")


def _literal(text: str, path: str) -> str:
    if any(character in text for character in "<>{}*?# "):
        raise ValueError(
            f'path is "{path}", and "{text}" in it can match no request; placeholders'
            " are written <id>, <int:id>, {id} or {id:int}, a wildcard only at the end."
        )
    return re.escape(text)
