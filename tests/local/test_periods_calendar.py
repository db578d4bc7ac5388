"""Reset windows against the rules of python-dateutil, over 400 years of month ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from sidecar_client.local.periods import add_months, window_at
from sidecar_client.local.values import ResetPeriod

MOMENT = timedelta(microseconds=1)
YEARS = 400
EARLY = datetime(1, 1, 1, tzinfo=UTC)
STEPS: dict[ResetPeriod, relativedelta] = {
    "hour": relativedelta(hours=1),
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "year": relativedelta(years=1),
}
moments = st.datetimes(datetime(1971, 1, 1), datetime(2400, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


def bounds(
    now: datetime, period: ResetPeriod, begun: datetime
) -> tuple[datetime, datetime]:
    window = window_at(now, period=period, rule="subscription_start", begun=begun)
    return window.start, window.end


@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_months_end_as_dateutil_says_for_400_years(day: int) -> None:
    begun = datetime(2000, 1, day, 13, 30, tzinfo=UTC)
    start = begun
    for count in range(1, YEARS * 12 + 1):
        end = begun + relativedelta(months=count)
        assert bounds(start, "month", begun) == (start, end)
        assert bounds(end - MOMENT, "month", begun) == (start, end)
        start = end


def test_years_from_a_leap_day_end_as_dateutil_says_for_400_years() -> None:
    begun = datetime(2000, 2, 29, tzinfo=UTC)
    start = begun
    for count in range(1, YEARS + 1):
        end = begun + relativedelta(years=count)
        assert bounds(start, "year", begun) == (start, end)
        assert bounds(end - MOMENT, "year", begun) == (start, end)
        start = end


@given(moments, st.integers(-4800, 4800))
def test_months_are_added_as_dateutil_does(moment: datetime, count: int) -> None:
    assert add_months(moment, count) == moment + relativedelta(months=count)


@given(moments, moments, st.sampled_from(list(STEPS)))
def test_window_holds_the_moment_and_is_one_step_long(
    now: datetime, begun: datetime, period: ResetPeriod
) -> None:
    window = window_at(now, period=period, rule=begun, begun=EARLY)
    assert window.start <= now < window.end
    if period in ("hour", "day", "week"):
        assert window.end == window.start + STEPS[period]
    # Windows meet: the end of one is the start of the next.
    after = window_at(window.end, period=period, rule=begun, begun=EARLY)
    assert after.start == window.end
