"""Reset windows: calendar arithmetic in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sidecar_client.local.periods import window_at
from sidecar_client.local.values import AnchorRule, ResetPeriod


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "rule", "begun", "now", "start", "end"),
    [
        pytest.param(
            "hour",
            "subscription_start",
            "2023-01-05 10:20",
            "2023-03-01 07:59:59",
            "2023-03-01 07:00",
            "2023-03-01 08:00",
            id="hours follow the clock",
        ),
        pytest.param(
            "day",
            "subscription_start",
            "2023-01-05 10:20",
            "2024-02-29 00:00",
            "2024-02-29",
            "2024-03-01",
            id="days begin at midnight",
        ),
        pytest.param(
            "week",
            "subscription_start",
            "2023-01-05 10:20",
            "2023-01-12 10:19",
            "2023-01-05 10:20",
            "2023-01-12 10:20",
            id="weeks follow the subscription",
        ),
        pytest.param(
            "week",
            "monday",
            "2023-01-05 10:20",
            "2023-11-23 02:00",
            "2023-11-20",
            "2023-11-27",
            id="weeks can begin on a weekday",
        ),
        pytest.param(
            "month",
            "subscription_start",
            "2023-01-31",
            "2023-03-30 23:00",
            "2023-02-28",
            "2023-03-31",
            id="a short month's last day stands for the 31st",
        ),
        pytest.param(
            "month",
            "subscription_start",
            "2023-01-31",
            "2024-02-29 00:00",
            "2024-02-29",
            "2024-03-31",
            id="the day comes back after a short month",
        ),
        pytest.param(
            "month",
            "start_of_month",
            "2023-01-31 08:00",
            "2023-12-31 23:59:59",
            "2023-12-01",
            "2024-01-01",
            id="months can begin on the first",
        ),
        pytest.param(
            "year",
            "subscription_start",
            "2024-02-29",
            "2027-02-28 12:00",
            "2027-02-28",
            "2028-02-29",
            id="years from a leap day",
        ),
        pytest.param(
            "month",
            "subscription_start",
            "2023-07-21",
            "2023-05-01",
            "2023-04-21",
            "2023-05-21",
            id="windows before the anchor",
        ),
    ],
)
def test_window_holds_the_moment(
    period: ResetPeriod, rule: AnchorRule, begun: str, now: str, start: str, end: str
) -> None:
    window = window_at(at(now), period=period, rule=rule, begun=at(begun))
    assert (window.start, window.end) == (at(start), at(end))


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", "year"])
def test_end_of_a_window_belongs_to_the_next(period: ResetPeriod) -> None:
    begun = at("2023-01-31 10:20")
    first = window_at(begun, period=period, rule="subscription_start", begun=begun)
    second = window_at(first.end, period=period, rule="subscription_start", begun=begun)
    assert second.start == first.end


def test_explicit_anchor_replaces_the_subscriptions_start() -> None:
    window = window_at(
        at("2023-12-01"), period="month", rule=at("2023-02-21"), begun=at("2023-07-05")
    )
    assert (window.anchor, window.start) == (at("2023-02-21"), at("2023-11-21"))


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        pytest.param("2023-12-14 12:00", "2023-12-01", "2023-12-14 13:00", id="before"),
        pytest.param("2023-12-14 13:00", "2023-12-14 13:00", "2024-01-01", id="begun"),
        pytest.param("2024-01-01 00:00", "2024-01-01", "2024-02-01", id="later"),
    ],
)
def test_window_is_cut_where_a_subscription_begins(
    now: str, start: str, end: str
) -> None:
    window = window_at(
        at(now), period="month", rule="start_of_month", begun=at("2023-12-14 13:00")
    )
    assert (window.start, window.end) == (at(start), at(end))
