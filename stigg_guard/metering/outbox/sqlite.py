"""An outbox in a SQLite file, for the threads and processes of one host.

How a file is opened and lost lives in `sqlite_file`, whose turn it is in `turns`.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from stigg_guard.errors import StiggGuardError
from stigg_guard.metering.outbox import forks, sqlite_rows, turns
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.group_commit import GroupCommit
from stigg_guard.metering.outbox.row import NewRow, Result, Row, State, Status
from stigg_guard.metering.outbox.sqlite_file import SqliteFile, Synchronous
from stigg_guard.metering.outbox.sqlite_rows import Record

RETRIED_AT_ONCE: Final = 500
SHOWN_AT_ONCE: Final = 500


class SqliteOutbox(Outbox):
    """Rows in the SQLite file at `path`, which is made when it is first used.

    With `synchronous` "full" what was stored survives a power cut; "normal" is faster,
    and survives a killed process. Producers that store at the same time share a commit.
    Delivered rows are kept for `keep_delivered` seconds, and at most `most_delivered`:
    for so long a key that was delivered is not stored again. A file that another
    process has locked is waited for during `busy_timeout` seconds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "full",
        keep_delivered: float = 3600.0,
        most_delivered: int = 100_000,
        clock: Callable[[], float] = time.time,
        busy_timeout: float = 5.0,
    ) -> None:
        if synchronous not in ("full", "normal"):
            raise ValueError(
                f'synchronous is {synchronous!r}; use "full" (survives a power cut) or'
                ' "normal" (survives a killed process).'
            )
        # Where it is now: a daemon may change its folder later.
        self.location = os.path.realpath(path)
        self._keep_delivered = keep_delivered
        self._most_delivered = most_delivered
        self._clock = clock
        self._writer = SqliteFile(
            self.location,
            "BEGIN IMMEDIATE",
            synchronous=synchronous,
            busy_timeout=busy_timeout,
        )
        self._reader = SqliteFile(
            self.location, "BEGIN", synchronous=synchronous, busy_timeout=busy_timeout
        )
        self._group = GroupCommit[Record](self._commit)
        _open_outboxes.add(self)
        forks.watch(self)

    @property
    def commits(self) -> int:
        """Transactions that this process committed."""
        return self._writer.commits

    def check(self) -> None:
        """Open the file, raise what is wrong with it, and close it."""
        self._writer.run(lambda connection: None)
        self.close()

    def put(self, rows: Sequence[NewRow]) -> None:
        if rows:
            self._group.put(self._records(rows))

    def submit(self, rows: Sequence[NewRow]) -> Future[None]:
        return self._group.submit(self._records(rows))

    def _records(self, rows: Sequence[NewRow]) -> list[Record]:
        now = self._clock()
        return [sqlite_rows.new_record(row, now) for row in rows]

    def _commit(self, records: Sequence[Record]) -> None:
        self._writer.run(lambda connection: sqlite_rows.insert(connection, records))

    def claim(self, worker: str, *, most: int, lease: float) -> list[Row]:
        now = self._clock()

        def work(connection: sqlite3.Connection) -> list[Row]:
            rows = turns.claim(connection, worker, most=most, lease=lease, now=now)
            self._purge(connection, now, turns.PURGED_AT_ONCE)
            return rows

        # Idle workers must not keep producers from their lock.
        if not self._reader.run(lambda connection: self._has_work(connection, now)):
            return []
        return self._writer.run(work)

    def _has_work(self, connection: sqlite3.Connection, now: float) -> bool:
        if turns.is_due(connection, now):
            return True
        oldest = sqlite_rows.oldest_delivered(connection, 1)
        return bool(oldest) and oldest[0][1] <= now - self._keep_delivered

    def _purge(self, connection: sqlite3.Connection, now: float, at_once: int) -> None:
        turns.purge(
            connection,
            before=now - self._keep_delivered,
            most=self._most_delivered,
            at_once=at_once,
        )

    def extend(self, worker: str, ids: Sequence[str], *, lease: float) -> None:
        ends = self._clock() + lease
        self._writer.run(
            lambda connection: turns.extend(connection, worker, ids, ends=ends)
        )

    def finish(self, worker: str, results: Sequence[Result]) -> None:
        now = self._clock()

        def work(connection: sqlite3.Connection) -> None:
            delivered = turns.finish(connection, worker, results, now=now)
            # More than came in: so it never grows, and no delete is long.
            self._purge(connection, now, turns.PURGED_AT_ONCE + 2 * delivered)

        if results:
            self._writer.run(work)

    def rows(
        self, state: State | None = None, *, after: str | None = None, most: int = 100
    ) -> list[Row]:
        return self._reader.run(
            lambda connection: sqlite_rows.page(connection, state, after, most)
        )

    def waiting(self) -> Iterator[Row]:
        after: str | None = None

        def work(connection: sqlite3.Connection) -> list[Row]:
            return sqlite_rows.waiting_page(connection, after, SHOWN_AT_ONCE)

        while found := self._reader.run(work):
            yield from found
            after = found[-1].id

    def find(self, ids: Sequence[str]) -> list[Row]:
        def work(connection: sqlite3.Connection) -> list[Row]:
            tag = sqlite_rows.tag(connection)
            found = sqlite_rows.by_ids(connection, ids)
            return [sqlite_rows.show(stored, tag) for stored in found]

        return self._reader.run(work)

    def retry(self, ids: Sequence[str] | None = None) -> int:
        now = self._clock()
        if ids is None:
            return sum(self._retry_all(now))
        return self._writer.run(
            lambda connection: turns.retry(
                connection, sqlite_rows.by_ids(connection, ids), now
            )
        )

    def _retry_all(self, now: float) -> Iterator[int]:
        """In steps, so that producers come in between; each row once."""
        last = 0

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            rows = turns.parked_after(connection, last, RETRIED_AT_ONCE)
            return turns.retry(connection, rows, now), rows[-1][0] if rows else 0

        while True:
            count, last = self._writer.run(work)
            if not last:
                return
            yield count

    def discard(self, ids: Sequence[str]) -> list[Row]:
        now = self._clock()

        def work(connection: sqlite3.Connection) -> list[Row]:
            tag = sqlite_rows.tag(connection)
            found = sqlite_rows.by_ids(connection, ids)
            gone = turns.discard(connection, found, now)
            return [sqlite_rows.show(stored, tag) for stored in gone]

        return self._writer.run(work)

    def status(self) -> Status:
        return self._reader.run(sqlite_rows.status)

    def close(self) -> None:
        self._group.close()
        self._reader.close()
        self._writer.close()

    def before_fork(self) -> None:
        """End what is in progress, and close the connections."""
        self._writer.before_fork()
        self._reader.before_fork()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; a child begins with connections of its own."""
        self._writer.after_fork(in_child=in_child)
        self._reader.after_fork(in_child=in_child)
        if in_child:
            self._group.after_fork_in_child()


_open_outboxes: weakref.WeakSet[SqliteOutbox] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for outbox in list(_open_outboxes):
        with suppress(StiggGuardError):
            outbox.close()
