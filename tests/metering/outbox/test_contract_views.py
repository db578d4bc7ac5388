"""The contract of outboxes: what is shown, retried and discarded, on every store."""

from __future__ import annotations

from stigg_guard.metering.outbox.base import (
    Delivered,
    Outbox,
    Parked,
    PutOff,
    Status,
)
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


def test_rows_are_shown_page_by_page(outbox: Outbox) -> None:
    rows = [event() for _ in range(7)]
    outbox.put(rows)
    found: list[str] = []
    after = None
    while page := outbox.rows(after=after, most=3):
        assert len(page) <= 3
        found += keys(page)
        after = page[-1].id
    assert found == keys(rows)


def test_rows_of_one_state_are_shown(outbox: Outbox, clock: Clock) -> None:
    rows = [event() for _ in range(6)]
    outbox.put(rows)
    ids = [row.id for row in outbox.claim("w", most=5, lease=60)]
    outbox.finish("w", [Parked(id=each, error="bad") for each in ids[:2]])
    outbox.finish("w", [PutOff(id=ids[2], error=None, due_at=clock() + 10)])
    assert keys(outbox.rows("parked")) == keys(rows[:2])
    assert keys(outbox.rows("parked", after=ids[0])) == keys(rows[1:2])
    assert keys(outbox.rows("parked", most=1)) == keys(rows[:1])
    assert keys(outbox.rows("pending")) == keys([rows[2], rows[5]])
    assert keys(outbox.rows("pending", most=1)) == keys([rows[2]])
    assert keys(outbox.rows("pending", after=ids[2])) == keys([rows[5]])
    assert keys(outbox.rows("in_flight")) == keys(rows[3:5])


def test_page_goes_on_after_a_row_that_is_gone(outbox: Outbox) -> None:
    rows = [event() for _ in range(3)]
    outbox.put(rows)
    (first,) = outbox.rows(most=1)
    outbox.discard([first.id])
    assert keys(outbox.rows(after=first.id)) == keys(rows[1:])


def test_rows_are_found_by_id_or_key(outbox: Outbox) -> None:
    rows = [event() for _ in range(4)]
    outbox.put(rows)
    stored = outbox.rows()
    wanted = [stored[2].id, *keys(rows[:1]), "none", "", stored[0].id]
    assert sorted(keys(outbox.find(wanted))) == sorted(keys([rows[0], rows[2]]))
    assert outbox.find(["none"]) == []
    assert outbox.find([]) == []


def test_everything_that_is_not_delivered_waits(outbox: Outbox, clock: Clock) -> None:
    rows = [event() for _ in range(1200)]
    outbox.put(rows)
    assert deliver(outbox, most=600) == keys(rows[:600])
    ids = [row.id for row in outbox.claim("w", most=3, lease=60)]
    outbox.finish("w", [Parked(id=ids[0], error="bad")])
    outbox.finish("w", [PutOff(id=ids[1], error=None, due_at=clock() + 10)])
    assert keys(outbox.waiting()) == keys(rows[600:])


def test_retried_row_is_due_and_not_doubtful(outbox: Outbox, clock: Clock) -> None:
    row = usage(state="parked", error="unclear", doubtful=True, attempts=2)
    outbox.put([row])
    clock.move(5)
    assert outbox.retry([only(outbox, row).id]) == 1
    found = only(outbox, row)
    assert (found.state, found.doubtful, found.attempts) == ("pending", False, 2)
    assert found.changed_at == near(clock())
    (again,) = outbox.claim("w", most=1, lease=10)
    assert keys([again]) == keys([row])
    assert not again.was_in_flight


def test_only_parked_rows_are_retried(outbox: Outbox, clock: Clock) -> None:
    waits, flies, parked = event(), event(), event(state="parked", error="bad")
    outbox.put([waits])
    claimed(outbox)
    put_off(outbox, waits, clock() + 10)
    outbox.put([flies, parked])
    claimed(outbox)
    ids = [row.id for row in outbox.rows()]
    assert outbox.retry([*ids, "none"]) == 1
    assert claimed(outbox) == keys([parked])


def test_every_parked_row_is_retried(outbox: Outbox) -> None:
    rows = [event(state="parked", error="bad") for _ in range(1200)]
    outbox.put(rows)
    assert outbox.retry() == 1200
    assert outbox.retry() == 0
    assert claimed(outbox, most=2000) == keys(rows)


def test_pending_and_parked_rows_are_discarded_and_returned(
    outbox: Outbox, clock: Clock
) -> None:
    done, flies, waits, parked, new = rows = [event() for _ in range(5)]
    outbox.put(rows[:4])
    claimed(outbox)
    outbox.finish("w", [Delivered(id=only(outbox, done).id)])
    put_off(outbox, waits, clock() + 10)
    park(outbox, parked)
    outbox.put([new])
    found = outbox.find(keys([flies, waits, parked, new]))
    gone = outbox.discard([*(row.id for row in found), "none"])
    assert sorted(keys(gone)) == sorted(keys([waits, parked, new]))
    assert keys(outbox.waiting()) == keys([flies])
    status = outbox.status()
    assert (status.pending, status.in_flight, status.parked) == (0, 1, 0)
    clock.move(30)
    assert claimed(outbox, "other") == []


def test_status_counts_every_state(outbox: Outbox, clock: Clock) -> None:
    assert outbox.status() == Status(
        pending=0, in_flight=0, parked=0, delivered=0, oldest_at=None
    )
    outbox.put([event(state="parked", error="bad")])
    assert outbox.status().oldest_at is None
    clock.move(1)
    outbox.put([event() for _ in range(4)])
    first = clock()
    clock.move(1)
    outbox.put([event()])
    assert deliver(outbox, most=2)
    claimed(outbox, most=1)
    assert outbox.status() == Status(
        pending=2, in_flight=1, parked=1, delivered=2, oldest_at=near(first)
    )
    clock.move(60)
    assert len(deliver(outbox, most=2)) == 2
    assert outbox.status().oldest_at == near(first + 1)
    assert len(deliver(outbox)) == 1
    assert outbox.status().oldest_at is None
    assert outbox.status().delivered == 5
