"""A connection to the file of a SQLite outbox: opened, kept, lost and found again.

Which statements run on it lives in `sqlite_rows` and `turns`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import stat
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, Literal, TypeAlias, TypeVar

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox import schema
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.moved_aside import folder_to_oneself, move_aside
from stigg_guard.metering.outbox.sqlite_errors import (
    UNWRITABLE,
    code,
    explanation,
    is_corrupt,
)

Synchronous: TypeAlias = Literal["full", "normal"]
Begin: TypeAlias = Literal["BEGIN", "BEGIN IMMEDIATE"]
Answer = TypeVar("Answer")

TRIES: Final = 3
SMALLEST: Final = 512
LARGEST_LOG: Final = 64 * 1024 * 1024
MAY_PASS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE})


class SqliteFile:
    """One connection to the file at `path`, opened when first needed.

    Safe for threads, one at a time, and across forks: nothing is open in one. A damaged
    file is moved aside and a new one begun; where the file was moved or removed by
    others, it is opened anew and what was just done is done again.
    """

    def __init__(
        self, path: str, begin: Begin, *, synchronous: Synchronous, busy_timeout: float
    ) -> None:
        self.path = path
        self.commits = 0
        """Transactions that ended well."""
        self._begin: Begin = begin
        self._synchronous: Synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._end: weakref.finalize[..., Any] | None = None
        self._identity: tuple[int, int] | None = None
        self._was_open = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_frozen = False

    def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do the work in a transaction; what it wrote is stored when this returns."""
        for _ in range(TRIES):
            with self._held():
                try:
                    answer = self._transaction(self._opened(), work)
                except sqlite3.Error as error:
                    if not is_corrupt(error):
                        raise self._trouble(error) from error
                    self._set_aside(error)
                    continue
                # Afterwards: only now is it sure where it was written.
                if self._is_current():
                    return answer
                self._abandon()
        raise OutboxUnavailable(
            f"The outbox {self.path} is damaged, moved or removed again and again;"
            " look at its disk, and at what else uses this path."
        )

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        with self._held():
            self._close()

    def before_fork(self) -> None:
        """SQLite's memory of an open file must not be copied into a child."""
        self._is_frozen = self._lock.acquire(timeout=2 * self._busy_timeout)
        if self._is_frozen:
            self._close()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; a child starts with a lock of its own."""
        if in_child:
            self._abandon()
            self._lock = threading.Lock()
        elif self._is_frozen:
            self._lock.release()

    @contextmanager
    def _held(self) -> Generator[None]:
        # Twice: its holder waits once for a locked file, then gives up itself.
        if not self._lock.acquire(timeout=2 * self._busy_timeout):
            raise OutboxUnavailable(
                f"The outbox {self.path} has been busy for more than"
                f" {2 * self._busy_timeout:g} s; look what holds up its file or its"
                " disk, or raise busy_timeout."
            )
        try:
            yield
        finally:
            self._lock.release()

    def _transaction(
        self, connection: sqlite3.Connection, work: Callable[..., Answer]
    ) -> Answer:
        connection.execute(self._begin)
        try:
            answer = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self.commits += 1
        return answer

    def _opened(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self._abandon()
        if self._connection is None:
            try:
                self._connection = self._open()
            except sqlite3.Error as error:
                raise self._trouble(error) from error
            except OSError as error:
                raise self._system_trouble(error) from error
            self._was_open, self._pid = True, os.getpid()
            self._watch_end(self._connection)
        return self._connection

    def _watch_end(self, connection: sqlite3.Connection) -> None:
        """Close the connection when nobody has this object any more."""
        self._end = weakref.finalize(
            self, _drop, connection, self.path, self._identity, os.getpid()
        )
        self._end.atexit = False

    def _open(self) -> sqlite3.Connection:
        with folder_to_oneself(self.path, timeout=self._busy_timeout):
            _create(self.path)
            try:
                connection = self._connect()
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                move_aside(self.path, error)
                _create(self.path)
                connection = self._connect()
            self._identity = _identity(self.path)
            return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            schema.check(connection, self.path)
            self._use_log(connection)
            # Who only reads need not wait for a file that another process has locked.
            if self._begin != "BEGIN" or not schema.is_current(connection):
                schema.migrate(connection)
        except sqlite3.Error as error:
            if is_corrupt(error):
                _keep_for_ever(connection)
            else:
                connection.close()
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_log(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ConfigurationError(
                f"The file system of {self.path} cannot keep SQLite's write-ahead log"
                f" (journal mode {mode!r}); put the outbox on a local disk."
            )
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")

    def _set_aside(self, error: sqlite3.Error) -> None:
        self._abandon()
        try:
            with folder_to_oneself(self.path, timeout=self._busy_timeout):
                # Else another process was faster.
                if self._identity == _identity(self.path):
                    move_aside(self.path, error)
        except OSError as trouble:
            raise self._system_trouble(trouble) from error

    def _is_current(self) -> bool:
        return self._identity == _identity(self.path)

    def _close(self) -> None:
        if self._connection is None:
            return
        with (
            suppress(OSError, OutboxUnavailable, sqlite3.Error),
            folder_to_oneself(self.path, timeout=self._busy_timeout),
        ):
            if self._pid == os.getpid() and self._is_current():
                self._forget_end()
                self._connection.close()
                self._connection = None
        self._abandon()

    def _forget_end(self) -> None:
        if self._end is not None:
            self._end.detach()

    def _abandon(self) -> None:
        self._forget_end()
        if self._connection is not None:
            _keep_for_ever(self._connection)
            self._connection = None

    def _trouble(self, error: sqlite3.Error) -> Exception:
        text = explanation(self.path, error, busy_timeout=self._busy_timeout)
        if code(error) in UNWRITABLE and not self._was_open:
            return ConfigurationError(text)
        return OutboxUnavailable(text)

    def _system_trouble(self, error: OSError) -> Exception:
        text = (
            f"The outbox {self.path} cannot be opened: {error.strerror}. Make sure that"
            f" the folder {os.path.dirname(self.path)} is there, and that this user may"
            " write in it."
        )
        if error.errno in MAY_PASS or self._was_open:
            return OutboxUnavailable(text)
        return ConfigurationError(text)


def _create(path: str) -> None:
    """An empty file that only its owner reads: it will name customers."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ConfigurationError(
            f"The outbox {path} is no file; give the path of one, such as"
            f" {os.path.join(path, 'outbox.db')}."
        )
    # SQLite would take so little for nothing, and write over it.
    if 0 < os.stat(path).st_size < SMALLEST:
        move_aside(path, "it is too small to be a database")
        _create(path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _drop(
    connection: sqlite3.Connection,
    path: str,
    identity: tuple[int, int] | None,
    pid: int,
) -> None:
    if pid == os.getpid() and identity == _identity(path):
        connection.close()
    else:
        _keep_for_ever(connection)


def _keep_for_ever(connection: sqlite3.Connection) -> None:
    # SQLite deletes the log by its name when it closes a file: of one that was moved
    # that is the log of its successor, and in a forked child the parent's.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
