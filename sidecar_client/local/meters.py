"""Meters: which raw events count for a feature, and the number they come to; no I/O.

Filters and aggregation live here; taking in events (`event_intake`) does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from sidecar_client.local.catalog import Condition, EventMeter, Feature
from sidecar_client.local.records import Aggregate, Share, Usage

Dimension = str | float | bool
MOST_NUMBER = 2.0**53 - 1
"""Beyond it, adding 1 to a number may change nothing."""
_WRITTEN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_STEPS = (
    (timedelta(days=40 * 365), timedelta(days=365)),
    (timedelta(days=366), timedelta(days=10)),
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(minutes=20), timedelta(minutes=1)),
    (timedelta(0), timedelta(seconds=1)),
)
"""How roughly something shows that is more than this ahead."""
Dimensions = Mapping[str, Dimension]


def counts(meter: EventMeter, dimensions: Dimensions) -> bool:
    """Whether an event with these dimensions counts, by the filters and the field.

    An event without the dimension that is aggregated does not, nor does one whose
    dimension is no number where a number is needed.
    """
    if meter.aggregation not in ("count", "unique") and _amount(meter, dimensions) is (
        None
    ):
        return False
    if meter.aggregation == "unique" and dimensions.get(meter.field or "") is None:
        return False
    return not meter.filters or any(
        all(_meets(condition, dimensions) for condition in one.conditions)
        for one in meter.filters
    )


def share_of(
    meter: EventMeter, dimensions: Dimensions, *, visible: datetime, is_new: bool
) -> Share:
    """What one event that counts adds; `is_new` tells of its value, where unique."""
    amount = _amount(meter, dimensions)
    return Share(
        visible=visible,
        count=1,
        total=amount or 0.0,
        least=amount,
        most=amount,
        unique=1 if is_new else 0,
    )


def unique_value(meter: EventMeter, dimensions: Dimensions) -> str | None:
    """The value to count once, as text; None for meters that count otherwise."""
    if meter.aggregation != "unique" or meter.field is None:
        return None
    value = dimensions.get(meter.field)
    return None if value is None else f"{type(value).__name__}:{_text(value)}"


def visible_at(moment: datetime, now: datetime, delay: timedelta) -> datetime:
    """When an event that happened at `moment` and came `now` shows in checks.

    After the delay, and not before it happened. The further off that is, the more
    roughly, and rather later than sooner: to the second, the minute, the hour, so that
    what waits is bounded whatever the times are.
    """
    visible = max(now + delay, moment)
    ahead = visible - now
    if ahead <= timedelta(0):
        return now
    step = next(step for least, step in _STEPS if ahead > least)
    # Counted from the epoch, so that all events of one step share it.
    epoch = datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return epoch + -((epoch - visible) // step) * step


def added(aggregate: Aggregate, shares: list[Share], now: datetime) -> Aggregate:
    """The aggregate with more shares; those that show by now become one number."""
    waiting: dict[datetime, Share] = {}
    shown = aggregate.shown
    for share in (*aggregate.waiting, *shares):
        if share.visible <= now:
            shown = _together(shown, share)
        else:
            before = waiting.get(share.visible)
            waiting[share.visible] = _together(before, share)
    return Aggregate(
        shown=shown,
        waiting=tuple(waiting[moment] for moment in sorted(waiting)),
        updated=now,
    )


def starting(meter: EventMeter, value: float, now: datetime) -> Aggregate:
    """The aggregate that shows `value`, as if events had come to it."""
    count = 1.0 if meter.aggregation in ("sum", "min", "max", "average") else value
    share = Share(
        visible=now, count=count, total=value, least=value, most=value, unique=value
    )
    return Aggregate(shown=share, updated=now)


def usage_of(
    feature: Feature, record: Usage | Aggregate | None, now: datetime
) -> float:
    """What is used of a feature, from the record of its counter; 0 without one."""
    if record is None:
        return 0.0
    if isinstance(record, Usage):
        return record.total
    share = record.shown
    for waiting in record.waiting:
        if waiting.visible <= now:
            share = _together(share, waiting)
    if share is None or feature.events is None:
        return 0.0
    return _NUMBERS[feature.events.aggregation](share)


def number(meter: EventMeter, aggregate: Aggregate) -> float:
    """What all events came to, those that show later included."""
    return _number_of(meter, _all(aggregate))


def running(
    meter: EventMeter, before: Aggregate, shares: Iterable[Share]
) -> Iterator[float]:
    """What all events came to before the shares, then after each of them."""
    whole = _all(before)
    yield _number_of(meter, whole)
    for share in shares:
        whole = _together(whole, share)
        yield _number_of(meter, whole)


def _all(aggregate: Aggregate) -> Share | None:
    whole = aggregate.shown
    for waiting in aggregate.waiting:
        whole = _together(whole, waiting)
    return whole


def _number_of(meter: EventMeter, share: Share | None) -> float:
    return _NUMBERS[meter.aggregation](share) if share else 0.0


_NUMBERS: dict[str, Callable[[Share], float]] = {
    "count": lambda share: share.count,
    "sum": lambda share: share.total,
    "min": lambda share: share.least or 0.0,
    "max": lambda share: share.most or 0.0,
    "average": lambda share: share.total / share.count if share.count else 0.0,
    "unique": lambda share: share.unique,
}


def _together(one: Share | None, other: Share) -> Share:
    if one is None:
        return other
    return Share(
        visible=other.visible,
        count=one.count + other.count,
        total=_bounded(one.total + other.total),
        least=_pick(min, one.least, other.least),
        most=_pick(max, one.most, other.most),
        unique=one.unique + other.unique,
    )


def _pick(
    choose: Callable[[float, float], float], one: float | None, other: float | None
) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _bounded(total: float) -> float:
    """A sum that no number can hold stays at the largest that one can."""
    largest = 1.7976931348623157e308
    return max(-largest, min(largest, total))


def _amount(meter: EventMeter, dimensions: Dimensions) -> float | None:
    """The number to aggregate; None where there is none."""
    return None if meter.field is None else _number(dimensions.get(meter.field))


def _number(value: Dimension | None) -> float | None:
    """The number that a dimension is, or that its text writes; None for others."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str) and not _WRITTEN.fullmatch(value):
        return None
    found = float(value)
    return found if abs(found) <= MOST_NUMBER else None


def _text(value: Dimension) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _meets(condition: Condition, dimensions: Dimensions) -> bool:
    """Whether the dimensions meet a condition; texts and numbers are equal as texts."""
    value = dimensions.get(condition.field)
    operator = condition.operator
    if operator == "is_null":
        return value is None
    if value is None:
        return operator == "not_equals"
    if operator == "is_not_null":
        return True
    if operator == "in":
        return _text(value) in {_text(item) for item in condition.values}
    if condition.value is None:
        return False
    if operator in _ORDERS:
        found, bound = _number(value), _number(condition.value)
        if found is None or bound is None:
            return False
        return _ORDERS[operator](found, bound)
    return _TEXTS[operator](_text(value), _text(condition.value))


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "greater_than": lambda value, bound: value > bound,
    "greater_than_or_equal": lambda value, bound: value >= bound,
    "less_than": lambda value, bound: value < bound,
    "less_than_or_equal": lambda value, bound: value <= bound,
}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda value, other: value == other,
    "not_equals": lambda value, other: value != other,
    "contains": lambda value, other: other in value,
    "starts_with": lambda value, other: value.startswith(other),
    "ends_with": lambda value, other: value.endswith(other),
}
