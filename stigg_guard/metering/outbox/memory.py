"""An outbox in the memory of one process: what it holds ends with the process.

The contract is in `base`; a store that survives is `sqlite`, `redis` or Django's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import ClassVar

from stigg_guard.metering.outbox import forks
from stigg_guard.metering.outbox.base import (
    Delivered,
    NewRow,
    Outbox,
    OutboxUnavailable,
    Parked,
    Result,
    Row,
    State,
    Status,
)


class MemoryOutbox(Outbox):
    """At most `most` rows that are not delivered, in this process alone.

    As many delivered ones are kept: for so long their keys are not stored again. A
    forked child starts with none: the parent's rows are the parent's.
    """

    is_durable: ClassVar[bool] = False

    def __init__(
        self, *, most: int = 10_000, clock: Callable[[], float] = time.time
    ) -> None:
        self.location = "memory:"
        self._most = most
        self._clock = clock
        self._empty()
        forks.watch(self)

    def _empty(self) -> None:
        self._lock = threading.RLock()
        self._last_id = 0
        self._delivered_count = 0
        # By id, and so by age.
        self._waiting: dict[int, Row] = {}
        self._delivered: dict[int, Row] = {}
        self._ids: dict[str, int] = {}
        self._workers: dict[int, str] = {}

    def put(self, rows: Sequence[NewRow]) -> None:
        now = self._clock()
        with self._lock:
            new: dict[str, NewRow] = {}
            for row in rows:
                if row.measurement.key not in self._ids:
                    new.setdefault(row.measurement.key, row)
            if len(self._waiting) + len(new) > self._most:
                raise OutboxUnavailable(
                    f"the queue is full: the memory outbox holds {len(self._waiting)}"
                    f" of at most {self._most} measurements, and {len(new)} more came."
                    " Give MemoryOutbox a larger `most`, or use an outbox on disk."
                )
            for row in new.values():
                self._store(row, now)

    def _store(self, row: NewRow, now: float) -> None:
        self._last_id += 1
        self._ids[row.measurement.key] = self._last_id
        self._waiting[self._last_id] = Row(
            id=str(self._last_id),
            measurement=row.measurement,
            state=row.state,
            doubtful=row.doubtful,
            is_held=row.is_held,
            period=row.period,
            on_ambiguous=row.on_ambiguous,
            attempts=row.attempts,
            error=row.error,
            created_at=now,
            changed_at=now,
            due_at=now,
        )

    def submit(self, rows: Sequence[NewRow]) -> Future[None]:
        future: Future[None] = Future()
        try:
            self.put(rows)
        except OutboxUnavailable as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def claim(self, worker: str, *, most: int, lease: float) -> list[Row]:
        now = self._clock()
        with self._lock:
            return [
                self._take(worker, row, now, now + lease)
                for row in self._turns(most, now)
            ]

    def _turns(self, most: int, now: float) -> list[Row]:
        taken: list[Row] = []
        held_up: set[str] = set()
        for row in self._waiting.values():
            lane = row.measurement.lane
            if row.state == "parked" or lane in held_up:
                continue
            if len(taken) == most:
                break
            # Of a row in flight it is when its lease ends.
            if row.due_at <= now:
                taken.append(row)
            elif lane is not None:
                held_up.add(lane)
        return taken

    def _take(self, worker: str, row: Row, now: float, ends: float) -> Row:
        self._workers[int(row.id)] = worker
        was_in_flight = row.state == "in_flight"
        taken = replace(row, state="in_flight", changed_at=now, due_at=ends)
        self._waiting[int(row.id)] = taken
        return replace(taken, was_in_flight=was_in_flight)

    def extend(self, worker: str, ids: Sequence[str], *, lease: float) -> None:
        ends = self._clock() + lease
        with self._lock:
            for row in self._claimed(worker, ids):
                self._waiting[int(row.id)] = replace(row, due_at=ends)

    def _claimed(self, worker: str, ids: Sequence[str]) -> Iterator[Row]:
        for each in ids:
            row = self._found(each)
            if row is None or row.state != "in_flight":
                continue
            if self._workers.get(int(row.id)) == worker:
                yield row

    def finish(self, worker: str, results: Sequence[Result]) -> None:
        now = self._clock()
        with self._lock:
            for result in results:
                for row in self._claimed(worker, [result.id]):
                    self._end(row, result, now)

    def _end(self, row: Row, result: Result, now: float) -> None:
        number = int(row.id)
        row = replace(row, changed_at=now)
        del self._workers[number]
        match result:
            case Delivered():
                self._deliver(
                    replace(
                        row,
                        state="delivered",
                        doubtful=False,
                        attempts=row.attempts + 1,
                    )
                )
            case Parked(error=error, doubtful=doubtful):
                self._waiting[number] = replace(
                    row,
                    state="parked",
                    error=error,
                    doubtful=doubtful,
                    attempts=row.attempts + 1,
                )
            case _:
                self._waiting[number] = replace(
                    row,
                    state="pending",
                    error=row.error if result.error is None else result.error,
                    doubtful=result.doubtful,
                    due_at=result.due_at,
                    attempts=row.attempts + result.tried,
                )

    def _deliver(self, row: Row) -> None:
        del self._waiting[int(row.id)]
        self._delivered[int(row.id)] = row
        self._delivered_count += 1
        if len(self._delivered) > self._most:
            oldest = self._delivered.pop(next(iter(self._delivered)))
            del self._ids[oldest.measurement.key]

    def rows(
        self, state: State | None = None, *, after: str | None = None, most: int = 100
    ) -> list[Row]:
        start = 0 if after is None else _number(after)
        with self._lock:
            found = [
                row
                for number, row in (self._waiting | self._delivered).items()
                if number > start and state in (None, row.state)
            ]
        return sorted(found, key=_age)[:most]

    def find(self, ids: Sequence[str]) -> list[Row]:
        with self._lock:
            found = {row.id: row for each in ids if (row := self._found(each))}
        return sorted(found.values(), key=_age)

    def _found(self, row_id: str) -> Row | None:
        number = self._ids.get(row_id)
        if number is None:
            number = _number(row_id)
        return self._waiting.get(number) or self._delivered.get(number)

    def retry(self, ids: Sequence[str] | None = None) -> int:
        now = self._clock()
        with self._lock:
            rows = self._waiting.values() if ids is None else self.find(ids)
            parked = [row for row in rows if row.state == "parked"]
            for row in parked:
                self._waiting[int(row.id)] = replace(
                    row, state="pending", doubtful=False, due_at=now, changed_at=now
                )
        return len(parked)

    def discard(self, ids: Sequence[str]) -> list[Row]:
        with self._lock:
            gone = [row for row in self.find(ids) if row.state in ("pending", "parked")]
            for row in gone:
                del self._waiting[int(row.id)]
                del self._ids[row.measurement.key]
        return gone

    def status(self) -> Status:
        with self._lock:
            rows = list(self._waiting.values())
            delivered = self._delivered_count
        states = [row.state for row in rows]
        ages = (row.created_at for row in rows if row.state != "parked")
        return Status(
            pending=states.count("pending"),
            in_flight=states.count("in_flight"),
            parked=states.count("parked"),
            delivered=delivered,
            oldest_at=next(ages, None),
        )

    def close(self) -> None:
        """Nothing is open."""

    def before_fork(self) -> None:
        """Nothing is open."""

    def after_fork(self, *, in_child: bool) -> None:
        """A child delivers nothing of its parent's."""
        if in_child:
            self._empty()


def _number(row_id: str) -> int:
    return int(row_id) if row_id.isdecimal() and len(row_id) < 19 else 0


def _age(row: Row) -> int:
    return int(row.id)
