"""The outbox in the project's own database, in the caller's own transaction.

What is kept is in `models`; when rows are sent is `stigg_guard.metering.worker`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from math import inf
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, router, transaction
from django.db.models import F, Q, QuerySet
from django.db.utils import Error

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import (
    NewRow,
    Outbox,
    OutboxUnavailable,
    Result,
    Row,
    State,
    Status,
)
from stigg_guard_django.claims import due_rows
from stigg_guard_django.models import (
    DISCARDABLE,
    WAITING,
    OutboxRow,
    OutboxTally,
    numbers,
    stored_key,
)
from stigg_guard_django.outcomes import outcomes
from stigg_guard_django.trouble import (
    check_database,
    is_deadlock,
    needs_a_person,
    unavailable,
)

logger = logging.getLogger("stigg_guard")

Callback = Callable[[list[NewRow]], object]

P = ParamSpec("P")
T = TypeVar("T")

_TRIES: Final = 5
_FORGET_EVERY: Final = 60.0
_FORGET_AT_ONCE: Final = 1_000


def _again_after_deadlock(
    method: Callable[Concatenate[DjangoOutbox, P], T],
) -> Callable[Concatenate[DjangoOutbox, P], T]:
    """Do a step anew that the database ended; not what is part of a transaction."""

    @wraps(method)
    def done(self: DjangoOutbox, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_TRIES - 1):
            try:
                return method(self, *args, **kwargs)
            except OutboxUnavailable as error:
                is_part = connections[self.alias].in_atomic_block
                if is_part or not is_deadlock(error.__cause__):
                    raise
        return method(self, *args, **kwargs)

    return done


class DjangoOutbox(Outbox):
    """Rows in a table of a Django database, stored in the caller's transaction.

    `put` takes part in the transaction that is open on the caller's connection: usage
    commits or rolls back with the rows that it meters. Inside one it uses a savepoint,
    so a `put` that fails leaves the caller's own work as it was; when the transaction
    is beyond help (its connection is lost, a deadlock ended it), Django's own rules
    hold: no query runs until the `atomic` block ends, and the block rolls back. With no
    transaction open `put` commits by itself.

    `using` is the database's alias, asked of the database routers once when it is None.
    Delivered rows are kept for `keep_delivered` seconds, to be seen and to know their
    keys again.
    """

    in_callers_thread = True

    def __init__(
        self,
        using: str | None = None,
        *,
        keep_delivered: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.alias = using or router.db_for_write(OutboxRow)
        self.location = f'the Django database "{self.alias}"'
        self._keep_delivered = keep_delivered
        self._clock = clock
        self._forgot_at = -inf
        self._callbacks: list[Callback] = []
        # An event loop alone does not keep its tasks alive.
        self._tasks: set[asyncio.Task[None]] = set()
        check_database(self.alias)

    def check(self) -> None:
        """Look at the table; raises `ConfigurationError` when it is not there.

        So it does for a wrong name, user or password; a server that cannot be reached
        now is `OutboxUnavailable`.
        """
        try:
            with self._asking("be opened"):
                self._rows.order_by("pk").first()
        except OutboxUnavailable as error:
            if needs_a_person(error.__cause__):
                raise ConfigurationError(str(error)) from error.__cause__
            raise

    def on_stored(self, callback: Callback) -> None:
        """Have it called with the rows of each `put`, once they are committed.

        Rows that are rolled back are never told. It runs in the thread that committed;
        what it raises is logged by Django, and concerns nobody else.
        """
        self._callbacks.append(callback)

    @_again_after_deadlock
    def put(self, rows: Sequence[NewRow]) -> None:
        """Store all rows or none; durable once the caller's transaction commits."""
        if not rows:
            return
        now = self._clock()
        stored = [OutboxRow.of(row, now=now) for row in rows]
        with self._asking("store usage"), transaction.atomic(using=self.alias):
            self._rows.bulk_create(stored, ignore_conflicts=True)
            for callback in self._callbacks:
                self._tell(callback, [*rows])

    def is_in_transaction(self) -> bool:
        """Whether this thread has a transaction open, in an `atomic` block or not."""
        connection = connections[self.alias]
        if connection.in_atomic_block:
            return True
        return connection.connection is not None and not connection.autocommit

    def submit(self, rows: Sequence[NewRow]) -> Future[None]:
        """`put` without a thread of its own: a transaction is its thread's.

        In another thread the rows would commit by themselves, although the work that
        they meter may be rolled back. So it is done when this returns; only on a
        running event loop, where Django allows no query, it is a task that does `aput`.
        """
        future: Future[None] = Future()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _end(future, lambda: self.put(rows))
            return future
        task = loop.create_task(self.aput(rows))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda task: _end(future, task.result))
        return future

    async def aput(self, rows: Sequence[NewRow]) -> None:
        """`put` in the thread where Django keeps an async view's connections."""
        await sync_to_async(self.put, thread_sensitive=True)(rows)

    @_again_after_deadlock
    def claim(self, worker: str, *, most: int, lease: float) -> list[Row]:
        """Up to `most` rows that are due; rows that another claim locks are passed."""
        now = self._clock()
        with self._step("claim rows"):
            due = due_rows(
                self._rows, now=now, most=most, skip_locked=self._skips_locked
            )
            chosen = self._without_unreadable(due, now)
            self._with_ids(row.pk for row in chosen).update(
                state="in_flight",
                worker=worker,
                lease_until=now + lease,
                changed_at=now,
            )
            if not chosen and now >= self._forgot_at + _FORGET_EVERY:
                self._forgot_at = now
                self._forget(_FORGET_AT_ONCE)
        return [_claimed(row, now) for row in chosen]

    @_again_after_deadlock
    def extend(self, worker: str, ids: Sequence[str], *, lease: float) -> None:
        """Prolong the worker's claim of rows; rows it has no more are left out."""
        until = self._clock() + lease
        with self._asking("extend a claim"):
            self._claimed_by(worker, numbers(ids)).update(lease_until=until)

    @_again_after_deadlock
    def finish(self, worker: str, results: Sequence[Result]) -> None:
        """What became of rows that the worker claimed, in one step."""
        now = self._clock()
        with self._step("finish rows"):
            for changes, ids in outcomes(results):
                self._claimed_by(worker, ids).update(**changes, changed_at=now)
            self._forget(2 * len(results))

    def rows(
        self, state: State | None = None, *, after: str | None = None, most: int = 100
    ) -> list[Row]:
        """Rows, oldest first, that come after a row; of one state, or of all."""
        wanted = self._rows if state is None else self._rows.filter(state=state)
        if after is not None:
            wanted = wanted.filter(pk__gt=int(after))
        with self._asking("read rows"):
            return _readable(wanted.order_by("pk")[:most])

    def find(self, ids: Sequence[str]) -> list[Row]:
        """The rows with these ids or measurement keys; ids of none are left out."""
        with self._asking("read rows"):
            return _readable(self._named(ids).order_by("pk"))

    @_again_after_deadlock
    def retry(self, ids: Sequence[str] | None = None) -> int:
        """Make parked rows pending, due now and not doubtful; how many there were."""
        now = self._clock()
        with self._asking("retry rows"):
            rows = self._rows if ids is None else self._with_ids(self._meant(ids))
            return rows.filter(state="parked").update(
                state="pending",
                queue=F("lane"),
                doubtful=False,
                due_at=now,
                changed_at=now,
            )

    @_again_after_deadlock
    def discard(self, ids: Sequence[str]) -> list[Row]:
        """Delete rows that are pending or parked, and return them.

        Rows of a newer version of stigg_guard cannot be returned, and stay.
        """
        with self._step("discard rows"):
            rows = self._with_ids(self._meant(ids)).filter(state__in=DISCARDABLE)
            found = _readable(rows.select_for_update().order_by("pk"))
            self._with_ids(numbers(row.id for row in found)).delete()
        return found

    def status(self) -> Status:
        """How many rows there are in each state."""
        with self._asking("count rows"):
            oldest = [
                self._rows.filter(state=state).order_by("pk").values("created_at")[:1]
                for state in WAITING
            ]
            times = [row["created_at"] for found in oldest for row in found]
            counts = {
                state: self._rows.filter(state=state).count()
                for state in ("pending", "in_flight", "parked", "delivered")
            }
            forgotten = self._tally.values_list("delivered", flat=True).first() or 0
        counts["delivered"] += forgotten
        return Status(**counts, oldest_at=min(times, default=None))

    def release(self, *, ending: bool = False) -> None:
        """Let go of this thread's connection as Django does between two requests.

        Every call of the outbox does so by itself when it had to connect: connections
        of threads that Django does not know live no longer than `CONN_MAX_AGE`. With
        `ending`, for a thread that ends, it is closed in any case. Inside a transaction
        nothing happens.
        """
        connection = connections[self.alias]
        if connection.in_atomic_block:
            return
        if ending:
            connection.close()
        else:
            connection.close_if_unusable_or_obsolete()

    def close(self) -> None:
        """Close this thread's connection; other threads' are theirs, see `release`."""
        self.release(ending=True)

    @property
    def _rows(self) -> QuerySet[OutboxRow]:
        return OutboxRow.objects.using(self.alias)

    @property
    def _tally(self) -> QuerySet[OutboxTally]:
        return OutboxTally.objects.using(self.alias)

    @property
    def _skips_locked(self) -> bool:
        features: Any = connections[self.alias].features
        return bool(features.has_select_for_update_skip_locked)

    def _with_ids(self, ids: Iterable[int]) -> QuerySet[OutboxRow]:
        return self._rows.filter(pk__in=[*ids])

    def _named(self, ids: Sequence[str]) -> QuerySet[OutboxRow]:
        keys = [stored_key(text) for text in ids]
        return self._rows.filter(Q(pk__in=numbers(ids)) | Q(key__in=keys))

    def _meant(self, ids: Sequence[str]) -> list[int]:
        """The ids of what is named: a text that is an id is no other row's key."""
        named: dict[int, str] = dict(self._named(ids).values_list("pk", "key"))
        known = named.keys() & {*numbers(ids)}
        keys = {stored_key(text) for text in ids if not known & {*numbers([text])}}
        return [pk for pk, key in named.items() if pk in known or key in keys]

    def _claimed_by(self, worker: str, ids: Iterable[int]) -> QuerySet[OutboxRow]:
        return self._with_ids(ids).filter(state="in_flight", worker=worker)

    def _without_unreadable(self, rows: list[OutboxRow], now: float) -> list[OutboxRow]:
        """The rows without those of a newer version, which wait for its return."""
        readable: list[OutboxRow] = []
        for row in rows:
            try:
                row.measurement  # noqa: B018  # raises
            except ValueError as error:
                parked = {"state": "parked", "queue": None, "error": str(error)}
                self._with_ids([row.pk]).update(**parked, changed_at=now)
            else:
                readable.append(row)
        return readable

    def _forget(self, most: int) -> None:
        """Delete delivered rows that were kept long enough, looking at `most`."""
        until = self._clock() - self._keep_delivered
        oldest = self._rows.filter(state="delivered").order_by("pk")
        free = oldest.select_for_update(skip_locked=self._skips_locked)
        kept = free.values_list("pk", "changed_at")[:most]
        gone = [pk for pk, delivered_at in kept if delivered_at <= until]
        if not gone:
            return
        count, _ = self._with_ids(gone).delete()
        self._tally.bulk_create([OutboxTally(pk=1)], ignore_conflicts=True)
        self._tally.update(delivered=F("delivered") + count)

    def _tell(self, callback: Callback, rows: list[NewRow]) -> None:
        # Django's log of what it raises wants a function with a name.
        def tell_stored() -> None:
            callback(rows)

        transaction.on_commit(tell_stored, using=self.alias, robust=True)

    @contextmanager
    def _step(self, doing: str) -> Generator[None]:
        """One transaction, in which what was read stays true."""
        with self._asking(doing), transaction.atomic(using=self.alias):
            features: Any = connections[self.alias].features
            if not features.has_select_for_update:
                # SQLite: a write first, though of nothing, or others may write between
                # our look and our change.
                self._tally.filter(pk=0).update(delivered=0)
            yield

    @contextmanager
    def _asking(self, doing: str) -> Generator[None]:
        """Errors become `OutboxUnavailable`; a connection made here is let go here."""
        was_connected = connections[self.alias].connection is not None
        try:
            yield
        except Error as error:
            self.release()
            raise unavailable(doing, self.alias, error) from error
        finally:
            if not was_connected:
                self.release()


def _end(future: Future[None], work: Callable[[], None]) -> None:
    try:
        work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)


def _claimed(row: OutboxRow, now: float) -> Row:
    was_in_flight = row.state == "in_flight"
    row.state, row.changed_at = "in_flight", now
    return row.as_row(was_in_flight=was_in_flight)


def _readable(rows: Iterable[OutboxRow]) -> list[Row]:
    """Rows without those that only a newer version can read, which are logged."""
    found: list[Row] = []
    for row in rows:
        try:
            found.append(row.as_row())
        except ValueError as error:
            logger.error("Row %s of the outbox is left out: %s", row.pk, error)
    return found
