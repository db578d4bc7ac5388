"""What the rows of an application's routes say: needs in words, and the rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from stigg_guard import feature
from stigg_guard.requirement import AllOf, AnyOf, Need, currency
from stigg_guard.routing import (
    ANY,
    Asked,
    Endpoint,
    GuardedRoute,
    Handler,
    guarded_routes,
    rulings,
)
from stigg_guard.rule_settings import read_rules
from stigg_guard.rules import examples
from stigg_guard.specs import feature_spec, meter_spec, need_spec
from stigg_guard.view import ViewSpec
from stigg_guard.wording import words_of


def pages_of(_request: object) -> int:
    return 2


def rows_of(result: object) -> int:
    return 2


UNNAMED: Callable[[object], int] = lambda _: 1  # noqa: E731  # has no name to show


def is_staff(_request: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (feature_spec("f"), "f"),
        (feature_spec("f", usage=10), "f (usage 10)"),
        (feature_spec("f", values=["eu", "us"]), "f (values eu, us)"),
        (feature_spec("f", at_least=2.5), "f (at least 2.5)"),
        (feature_spec(currency="c", usage=3), "credits c (usage 3)"),
        (feature_spec("f", exempt_when=is_staff), "f, unless is_staff()"),
        (feature_spec("f", exempt_when=UNNAMED), "f, unless a function"),
        (meter_spec("f"), "f (meters 1)"),
        (meter_spec("f", value=1_500), "f (meters 1,500)"),
        (meter_spec("f", value=-1), "f (gives back 1)"),
        (meter_spec("f", value=pages_of), "f (meters pages_of())"),
        (meter_spec("f", value=UNNAMED), "f (meters a function)"),
        (meter_spec("f", value=rows_of), "f (meters rows_of())"),
        (meter_spec("f", value=7, update="set"), "f (sets 7)"),
        (meter_spec("f", value=pages_of, update="set"), "f (sets pages_of())"),
        (meter_spec("f", event="mail.sent"), "f (meters 1, as mail.sent)"),
        (meter_spec(event="mail.sent"), "mail.sent (meters 1, event)"),
    ],
)
def test_requirement_is_told_in_words(spec: ViewSpec, words: str) -> None:
    assert words_of(spec) == words


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (AnyOf((feature("a"), feature("b", usage=2))), "a or b (usage 2)"),
        (AllOf((feature("a"), currency("c"))), "a and credits c"),
        (
            AnyOf((AllOf((feature("a"), feature("b"))), feature("c"))),
            "(a and b) or c",
        ),
    ],
)
def test_several_needs_are_told_with_their_joints(need: Need, words: str) -> None:
    assert words_of(need_spec(need)) == words


OWN = Handler(asked=(Asked("own", "decorator"),))


def endpoint(path: str, pattern: str = "", **handlers: Handler) -> Endpoint:
    return Endpoint(
        path=path,
        handlers=handlers or {ANY: Handler()},
        examples=examples(path),
        is_at=lambda other: re.fullmatch(pattern, other) is not None,
    )


def rows(*endpoints: Endpoint, rules: Any = ()) -> list[tuple[str, str, str, str]]:
    found = guarded_routes(endpoints, rulings(read_rules(rules)))
    return [
        (" ".join(r.methods), r.path, " + ".join(r.requirements), r.source)
        for r in found
    ]


def test_methods_that_are_guarded_alike_share_a_row() -> None:
    bare = Handler()
    assert rows(endpoint("/a", GET=OWN, POST=bare, PUT=OWN)) == [
        ("GET PUT", "/a", "own", "decorator"),
        ("POST", "/a", "", ""),
    ]


def test_head_and_options_are_told_only_where_there_is_nothing_else() -> None:
    bare = Handler()
    assert rows(endpoint("/a", GET=OWN, HEAD=OWN, OPTIONS=bare)) == [
        ("GET", "/a", "own", "decorator")
    ]
    assert rows(endpoint("/a", OPTIONS=bare)) == [("OPTIONS", "/a", "", "")]


def test_rule_joins_what_the_view_asks_for_itself() -> None:
    found = rows(endpoint("/a/b", GET=OWN), rules=[{"path": "/a/*", "feature": "f"}])
    assert found == [("GET", "/a/b", "own + f", "decorator, rule 0")]


def test_rule_for_some_methods_leaves_the_others_of_a_route_unguarded() -> None:
    rules = [{"path": "/a", "methods": ["GET"], "feature": "f"}]
    assert rows(endpoint("/a"), rules=rules) == [
        ("GET", "/a", "f", "rule 0"),
        ("POST PUT PATCH DELETE", "/a", "", ""),
    ]
    every = [{"path": "/a", "methods": ["GET", "POST", "PUT", "PATCH", "DELETE"]}]
    assert rows(endpoint("/a"), rules=[{**every[0], "feature": "f"}]) == [
        ("", "/a", "f", "rule 0")
    ]


def test_rule_for_some_paths_of_a_route_has_a_row_of_its_own() -> None:
    route = endpoint("/items/<name>", r"/items/[^/]+")
    for path in ("/items/new", "/items/<int:id>"):
        rules = [{"path": path, "feature": "f"}]
        assert rows(route, rules=rules) == [
            ("", path, "f", "rule 0"),
            ("", "/items/<name>", "", ""),
        ]


def test_narrow_rule_belongs_to_the_first_route_that_takes_the_path() -> None:
    routes = (
        endpoint("/items/<int:id>", r"/items/\d+"),
        endpoint("/items/<name>", r"/items/[^/]+"),
    )
    rules = [{"path": "/items/new", "feature": "f"}]
    assert [row[1] for row in rows(*routes, rules=rules)] == [
        "/items/<int:id>",
        "/items/new",
        "/items/<name>",
    ]


def test_exempt_handler_keeps_rules_away_and_is_told_so() -> None:
    rules = [{"path": "/a", "feature": "f"}]
    exempt = Handler(is_exempt=True)
    assert rows(endpoint("/a", GET=exempt), rules=rules) == [
        ("GET", "/a", "", "exempt")
    ]
    both = Handler(asked=OWN.asked, is_exempt=True)
    assert rows(endpoint("/a", GET=both), rules=rules) == [
        ("GET", "/a", "own", "decorator")
    ]


def test_websocket_is_ruled_as_the_get_that_it_begins_with() -> None:
    rules = [
        {"path": "/ws", "methods": ["GET"], "feature": "f"},
        {"path": "/ws", "methods": ["POST"], "feature": "g"},
    ]
    assert rows(endpoint("/ws", WEBSOCKET=Handler()), rules=rules) == [
        ("WEBSOCKET", "/ws", "f", "rule 0")
    ]


def test_row_becomes_json_with_all_it_has() -> None:
    row = GuardedRoute(
        path="/a",
        methods=("GET",),
        name="views.a",
        requirements=("f", "g"),
        sources=("decorator", "decorator"),
    )
    assert row.as_json() == {
        "path": "/a",
        "methods": ["GET"],
        "name": "views.a",
        "requirements": ["f", "g"],
        "source": "decorator",
        "guarded": True,
    }
