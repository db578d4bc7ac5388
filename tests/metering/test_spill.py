"""Rows that wait in memory for an outbox that is out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stigg_guard import Subject
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.row import NewRow
from stigg_guard.metering.spill import Spill

OUT = OutboxUnavailable("the outbox is out")


class Store:
    """What rows are put into, when it is not out."""

    def __init__(self) -> None:
        self.is_out = True
        self.rows: list[NewRow] = []
        self.told = 0

    def put(self, rows: Sequence[NewRow]) -> None:
        if self.is_out:
            raise OUT
        self.rows += rows

    def stored(self) -> None:
        self.told += 1

    def spill(self, most: int = 1_000) -> Spill:
        # Only the test's own calls come in its time.
        return Spill(self.put, self.stored, most=most, pause=3_600)


def row(feature: str = "f") -> NewRow:
    return NewRow(measurement=Measurement(subject=Subject("c"), feature_id=feature))


def test_rows_are_put_in_their_order_once_the_outbox_is_back() -> None:
    store = Store()
    spill = store.spill()
    rows = [row(str(number)) for number in range(250)]
    assert all(spill.add(one, OUT) for one in rows)
    assert not spill.flush()

    store.is_out = False
    assert spill.flush()
    assert (store.rows, len(spill)) == (rows, 0)
    assert store.told == 3


def test_there_is_room_for_so_many() -> None:
    spill = Store().spill(most=2)
    assert [spill.add(row(), OUT) for _ in range(3)] == [True, True, False]


def test_what_cannot_be_put_in_the_end_is_lost() -> None:
    store = Store()
    spill = store.spill()
    kept = row()
    spill.add(kept, OUT)
    assert spill.end() == [kept]
    assert spill.end() == []


def test_a_last_try_is_made_in_the_end() -> None:
    store = Store()
    spill = store.spill()
    spill.add(row(), OUT)
    store.is_out = False
    assert spill.end() == []
    assert len(store.rows) == 1


def test_being_at_risk_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    spill = Store().spill()
    for _ in range(3):
        spill.add(row(), OUT)
    assert [record.getMessage() for record in caplog.records] == [
        "Usage waits in memory and is at risk: the outbox is out"
    ]
