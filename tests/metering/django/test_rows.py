"""What the contract of `Outbox` does not say: texts, keys and what is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import Delivered, NewRow, PutOff, Row
from stigg_guard.subject import Subject
from stigg_guard_django.models import OutboxRow
from stigg_guard_django.outbox import DjangoOutbox
from tests.metering.django.conftest import Clock
from tests.metering.django.samples import event, keys, stored, usage


def claim(outbox: DjangoOutbox, worker: str = "w", *, most: int = 10) -> list[Row]:
    return outbox.claim(worker, most=most, lease=10)


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


def test_rows_are_retried_and_discarded_by_key_too(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), usage("b", state="parked", error="e")])
    assert outbox.retry(["b", "none"]) == 1
    assert keys(outbox.discard(["a"])) == ["a"]


def test_texts_that_can_be_no_ids_name_nothing(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = outbox.rows()
    texts = ["-1", "9" * 30, f"0{row.id}", f" {row.id}", "\N{ARABIC-INDIC DIGIT ONE}"]
    assert outbox.find(texts) == outbox.discard(texts) == []
    assert outbox.retry(texts) == 0


def test_id_of_a_row_is_no_key_of_another_one(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = outbox.rows()
    outbox.put([event(row.id), event("12")])
    assert keys(outbox.find([row.id])) == ["a", row.id]
    assert keys(outbox.discard([row.id])) == ["a"]
    assert keys(outbox.discard(["12"])) == ["12"]


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


def test_result_of_a_row_that_is_gone_is_fine(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = claim(outbox)
    outbox.finish("w", [Delivered(id=row.id), Delivered(id="999999")])
    outbox.finish("w", [replace(Delivered(id="1"), id="none")])
    assert outbox.status().delivered == 1
