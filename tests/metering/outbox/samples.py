"""What outboxes are tested with: measurements to store, and a clock that stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import (
    Delivered,
    NewRow,
    Outbox,
    Parked,
    PutOff,
    Row,
)
from stigg_guard.subject import Subject


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


def usage(
    customer: str = "c", feature: str = "f", *, resource: str | None = None, **row: Any
) -> NewRow:
    """Calculated usage: it has a lane."""
    subject = Subject(customer, resource)
    return NewRow(measurement=Measurement(subject=subject, feature_id=feature), **row)


def event(name: str = "made", **row: Any) -> NewRow:
    """A raw event: it has no lane."""
    return NewRow(measurement=Measurement(subject=Subject("c"), event=name), **row)


def keys(rows: Iterable[Row | NewRow]) -> list[str]:
    """What tells measurements apart, in their order."""
    return [row.measurement.key for row in rows]


def claimed(outbox: Outbox, worker: str = "w", *, most: int = 100) -> list[str]:
    """The keys of what a claim of a minute gets."""
    return keys(outbox.claim(worker, most=most, lease=60))


def deliver(outbox: Outbox, worker: str = "w", *, most: int = 100) -> list[str]:
    """Claim and deliver; the keys of what was."""
    rows = outbox.claim(worker, most=most, lease=60)
    outbox.finish(worker, [Delivered(id=row.id) for row in rows])
    return keys(rows)


def only(outbox: Outbox, row: NewRow) -> Row:
    """The row as it is stored now."""
    (found,) = outbox.find([row.measurement.key])
    return found


def put_off(outbox: Outbox, row: NewRow, due_at: float, *, worker: str = "w") -> None:
    """Let the worker that claimed the row put it off."""
    outbox.finish(
        worker, [PutOff(id=only(outbox, row).id, error="later", due_at=due_at)]
    )


def park(outbox: Outbox, row: NewRow, *, worker: str = "w") -> None:
    """Let the worker that claimed the row park it."""
    outbox.finish(worker, [Parked(id=only(outbox, row).id, error="refused")])


def near(moment: float) -> Any:
    """Equal to times within a millisecond: stores may round."""
    return pytest.approx(moment, abs=0.001, rel=0)
