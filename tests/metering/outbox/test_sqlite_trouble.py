"""A SQLite outbox that cannot store: each trouble is one clear error, and nothing lost.

How a damaged file is moved aside is in `test_sqlite_damage`.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.outbox.samples import Clock, claimed, event, keys, only, usage

PROGRAM: Final = (sys.executable, "-m", "tests.metering.outbox.sqlite_process")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path, clock: Clock) -> Iterator[SqliteOutbox]:
    opened = SqliteOutbox(path, clock=clock, busy_timeout=0.1)
    yield opened
    opened.close()


def set_pragma(outbox: SqliteOutbox, text: str) -> None:
    """Set something on the connection that writes."""
    writer = outbox._writer  # pyright: ignore[reportPrivateUsage]
    writer.run(lambda connection: connection.execute(f"PRAGMA {text}"))


def said_of(path: Path) -> tuple[str, str]:
    """The error that opening it raises, and its message."""
    with pytest.raises((ConfigurationError, OutboxUnavailable)) as caught:
        SqliteOutbox(path, busy_timeout=0.1).check()
    return type(caught.value).__name__, str(caught.value)


# -- paths -----------------------------------------------------------------------------


def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    name, text = said_of(tmp_path / "missing" / "outbox.db")
    assert name == "ConfigurationError"
    assert f"{tmp_path}/missing/outbox.db cannot be opened: No such file" in text
    assert f"Make sure that the folder {tmp_path}/missing is there" in text


def test_folder_is_no_outbox(tmp_path: Path) -> None:
    name, text = said_of(tmp_path)
    assert name == "ConfigurationError"
    assert f"The outbox {tmp_path} is no file; give the path of one" in text


@pytest.mark.parametrize("what", ["folder", "file"])
def test_path_that_may_not_be_written_is_named(what: str) -> None:
    # Not pytest's own folder: nobody else may enter that.
    with TemporaryDirectory() as name:
        folder = Path(os.path.realpath(name))
        folder.chmod(0o755)
        if what == "file":
            SqliteOutbox(folder / "outbox.db").check()
            (folder / "outbox.db").chmod(0o444)
        folder.chmod(0o555)
        done = subprocess.run(
            [*PROGRAM, "as_nobody", str(folder / "outbox.db")],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        folder.chmod(0o755)
    assert done.stdout.startswith(f"ConfigurationError The outbox {folder}/outbox.db c")
    assert "right to write" in done.stdout or "may write in it" in done.stdout


# -- files of others -------------------------------------------------------------------


def test_database_of_another_application_is_left_as_it_is(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE song (title TEXT)")
    other.close()
    before = path.read_bytes()
    name, text = said_of(path)
    assert name == "ConfigurationError"
    assert f"{path} is the SQLite database of another application" in text
    assert "Give the outbox a path of its own." in text
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["outbox.db"]


def test_empty_file_becomes_an_outbox(outbox: SqliteOutbox, path: Path) -> None:
    path.touch()
    outbox.put([event()])
    assert outbox.status().pending == 1


def test_outbox_of_a_newer_version_is_refused(outbox: SqliteOutbox, path: Path) -> None:
    outbox.put([event()])
    outbox.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 2")
    other.close()
    name, text = said_of(path)
    assert name == "ConfigurationError"
    assert f"The outbox {path} was written by a newer version" in text
    assert "it has form 2, and this version reads up to 1. Update stigg_guard" in text


def test_half_made_outbox_is_completed(outbox: SqliteOutbox, path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 0x53476F62")
    other.close()
    outbox.put([event()])
    assert outbox.status().pending == 1


# -- disks and locks -------------------------------------------------------------------


def test_full_disk_stores_nothing_of_a_put(outbox: SqliteOutbox, path: Path) -> None:
    rows = [event() for _ in range(20)]
    outbox.put(rows)
    set_pragma(outbox, "max_page_count = 30")
    with pytest.raises(OutboxUnavailable) as caught:
        outbox.put([event() for _ in range(2000)])
    assert f"The outbox {path} has no room: the disk is full" in str(caught.value)
    assert "SQLITE_FULL); free space on its disk" in str(caught.value)
    assert keys(outbox.rows(most=3000)) == keys(rows)
    assert outbox.status().pending == 20
    with pytest.raises(OutboxUnavailable, match="the disk is full"):
        outbox.submit([event() for _ in range(2000)]).result(timeout=30)
    set_pragma(outbox, "max_page_count = 100000")
    outbox.put([event() for _ in range(2000)])
    assert outbox.status().pending == 2020


def test_disk_that_takes_no_more_bytes_is_named(
    outbox: SqliteOutbox, path: Path
) -> None:
    outbox.put([event()])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    try:
        with pytest.raises(OutboxUnavailable) as caught:
            outbox.put([event() for _ in range(2000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"The outbox {path} cannot be used: its disk failed" in str(caught.value)
    assert outbox.status().pending == 1
    outbox.put([event()])
    assert outbox.status().pending == 2


def test_disk_that_became_read_only_is_named(outbox: SqliteOutbox, path: Path) -> None:
    outbox.put([event()])
    set_pragma(outbox, "query_only = 1")
    with pytest.raises(OutboxUnavailable) as caught:
        outbox.put([event()])
    assert f"The outbox {path} cannot be written: the disk or" in str(caught.value)
    assert "mount the disk for writing" in str(caught.value)
    assert outbox.status().pending == 1


def test_file_locked_by_another_process_is_named(
    outbox: SqliteOutbox, path: Path
) -> None:
    outbox.put([event()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    locked = f"The outbox {path} has been locked by another process for more than 0.1 s"
    with pytest.raises(OutboxUnavailable, match=locked):
        outbox.put([event()])
    with pytest.raises(OutboxUnavailable, match=locked):
        outbox.submit([event()]).result(timeout=30)
    with pytest.raises(OutboxUnavailable, match=locked):
        outbox.claim("w", most=1, lease=10)
    assert outbox.status().pending == 1
    other.execute("ROLLBACK")
    other.close()
    outbox.put([event()])
    assert outbox.status().pending == 2


def test_file_locked_while_it_is_opened_is_named(
    outbox: SqliteOutbox, path: Path
) -> None:
    outbox.put([event()])
    outbox.close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    name, text = said_of(path)
    other.close()
    assert name == "OutboxUnavailable"
    assert "has been locked by another process" in text


# -- rows that cannot be read ----------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        ('[2,"c",null,"f",1,"delta",null,{},1800000000.0,"more"]', "reads up to 1"),
        ('[1,"c"]', "no stored measurement"),
        ('{"v":1}', "no stored measurement"),
        ("17", "no stored measurement"),
        ('[1,"c",null,"f",1,"delta",null,{},1e300]', "no stored measurement"),
        ("[1,", "Expecting value"),
    ],
)
def test_row_that_cannot_be_read_is_parked_and_holds_nobody_up(
    outbox: SqliteOutbox, path: Path, record: str, cause: str
) -> None:
    bad, good, later = rows = [usage(), usage(), event()]
    outbox.put(rows)
    other = sqlite3.connect(path)
    other.execute(
        "UPDATE measurement SET record = ? WHERE key = ?", (record, *keys([bad]))
    )
    other.commit()
    other.close()
    assert claimed(outbox) == keys([good, later])
    shown = only(outbox, bad)
    assert shown.state == "parked"
    assert shown.error is not None
    assert cause in shown.error
    assert shown.measurement.name == "(unreadable)"
    assert outbox.status().parked == 1
    assert keys(outbox.waiting()) == keys(rows)
    assert outbox.retry() == 1
    assert claimed(outbox) == []
    assert only(outbox, bad).state == "parked"


def test_text_that_no_database_takes_is_stored_nevertheless(
    outbox: SqliteOutbox,
) -> None:
    row = usage("half \ud800", state="parked", error="no \udfff")
    outbox.put([row, event()])
    assert only(outbox, row).measurement == row.measurement
    assert only(outbox, row).error == "no \\udfff"
