"""Several workers: no two of them have a row at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from django.db import connections, transaction

from stigg_guard.metering.outbox.base import Delivered, NewRow, Parked, Result
from stigg_guard_django.models import OutboxRow
from stigg_guard_django.outbox import DjangoOutbox
from tests.metering.django.elsewhere import elsewhere, start
from tests.metering.django.samples import event, keys, usage
from tests.metering.django.site import added

SERVERS = pytest.mark.parametrize("alias", ["postgresql", "mariadb"], indirect=True)


def many_rows() -> list[NewRow]:
    """Rows of a few lanes and of none, mixed."""
    return [
        event(f"e{number}")
        if number % 3 == 0
        else usage(f"u{number}", customer=f"c{number % 5}")
        for number in range(90)
    ]


def test_threads_claim_every_row_once_and_lanes_in_order(
    outbox: DjangoOutbox,
) -> None:
    rows = many_rows()
    outbox.put(rows)
    lock, order = threading.Lock(), defaultdict[str | None, list[int]](list)

    def deliver(worker: str) -> None:
        while outbox.status().pending:
            found = outbox.claim(worker, most=5, lease=60)
            with lock:
                for row in found:
                    order[row.measurement.lane].append(int(row.id))
            outbox.finish(worker, [Delivered(id=row.id) for row in found])

    workers = [start(partial(deliver, name)) for name in "uvw"]
    for worker in workers:
        worker.result(30)
    assert sum(len(ids) for ids in order.values()) == len(rows)
    del order[None]
    assert len(order) == 5
    # With each id once, sorted is strictly so.
    assert all(ids == sorted(set(ids)) for ids in order.values())


def test_two_processes_never_claim_the_same_row(alias: str) -> None:
    rows = many_rows()
    DjangoOutbox(alias).put(rows)
    with ExitStack() as stack:
        workers = [stack.enter_context(claimer(alias, name)) for name in "vw"]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        claimed = [json.loads(worker.communicate(timeout=30)[0]) for worker in workers]
    assert sorted(claimed[0] + claimed[1]) == sorted(r.measurement.key for r in rows)


def claimer(alias: str, name: str) -> subprocess.Popen[str]:
    """A process that claims rows once it is told to."""
    entry = json.dumps(connections.settings[alias])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.metering.django.claimer", name, entry],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def locked(outbox: DjangoOutbox, key: str) -> Generator[None]:
    """Hold the lock of a row in a transaction of one's own."""
    with transaction.atomic(using=outbox.alias):
        rows = OutboxRow.objects.using(outbox.alias)
        assert rows.select_for_update().get(key=key)
        yield


@SERVERS
def test_row_that_another_transaction_locks_is_passed(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), event("b")])
    with locked(outbox, "a"):
        assert keys(elsewhere(lambda: outbox.claim("v", most=9, lease=60))) == ["b"]
    assert keys(outbox.claim("w", most=9, lease=60)) == ["a"]


@SERVERS
def test_lane_waits_for_a_row_that_another_transaction_locks(
    outbox: DjangoOutbox,
) -> None:
    outbox.put([usage("a1"), usage("a2"), usage("b1", customer="b")])
    with locked(outbox, "a1"):
        assert keys(elsewhere(lambda: outbox.claim("v", most=9, lease=60))) == ["b1"]
    assert keys(outbox.claim("w", most=9, lease=60)) == ["a1", "a2"]


@SERVERS
def test_row_that_is_being_claimed_is_not_discarded(outbox: DjangoOutbox) -> None:
    outbox.put([event("a")])
    (row,) = outbox.rows()
    with transaction.atomic(using=outbox.alias):
        assert keys(outbox.claim("w", most=9, lease=60)) == ["a"]
        discarding = start(lambda: outbox.discard([row.id]))
        retried = elsewhere(lambda: keys(outbox.claim("v", most=9, lease=60)))
    assert retried == keys(discarding.result(30)) == []
    assert keys(outbox.rows("in_flight")) == ["a"]


def is_anybody_blocked(alias: str) -> bool:
    """Whether some transaction waits for the lock of another one."""
    query = {
        "postgresql": "pg_stat_activity WHERE wait_event_type = 'Lock'",
        "mysql": "information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[connections[alias].vendor]
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {query}")
        return bool(cursor.fetchone()[0])


@SERVERS
def test_step_that_a_deadlock_ended_is_done_again(outbox: DjangoOutbox) -> None:
    outbox.put([event("a"), event("b"), *(event(f"x{n}") for n in range(50))])
    a, b = outbox.claim("w", most=2, lease=60)
    results: list[Result] = [Delivered(id=a.id), Parked(id=b.id, error="refused")]
    rows = OutboxRow.objects.using(outbox.alias)
    with locked(outbox, "b"):
        # The lighter of two transactions is ended: not this one.
        rows.filter(key__startswith="x").update(error="changed")
        finishing = start(partial(outbox.finish, "w", results))
        give_up = time.monotonic() + 30
        while not elsewhere(partial(is_anybody_blocked, outbox.alias)):
            assert time.monotonic() < give_up, "the worker is not blocked"
            # MariaDB looks again only when nobody has asked for a tenth of a second.
            time.sleep(0.2)
        assert rows.select_for_update().get(key="a")
    finishing.result(30)
    assert [row.state for row in outbox.find(["a", "b"])] == ["delivered", "parked"]


def test_thread_that_only_works_keeps_no_connection(alias: str) -> None:
    entry = {**connections.settings[alias], "CONN_MAX_AGE": 0}
    with added("brief", entry):
        outbox = DjangoOutbox("brief")

        def step() -> bool:
            outbox.put([event("a")])
            (row,) = outbox.claim("w", most=1, lease=60)
            outbox.finish("w", [Delivered(id=row.id)])
            outbox.status()
            return connections["brief"].connection is None

        assert elsewhere(step)


def test_connection_that_was_there_is_kept(outbox: DjangoOutbox) -> None:
    def request() -> bool:
        connection = connections[outbox.alias]
        connection.ensure_connection()
        before = connection.connection
        outbox.put([event("a")])
        outbox.find(["a"])
        return connection.connection is before

    assert elsewhere(request)


def test_thread_that_ends_closes_its_connection(alias: str) -> None:
    entry = {**connections.settings[alias], "CONN_MAX_AGE": None}
    with added("lasting", entry):
        outbox = DjangoOutbox("lasting")

        def work() -> tuple[bool, bool]:
            connection = connections["lasting"]
            outbox.status()
            before = connection.connection is not None
            outbox.release(ending=True)
            return before, connection.connection is not None

        assert elsewhere(work) == (True, False)


def test_release_leaves_an_open_transaction_alone(outbox: DjangoOutbox) -> None:
    with transaction.atomic(using=outbox.alias):
        outbox.put([event("a")])
        outbox.release()
        outbox.close()
    assert keys(outbox.rows()) == ["a"]
