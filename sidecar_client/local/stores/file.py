"""Records in a SQLite file: they survive the sidecar, and others may share them.

Threads, opening and closing live here; the statements are in `sqlite_form`.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from sidecar_client.local.stores import sqlite_form
from sidecar_client.local.stores.base import (
    ABSENT,
    MOST_MARKS,
    Changes,
    Entry,
    StoreError,
)
from sidecar_client.local.stores.decoded import CACHE_BYTES, Decoded, record_of
from sidecar_client.local.stores.sqlite_errors import is_busy, store_error

_Answer = TypeVar("_Answer")
_PAUSE: Final = 0.02
_HEADER: Final = b"SQLite format 3\0"
_LARGEST_LOG: Final = 64 * 1024 * 1024
_Loaded = tuple[str, Entry, int]


class FileStore:
    """A `Store` in the SQLite file at `path`, which is made when it is not there.

    Sidecars of one host may share it. What was committed survives a killed process; a
    power cut may take the last moments. A file that is locked is waited for during
    `busy_timeout` seconds; reading never waits for writing.
    """

    shared = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most_marks: int = MOST_MARKS,
        busy_timeout: float = 5.0,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        # Where it is now: somebody may change the folder later.
        self.path = os.path.realpath(path)
        self._most_marks = most_marks
        self._decoded = Decoded(most_bytes=cache_bytes)
        self._reader = _Connection(self.path, busy_timeout)
        self._writer = _Connection(self.path, busy_timeout)

    async def open(self) -> None:
        """Open the file, or make it. `StoreError` if it is not for this."""
        try:
            await self._writer.open()
            await self._reader.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the file."""
        await self._reader.close()
        await self._writer.close()

    async def read(self, names: Sequence[str]) -> list[Entry]:
        """The entry of each name, in the order asked, as of one moment."""
        known = {name: self._decoded.get(name) for name in names}
        asked = [(name, entry.version) for name, entry in known.items()]

        def work(connection: sqlite3.Connection) -> list[_Loaded]:
            return self._loaded(sqlite_form.read(connection, asked), known)

        found = dict.fromkeys(known, ABSENT)
        found.update(self._remembered(await self._reader.run(work)))
        return [found[name] for name in names]

    async def marked(self, marks: Sequence[str]) -> list[bool]:
        """Whether each mark is set, in the order asked."""
        found = await self._reader.run(lambda c: sqlite_form.marked(c, marks))
        return [mark in found for mark in marks]

    async def commit(self, changes: Changes) -> bool:
        """Make all changes, or none."""
        made = await self._writer.run(
            lambda c: sqlite_form.commit(c, changes, most_marks=self._most_marks)
        )
        return made is not None

    async def scan(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, Entry]]:
        """Up to `limit` entries whose names begin so and come after `after`."""

        def work(connection: sqlite3.Connection) -> list[_Loaded]:
            return self._loaded(sqlite_form.scan(connection, prefix, after, limit), {})

        return [
            (name, Entry(version, record))
            for name, (version, record), _ in await self._reader.run(work)
        ]

    def _loaded(
        self, found: Iterable[sqlite_form.Found], known: dict[str, Entry]
    ) -> list[_Loaded]:
        where = f"The store {self.path}"
        return [
            (name, known[name], 0)
            if text is None
            else (name, Entry(version, record_of(name, text, where=where)), len(text))
            for name, version, text in found
        ]

    def _remembered(self, loaded: Iterable[_Loaded]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for name, entry, size in loaded:
            found[name] = entry
            if size:
                self._decoded.put(name, entry, size)
        return found


class _Connection:
    """A connection to the file, and the thread that alone uses it."""

    def __init__(self, path: str, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    async def open(self) -> None:
        """Open the file in a new thread. Does nothing when it is open."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "local-sidecar-store")
            await self._in_thread(self._open)

    async def run(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Do the work in the thread; nothing that it began is left open."""
        return await self._in_thread(lambda: self._work(work))

    async def close(self) -> None:
        """Close the file and end the thread. Does nothing when it is closed."""
        thread = self._thread
        if thread is not None:
            await self._in_thread(self._close)
            self._thread = None
            thread.shutdown()

    async def _in_thread(self, work: Callable[[], _Answer]) -> _Answer:
        if self._thread is None:
            raise StoreError(f"The store {self._path} is not open; start its sidecar.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise store_error(self._path, error, waited=self._busy_timeout) from error

    def _work(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        connection = self._connection
        assert connection is not None
        if _identity(self._path) != self._identity:
            raise StoreError(
                f"The store {self._path} was moved, removed or replaced while it was "
                "in use; start the sidecar again."
            )
        try:
            return work(connection)
        except BaseException:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    def _open(self) -> None:
        give_up = time.monotonic() + self._busy_timeout
        _make(self._path)
        while True:
            try:
                self._connection = self._connected()
            except sqlite3.Error as error:
                # SQLite itself does not wait where the way of writing changes.
                if not is_busy(error) or time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE)
            else:
                self._identity = _identity(self._path)
                return

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._busy_timeout, isolation_level=None
        )
        try:
            sqlite_form.prepare(connection, self._path)
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise StoreError(
                    f"The store {self._path} is on a file system that cannot keep "
                    f"SQLite's write-ahead log (journal mode {mode!r}); use a file on "
                    "a local disk."
                )
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if _identity(self._path) == self._identity:
            connection.close()
        else:
            # SQLite would delete the log by its name, which is another file's now.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _make(path: str) -> None:
    """Make an empty file that only its owner reads; refuse what is no database."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise StoreError(
                f"The store {path} is no file; name one, such as "
                f"{os.path.join(path, 'sidecar.db')}."
            )
        with open(path, "rb") as file:
            begin = file.read(len(_HEADER))
    except OSError as error:
        raise StoreError(
            f"The store {path} cannot be opened ({error.strerror}); name a file in a "
            "folder that is there, and in which this user may write."
        ) from error
    # SQLite would take a short text for an empty database, and write over it.
    if begin and begin != _HEADER:
        raise StoreError(
            f"The store {path} is a file of something else; it is left as it is. "
            "Use another file."
        )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
