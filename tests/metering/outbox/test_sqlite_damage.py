"""A damaged SQLite outbox is moved aside, nothing is overwritten, and work goes on."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stigg_guard.metering.outbox.base import Delivered
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.outbox.samples import Clock, claimed, deliver, event, keys

PROGRAM = (sys.executable, "-m", "tests.metering.outbox.sqlite_process")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path, clock: Clock) -> Iterator[SqliteOutbox]:
    opened = SqliteOutbox(path, clock=clock)
    yield opened
    opened.close()


def aside(path: Path) -> list[Path]:
    """What was moved aside, without logs."""
    found = path.parent.glob("outbox.db.corrupt-*")
    return sorted(each for each in found if not each.name.endswith(("-wal", "-shm")))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "stigg_guard" and record.levelno == logging.ERROR
    ]


def overwrite(path: Path, start: int, end: int) -> None:
    """Write over a part of the file, as a failing disk does."""
    # In a process of its own: here it would take SQLite's locks away.
    program = (
        "import sys; f = open(sys.argv[1], 'r+b'); a, b = map(int, sys.argv[2:4]);"
        " f.seek(a); f.write(b'\\xa5' * (b - a))"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(path), str(start), str(end)], check=True
    )


@pytest.mark.parametrize(
    "content", [b"this is no database\n" * 500, b"\0" * 9000, b"x"]
)
def test_file_that_is_no_database_is_moved_aside(
    outbox: SqliteOutbox,
    path: Path,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path.write_bytes(content)
    row = event()
    outbox.put([row])
    (moved,) = aside(path)
    assert moved.read_bytes() == content
    assert keys(outbox.rows()) == keys([row])
    (text,) = said(caplog)
    assert f"The outbox {path} is damaged (" in text
    assert f"It was moved to {moved}, {len(content)} bytes with its log" in text


def test_damaged_outbox_is_moved_aside_with_its_log(
    outbox: SqliteOutbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = [*PROGRAM, "claim", str(path), "1"]
    outbox.put([event() for _ in range(50)])
    outbox.close()
    subprocess.run(program, check=False, stdout=subprocess.DEVNULL)
    log = path.with_name("outbox.db-wal").read_bytes()
    assert log  # its process was killed
    overwrite(path, 4096, path.stat().st_size)
    before = path.read_bytes()
    outbox.put([event()])
    (moved,) = aside(path)
    assert moved.read_bytes() == before
    assert moved.with_name(f"{moved.name}-wal").read_bytes().startswith(log)
    assert outbox.status().pending == 1
    assert len(said(caplog)) == 1


def test_damage_that_shows_during_work_is_moved_aside_too(
    outbox: SqliteOutbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = SqliteOutbox(path)
    outbox.put([event() for _ in range(500)])
    outbox.close()
    assert claimed(outbox, most=1)
    assert other.status().pending == 499
    size = path.stat().st_size
    outbox.close()
    other.close()
    overwrite(path, 4096, size)
    row = event()
    outbox.put([row])
    assert keys(outbox.rows()) == keys([row])
    (moved,) = aside(path)
    assert moved.stat().st_size == size
    assert len(said(caplog)) == 1
    assert other.status().pending == 1
    other.close()


def test_outboxes_that_have_the_damaged_file_open_follow(
    outbox: SqliteOutbox, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = SqliteOutbox(path), SqliteOutbox(path)
    first.put([event() for _ in range(500)])
    first.close()
    assert second.status().pending == 500
    assert len(second.claim("w", most=1, lease=60)) == 1
    overwrite(path, 4096, path.stat().st_size)
    row = event()
    outbox.put([row])
    while not aside(path):
        claimed(outbox, "other")
    later = [event() for _ in range(3)]
    second.put(later[:1])
    first.put(later[1:2])
    outbox.put(later[2:])
    for each in (first, second):
        each.close()
    assert set(keys(later)) <= set(keys(outbox.waiting()))
    outbox.close()
    again = SqliteOutbox(path)
    assert set(keys(later)) <= set(keys(again.waiting()))
    again.close()
    assert len(aside(path)) == 1
    assert len(said(caplog)) == 1


def test_results_of_the_damaged_file_do_not_touch_the_new_one(
    outbox: SqliteOutbox, path: Path
) -> None:
    outbox.put([event()])
    (old,) = outbox.claim("w", most=1, lease=60)
    outbox.close()
    path.write_bytes(b"damaged" * 100)
    outbox.put([event()])
    (new,) = outbox.claim("w", most=1, lease=60)
    assert old.id != new.id
    outbox.finish("w", [Delivered(id=old.id)])
    assert outbox.status().in_flight == 1
    outbox.finish("w", [Delivered(id=new.id)])
    assert outbox.status().in_flight == 0


def test_two_damaged_files_of_one_second_have_two_names(
    outbox: SqliteOutbox, path: Path
) -> None:
    for number in range(3):
        outbox.close()
        path.write_bytes(b"damaged" * (100 + number))
        outbox.put([event()])
    assert sorted(moved.stat().st_size for moved in aside(path)) == [700, 707, 714]


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_rows_are_not_stored_in_a_file_that_is_gone(
    outbox: SqliteOutbox, path: Path, how: str
) -> None:
    outbox.put([event()])
    if how == "removed":
        path.unlink()
    else:
        path.rename(path.with_name("elsewhere.db"))
    row = event()
    outbox.put([row])
    assert outbox.commits == 3
    assert keys(outbox.rows()) == keys([row])
    assert deliver(outbox) == keys([row])
    outbox.close()
    other = sqlite3.connect(path)
    assert other.execute("SELECT delivered FROM total").fetchone() == (1,)
    other.close()
    assert os.path.exists(path)
