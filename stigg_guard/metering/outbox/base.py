"""The contract of an outbox, edges included: what can be done with its rows.

The rows themselves are in `row`, how a store keeps them lives beside it; when a row is
sent, and what an answer of the sidecar means for it, in `stigg_guard.metering.worker`.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar

from stigg_guard.errors import StiggGuardError
from stigg_guard.metering.outbox.row import (
    Delivered,
    NewRow,
    OnAmbiguous,
    Parked,
    PutOff,
    Result,
    Row,
    State,
    Status,
)

__all__ = [
    "Delivered",
    "NewRow",
    "OnAmbiguous",
    "Outbox",
    "OutboxUnavailable",
    "Parked",
    "PutOff",
    "Result",
    "Row",
    "State",
    "Status",
]


class OutboxUnavailable(StiggGuardError):
    """The outbox cannot store or read now; names the place, the cause and the cure."""


class Outbox(ABC):
    """Rows in the order they were stored. Safe for threads; raises `OutboxUnavailable`.

    Opening it raises `ConfigurationError` for what only a person can mend: a path that
    cannot be written, a store of a newer version, a wrong password.
    """

    is_durable: ClassVar[bool] = True
    """Whether stored rows survive the process."""
    in_callers_thread: ClassVar[bool] = False
    """Whether `put` takes part in a transaction of the thread that calls it."""
    location: str
    """Where it is, for messages; without passwords."""
    _submitter: ThreadPoolExecutor | None = None
    _submitter_pid = 0
    _submitter_lock = threading.Lock()

    def check(self) -> None:  # noqa: B027  # not every store can be wrong
        """Open it now; raises `ConfigurationError` for what only a person can mend."""

    @abstractmethod
    def put(self, rows: Sequence[NewRow]) -> None:
        """Store all rows or none; they are durable when this returns.

        A row whose measurement's key was stored before is left as it is.
        """

    def is_in_transaction(self) -> bool:
        """Whether this thread has a transaction open that `put` would take part in."""
        return False

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
