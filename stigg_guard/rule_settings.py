"""URL rules as a user writes them in settings: mappings that become `Rule` objects.

What a rule matches lives in `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from stigg_guard.errors import ConfigurationError
from stigg_guard.rules import Rule, rule_methods
from stigg_guard.specs import feature_spec, meter_spec
from stigg_guard.view import ViewSpec

_WHERE: Final = ("path", "name", "namespace", "methods")
_BOTH: Final = (
    "customer",
    "resource",
    "exempt_when",
    "on_denied",
    "shadow",
    "message",
    "on_unavailable",
    "fallback",
)
_REQUIRES: Final = ("feature", "currency", "usage", "values", "at_least", *_BOTH)
_METERS: Final = (
    *("meters", "value", "update", "event", "dimensions", "timestamp", "when"),
    *("delivery", "streamed", "hold", *_BOTH),
)


def read_rules(value: Any) -> tuple[Rule, ...]:
    """The rules of a list; raises `ValueError` that names the rule by its number."""
    if isinstance(value, Mapping | str) or not hasattr(value, "__iter__"):
        raise ValueError(
            'is not a list; use a list of rules, such as [{"path": "/api/reports/",'
            ' "methods": ["GET"], "feature": "feature-04-analytics"}].'
        )
    return tuple(_numbered(number, rule) for number, rule in enumerate(value))


def _numbered(number: int, value: Any) -> Rule:
    try:
        return value if isinstance(value, Rule) else read_rule(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"rule {number}: {error}") from error


def only_paths(rules: tuple[Rule, ...], owner: str) -> tuple[Rule, ...]:
    """The rules, for an owner that sees requests before they are routed.

    Raises `ConfigurationError` for a rule by name, which could never hold there.
    """
    for number, rule in enumerate(rules):
        if rule.path is None:
            raise ConfigurationError(
                f"{owner}: rule {number} is for the {rule.where}, but here requests are"
                ' seen before they are routed and have no names; write it with "path".'
            )
    return rules


def read_rule(value: Any) -> Rule:
    """One rule from a mapping: where it holds, and a feature, currency or meter."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a mapping; give at least path and feature.")
    options: dict[str, Any] = dict(cast("Mapping[str, Any]", value))
    where: dict[str, Any] = {name: options.pop(name, None) for name in _WHERE}
    spec = read_spec(options)
    where["methods"] = rule_methods(where["methods"])
    return Rule(**where, spec=spec)


def read_spec(options: dict[str, Any]) -> ViewSpec:
    """What is asked, from the keys of a rule that do not say where it holds."""
    wanted = [name for name in ("feature", "currency", "meters") if name in options]
    if len(wanted) != 1:
        raise ValueError(
            f"it names {' and '.join(wanted) or 'nothing'} to ask for; name exactly one"
            ' of "feature", "currency" and "meters".'
        )
    if wanted == ["meters"]:
        return _build(meter_spec, options, _METERS, "meters")
    return _build(feature_spec, options, _REQUIRES, "feature")


def _build(
    make: Callable[..., ViewSpec],
    options: dict[str, Any],
    valid: tuple[str, ...],
    named: str,
) -> ViewSpec:
    for name in options:
        if name not in valid:
            raise ValueError(
                f'"{name}" is not a key of such a rule; use'
                f" {', '.join(_WHERE + valid)}."
            )
    feature_id = options.pop(named, None)
    return make(feature_id, **options)
