"""When usage starts again from zero: the window of a reset period at a moment.

Only calendar arithmetic in UTC lives here; what is counted in a window does not.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar_client.local.values import AnchorRule, ResetPeriod

_WEEKDAYS = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
_STEPS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One reset period: from `start` up to, not including, `end`."""

    period: ResetPeriod
    anchor: datetime
    start: datetime
    end: datetime


_latest: dict[tuple[ResetPeriod, AnchorRule | datetime, datetime], Window] = {}
_MOST_LATEST = 10_000


def window_at(
    moment: datetime,
    *,
    period: ResetPeriod,
    rule: AnchorRule | datetime,
    begun: datetime,
) -> Window:
    """The window that holds `moment`; `begun` is the start of the subscription.

    Hours and days follow the UTC clock. Weeks, months and years follow the anchor; a
    day that a month lacks becomes the month's last. Where a subscription begins within
    a window, the window is cut in two: usage starts again with the subscription.
    """
    # Nearly all usage is of now, and so of the window that was asked for last.
    key = period, rule, begun
    latest = _latest.get(key)
    if latest is not None and latest.start <= moment < latest.end:
        return latest
    window = _computed(moment, period, rule, begun)
    if len(_latest) >= _MOST_LATEST:
        _latest.clear()
    _latest[key] = window
    return window


def _computed(
    moment: datetime, period: ResetPeriod, rule: AnchorRule | datetime, begun: datetime
) -> Window:
    anchor = _anchor(period, rule, begun)
    if period in _MONTHS:
        start, end = _months(moment, anchor, _MONTHS[period])
    else:
        step = _STEPS[period]
        start = anchor + ((moment - anchor) // step) * step
        end = start + step
    if start < begun <= moment:
        start = begun
    elif moment < begun < end:
        end = begun
    return Window(period=period, anchor=anchor, start=start, end=end)


def _anchor(
    period: ResetPeriod, rule: AnchorRule | datetime, begun: datetime
) -> datetime:
    base = rule if isinstance(rule, datetime) else begun
    if period == "hour":
        return base.replace(minute=0, second=0, microsecond=0)
    midnight = base.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return midnight
    if rule == "start_of_month":
        return midnight.replace(day=1)
    if rule in _WEEKDAYS:
        back = (midnight.weekday() - _WEEKDAYS.index(rule)) % 7
        return midnight - timedelta(days=back)
    return base


def _months(moment: datetime, anchor: datetime, step: int) -> tuple[datetime, datetime]:
    apart = (moment.year - anchor.year) * 12 + moment.month - anchor.month
    count = apart // step
    if add_months(anchor, count * step) > moment:
        count -= 1
    return add_months(anchor, count * step), add_months(anchor, (count + 1) * step)


def add_months(moment: datetime, count: int) -> datetime:
    """The same time `count` months later, on the month's last day if it is shorter."""
    years, month = divmod(moment.month - 1 + count, 12)
    year = moment.year + years
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
