"""The routes of an application and what each of them needs, as rows for people.

Which routes an application has is known to its adapter: `routes_of` in its `routes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from stigg_guard.decorators import specs_of
from stigg_guard.rules import RouteName, Rule, example
from stigg_guard.wording import words_of

ANY: Final = "*"
"""The method of a handler that takes all of them."""
WEBSOCKET: Final = "WEBSOCKET"
EXEMPT: Final = "exempt"
"""The source of a route that is unguarded because somebody said so."""
_ALL: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_IMPLIED: Final = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedRoute:
    """Methods of a route that are guarded alike; unguarded without requirements.

    No methods are all methods. `sources` say of each requirement where it stands: at a
    `decorator`, a `dependency`, a `rule`. `is_exempt` says that `guard_exempt` keeps
    the rules away.
    """

    path: str
    methods: tuple[str, ...] = ()
    name: str = ""
    requirements: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    is_exempt: bool = False

    @property
    def is_guarded(self) -> bool:
        """Whether anything is asked before its view runs."""
        return bool(self.requirements)

    @property
    def source(self) -> str:
        """Where its requirements stand, each place once."""
        if not self.requirements:
            return EXEMPT if self.is_exempt else ""
        return ", ".join(dict.fromkeys(self.sources))

    def as_json(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "path": self.path,
            "methods": list(self.methods),
            "name": self.name,
            "requirements": list(self.requirements),
            "source": self.source,
            "guarded": self.is_guarded,
        }


class Asked(NamedTuple):
    """One requirement in words, and where it stands."""

    words: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What answers a method of a route, and what it asks for itself."""

    asked: tuple[Asked, ...] = ()
    is_exempt: bool = False


_NAMELESS: Final = RouteName(None)


def _nowhere(_path: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A route as its framework knows it, before rules are looked at.

    `examples` are paths that lead to it; `is_at` says whether another one does.
    """

    path: str
    name: str = ""
    handlers: Mapping[str, Handler]
    examples: tuple[str, ...]
    route_name: RouteName = _NAMELESS
    is_at: Callable[[str], bool] = field(default=_nowhere, repr=False)

    def is_covered(self, rule: Rule) -> bool:
        """Whether the rule holds for all requests that come here."""
        if rule.pattern is None:
            return rule.is_named(self.route_name)
        if rule.path == self.path:
            return True
        return bool(self.examples) and all(map(rule.pattern.fullmatch, self.examples))


class Ruling(NamedTuple):
    """A rule, and the words that name it: `rule 0`."""

    source: str
    rule: Rule


def rulings(rules: Iterable[Rule], *, prefix: str = "") -> list[Ruling]:
    """Rules with their numbers; of an application that is mounted, at its `prefix`."""
    place = f" of {prefix}" if prefix else ""
    return [
        Ruling(f"rule {number}{place}", _below(prefix, rule))
        for number, rule in enumerate(rules)
    ]


def _below(prefix: str, rule: Rule) -> Rule:
    return rule if rule.path is None else replace(rule, path=prefix + rule.path)


def guarded_routes(
    endpoints: Iterable[Endpoint], rules: Iterable[Ruling] = ()
) -> Iterator[GuardedRoute]:
    """The rows of endpoints, in their order, with what the rules ask of them.

    A rule for only some of a route's paths gets a row of its own, above the route's.
    """
    found, rules = list(endpoints), list(rules)
    narrow = list(_narrow(found, rules))
    for endpoint in found:
        covering = [one for one in rules if endpoint.is_covered(one.rule)]
        for one, place in narrow:
            if place is endpoint:
                path = one.rule.path or endpoint.path
                yield from _rows(endpoint, [*covering, one], path=path)
        yield from _rows(endpoint, covering, path=endpoint.path)


def _narrow(
    endpoints: Sequence[Endpoint], rules: Iterable[Ruling]
) -> Iterator[tuple[Ruling, Endpoint]]:
    """Rules that cover no route, with the one that a path of theirs leads to."""
    for one in rules:
        template = one.rule.path
        if template is None or any(item.is_covered(one.rule) for item in endpoints):
            continue
        path = example(template)
        for endpoint in endpoints:
            if endpoint.is_at(path):
                yield one, endpoint
                break


def _rows(
    endpoint: Endpoint, rules: Sequence[Ruling], *, path: str
) -> Iterator[GuardedRoute]:
    handlers = dict(endpoint.handlers)
    if ANY in handlers and any(one.rule.methods is not None for one in rules):
        others = handlers.pop(ANY)
        handlers = dict.fromkeys(_ALL, others) | handlers
    groups: dict[tuple[tuple[Asked, ...], bool], list[str]] = {}
    for method in sorted(handlers, key=_rank):
        handler = handlers[method]
        asked = (*handler.asked, *_by_rules(handler, method, rules))
        groups.setdefault((asked, handler.is_exempt), []).append(method)
    for (asked, is_exempt), methods in groups.items():
        shown = [method for method in methods if method not in _IMPLIED] or methods
        if shown is methods and _IMPLIED.issuperset(methods) and len(groups) > 1:
            continue  # HEAD and OPTIONS follow the others
        yield GuardedRoute(
            path=path,
            methods=() if shown == [ANY] or shown == [*_ALL] else tuple(shown),
            name=endpoint.name,
            requirements=tuple(one.words for one in asked),
            sources=tuple(one.source for one in asked),
            is_exempt=is_exempt,
        )


def _rank(method: str) -> int:
    """Where a method stands among others: reads first; unknown ones at the end."""
    return _ALL.index(method) if method in _ALL else len(_ALL)


def _by_rules(
    handler: Handler, method: str, rules: Iterable[Ruling]
) -> Iterator[Asked]:
    if handler.is_exempt:
        return
    method = "GET" if method == WEBSOCKET else method  # its handshake is one
    for source, rule in rules:
        if rule.methods is None or method in rule.methods:
            yield Asked(words_of(rule.spec), source)


def asked_of(*views: object, source: str = "decorator") -> tuple[Asked, ...]:
    """What views ask for in words, once where one carries the marks of another."""
    found = {id(spec): spec for view in views for spec in specs_of(view)}
    return tuple(Asked(words_of(spec), source) for spec in found.values())
