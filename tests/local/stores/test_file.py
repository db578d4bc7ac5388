"""What only a store in a file can suffer: other files, locks, full and broken disks."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar_client.local.records import Usage
from sidecar_client.local.stores.base import Changes, StoreError
from sidecar_client.local.stores.file import FileStore

A = "usage/a///"
LARGE = {f"usage/{number:05}": Usage(total=number) for number in range(5000)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sidecar.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[FileStore]:
    made = FileStore(path, busy_timeout=0.1)
    await made.open()
    yield made
    await made.close()


async def write(store: FileStore, total: float) -> None:
    assert await store.commit(Changes(written={A: Usage(total=total)}))


async def total(store: FileStore) -> float | None:
    record = (await store.read([A]))[0].record
    assert record is None or isinstance(record, Usage)
    return record.total if record else None


async def refusal(path: Path) -> str:
    """Why a file is not opened; it must stay as it is."""
    store = FileStore(path, busy_timeout=0.1)
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_file_is_for_its_owner_only(store: FileStore, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_log_is_put_back_into_the_file_when_it_is_closed(
    store: FileStore, path: Path
) -> None:
    await write(store, 1)
    await store.close()
    assert os.listdir(path.parent) == [path.name]


async def test_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    store = FileStore(path)
    await store.open()
    await write(store, 1)
    await store.close()


@pytest.mark.parametrize("text", ["x", "features: []\n" * 500])
async def test_file_of_something_else_is_left_as_it_is(path: Path, text: str) -> None:
    path.write_text(text)
    assert "is a file of something else; it is left as it is" in await refusal(path)
    assert path.read_text() == text
    assert os.listdir(path.parent) == [path.name]


async def test_database_of_something_else_is_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert "is a database of something else; it is left" in await refusal(path)
    assert path.read_bytes() == before


async def test_file_of_a_newer_version_is_refused(store: FileStore, path: Path) -> None:
    await store.close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 2")
    newer.close()
    text = await refusal(path)
    assert "was written by a newer stigg-guard (form 2; this one knows 1)" in text
    assert "upgrade stigg-guard, or use another file" in text


async def test_damaged_file_is_told_and_left_as_it_is(
    store: FileStore, path: Path
) -> None:
    assert await store.commit(Changes(written=LARGE))
    await store.close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 16_384)
    before = path.read_bytes()
    assert "is damaged, or no database at all; it is left as" in await refusal(path)
    assert path.read_bytes() == before


async def test_record_that_cannot_be_read_is_named(
    store: FileStore, path: Path
) -> None:
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO entries VALUES ('usage/x', 1, '{\"new\": 1}')")
        other.execute("INSERT INTO entries VALUES ('future/x', 1, '{}')")
    other.close()
    for name in ("usage/x", "future/x"):
        with pytest.raises(StoreError) as caught:
            await store.read([name])
        assert f"what is kept under '{name}' is no record" in str(caught.value)
        assert "use the version that wrote it" in str(caught.value)


@pytest.mark.parametrize("place", [".", "missing/sidecar.db"])
async def test_path_that_cannot_be_a_file_is_told(tmp_path: Path, place: str) -> None:
    store = FileStore(f"{tmp_path}/{place}")
    with pytest.raises(StoreError, match=r"name one, such as|name a file in a folder"):
        await store.open()


async def test_locked_file_is_waited_for_and_then_told(
    store: FileStore, path: Path
) -> None:
    await write(store, 1)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        commit = asyncio.create_task(store.commit(Changes(written={A: Usage(total=2)})))
        # Checks do not wait for what is written.
        assert await total(store) == 1
        assert not commit.done()
        with pytest.raises(StoreError) as caught:
            await commit
        assert 0.09 < time.monotonic() - begin < 5
        other.execute("ROLLBACK")
    other.close()
    assert "has been locked by another process for more than 0.1 s" in str(caught.value)
    await write(store, 3)
    assert await total(store) == 3


async def test_loop_goes_on_while_the_file_is_locked(
    store: FileStore, path: Path
) -> None:
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(store.commit(Changes(marks=["m"])))
        turns = 0
        while not commit.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 50
        assert isinstance(commit.exception(), StoreError)
    other.close()


async def test_disk_that_is_full_changes_nothing_and_may_pass(
    store: FileStore,
) -> None:
    await write(store, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    try:
        with pytest.raises(StoreError, match="its disk fails or is full"):
            await store.commit(Changes(written={A: Usage(total=2), **LARGE}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert await total(store) == 1
    assert await store.scan("usage/0") == []
    await write(store, 3)
    assert await total(store) == 3


async def test_file_that_was_replaced_is_not_written(
    store: FileStore, path: Path
) -> None:
    await write(store, 1)
    path.rename(path.with_suffix(".old"))
    other = FileStore(path)
    await other.open()
    await write(other, 5)
    for step in (store.read([A]), store.commit(Changes(written={A: Usage(total=2)}))):
        with pytest.raises(StoreError, match="was moved, removed or replaced"):
            await step
    await store.close()
    await write(other, 6)
    await other.close()
    await store.open()
    assert await total(store) == 6
