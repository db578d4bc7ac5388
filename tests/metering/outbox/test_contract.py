"""The contract of outboxes, a clause in each test, on every store.

The order of lanes is in `test_contract_lanes`, what a person does in
`test_contract_views`.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import (
    Delivered,
    NewRow,
    Outbox,
    Parked,
    PutOff,
    State,
    Status,
)
from stigg_guard.subject import Subject
from tests.metering.outbox.samples import (
    Clock,
    claimed,
    deliver,
    event,
    keys,
    near,
    only,
    park,
    put_off,
    usage,
)

RICH = Measurement(
    subject=Subject("customer-ü", "resource\x1f1"),
    feature_id="feature-templates",
    value=-2.5,
    update="set",
    event="made",
    dimensions=(("region", "eu"), ("count", 3), ("ratio", 0.5), ("paid", True)),
    timestamp=datetime(2026, 11, 25, 10, 6, 7, 123_457, tzinfo=UTC),
)


def test_measurement_is_read_back_as_it_was_stored(
    outbox: Outbox, clock: Clock
) -> None:
    outbox.put(
        [
            NewRow(
                measurement=RICH,
                doubtful=True,
                is_held=True,
                period=1_790_000_000.5,
                on_ambiguous="park",
                attempts=3,
                error="ünclear",
            )
        ]
    )
    (row,) = outbox.rows()
    assert row.measurement == RICH
    assert (row.state, row.doubtful, row.is_held) == ("pending", True, True)
    assert (row.period, row.on_ambiguous) == (1_790_000_000.5, "park")
    assert (row.attempts, row.error) == (3, "ünclear")
    assert row.created_at == row.changed_at == near(clock())
    assert row.due_at <= clock()
    assert row.was_in_flight is False


def test_plain_row_has_nothing_special(outbox: Outbox) -> None:
    outbox.put([usage()])
    (row,) = outbox.rows()
    assert (row.state, row.doubtful, row.is_held) == ("pending", False, False)
    assert (row.period, row.on_ambiguous) == (None, "reconcile")
    assert (row.attempts, row.error) == (0, None)


def test_nothing_can_be_stored(outbox: Outbox) -> None:
    outbox.put([])
    assert outbox.rows() == []


def test_rows_keep_the_order_they_were_stored_in(outbox: Outbox) -> None:
    first, second = [event() for _ in range(5)], [event() for _ in range(5)]
    outbox.put(first)
    outbox.put(second)
    assert keys(outbox.rows()) == keys(first + second)


def test_key_that_is_stored_is_left_as_it_is(outbox: Outbox) -> None:
    key = "order-17"
    before = Measurement(subject=Subject("c"), event="made", value=1, key=key)
    after = Measurement(subject=Subject("d"), event="changed", value=2, key=key)
    outbox.put([NewRow(measurement=before)])
    other = event()
    outbox.put([NewRow(measurement=after), other])
    assert keys(outbox.rows()) == [key, *keys([other])]
    assert only(outbox, NewRow(measurement=before)).measurement == before


def test_key_that_comes_twice_in_one_put_is_stored_once(outbox: Outbox) -> None:
    row = event()
    outbox.put([row, row])
    assert keys(outbox.rows()) == keys([row])
    assert outbox.status().pending == 1


@pytest.mark.parametrize("state", ["in_flight", "parked", "delivered"])
def test_key_is_known_in_every_state(outbox: Outbox, state: State) -> None:
    row = event()
    outbox.put([row])
    if state == "delivered":
        deliver(outbox)
    else:
        claimed(outbox)
    if state == "parked":
        park(outbox, row)
    outbox.put([row])
    assert outbox.status().pending == 0
    assert claimed(outbox, "other") == []


def test_row_born_parked_waits_for_a_person(outbox: Outbox) -> None:
    outbox.put([event(state="parked", error="nobody knows", doubtful=True)])
    (row,) = outbox.rows("parked")
    assert (row.state, row.error, row.doubtful) == ("parked", "nobody knows", True)
    assert claimed(outbox) == []
    assert outbox.status().parked == 1


def test_submitted_rows_are_stored_when_the_future_ends(outbox: Outbox) -> None:
    rows = [event() for _ in range(10)]
    futures = [outbox.submit([row]) for row in rows]
    assert [future.result(timeout=30) for future in futures] == [None] * 10
    assert keys(outbox.rows()) == keys(rows)


def test_close_stores_what_was_submitted_first(outbox: Outbox) -> None:
    futures = [outbox.submit([event()]) for _ in range(20)]
    outbox.close()
    assert [future.done() and future.result() for future in futures] == [None] * 20


def test_claim_takes_the_oldest_rows_that_are_due(outbox: Outbox, clock: Clock) -> None:
    rows = [event() for _ in range(5)]
    outbox.put(rows)
    clock.move(5)
    found = outbox.claim("w", most=3, lease=60)
    assert keys(found) == keys(rows[:3])
    assert {row.state for row in found} == {"in_flight"}
    assert {row.was_in_flight for row in found} == {False}
    assert found[0].created_at == near(clock() - 5)
    assert found[0].changed_at == near(clock())


def test_claimed_rows_are_not_claimed_again(outbox: Outbox) -> None:
    rows = [event() for _ in range(5)]
    outbox.put(rows)
    assert claimed(outbox, "one", most=2) == keys(rows[:2])
    assert claimed(outbox, "two", most=2) == keys(rows[2:4])
    assert claimed(outbox, "one") == keys(rows[4:])
    assert claimed(outbox, "two") == []


def test_claim_of_an_empty_outbox_is_empty(outbox: Outbox) -> None:
    assert outbox.claim("w", most=10, lease=60) == []


@pytest.mark.parametrize("worker", ["dead", "other"])
def test_rows_of_a_dead_worker_are_claimed_again(
    outbox: Outbox, clock: Clock, worker: str
) -> None:
    row = event()
    outbox.put([row])
    outbox.claim("dead", most=1, lease=10)
    clock.move(9.5)
    assert outbox.claim(worker, most=1, lease=10) == []
    clock.move(0.5)
    (found,) = outbox.claim(worker, most=1, lease=10)
    assert keys([found]) == keys([row])
    assert found.was_in_flight
    assert found.state == "in_flight"


def test_row_that_was_put_off_was_not_in_flight(outbox: Outbox, clock: Clock) -> None:
    row = event()
    outbox.put([row])
    claimed(outbox)
    put_off(outbox, row, clock())
    (found,) = outbox.claim("w", most=1, lease=10)
    assert not found.was_in_flight


def test_extended_claim_lasts_longer(outbox: Outbox, clock: Clock) -> None:
    rows = [event(), event()]
    outbox.put(rows)
    outbox.claim("w", most=2, lease=10)
    clock.move(9)
    outbox.extend("w", [only(outbox, rows[0]).id], lease=10)
    clock.move(5)
    assert claimed(outbox, "other") == keys(rows[1:])
    clock.move(5)
    assert claimed(outbox, "other") == keys(rows[:1])


def test_claim_that_was_lost_cannot_be_extended(outbox: Outbox, clock: Clock) -> None:
    row = event()
    outbox.put([row])
    outbox.claim("slow", most=1, lease=10)
    clock.move(10)
    outbox.claim("other", most=1, lease=10)
    outbox.extend("slow", [only(outbox, row).id, "none"], lease=1000)
    clock.move(10)
    assert claimed(outbox, "third") == keys([row])


def test_put_off_row_waits_until_it_is_due(outbox: Outbox, clock: Clock) -> None:
    row = event()
    outbox.put([row])
    claimed(outbox)
    put_off(outbox, row, clock() + 10)
    clock.move(9.5)
    assert claimed(outbox) == []
    clock.move(0.5)
    assert claimed(outbox) == keys([row])


def test_put_off_row_that_is_due_comes_before_younger_ones(
    outbox: Outbox, clock: Clock
) -> None:
    old, young = event(), event()
    outbox.put([old])
    claimed(outbox)
    put_off(outbox, old, clock() + 10)
    clock.move(5)
    outbox.put([young])
    clock.move(5)
    assert claimed(outbox, most=1) == keys([old])


def test_delivered_row_is_done(outbox: Outbox, clock: Clock) -> None:
    row = event()
    outbox.put([row])
    assert deliver(outbox) == keys([row])
    clock.move(1000)
    assert claimed(outbox) == []
    assert list(outbox.waiting()) == []
    assert outbox.status() == Status(
        pending=0, in_flight=0, parked=0, delivered=1, oldest_at=None
    )


@pytest.mark.parametrize("tried", [True, False])
def test_row_is_put_off_with_its_error(
    outbox: Outbox, clock: Clock, *, tried: bool
) -> None:
    row = event(attempts=1)
    outbox.put([row])
    claimed(outbox)
    clock.move(2)
    outbox.finish(
        "w",
        [
            PutOff(
                id=only(outbox, row).id,
                error="gone",
                due_at=clock() + 7,
                doubtful=True,
                tried=tried,
            )
        ],
    )
    found = only(outbox, row)
    assert (found.state, found.error, found.doubtful) == ("pending", "gone", True)
    assert found.attempts == (2 if tried else 1)
    assert found.due_at == near(clock() + 7)
    assert found.changed_at == near(clock())


def test_row_that_is_put_off_is_doubtful_only_if_said_so(
    outbox: Outbox, clock: Clock
) -> None:
    row = usage(doubtful=True)
    outbox.put([row])
    claimed(outbox)
    put_off(outbox, row, clock())
    assert only(outbox, row).doubtful is False


def test_row_is_parked_with_its_error(outbox: Outbox, clock: Clock) -> None:
    row = usage()
    outbox.put([row])
    claimed(outbox)
    parked = Parked(id=only(outbox, row).id, error="refused", doubtful=True)
    outbox.finish("w", [parked])
    found = only(outbox, row)
    assert (found.state, found.error, found.doubtful) == ("parked", "refused", True)
    assert found.attempts == 1
    clock.move(1000)
    assert claimed(outbox) == []


def test_many_results_are_carried_out_together(outbox: Outbox, clock: Clock) -> None:
    rows = [usage(), usage(), usage(), event()]
    outbox.put(rows)
    found = outbox.claim("w", most=10, lease=60)
    outbox.finish(
        "w",
        [
            Delivered(id=found[0].id),
            Parked(id=found[1].id, error="bad"),
            PutOff(id=found[2].id, error=None, due_at=clock()),
        ],
    )
    states = [only(outbox, row).state for row in rows[1:]]
    assert states == ["parked", "pending", "in_flight"]
    status = outbox.status()
    assert (status.pending, status.in_flight) == (1, 1)
    assert (status.parked, status.delivered) == (1, 1)
    assert claimed(outbox) == keys(rows[2:3])


def test_worker_that_lost_its_claim_changes_nothing(
    outbox: Outbox, clock: Clock
) -> None:
    row = usage()
    outbox.put([row])
    (slow,) = outbox.claim("slow", most=1, lease=10)
    clock.move(10)
    (taken,) = outbox.claim("other", most=1, lease=10)
    outbox.finish("slow", [Delivered(id=slow.id)])
    assert only(outbox, row).state == "in_flight"
    outbox.finish("slow", [Parked(id=slow.id, error="late")])
    assert only(outbox, row).state == "in_flight"
    outbox.finish("other", [PutOff(id=taken.id, error=None, due_at=clock())])
    assert only(outbox, row).state == "pending"
    assert outbox.status().delivered == 0


def test_slow_worker_may_finish_what_nobody_else_claimed(
    outbox: Outbox, clock: Clock
) -> None:
    row = usage()
    outbox.put([row])
    (slow,) = outbox.claim("slow", most=1, lease=10)
    clock.move(60)
    outbox.finish("slow", [Delivered(id=slow.id)])
    assert outbox.status().delivered == 1
    assert claimed(outbox) == []


def test_row_is_finished_once(outbox: Outbox, clock: Clock) -> None:
    outbox.put([event()])
    (row,) = outbox.claim("w", most=1, lease=10)
    outbox.finish("w", [PutOff(id=row.id, error=None, due_at=clock())])
    outbox.finish("w", [Delivered(id=row.id)])
    assert outbox.status().pending == 1
    assert outbox.status().delivered == 0


def test_rows_that_nobody_claimed_or_knows_are_not_finished(outbox: Outbox) -> None:
    row = event()
    outbox.put([row])
    ids = [only(outbox, row).id, "none", ""]
    outbox.finish("w", [Delivered(id=each) for each in ids])
    outbox.finish("w", [])
    assert outbox.status().pending == 1


def test_threads_lose_nothing_and_claim_nothing_twice(outbox: Outbox) -> None:
    stored = [[usage(f"c{n % 5}"), event()] for n in range(200)]
    found: list[list[str]] = [[] for _ in range(4)]
    produced = threading.Event()

    def produce(part: int) -> None:
        for rows in stored[part::4]:
            outbox.put(rows)

    def work(part: int) -> None:
        while True:
            is_last = produced.is_set()
            keys_of_claim = deliver(outbox, f"w{part}", most=7)
            found[part] += keys_of_claim
            status = outbox.status()
            # A claim may be empty only because of one that is not committed yet.
            if is_last and not status.pending + status.in_flight:
                return

    producers = [threading.Thread(target=produce, args=(n,)) for n in range(4)]
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in (*producers, *workers):
        thread.start()
    for thread in producers:
        thread.join()
    produced.set()
    for thread in workers:
        thread.join()
    everything = [key for part in found for key in part]
    assert sorted(everything) == sorted(keys(row for rows in stored for row in rows))
    status = outbox.status()
    assert (status.pending, status.in_flight, status.delivered) == (0, 0, 400)
