"""Usage commits or rolls back with the work that it meters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.db.utils import Error, IntegrityError

from stigg_guard.metering.outbox.base import NewRow, OutboxUnavailable
from stigg_guard_django.models import OutboxTally
from stigg_guard_django.outbox import DjangoOutbox
from tests.metering.django.elsewhere import elsewhere
from tests.metering.django.samples import event, stored

SERVERS = pytest.mark.parametrize("alias", ["postgresql", "mariadb"], indirect=True)


class Undo(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone(outbox: DjangoOutbox) -> Generator[None]:
    """A transaction that is rolled back at its end."""
    with suppress(Undo), transaction.atomic(using=outbox.alias):
        yield
        raise Undo


class Told:
    """Remembers which rows were told, and what others could see by then."""

    def __init__(self, outbox: DjangoOutbox) -> None:
        self.calls: list[list[str]] = []
        self.seen: list[list[str]] = []
        self._outbox = outbox
        outbox.on_stored(self)

    def __call__(self, rows: list[NewRow]) -> None:
        self.calls.append([row.measurement.key for row in rows])
        self.seen.append(elsewhere(lambda: stored(self._outbox)))


def work(outbox: DjangoOutbox, number: int) -> None:
    """Write a row of the application's."""
    OutboxTally.objects.using(outbox.alias).create(pk=number)


def work_done(outbox: DjangoOutbox) -> list[int]:
    """The numbers of the application's rows."""
    return [*OutboxTally.objects.using(outbox.alias).values_list("pk", flat=True)]


def assert_nothing_is_left(outbox: DjangoOutbox) -> None:
    assert not stored(outbox)
    assert not work_done(outbox)


def test_put_outside_a_transaction_commits_by_itself(outbox: DjangoOutbox) -> None:
    told = Told(outbox)
    outbox.put([event("a"), event("b")])
    assert elsewhere(lambda: stored(outbox)) == ["a", "b"]
    assert told.calls == told.seen == [["a", "b"]]


def test_rollback_takes_the_usage_away(outbox: DjangoOutbox) -> None:
    told = Told(outbox)
    with undone(outbox):
        work(outbox, 7)
        outbox.put([event("a")])
        assert stored(outbox) == ["a"]
    assert_nothing_is_left(outbox)
    assert not told.calls


def test_commit_tells_each_put_once_when_others_can_see_it(
    outbox: DjangoOutbox,
) -> None:
    told = Told(outbox)
    with transaction.atomic(using=outbox.alias):
        outbox.put([event("a")])
        assert outbox.submit([event("b"), event("c")]).result(0) is None
        assert told.calls == []
        assert elsewhere(lambda: stored(outbox)) == []
    assert told.calls == [["a"], ["b", "c"]]
    assert told.seen == [["a", "b", "c"]] * 2


def test_inner_block_that_rolls_back_takes_its_own_usage_only(
    outbox: DjangoOutbox,
) -> None:
    told = Told(outbox)
    with transaction.atomic(using=outbox.alias):
        outbox.put([event("outer")])
        with undone(outbox):
            outbox.put([event("inner")])
        outbox.put([event("after")])
    assert stored(outbox) == ["outer", "after"]
    assert told.calls == [["outer"], ["after"]]


def test_callback_that_fails_harms_nobody_else(
    outbox: DjangoOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: list[NewRow]) -> None:
        raise ValueError("the callback is broken")

    outbox.on_stored(fail)
    told = Told(outbox)
    with caplog.at_level(logging.ERROR, logger="django.db.backends.base"):
        outbox.put([event("a")])
    assert told.calls == [["a"]]
    assert "the callback is broken" in caplog.text


def test_submit_is_done_when_it_returns(outbox: DjangoOutbox) -> None:
    with undone(outbox):
        assert outbox.submit([event("a")]).done()
    assert stored(outbox) == []


def drop_table(outbox: DjangoOutbox) -> None:
    with connections[outbox.alias].cursor() as cursor:
        cursor.execute("ALTER TABLE stigg_guard_outbox RENAME TO elsewhere")


def put_table_back(outbox: DjangoOutbox) -> None:
    with connections[outbox.alias].cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO stigg_guard_outbox")


def test_put_that_fails_leaves_the_work_around_it_as_it_was(
    outbox: DjangoOutbox,
) -> None:
    told = Told(outbox)
    drop_table(outbox)
    try:
        with transaction.atomic(using=outbox.alias):
            work(outbox, 7)
            with pytest.raises(OutboxUnavailable):
                outbox.put([event("a")])
            error = outbox.submit([event("b")]).exception(0)
            assert isinstance(error, OutboxUnavailable)
            work(outbox, 8)
    finally:
        put_table_back(outbox)
    assert work_done(outbox) == [7, 8]
    assert not stored(outbox)
    assert not told.calls


def test_transaction_that_is_broken_before_takes_no_usage(outbox: DjangoOutbox) -> None:
    told = Told(outbox)
    with transaction.atomic(using=outbox.alias):
        work(outbox, 7)
        with pytest.raises(IntegrityError):
            work(outbox, 7)
        with pytest.raises(OutboxUnavailable, match="failed before and is rolled back"):
            outbox.put([event("a")])
        # Still broken, as Django has it: it was not mended in silence.
        with pytest.raises(Error):
            work_done(outbox)
    assert_nothing_is_left(outbox)
    assert not told.calls


def break_connection(outbox: DjangoOutbox) -> None:
    """End the connection of this thread from another one."""
    which, how = {
        "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
        "mysql": ("connection_id()", "KILL %s"),
    }[connections[outbox.alias].vendor]
    with connections[outbox.alias].cursor() as cursor:
        cursor.execute(f"SELECT {which}")
        number = cursor.fetchone()

    def end_it() -> None:
        with connections[outbox.alias].cursor() as cursor:
            cursor.execute(how, number)

    elsewhere(end_it)


def work_on_a_lost_connection(outbox: DjangoOutbox) -> None:
    with transaction.atomic(using=outbox.alias):
        work(outbox, 7)
        break_connection(outbox)
        with pytest.raises(OutboxUnavailable):
            outbox.put([event("a")])
        work(outbox, 8)


@SERVERS
def test_lost_connection_breaks_the_transaction_by_the_rules_of_django(
    outbox: DjangoOutbox,
) -> None:
    with pytest.raises(Error):
        work_on_a_lost_connection(outbox)
    outbox.release()
    assert_nothing_is_left(outbox)


@SERVERS
def test_connection_that_was_lost_is_made_anew(outbox: DjangoOutbox) -> None:
    break_connection(outbox)
    with pytest.raises(OutboxUnavailable):
        outbox.put([event("a")])
    outbox.put([event("b")])
    assert stored(outbox) == ["b"]


async def test_async_view_stores_usage_in_the_transaction_it_opened(
    outbox: DjangoOutbox,
) -> None:
    told = Told(outbox)

    def meter() -> None:
        with transaction.atomic(using=outbox.alias):
            outbox.put([event("done")])
        with undone(outbox):
            outbox.put([event("undone")])

    await sync_to_async(meter)()
    block = transaction.atomic(using=outbox.alias)
    await sync_to_async(block.__enter__)()
    await outbox.aput([event("gone")])
    await sync_to_async(block.__exit__)(Undo, Undo(), None)
    assert await sync_to_async(stored)(outbox) == ["done"]
    assert told.calls == [["done"]]
    await sync_to_async(outbox.close)()


async def test_put_on_a_running_loop_is_refused_as_django_does(
    outbox: DjangoOutbox,
) -> None:
    with pytest.raises(SynchronousOnlyOperation):
        outbox.put([event("a")])


async def test_submit_on_a_running_loop_stays_in_the_transaction(
    outbox: DjangoOutbox,
) -> None:
    block = transaction.atomic(using=outbox.alias)
    await sync_to_async(block.__enter__)()
    await asyncio.wrap_future(outbox.submit([event("gone")]))
    assert await sync_to_async(stored)(outbox) == ["gone"]
    await sync_to_async(block.__exit__)(Undo, Undo(), None)
    await asyncio.wrap_future(outbox.submit([event("kept")]))
    assert await sync_to_async(stored)(outbox) == ["kept"]
    await sync_to_async(drop_table)(outbox)
    with pytest.raises(OutboxUnavailable):
        await asyncio.wrap_future(outbox.submit([event("lost")]))
    await sync_to_async(put_table_back)(outbox)
    await sync_to_async(outbox.close)()


@SERVERS
def test_manual_transaction_commits_the_usage_when_it_is_told_to(
    outbox: DjangoOutbox,
) -> None:
    told = Told(outbox)
    transaction.set_autocommit(False, using=outbox.alias)
    try:
        outbox.put([event("undone")])
        transaction.rollback(using=outbox.alias)
        outbox.put([event("done")])
        assert told.calls == []
        transaction.commit(using=outbox.alias)
    finally:
        transaction.set_autocommit(True, using=outbox.alias)
    assert stored(outbox) == ["done"]
    assert ["done"] in told.calls
