"""The contract of an outbox, edges included: its rows, and what can be done with them.

How a store keeps them lives beside it; when a row is sent, and what an answer of the
sidecar means for it, in `stigg_guard.metering.worker`.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from stigg_guard.errors import StiggGuardError
from stigg_guard.metering.measurement import Measurement

State: TypeAlias = Literal["pending", "in_flight", "delivered", "parked"]
OnAmbiguous: TypeAlias = Literal["reconcile", "park"]


class OutboxUnavailable(StiggGuardError):
    """The outbox cannot store or read now; names the place, the cause and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A measurement to be stored.

    `doubtful`: it was sent, and nobody knows whether it arrived. `is_held`: its units
    are held until it is acknowledged. `period` is the start of the usage period they
    are held in. A row may be born `parked`, with the `error` that parked it.
    """

    measurement: Measurement
    state: Literal["pending", "parked"] = "pending"
    doubtful: bool = False
    is_held: bool = False
    period: float | None = None
    on_ambiguous: OnAmbiguous = "reconcile"
    attempts: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stored measurement. Times are seconds since 1970; `id` is the store's own.

    `was_in_flight` is True on a claimed row whose last worker died with it.
    """

    id: str
    measurement: Measurement
    state: State
    doubtful: bool
    is_held: bool
    period: float | None
    on_ambiguous: OnAmbiguous
    attempts: int
    error: str | None
    created_at: float
    changed_at: float
    due_at: float
    was_in_flight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The sidecar acknowledged the row."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """The row is pending again, due at `due_at`; an attempt only if `tried`."""

    id: str
    error: str | None
    due_at: float
    doubtful: bool = False
    tried: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """The row waits for a person; counts as an attempt."""

    id: str
    error: str
    doubtful: bool = False


Result: TypeAlias = Delivered | PutOff | Parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is in an outbox. `delivered` counts since the outbox was made.

    `oldest_at` is when the oldest row that is pending or in flight was stored, in
    seconds since 1970, None when there is none.
    """

    pending: int
    in_flight: int
    parked: int
    delivered: int
    oldest_at: float | None


class Outbox(ABC):
    """Rows in the order they were stored. Safe for threads; raises `OutboxUnavailable`.

    Opening it raises `ConfigurationError` for what only a person can mend: a path that
    cannot be written, a store of a newer version, a wrong password.
    """

    is_durable: ClassVar[bool] = True
    """Whether stored rows survive the process."""
    location: str
    """Where it is, for messages; without passwords."""
    _submitter: ThreadPoolExecutor | None = None
    _submitter_pid = 0
    _submitter_lock = threading.Lock()

    @abstractmethod
    def put(self, rows: Sequence[NewRow]) -> None:
        """Store all rows or none; they are durable when this returns.

        A row whose measurement's key was stored before is left as it is.
        """

    def submit(self, rows: Sequence[NewRow]) -> Future[None]:
        """`put` for callers that must not block; the future ends as `put` would."""
        with self._submitter_lock:
            if self._submitter is None or self._submitter_pid != os.getpid():
                self._submitter = ThreadPoolExecutor(1, "stigg-guard-outbox")
                self._submitter_pid = os.getpid()
        return self._submitter.submit(self.put, rows)

    @abstractmethod
    def claim(self, worker: str, *, most: int, lease: float) -> list[Row]:
        """Up to `most` rows that are due, marked as in flight, oldest first.

        No other claim gets them for `lease` seconds; `finish` ends it. After that they
        are claimed again with `was_in_flight`: their worker is taken for dead. Of a
        lane (`Measurement.lane`) rows are claimed in order: a row waits while an
        earlier one of its lane is in flight with another claim or pending and not due;
        earlier rows of the same claim and parked ones do not hold it up.
        """

    @abstractmethod
    def extend(self, worker: str, ids: Sequence[str], *, lease: float) -> None:
        """Prolong the worker's claim of rows; rows it has no more are left out."""

    @abstractmethod
    def finish(self, worker: str, results: Sequence[Result]) -> None:
        """What became of rows that the worker claimed, in one step.

        A row that was claimed by another one since is left as it is.
        """

    @abstractmethod
    def rows(
        self, state: State | None = None, *, after: str | None = None, most: int = 100
    ) -> list[Row]:
        """Rows, oldest first, that come after a row; of one state, or of all.

        Delivered rows are shown for as long as the store keeps them, if at all.
        """

    @abstractmethod
    def find(self, ids: Sequence[str]) -> list[Row]:
        """The rows with these ids or measurement keys; ids of none are left out."""

    @abstractmethod
    def retry(self, ids: Sequence[str] | None = None) -> int:
        """Make parked rows pending, due now and not doubtful; how many there were.

        A person said so: a doubtful row is sent again. None: every parked row.
        """

    @abstractmethod
    def discard(self, ids: Sequence[str]) -> list[Row]:
        """Delete rows that are pending or parked, and return them."""

    @abstractmethod
    def status(self) -> Status:
        """How many rows there are in each state."""

    def waiting(self) -> Iterator[Row]:
        """Every row that is not delivered, oldest first."""
        after: str | None = None
        while found := self.rows(after=after, most=500):
            yield from (row for row in found if row.state != "delivered")
            after = found[-1].id

    @abstractmethod
    def close(self) -> None:
        """End threads and connections; what was submitted is stored first."""
