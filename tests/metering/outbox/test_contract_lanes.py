"""The contract of outboxes: of a lane rows are claimed in order, on every store."""

from __future__ import annotations

from stigg_guard.metering.outbox.base import (
    Delivered,
    Outbox,
)
from tests.metering.outbox.samples import (
    Clock,
    claimed,
    deliver,
    event,
    keys,
    only,
    park,
    put_off,
    usage,
)


def test_one_claim_takes_many_rows_of_a_lane_in_order(outbox: Outbox) -> None:
    rows = [usage(), event(), usage("d"), usage(), event(), usage("d"), usage()]
    outbox.put(rows)
    assert claimed(outbox) == keys(rows)


def test_row_waits_while_an_earlier_one_of_its_lane_is_in_flight(
    outbox: Outbox,
) -> None:
    first, second, third = rows = [usage(), usage(), usage()]
    outbox.put(rows)
    assert claimed(outbox, "one", most=1) == keys([first])
    assert claimed(outbox, "two") == []
    assert claimed(outbox, "one") == []
    outbox.finish("one", [Delivered(id=only(outbox, first).id)])
    assert claimed(outbox, "two") == keys([second, third])


def test_row_that_came_later_waits_for_its_lane_too(outbox: Outbox) -> None:
    outbox.put([usage()])
    claimed(outbox, "one")
    outbox.put([usage(), usage()])
    assert claimed(outbox, "two") == []


def test_other_lanes_and_events_do_not_wait(outbox: Outbox) -> None:
    waits = usage("c", "f", resource="other")
    others = [usage("d", "f"), usage("c", "g"), event(), event()]
    outbox.put([usage("c", "f")])
    claimed(outbox, "one")
    outbox.put([waits, *others])
    assert claimed(outbox, "two") == keys(others)


def test_events_of_one_customer_have_no_order(outbox: Outbox, clock: Clock) -> None:
    first, second = event(), event()
    outbox.put([first, second])
    assert claimed(outbox, most=1) == keys([first])
    put_off(outbox, first, clock() + 100)
    assert claimed(outbox) == keys([second])


def test_row_waits_while_an_earlier_one_of_its_lane_is_put_off(
    outbox: Outbox, clock: Clock
) -> None:
    first, second, third = rows = [usage(), usage(), usage()]
    outbox.put(rows)
    claimed(outbox, most=2)
    put_off(outbox, first, clock() + 10)
    put_off(outbox, second, clock() + 20)
    assert claimed(outbox) == []
    clock.move(10)
    assert claimed(outbox) == keys([first])
    outbox.finish("w", [Delivered(id=only(outbox, first).id)])
    assert claimed(outbox) == []
    clock.move(10)
    assert claimed(outbox) == keys([second, third])


def test_later_row_that_is_due_waits_for_an_earlier_one_that_is_not(
    outbox: Outbox, clock: Clock
) -> None:
    first, second = rows = [usage(), usage()]
    outbox.put(rows)
    claimed(outbox)
    put_off(outbox, second, clock())
    put_off(outbox, first, clock() + 10)
    assert claimed(outbox) == []
    clock.move(10)
    assert claimed(outbox) == keys(rows)


def test_rest_of_a_lane_goes_on_where_a_claim_ended(outbox: Outbox) -> None:
    rows = [usage() for _ in range(7)]
    outbox.put(rows)
    assert deliver(outbox, most=3) == keys(rows[:3])
    assert deliver(outbox, most=3) == keys(rows[3:6])
    assert deliver(outbox, most=3) == keys(rows[6:])


def test_parked_row_does_not_hold_up_its_lane(outbox: Outbox) -> None:
    first, second = rows = [usage(), usage()]
    outbox.put(rows)
    claimed(outbox, most=1)
    park(outbox, first)
    assert claimed(outbox) == keys([second])


def test_discarded_row_does_not_hold_up_its_lane(outbox: Outbox, clock: Clock) -> None:
    first, second = rows = [usage(), usage()]
    outbox.put(rows)
    claimed(outbox, most=1)
    put_off(outbox, first, clock() + 100)
    outbox.discard([only(outbox, first).id])
    assert claimed(outbox) == keys([second])


def test_lane_of_a_dead_worker_goes_on_in_order(outbox: Outbox, clock: Clock) -> None:
    rows = [usage() for _ in range(4)]
    outbox.put(rows)
    outbox.claim("dead", most=2, lease=10)
    clock.move(10)
    found = outbox.claim("other", most=10, lease=10)
    assert keys(found) == keys(rows)
    assert [row.was_in_flight for row in found] == [True, True, False, False]


def test_rows_that_ran_out_wait_for_an_earlier_one_that_was_extended(
    outbox: Outbox, clock: Clock
) -> None:
    first, second = rows = [usage(), usage()]
    outbox.put(rows)
    outbox.claim("slow", most=2, lease=10)
    clock.move(5)
    outbox.extend("slow", [only(outbox, first).id], lease=10)
    clock.move(5)
    assert claimed(outbox, "other") == []
    outbox.finish("slow", [Delivered(id=only(outbox, first).id)])
    assert claimed(outbox, "other") == keys([second])


def test_retried_row_comes_before_the_later_ones_of_its_lane(outbox: Outbox) -> None:
    first, second, third = rows = [usage(), usage(), usage()]
    outbox.put(rows)
    claimed(outbox, most=1)
    park(outbox, first)
    outbox.retry([only(outbox, first).id])
    assert claimed(outbox, "one", most=1) == keys([first])
    assert claimed(outbox, "two") == []
    outbox.finish("one", [Delivered(id=only(outbox, first).id)])
    assert claimed(outbox, "two") == keys([second, third])


def test_retried_row_comes_before_one_that_was_tried_already(
    outbox: Outbox, clock: Clock
) -> None:
    first, second = rows = [usage(), usage()]
    outbox.put(rows)
    claimed(outbox)
    park(outbox, first)
    put_off(outbox, second, clock())
    outbox.retry()
    assert claimed(outbox, "one", most=1) == keys([first])
    assert claimed(outbox, "two") == []


def test_retried_row_does_not_wait_for_a_later_one_in_flight(outbox: Outbox) -> None:
    first, second, third = rows = [usage(), usage(), usage()]
    outbox.put(rows)
    claimed(outbox, most=1)
    park(outbox, first)
    assert claimed(outbox, "one", most=1) == keys([second])
    outbox.retry()
    assert claimed(outbox, "two") == keys([first])
    outbox.finish("two", [Delivered(id=only(outbox, first).id)])
    assert claimed(outbox, "two") == []
    outbox.finish("one", [Delivered(id=only(outbox, second).id)])
    assert claimed(outbox, "two") == keys([third])


def test_row_born_parked_keeps_its_place_in_the_lane_when_retried(
    outbox: Outbox,
) -> None:
    rows = [usage(), usage(state="parked", error="unclear"), usage()]
    outbox.put(rows)
    outbox.retry()
    assert claimed(outbox, "one", most=1) == keys(rows[:1])
    assert claimed(outbox, "two") == []
    outbox.finish("one", [Delivered(id=only(outbox, rows[0]).id)])
    assert claimed(outbox, "two") == keys(rows[1:])


def test_many_rows_behind_others_are_delivered_in_order(outbox: Outbox) -> None:
    rows = [usage(f"c{number % 3}") for number in range(3000)]
    outbox.put(rows)
    held = outbox.claim("slow", most=3, lease=60)
    assert outbox.claim("w", most=10, lease=60) == []
    later = [event() for _ in range(5)]
    outbox.put(later)
    found: list[str] = []
    for _ in range(20):
        found += deliver(outbox)
    assert found == keys(later)
    outbox.finish("slow", [Delivered(id=row.id) for row in held])
    found = []
    while more := deliver(outbox):
        found += more
    assert found == keys(rows[3:])
