"""Delivers what an outbox holds: claims rows, sends them in batches, says what became.

Which thread it runs in is `deliverer`'s; how a change that may have arrived is told
from one that did not, `reconciliation`'s.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from stigg_guard.decision import NoAnswer
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.conversation import settlement
from stigg_guard.metering.holds.base import (
    Holds,
    HoldsUnavailable,
    Keep,
    Lift,
    Mode,
    Op,
    Place,
)
from stigg_guard.metering.measurement import Measurement, new_key
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import Delivered, Parked, PutOff, Row
from stigg_guard.metering.reconciliation import Told, Unknown, reconcile
from stigg_guard.metering.terms import Terms
from stigg_guard.steps import OutcomeName

Reply: TypeAlias = tuple[Acknowledged, ...] | NoAnswer
Report: TypeAlias = Callable[[Sequence[Measurement]], Reply]
Happened: TypeAlias = Callable[[OutcomeName, Measurement, str], None]

MOST_EVENTS: Final = 1_000
MOST_USAGES: Final = 100
MOST_BYTES: Final = 3_000_000
"""Of one batch: a gRPC server takes 4 MiB unless it is told otherwise."""
LEASE: Final = 30.0
_SOON: Final = 0.05
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_TRIES_TO_TELL: Final = 8


class Worker:
    """One deliverer of an outbox, known to it by name. Not safe for threads."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        report: Report,
        holds: Holds,
        terms: Terms,
        happened: Happened,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{new_key()[-8:]}"
        self.outbox = outbox
        self.report = report
        self.terms = terms
        self.happened = happened
        self.clock = clock
        self.pause = pause
        self._holds = holds

    def step(self, *, most: int = MOST_EVENTS) -> int:
        """Claim what is due and deliver it; how many rows were claimed.

        Raises `OutboxUnavailable`: what was claimed is claimed again later.
        """
        rows = self.outbox.claim(self.name, most=most, lease=LEASE)
        if rows:
            _Delivery(self, rows).run()
        return len(rows)

    def hold(self, op: Op) -> object:
        """A step of the hold store; a store that is out is no reason to stop."""
        try:
            return self._holds.perform(op)
        except HoldsUnavailable:
            return None

    def keep(self, row: Row, mode: Mode) -> bool:
        """Put a row's hold into a mode; False when its account is fenced."""
        keep = _keep(row, mode)
        return keep is None or self.hold(keep) is not False

    def keep_each(self, rows: Sequence[Row], mode: Mode) -> None:
        """Put the holds of rows that no fence keeps back into a mode."""
        keeps = [keep for row in rows if (keep := _keep(row, mode)) is not None]
        if keeps:
            self._holds.perform_each(keeps)


class _Delivery:
    """The rows of one claim on their way."""

    def __init__(self, worker: Worker, rows: Sequence[Row]) -> None:
        self._worker = worker
        self._rows = {row.id: row for row in rows}
        self._outage: str | None = None
        self._blocked: set[str | None] = set()
        self._extend_at = worker.clock() + LEASE / 3

    def run(self) -> None:
        """Send events, which no order binds, then calculated usage in its order."""
        rows = list(self._rows.values())
        events = [row for row in rows if row.measurement.event is not None]
        for batch in batches(events, MOST_EVENTS):
            if self._outage is None:
                self._worker.keep_each(batch, "sending")
            self._send(batch)
        usages = [row for row in rows if row.measurement.event is None]
        for batch in batches(self._certain(usages), MOST_USAGES):
            self._send([row for row in batch if self._may_go(row)])

    def _certain(self, rows: Sequence[Row]) -> Iterator[Row]:
        """Rows that did not arrive yet; those in doubt are told apart first."""
        told: set[str] = set()
        for row in rows:
            if row.id in told:
                continue
            if _is_doubtful(row):
                doubtful = [r for r in rows if _is_doubtful(r) and _alike(r, row)]
                told.update(r.id for r in doubtful)
                yield from self._told_apart(doubtful)
            else:
                yield row

    def _may_go(self, row: Row) -> bool:
        """Whether a row may be sent: not behind one that waits, and not fenced."""
        if self._outage is not None or row.measurement.lane in self._blocked:
            self._put_off([row], self._outage, tried=False)
            return False
        if self._worker.keep(row, "sending"):
            return True
        self._put_off([row], None, tried=False, after=_SOON)
        return False

    def _send(self, batch: Sequence[Row]) -> None:
        if not batch:
            return
        if self._outage is not None:
            self._put_off(batch, self._outage, tried=False)
            self._worker.keep_each(batch, "stored")
            return
        self._extend()
        reply = self._worker.report([row.measurement for row in batch])
        if not isinstance(reply, NoAnswer):
            self._delivered(batch, reply)
        elif _is_refusal(reply) and len(batch) == 1:
            self._park(batch, reply.cause)
        elif _is_refusal(reply) or (len(batch) > 1 and _is_unknown_method(reply)):
            # One of them is at fault, and nothing was done: find it.
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
        else:
            self._outage = reply.cause
            self._failed(batch, reply)

    def _failed(self, batch: Sequence[Row], reply: NoAnswer) -> None:
        may_be_there = [
            row for row in batch if reply.may_have_arrived and row.measurement.is_change
        ]
        self._put_off(may_be_there, reply.cause, doubtful=True)
        others = [row for row in batch if row not in may_be_there]
        self._put_off(others, reply.cause)

    def _delivered(self, batch: Sequence[Row], reply: tuple[Acknowledged, ...]) -> None:
        self._finish([Delivered(id=row.id) for row in batch])
        for row, acknowledged in zip(batch, reply, strict=False):
            self._settle(row, acknowledged)

    def _settle(self, row: Row, acknowledged: Acknowledged) -> None:
        worker, measurement = self._worker, row.measurement
        place = place_of(measurement)
        worker.happened("delivered", measurement, "")
        if place is not None and row.is_held:
            worker.hold(
                settlement(measurement, acknowledged, place, worker.terms, row.period)
            )

    def _put_off(
        self,
        rows: Sequence[Row],
        cause: str | None,
        *,
        tried: bool = True,
        doubtful: bool | None = None,
        after: float | None = None,
    ) -> None:
        if not rows:
            return
        now = self._worker.clock()
        self._blocked.update(row.measurement.lane for row in rows)
        self._blocked.discard(None)
        self._finish(
            [
                PutOff(
                    id=row.id,
                    error=cause or row.error,
                    due_at=now + (_backoff(row.attempts) if after is None else after),
                    doubtful=_is_doubtful(row) if doubtful is None else doubtful,
                    tried=tried,
                )
                for row in rows
            ]
        )
        if tried:
            for row in rows:
                self._worker.keep(row, "doubtful" if doubtful else "stored")

    def _park(self, rows: Sequence[Row], cause: str, *, doubtful: bool = False) -> None:
        self._finish(
            [Parked(id=row.id, error=cause, doubtful=doubtful) for row in rows]
        )
        for row in rows:
            self._worker.keep(row, "doubtful" if doubtful else "stored")
            self._worker.happened("parked", row.measurement, cause)

    def _finish(self, results: Sequence[Delivered | PutOff | Parked]) -> None:
        self._worker.outbox.finish(self._worker.name, results)
        for result in results:
            self._rows.pop(result.id, None)

    def _extend(self) -> None:
        """Keep hold of what is still to be sent, when this takes long."""
        now = self._worker.clock()
        if now >= self._extend_at:
            self._extend_at = now + LEASE / 3
            ids = list(self._rows)
            self._worker.outbox.extend(self._worker.name, ids, lease=LEASE)

    def _told_apart(self, rows: Sequence[Row]) -> Iterator[Row]:
        """Of changes of one place that may have arrived, those that did not."""
        self._extend()
        place = place_of(rows[0].measurement)
        if self._outage is not None or rows[0].measurement.lane in self._blocked:
            self._put_off(rows, self._outage, tried=False)
            return
        cause = "it was sent, and nobody knows whether it arrived"
        is_held = all(row.is_held for row in rows)
        if place is None or not is_held or rows[0].on_ambiguous == "park":
            why = "" if is_held else ": nothing limits it, so nothing was held"
            self._park(rows, f"{rows[0].error or cause}; {cause}{why}", doubtful=True)
            return
        for row in rows:
            self._worker.keep(row, "doubtful")
        told = reconcile(
            place,
            rows,
            hold=self._worker.hold,
            report=self._worker.report,
            pause=self._worker.pause,
        )
        if isinstance(told, Unknown):
            self._cannot_tell(rows, told)
            return
        yield from self._told(place, rows, told)

    def _cannot_tell(self, rows: Sequence[Row], unknown: Unknown) -> None:
        gives_up = max(row.attempts for row in rows) >= _TRIES_TO_TELL
        if unknown.is_final or gives_up:
            cause = f"nobody can tell whether it arrived: {unknown.cause}"
            self._park(rows, cause, doubtful=True)
        else:
            self._put_off(rows, unknown.cause, doubtful=True)

    def _told(self, place: Place, rows: Sequence[Row], told: Told) -> Iterator[Row]:
        arrived = [row for row in rows if row.id in told.arrived]
        if arrived:
            self._delivered(arrived, (Acknowledged(),) * len(arrived))
        missing = [row for row in rows if row.id not in told.arrived]
        for row in missing:
            self._worker.keep(row, "stored")
        self._worker.hold(
            Lift(
                place=place,
                token=told.token,
                total=told.total,
                young_for=self._worker.terms.usage_young_for,
            )
        )
        yield from missing


def _keep(row: Row, mode: Mode) -> Keep | None:
    place = place_of(row.measurement)
    if not row.is_held or place is None:
        return None
    return Keep(
        place=place,
        key=row.measurement.key,
        units=held_units(row.measurement),
        mode=mode,
        lease=LEASE,
        period=row.period,
    )


def place_of(measurement: Measurement) -> Place | None:
    """Where a measurement's units are counted; None for an event of no feature."""
    subject, feature_id = measurement.subject, measurement.feature_id
    if feature_id is None:
        return None
    return Place(subject.customer_id, subject.resource_id, feature_id)


def held_units(measurement: Measurement) -> float | None:
    """What a waiting row holds; None for a total, whose increase was held before."""
    return None if measurement.update == "set" else max(0.0, measurement.value)


def batches(rows: Iterable[Row], most: int) -> Iterator[list[Row]]:
    """Rows in batches that the sidecar takes: so many, and not too many bytes."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        bytes_ = row.measurement.size
        if batch and (len(batch) == most or size + bytes_ > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += bytes_
    if batch:
        yield batch


def _is_doubtful(row: Row) -> bool:
    return row.measurement.is_change and (row.doubtful or row.was_in_flight)


def _alike(one: Row, other: Row) -> bool:
    return place_of(one.measurement) == place_of(other.measurement)


def _is_refusal(reply: NoAnswer) -> bool:
    return reply.refused and not reply.may_have_arrived


def _is_unknown_method(reply: NoAnswer) -> bool:
    return "UNIMPLEMENTED" in reply.cause


def _backoff(attempts: int) -> float:
    """Seconds until the next try: longer each time, and not in step with others."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
