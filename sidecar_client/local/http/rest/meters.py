"""Meters of raw events over REST, which name their events by a condition.

Features, which have them, are in `features`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sidecar_client.local.catalog import Condition, EventMeter, Filter
from sidecar_client.local.http.rest.wire import Body, Wire
from sidecar_client.local.http.rest.words import (
    AGGREGATIONS,
    OPERATORS,
    AggregationName,
    OperatorName,
    key_of,
)
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import Name, Text

_EVENT_NAME = "eventName"


class MeterCondition(Body):
    """What one dimension of an event must be like."""

    field: Name
    operation: OperatorName
    value: Text | None = None
    values: Annotated[tuple[Text, ...], Field(strict=False)] | None = None


class MeterFilter(Body):
    """Conditions that an event meets all of."""

    conditions: Annotated[tuple[MeterCondition, ...], Field(strict=False, min_length=1)]


class MeterAggregation(Body):
    """How events become usage."""

    function: AggregationName
    field: Name | None = None


class Meter(Body):
    """How raw events become usage: one filter names the events, by `eventName`."""

    aggregation: MeterAggregation
    filters: Annotated[tuple[MeterFilter, ...], Field(strict=False, min_length=1)]


class ConditionData(Wire):
    """What one dimension of an event must be like."""

    field: str
    operation: OperatorName
    value: str | None = None
    values: list[str] | None = None


class FilterData(Wire):
    """Conditions that an event meets all of."""

    conditions: list[ConditionData]


class AggregationData(Wire):
    """How events become usage."""

    function: AggregationName
    field: str | None


class MeterData(Wire):
    """How raw events become usage."""

    aggregation: AggregationData
    filters: list[FilterData]


def meter_of(meter: Meter | None) -> EventMeter | None:
    """The meter as a catalog has it, which names its events apart."""
    if meter is None:
        return None
    filters: list[Filter] = []
    events: set[str] = set()
    for item in meter.filters:
        names = [c for c in item.conditions if c.field == _EVENT_NAME]
        events |= {c.value for c in names if c.operation == "EQUALS" and c.value}
        rest = [_condition(c) for c in item.conditions if c not in names]
        if rest:
            filters.append(Filter(conditions=tuple(rest)))
    if len(events) != 1:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"meter names {len(events)} events; each filter needs a condition that "
            "the field eventName EQUALS the same name.",
        )
    if len(filters) not in (0, len(meter.filters)):
        # A filter of the name alone lets every such event in.
        filters = []
    return EventMeter(
        event=events.pop(),
        aggregation=AGGREGATIONS[meter.aggregation.function],
        field=meter.aggregation.field,
        filters=tuple(filters),
    )


def _condition(condition: MeterCondition) -> Condition:
    return Condition(
        field=condition.field,
        operator=OPERATORS[condition.operation],
        value=condition.value,
        values=condition.values or (),
    )


def shown_meter(meter: EventMeter | None) -> MeterData | None:
    """A meter as an answer tells of it."""
    if meter is None:
        return None
    name = ConditionData(field=_EVENT_NAME, operation="EQUALS", value=meter.event)
    filters = [
        FilterData(
            conditions=[
                name,
                *(_shown_condition(condition) for condition in item.conditions),
            ]
        )
        for item in meter.filters
    ]
    return MeterData(
        aggregation=AggregationData(
            function=key_of(AGGREGATIONS, meter.aggregation), field=meter.field
        ),
        filters=filters or [FilterData(conditions=[name])],
    )


def _shown_condition(condition: Condition) -> ConditionData:
    value = condition.value
    return ConditionData(
        field=condition.field,
        operation=key_of(OPERATORS, condition.operator),
        value=None if value is None else _text(value),
        values=[_text(item) for item in condition.values] or None,
    )


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
