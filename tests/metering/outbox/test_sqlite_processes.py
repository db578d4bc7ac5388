"""The SQLite outbox under many processes, in forks, and when a process is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.outbox.samples import Clock, event, keys, usage

PROGRAM = (sys.executable, "-W", "ignore", "-m", "tests.metering.outbox.sqlite_process")
PATIENCE = 120


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def start(way: str, path: Path, count: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, way, str(path), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def words(process: subprocess.Popen[str]) -> list[str]:
    """What the process said until it ended well."""
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return said.split()


def test_processes_lose_nothing_and_claim_nothing_twice(path: Path) -> None:
    producers = [start("put", path, 60) for _ in range(3)]
    workers = [start("work", path, 180) for _ in range(3)]
    stored = [words(process) for process in producers]
    delivered = [words(process) for process in workers]
    every = Counter(key for part in delivered for key in part)
    assert set(every.values()) == {1}
    assert set(every) == {key for part in stored for key in part}
    outbox = SqliteOutbox(path)
    # Each process's usage was delivered in the order of its lane.
    order = {
        row.measurement.key: place
        for place, row in enumerate(outbox.rows("delivered", most=1000))
    }
    for part in stored:
        assert sorted(part, key=order.__getitem__) == part
    assert outbox.status().delivered == 180
    outbox.close()


@pytest.mark.parametrize("round_", range(3))
def test_killed_process_loses_nothing_that_was_acknowledged(
    path: Path, round_: int
) -> None:
    process = start("put_for_ever", path)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(40 * (round_ + 1))]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    complete = [line.split() for line in said if line.endswith("\n")]
    outbox = SqliteOutbox(path)
    found = set(keys(outbox.waiting()))
    assert {key for line in complete for key in line} <= found
    # All or none of a put: an event and usage each.
    events = [row for row in outbox.waiting() if row.measurement.event]
    assert len(found) == 2 * len(events) == outbox.status().pending
    outbox.close()


def test_rows_of_a_killed_process_are_claimed_when_its_lease_ends(path: Path) -> None:
    clock = Clock()
    clock.now = time.time()
    rows = [usage(), usage(), event()]
    outbox = SqliteOutbox(path, clock=clock)
    outbox.put(rows)
    process = start("claim", path, 2)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == keys(rows[:2])
    assert keys(outbox.claim("w", most=10, lease=60)) == keys(rows[2:])
    clock.move(2 * 3600)
    found = outbox.claim("w", most=2, lease=60)
    assert keys(found) == keys(rows[:2])
    assert all(row.was_in_flight for row in found)
    outbox.close()


def test_forked_child_uses_a_connection_of_its_own(path: Path) -> None:
    said = words(start("fork", path, 15))
    outbox = SqliteOutbox(path)
    assert sorted(keys(outbox.waiting())) == sorted(said)
    assert outbox.status().pending == len(said) >= 45
    outbox.close()


def test_process_that_ends_without_close_stores_what_was_submitted(
    path: Path,
) -> None:
    said = words(start("leave", path, 300))
    outbox = SqliteOutbox(path)
    assert keys(outbox.waiting()) == said
    outbox.close()
