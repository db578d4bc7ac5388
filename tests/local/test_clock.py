"""A clock that is moved: how far, within the calendar, and what follows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.clock import MovableClock
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, Clock, ask, check

DAY = timedelta(days=1)


def test_moved_clock_is_ahead_of_its_base_and_runs_on_with_it() -> None:
    base = Clock()
    clock = MovableClock(base)
    assert clock.advance(DAY) == clock() == NOW + DAY
    base.now += timedelta(hours=1)
    assert clock() == NOW + DAY + timedelta(hours=1)
    assert clock.moved == DAY
    assert clock.advance(-2 * DAY) == NOW - DAY + timedelta(hours=1)


def test_clock_that_was_set_runs_on_from_there() -> None:
    base = Clock()
    clock = MovableClock(base)
    east = datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert clock.set(east) == east
    assert clock().tzinfo is UTC
    base.now += DAY
    assert clock() == east + DAY


def test_reset_clock_tells_the_time_of_its_base() -> None:
    clock = MovableClock(Clock())
    clock.advance(DAY)
    assert clock.reset() == clock() == NOW
    assert clock.moved == timedelta()


def test_clock_without_a_base_is_the_systems() -> None:
    before = datetime.now(UTC)
    assert before <= MovableClock()() <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("verb", "to", "kind", "message"),
    [
        ("advance", 60, TypeError, "by is 60; use a timedelta"),
        ("set", "now", TypeError, "to is 'now'; use an aware datetime"),
        ("set", datetime(2030, 1, 1), ValueError, "which has no zone; give"),
        ("set", datetime(1969, 1, 1, tzinfo=UTC), ValueError, "the years 1970 and"),
        ("advance", timedelta.max, ValueError, "leads out of the calendar"),
        ("advance", timedelta.min, ValueError, "leads out of the calendar"),
        ("advance", -60 * 365 * DAY, ValueError, "leads out of the calendar"),
    ],
)
def test_move_that_leads_nowhere_is_an_error_and_moves_nothing(
    verb: str, to: object, kind: type[Exception], message: str
) -> None:
    clock = MovableClock(Clock())
    clock.advance(DAY)
    with pytest.raises(kind, match=message):
        getattr(clock, verb)(to)
    assert clock() == NOW + DAY


def test_usage_begins_anew_when_the_sidecars_clock_moves_on(demo: LocalSidecar) -> None:
    feature, customer = "feature-02-campaigns", "customer-demo-02"
    report = pb.ReportUsageRequest(customer_id=customer, feature_id=feature, value=3)
    ask(demo, report)
    denied = "REQUESTED_USAGE_EXCEEDING_LIMIT"
    assert check(demo, feature, customer_id=customer) == denied
    demo.clock.advance(timedelta(days=31))
    assert check(demo, feature, customer_id=customer) is None
    demo.clock.reset()
    assert check(demo, feature, customer_id=customer) == denied


def test_moves_are_in_the_feed_with_the_new_time(demo: LocalSidecar) -> None:
    demo.clock.advance(DAY)
    told = demo.feed.since(0).happenings[-1]
    assert (told.kind, told.at) == ("clock", NOW + DAY)
    assert dict(told.facts) == {"moved_seconds": 86400.0}
