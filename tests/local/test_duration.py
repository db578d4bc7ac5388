"""Durations of ISO 8601: what they say, and what comes of adding them to a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sidecar_client.local.duration import Duration

JANUARY = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("P1D", datetime(2024, 2, 1, 12, tzinfo=UTC)),
        ("P1DT12H", datetime(2024, 2, 2, tzinfo=UTC)),
        ("P2W", datetime(2024, 2, 14, 12, tzinfo=UTC)),
        ("P1M", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("PT1M", datetime(2024, 1, 31, 12, 1, tzinfo=UTC)),
        ("-P2M", datetime(2023, 11, 30, 12, tzinfo=UTC)),
        ("P1Y1M", datetime(2025, 2, 28, 12, tzinfo=UTC)),
        ("P1M1D", datetime(2024, 3, 1, 12, tzinfo=UTC)),
        ("+PT1,5S", datetime(2024, 1, 31, 12, 0, 1, 500_000, tzinfo=UTC)),
    ],
)
def test_months_and_years_are_those_of_the_calendar(text: str, after: datetime) -> None:
    duration = Duration.read(text)
    assert duration is not None
    assert duration.after(JANUARY) == after


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "1D", "P1", "P1H", "PT1D", "P1D1M", "P1.5M", "p1d", "P 1D"],
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert Duration.read(text) is None


@pytest.mark.parametrize("text", ["P9999Y", "-P9999Y", "P999999999999M"])
def test_months_beyond_the_calendar_are_too_many(text: str) -> None:
    duration = Duration.read(text)
    assert duration is not None
    with pytest.raises(OverflowError):
        duration.after(JANUARY)


def test_more_time_than_there_is_is_too_much() -> None:
    with pytest.raises(OverflowError):
        Duration.read("P999999999999D")
    most = Duration.read("P9999W")
    assert most is not None
    assert most.time == timedelta(weeks=9999)
