"""What the SQLite outbox has of its own: its file, shared commits, and what it forgets.

Many processes are in `test_sqlite_processes`, bad input in `test_sqlite_trouble`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stigg_guard.metering.outbox.base import Delivered, NewRow, PutOff
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.outbox.samples import (
    Clock,
    claimed,
    deliver,
    event,
    keys,
    usage,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path, clock: Clock) -> Iterator[SqliteOutbox]:
    opened = SqliteOutbox(path, clock=clock)
    yield opened
    opened.close()


def pragma(outbox: SqliteOutbox, name: str) -> object:
    """The setting of the connection that writes."""
    writer = outbox._writer  # pyright: ignore[reportPrivateUsage]
    return writer.run(lambda found: found.execute(f"PRAGMA {name}").fetchone()[0])


def test_nothing_is_opened_before_it_is_used(outbox: SqliteOutbox, path: Path) -> None:
    assert not path.exists()
    outbox.put([event()])
    assert path.exists()


def test_check_makes_the_file_and_leaves_nothing_open(
    outbox: SqliteOutbox, path: Path
) -> None:
    outbox.check()
    assert os.listdir(path.parent) == ["outbox.db"]
    held = {
        os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    }
    assert str(path) not in held


def test_only_its_owner_reads_the_file(outbox: SqliteOutbox, path: Path) -> None:
    outbox.put([event()])
    for found in path.parent.iterdir():
        assert stat.S_IMODE(found.stat().st_mode) == 0o600, found


def test_rows_survive_their_outbox(outbox: SqliteOutbox, path: Path) -> None:
    rows = [usage(), event()]
    outbox.put(rows)
    outbox.close()
    again = SqliteOutbox(path)
    assert keys(again.rows()) == keys(rows)
    again.close()


def test_two_outboxes_of_one_file_see_the_same(
    outbox: SqliteOutbox, path: Path, clock: Clock
) -> None:
    other = SqliteOutbox(path, clock=clock)
    rows = [event() for _ in range(4)]
    outbox.put(rows[:2])
    other.put(rows[2:])
    assert claimed(outbox, "one", most=3) == keys(rows[:3])
    assert claimed(other, "two") == keys(rows[3:])
    other.close()


def test_outbox_can_be_used_after_it_was_closed(outbox: SqliteOutbox) -> None:
    outbox.submit([event()]).result(timeout=30)
    outbox.close()
    outbox.close()
    outbox.submit([event()]).result(timeout=30)
    assert outbox.status().pending == 2


def test_path_stays_when_the_process_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outbox = SqliteOutbox("outbox.db")
    monkeypatch.chdir("/")
    outbox.put([event()])
    assert outbox.location == str(tmp_path / "outbox.db")
    assert (tmp_path / "outbox.db").exists()
    outbox.close()


@pytest.mark.parametrize(("word", "number"), [("full", 2), ("normal", 1)])
def test_disk_is_synced_as_told(path: Path, word: str, number: int) -> None:
    outbox = SqliteOutbox(path, synchronous=word)  # type: ignore[arg-type]  # pyright: ignore
    assert pragma(outbox, "synchronous") == number
    assert pragma(outbox, "journal_mode") == "wal"
    outbox.close()


def test_other_word_for_synchronous_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="synchronous is 'off'; use \"full\""):
        SqliteOutbox(path, synchronous="off")  # type: ignore[arg-type]  # pyright: ignore


def test_lone_producer_commits_in_its_own_thread(outbox: SqliteOutbox) -> None:
    outbox.put([event()])
    before, threads = outbox.commits, threading.active_count()
    for _ in range(10):
        outbox.put([event()])
    assert threading.active_count() == threads
    assert outbox.commits - before == 10


def test_producers_share_commits(outbox: SqliteOutbox, path: Path) -> None:
    outbox.put([event()])
    before = outbox.commits
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    first = outbox.submit([event()])
    futures = [outbox.submit([event()]) for _ in range(50)]
    producers = [threading.Thread(target=outbox.put, args=([event()],)) for _ in "abcd"]
    for producer in producers:
        producer.start()
    other.execute("ROLLBACK")
    other.close()
    for future in (first, *futures):
        future.result(timeout=30)
    for producer in producers:
        producer.join()
    assert outbox.status().pending == 56
    assert outbox.commits - before <= 1 + 2 + len(producers)


def test_crowd_of_producers_needs_fewer_commits_than_puts(
    outbox: SqliteOutbox,
) -> None:
    outbox.put([event()])
    before = outbox.commits
    start = threading.Barrier(32)

    def produce() -> None:
        start.wait()
        for _ in range(10):
            outbox.put([event()])

    producers = [threading.Thread(target=produce) for _ in range(32)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    assert outbox.status().pending == 321
    assert outbox.commits - before < 160


def test_idle_claims_write_nothing(outbox: SqliteOutbox) -> None:
    outbox.put([event()])
    deliver(outbox)
    assert claimed(outbox) == []
    before = outbox.commits
    assert claimed(outbox) == []
    assert outbox.commits == before


# -- what was delivered is forgotten ---------------------------------------------------


def test_delivered_rows_are_kept_for_a_while(path: Path, clock: Clock) -> None:
    outbox = SqliteOutbox(path, keep_delivered=60, clock=clock)
    row = event()
    outbox.put([row])
    deliver(outbox)
    clock.move(59)
    assert claimed(outbox) == []
    assert keys(outbox.rows("delivered")) == keys([row])
    clock.move(1)
    assert claimed(outbox) == []
    assert outbox.rows() == []
    assert outbox.status().delivered == 1
    outbox.close()


def test_only_so_many_delivered_rows_are_kept(path: Path, clock: Clock) -> None:
    outbox = SqliteOutbox(path, most_delivered=10, clock=clock)
    rows = [event() for _ in range(35)]
    outbox.put(rows)
    while deliver(outbox, most=7):
        pass
    assert keys(outbox.rows()) == keys(rows[-10:])
    assert outbox.status().delivered == 35
    outbox.close()


def test_no_delete_is_long(path: Path, clock: Clock) -> None:
    outbox = SqliteOutbox(path, keep_delivered=60, clock=clock)
    outbox.put([event() for _ in range(1000)])
    assert len(deliver(outbox, most=1000)) == 1000
    clock.move(60)
    left = len(outbox.rows(most=2000))
    while left:
        assert claimed(outbox) == []
        less = len(outbox.rows(most=2000))
        assert left - 100 <= less < left
        left = less
    outbox.close()


def test_ids_are_never_used_again(outbox: SqliteOutbox) -> None:
    rows = [event() for _ in range(3)]
    outbox.put(rows)
    gone = {row.id for row in outbox.discard(keys(rows))}
    outbox.put([event() for _ in range(3)])
    assert gone.isdisjoint(row.id for row in outbox.rows())


# -- waiting rows cost nothing ---------------------------------------------------------


def steps(outbox: SqliteOutbox, work: Callable[[], object]) -> int:
    """How many steps SQLite's machine made for it, in hundreds."""
    count = 0

    def made() -> int:
        nonlocal count
        count += 1
        return 0

    files = (outbox._writer, outbox._reader)  # pyright: ignore[reportPrivateUsage]
    for file in files:
        file.run(lambda connection: connection.set_progress_handler(made, 100))
    work()
    for file in files:
        file.run(lambda connection: connection.set_progress_handler(None, 0))
    return count


def _in_lane(number: int) -> NewRow:
    return usage("one")


def _in_lanes(number: int) -> NewRow:
    return usage(f"c{number}")


def _events(number: int) -> NewRow:
    return event()


def fill(
    outbox: SqliteOutbox, stored: int, make: Callable[[int], NewRow], became: str
) -> None:
    """Store so many rows and let them become what is said."""
    outbox.put([make(number) for number in range(stored)])
    if became == "new":
        return
    rows = outbox.claim("w", most=stored, lease=1000)
    if became == "put off":
        results = [PutOff(id=row.id, error=None, due_at=row.due_at) for row in rows]
        outbox.finish("w", results)
    if became == "delivered":
        outbox.finish("w", [Delivered(id=row.id) for row in rows])


@pytest.mark.parametrize("make", [_in_lane, _in_lanes, _events])
@pytest.mark.parametrize("became", ["new", "in flight", "put off", "delivered"])
def test_work_does_not_grow_with_what_is_stored(
    tmp_path: Path, clock: Clock, make: Callable[[int], NewRow], became: str
) -> None:
    def cost(stored: int) -> list[int]:
        outbox = SqliteOutbox(tmp_path / f"{stored}.db", clock=clock)
        fill(outbox, stored, make, became)
        for _ in range(stored // 1000 + 1):
            claimed(outbox, most=1)  # new rows get in line, each once
        found = [
            steps(outbox, lambda: outbox.put([make(stored + n) for n in range(10)])),
            steps(outbox, lambda: claimed(outbox, "v", most=10)),
            steps(outbox, lambda: deliver(outbox, "u", most=10)),
            steps(outbox, outbox.status),
            steps(outbox, lambda: outbox.rows("pending", most=5)),
            steps(outbox, lambda: outbox.rows("in_flight", most=5)),
            steps(outbox, lambda: outbox.rows("parked", most=5)),
            steps(outbox, lambda: outbox.rows("delivered", most=5)),
        ]
        outbox.close()
        return found

    few, many = cost(100), cost(5000)
    pairs = zip(few, many, strict=True)
    assert all(more <= less + 5 for less, more in pairs), (few, many)
