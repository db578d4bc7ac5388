"""The Django outbox keeps the contract of `Outbox`, on each database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import Delivered, NewRow, Parked, PutOff, Row
from stigg_guard.subject import Subject
from stigg_guard_django.models import OutboxRow
from stigg_guard_django.outbox import DjangoOutbox
from tests.metering.django.conftest import Clock
from tests.metering.django.samples import event, keys, stored, usage


def claim(outbox: DjangoOutbox, worker: str = "w", *, most: int = 10) -> list[Row]:
    return outbox.claim(worker, most=most, lease=10)


def test_stored_rows_come_back_as_they_were(outbox: DjangoOutbox, clock: Clock) -> None:
    new = [
        event("e", doubtful=True, attempts=3),
        usage("u", is_held=True, period=1_799_999_999.125, on_ambiguous="park"),
        usage("p", state="parked", error="no such feature"),
    ]
    outbox.put(new)
    found = outbox.rows()
    assert [row.measurement for row in found] == [row.measurement for row in new]
    assert [row.state for row in found] == ["pending", "pending", "parked"]
    for row, given in zip(found, new, strict=True):
        assert row.doubtful is given.doubtful
        assert row.is_held is given.is_held
        assert row.period == given.period
        assert row.on_ambiguous == given.on_ambiguous
        assert row.attempts == given.attempts
        assert row.error == given.error
        assert row.created_at == row.changed_at == row.due_at == clock()


@pytest.mark.parametrize(
    "text",
    ["Zoë 😀", "a" * 5_000, "nul\0byte", "half \ud800", "trailing  ", "'\"%s%%\\"],
    ids=["unicode", "long", "zero", "surrogate", "blanks", "quotes"],
)
def test_any_text_survives(outbox: DjangoOutbox, text: str) -> None:
    measurement = Measurement(
        subject=Subject(text, text),
        event=text,
        dimensions=((text, text), ("n", 0.1), ("b", True)),
        key=text,
    )
    outbox.put([NewRow(measurement=measurement, state="parked", error=text)])
    assert [row.measurement for row in outbox.find([text])] == [measurement]


def test_keys_differ_by_case_and_blanks(outbox: DjangoOutbox) -> None:
    outbox.put([event("key"), event("KEY"), event("key "), event("kéy")])
    assert stored(outbox) == ["key", "KEY", "key ", "kéy"]
    assert keys(outbox.find(["KEY"])) == ["KEY"]


def test_key_that_was_stored_before_is_left_as_it_is(outbox: DjangoOutbox) -> None:
    outbox.put([usage("a")])
    outbox.put([usage("a", customer="other"), usage("b"), usage("b", attempts=9)])
    assert stored(outbox) == ["a", "b"]
    first, second = outbox.rows()
    assert first.measurement.subject.customer_id == "acme"
    assert second.attempts == 0


def test_more_rows_than_a_page_are_stored_in_their_order(outbox: DjangoOutbox) -> None:
    wanted = [f"k{number}" for number in range(1_200)]
    outbox.put([event(key) for key in wanted])
    assert keys(list(outbox.waiting())) == wanted


def test_rows_are_paged_by_state(outbox: DjangoOutbox) -> None:
    parked = [usage(f"p{n}", state="parked", error="e") for n in range(3)]
    outbox.put([event("a"), *parked, event("b")])
    first = outbox.rows("parked", most=2)
    assert keys(first) == ["p0", "p1"]
    assert keys(outbox.rows("parked", after=first[-1].id)) == ["p2"]
    assert keys(outbox.rows(after=first[-1].id)) == ["p2", "b"]


def test_rows_are_found_by_id_and_by_key(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), event("b"), event("c")])
    by_id = outbox.rows()[1].id
    nowhere = ["none", "-1", "9" * 30, "٣", ""]
    assert keys(outbox.find(["c", by_id, *nowhere])) == ["b", "c"]


def test_claim_takes_the_oldest_that_are_due(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), usage("p", state="parked", error="e"), event("b")])
    outbox.put([event("c")])
    assert keys(claim(outbox, most=2)) == ["a", "b"]
    assert keys(claim(outbox, "v")) == ["c"]
    assert claim(outbox, "v") == []
    assert outbox.status().in_flight == 3


def test_claim_that_ran_out_is_claimed_as_was_in_flight(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([event("a"), event("b")])
    first, second = claim(outbox)
    assert not first.was_in_flight
    assert first.state == "in_flight"
    clock.pass_(9)
    outbox.extend("w", [second.id], lease=10)
    outbox.extend("stranger", [first.id], lease=10)
    clock.pass_(1)
    again = claim(outbox, "v")
    assert keys(again) == ["a"]
    assert again[0].was_in_flight
    clock.pass_(9)
    assert [row.was_in_flight for row in claim(outbox, "v")] == [True]


def test_lane_waits_for_its_earlier_rows_in_flight(outbox: DjangoOutbox) -> None:
    outbox.put([usage("a1"), usage("a2"), usage("b1", customer="Acme"), event("e")])
    assert keys(claim(outbox, most=1)) == ["a1"]
    assert keys(claim(outbox, "v")) == ["b1", "e"]
    (first,) = outbox.find(["a1"])
    outbox.finish("w", [Delivered(id=first.id)])
    assert keys(claim(outbox, "v")) == ["a2"]


def test_lane_waits_for_its_earlier_rows_that_are_put_off(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([usage("a1"), usage("a2"), usage("a3"), usage("a4")])
    first, second, *_ = claim(outbox, most=2)
    outbox.finish(
        "w",
        [
            PutOff(id=first.id, error="out", due_at=clock()),
            PutOff(id=second.id, error="out", due_at=clock() + 5.5),
        ],
    )
    assert keys(claim(outbox)) == ["a1"]
    outbox.finish("w", [Delivered(id=first.id)])
    assert claim(outbox) == []
    clock.pass_(5.5)
    assert keys(claim(outbox)) == ["a2", "a3", "a4"]


def test_parked_rows_hold_nothing_up(outbox: DjangoOutbox) -> None:
    outbox.put([usage("a1"), usage("a2")])
    (first,) = claim(outbox, most=1)
    outbox.finish("w", [Parked(id=first.id, error="refused", doubtful=True)])
    assert keys(claim(outbox)) == ["a2"]
    (parked,) = outbox.rows("parked")
    assert (parked.error, parked.doubtful, parked.attempts) == ("refused", True, 1)


def test_lane_whose_worker_died_is_claimed_in_order(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([usage("a1"), usage("a2"), usage("a3")])
    claim(outbox, most=2)
    assert claim(outbox, "v") == []
    clock.pass_(10)
    again = claim(outbox, "v")
    assert [(row.measurement.key, row.was_in_flight) for row in again] == [
        ("a1", True),
        ("a2", True),
        ("a3", False),
    ]


def test_finish_counts_attempts_that_were_tried(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([event("a"), event("b"), event("c")])
    a, b, c = claim(outbox)
    later = clock() + 3
    clock.pass_(1)
    outbox.finish(
        "w",
        [
            PutOff(id=a.id, error="lost", due_at=later, doubtful=True),
            PutOff(id=b.id, error=None, due_at=later + 0.125, tried=False),
            Delivered(id=c.id),
        ],
    )
    put_off, untried = outbox.rows("pending")
    assert (put_off.attempts, put_off.error, put_off.doubtful) == (1, "lost", True)
    assert (untried.attempts, untried.error) == (0, None)
    assert (put_off.due_at, untried.due_at) == (later, later + 0.125)
    assert put_off.changed_at == clock()
    assert keys(outbox.rows("delivered")) == ["c"]


def test_hundreds_of_rows_are_put_off_to_a_time_of_their_own(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([event(f"k{number}") for number in range(450)])
    claimed = claim(outbox, most=450)
    outbox.finish(
        "w",
        [
            PutOff(id=row.id, error="out", due_at=clock() + number / 3)
            for number, row in enumerate(claimed)
        ],
    )
    due = [row.due_at for row in outbox.rows(most=450)]
    assert due == [clock() + number / 3 for number in range(450)]


def test_row_that_another_worker_claimed_since_is_left_as_it_is(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([event("a")])
    (row,) = claim(outbox)
    clock.pass_(10)
    claim(outbox, "v")
    for result in (
        Delivered(id=row.id),
        Parked(id=row.id, error="e"),
        PutOff(id=row.id, error="e", due_at=0),
    ):
        outbox.finish("w", [result])
    assert [row.state for row in outbox.rows()] == ["in_flight"]
    outbox.finish("v", [Delivered(id=row.id)])
    assert [row.state for row in outbox.rows()] == ["delivered"]


def test_retry_sends_parked_rows_again_without_doubt(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    outbox.put([usage("a", state="parked", error="e", doubtful=True), event("b")])
    outbox.put([usage("c", state="parked", error="e"), usage("d")])
    clock.pass_(5)
    first = outbox.find(["a", "b"])
    assert outbox.retry([row.id for row in first]) == 1
    assert outbox.find(["a"])[0].due_at == clock()
    assert not outbox.find(["a"])[0].doubtful
    assert outbox.retry() == 1
    assert outbox.retry() == 0
    # Again in its place of the lane: it holds up what came after it.
    assert keys(claim(outbox, most=1)) == ["a"]
    assert keys(claim(outbox, "v")) == ["b"]


def test_rows_are_retried_and_discarded_by_key_too(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), usage("b", state="parked", error="e")])
    assert outbox.retry(["b", "none"]) == 1
    assert keys(outbox.discard(["a"])) == ["a"]


def test_id_of_a_row_is_no_key_of_another_one(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = outbox.rows()
    outbox.put([event(row.id), event("12")])
    assert keys(outbox.find([row.id])) == ["a", row.id]
    assert keys(outbox.discard([row.id])) == ["a"]
    assert keys(outbox.discard(["12"])) == ["12"]


def test_discard_deletes_what_is_pending_or_parked(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), event("b"), usage("c", state="parked", error="e")])
    claim(outbox, most=1)
    gone = outbox.discard([row.id for row in outbox.rows()])
    assert keys(gone) == ["b", "c"]
    assert stored(outbox) == ["a"]


def test_status_counts_and_knows_the_oldest(outbox: DjangoOutbox, clock: Clock) -> None:
    assert outbox.status().oldest_at is None
    begin = clock()
    outbox.put([event("a"), event("b"), usage("c", state="parked", error="e")])
    clock.pass_(1)
    outbox.put([event("d"), event("e")])
    a, b = claim(outbox, most=2)
    status = outbox.status()
    assert (status.pending, status.in_flight, status.parked) == (2, 2, 1)
    assert (status.delivered, status.oldest_at) == (0, begin)
    outbox.finish("w", [Delivered(id=a.id), Delivered(id=b.id)])
    assert outbox.status().delivered == 2
    assert outbox.status().oldest_at == clock()


def test_delivered_rows_are_forgotten_but_stay_counted(
    outbox: DjangoOutbox, clock: Clock
) -> None:
    for number in range(3):
        outbox.put([event(f"k{number}")])
        (row,) = claim(outbox)
        outbox.finish("w", [Delivered(id=row.id)])
        clock.pass_(1_800)
    assert stored(outbox) == ["k1", "k2"]
    clock.pass_(3_600)
    assert claim(outbox) == []
    assert stored(outbox) == []
    assert outbox.status().delivered == 3


def test_delivered_rows_can_be_kept_for_no_time(alias: str, clock: Clock) -> None:
    outbox = DjangoOutbox(alias, keep_delivered=0, clock=clock)
    outbox.put([event("a")])
    (row,) = claim(outbox)
    outbox.finish("w", [Delivered(id=row.id)])
    assert stored(outbox) == []
    assert outbox.status().delivered == 1


def test_row_of_a_newer_version_waits_for_its_return(
    outbox: DjangoOutbox, alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put([usage("a"), usage("b")])
    rows = OutboxRow.objects.using(alias)
    newer = rows.get(key="a")
    newer.record = newer.record.replace('"v":1', '"v":99')
    newer.save(using=alias)
    assert keys(claim(outbox)) == ["b"]
    parked = rows.get(key="a")
    assert parked.state == "parked"
    assert "form 99" in str(parked.error)
    assert outbox.discard([str(parked.pk)]) == []
    assert rows.filter(key="a").exists()
    assert "form 99" in caplog.text


def test_empty_calls_do_nothing(outbox: DjangoOutbox) -> None:
    outbox.put([])
    outbox.finish("w", [])
    outbox.extend("w", [], lease=1)
    assert outbox.find([]) == outbox.discard([]) == []
    assert outbox.retry([]) == 0


def test_result_of_a_row_that_is_gone_is_fine(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = claim(outbox)
    outbox.finish("w", [Delivered(id=row.id), Delivered(id="999999")])
    outbox.finish("w", [replace(Delivered(id="1"), id="none")])
    assert outbox.status().delivered == 1
