"""What a feature demands of its own fields: a meter, values, conditions of events.

Only rules within one feature live here.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar_client.local.catalog import Condition, EventMeter, Feature
from sidecar_client.local.problem import Path, Problem

_WITHOUT_VALUE = ("is_null", "is_not_null")
_ORDERED = (
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
)
_OF_TEXT = ("contains", "starts_with", "ends_with")


def feature_problems(feature: Feature, path: Path) -> Iterator[Problem]:
    """What of a feature does not fit its type."""
    if feature.type == "metered" and feature.meter is None:
        yield Problem(
            path=path,
            message=f"the metered feature {feature.id!r} has no meter; "
            "add `meter: fluctuating` or `meter: incremental`",
        )
    if feature.type != "metered" and feature.meter is not None:
        yield Problem(
            path=(*path, "meter"),
            message=f"{feature.id!r} is {feature.type} and cannot have a meter; "
            "remove it or make the feature `type: metered`",
        )
    if feature.type == "enum" and not feature.values:
        yield Problem(
            path=path,
            message=f"the enum feature {feature.id!r} has no values; "
            "add `values: [...]`",
        )
    if feature.type != "enum" and feature.values:
        yield Problem(
            path=(*path, "values"),
            message=f"{feature.id!r} is {feature.type} and cannot have values; "
            "remove them or make the feature `type: enum`",
        )
    if feature.type != "metered" and feature.unit_transformation is not None:
        yield Problem(
            path=(*path, "unit_transformation"),
            message=f"{feature.id!r} is {feature.type} and has no units to transform; "
            "remove it or make the feature `type: metered`",
        )
    if feature.events is not None:
        yield from _events(feature, feature.events, (*path, "events"))


def _events(feature: Feature, meter: EventMeter, path: Path) -> Iterator[Problem]:
    if feature.type != "metered":
        yield Problem(
            path=path,
            message=f"{feature.id!r} is {feature.type} and cannot be counted from "
            "events; remove them or make the feature `type: metered`",
        )
    if meter.aggregation == "count" and meter.field is not None:
        yield Problem(
            path=(*path, "field"),
            message="`aggregation: count` counts events and needs no field; remove it",
        )
    if meter.aggregation != "count" and meter.field is None:
        yield Problem(
            path=path,
            message=f"`aggregation: {meter.aggregation}` needs the dimension to "
            "aggregate; add `field: NAME`",
        )
    for at, one in enumerate(meter.filters):
        for number, condition in enumerate(one.conditions):
            here = (*path, "filters", at, "conditions", number)
            if problem := _condition(condition):
                yield Problem(path=here, message=problem)


def _condition(condition: Condition) -> str | None:
    operator, value = condition.operator, condition.value
    if operator == "in":
        if value is not None or not condition.values:
            return "`operator: in` compares with several values; add `values: [...]`"
        return None
    if condition.values:
        return f"`operator: {operator}` has no use for `values`; remove them"
    if operator in _WITHOUT_VALUE:
        if value is not None:
            return f"`operator: {operator}` has no use for a `value`; remove it"
        return None
    if value is None:
        return f"`operator: {operator}` compares with a value; add `value: ...`"
    if operator in _ORDERED and (isinstance(value, (bool, str))):
        return f"`operator: {operator}` compares numbers; use a number as `value`"
    if operator in _OF_TEXT and not isinstance(value, str):
        return f"`operator: {operator}` looks into texts; use a text as `value`"
    return None
