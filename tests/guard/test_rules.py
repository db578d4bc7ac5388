"""Path templates: what they match, in every framework's spelling."""

from __future__ import annotations

from typing import Any

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.rule_settings import only_paths
from stigg_guard.rules import RouteName, Rule, matching, rule_methods
from stigg_guard.specs import feature_spec

SPEC = feature_spec("f")


@pytest.mark.parametrize(
    ("template", "path", "matches"),
    [
        ("/api/reports/", "/api/reports/", True),
        ("/api/reports/", "/api/reports", False),
        ("/api/reports/", "/api/reports/7", False),
        ("/api/reports/", "/API/reports/", False),
        ("/api/reports/*", "/api/reports/7/pages", True),
        ("/api/reports/*", "/api/reports/", True),
        ("/api/reports/*", "/api/other/", False),
        ("/api/<int:id>/", "/api/12/", True),
        ("/api/<int:id>/", "/api/x/", False),
        ("/api/<id>/", "/api/x/", True),
        ("/api/<id>/", "/api/x/y/", False),
        ("/api/{id}/", "/api/x/", True),
        ("/api/{id:int}/", "/api/x/", False),
        ("/api/{rest:path}", "/api/x/y/z", True),
        ("/api/<path:rest>/end", "/api/x/y/end", True),
        ("/api/<uuid:id>", "/api/227c1b73-883a-457b-b715-6ba5a2c69ce4", True),
        ("/api/<uuid:id>", "/api/12", False),
        ("/api/<any(a,b):kind>", "/api/a", True),
        ("/a.b", "/axb", False),
        ("/", "/", True),
        ("/", "/x", False),
        ("/files/<int:id>", "/files/\u0667", True),  # frameworks take it for a 7
        ("/files/<slashy:path>/", "/files/a/b/", True),
        ("/files/<slug:name>/", "/files/a-b/", True),
        ("/files/<slug:name>/", "/files/a/b/", False),
    ],
)
def test_template_matches(template: str, path: str, matches: bool) -> None:
    assert Rule(path=template, spec=SPEC).matches("GET", path) is matches


def test_rule_for_get_holds_for_head_too() -> None:
    rule = Rule(path="/x", methods=rule_methods(["get"]), spec=SPEC)
    assert rule.matches("HEAD", "/x")
    assert not rule.matches("POST", "/x")


def test_every_rule_that_matches_applies_in_order() -> None:
    first, second = feature_spec("first"), feature_spec("second")
    rules = (Rule(path="/x/*", spec=first), Rule(path="/x/y", spec=second))
    assert matching(rules, "GET", "/x/y") == (first, second)
    assert matching(rules, "GET", "/x/z") == (first,)
    assert matching(rules, "GET", "/y") == ()


def test_rule_holds_for_the_route_it_is_written_like() -> None:
    rule = Rule(path="/files/<int:id>", spec=SPEC)
    assert rule.matches("GET", "/files/7/", "/files/<int:id>")
    assert not rule.matches("GET", "/files/7/", "/files/<id>")


@pytest.mark.parametrize("path", ["/*", "/**", "/<path:rest>", "/{rest:path}", "/{a}*"])
def test_rule_for_everything_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="matches every request"):
        Rule(path=path, spec=SPEC)


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({"name": "a:b:detail"}, True),
        ({"name": "detail"}, False),
        ({"namespace": "a"}, True),
        ({"namespace": "a:b"}, True),
        ({"namespace": "b"}, False),
    ],
)
def test_rule_may_be_for_a_name_or_a_namespace(
    where: dict[str, str], holds: bool
) -> None:
    rule = Rule(**where, spec=SPEC)  # type: ignore[arg-type]
    name = RouteName("a:b:detail", ("a", "a:b"))
    assert rule.matches("GET", "/x", "/x", name) is holds
    assert not rule.matches("GET", "/x", "/x")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, 'neither path nor name; give exactly one of "path", "name"'),
        ({"path": "/x", "name": "x"}, "has path and name; give exactly one"),
        ({"name": ""}, "name is ''; give the name of a route"),
        ({"namespace": ":"}, "namespace is ':'; give the namespace"),
        ({"name": 7}, "name is 7"),
    ],
)
def test_rule_that_is_for_no_route_or_for_two_kinds_is_refused(
    where: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Rule(**where, spec=SPEC)


def test_rule_by_name_is_refused_where_names_are_not_known() -> None:
    rules = (Rule(path="/x", spec=SPEC), Rule(name="x", spec=SPEC))
    with pytest.raises(ConfigurationError, match='Owner: rule 1 is for the name "x"'):
        only_paths(rules, "Owner")
    assert only_paths(rules[:1], "Owner") == rules[:1]
