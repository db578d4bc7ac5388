"""The tables of a SQLite outbox, their version, and whose file it is.

What is done with the rows lives in `sqlite_rows` and `turns`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Final

from stigg_guard.errors import ConfigurationError

APPLICATION_ID: Final = 0x53476F62
"""Written into the file's head: the letters SGob."""

PENDING, IN_FLIGHT, PARKED, DELIVERED, NEW = range(5)
"""A row is NEW until a claim comes to it for the first time, then PENDING or in flight.

So storing a row costs no index but that of its key.
"""

VERSION_1: Final = (
    # `due_at` is when a row may be claimed: of one in flight, when its lease ends. It
    # and `changed_at` are NULL where they are `created_at`.
    # `wait` is set on rows that need not wait for another one of their lane: 0 once
    # they are due, before that the time when they will be. See `turns`.
    """
    CREATE TABLE measurement (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        state INTEGER NOT NULL,
        wait REAL,
        lane TEXT,
        worker TEXT,
        doubtful INTEGER NOT NULL,
        is_held INTEGER NOT NULL,
        period REAL,
        on_ambiguous TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        error TEXT,
        created_at REAL NOT NULL,
        changed_at REAL,
        due_at REAL,
        record TEXT NOT NULL
    )
    """,
    "CREATE INDEX by_state ON measurement (state) WHERE state < 4",
    "CREATE INDEX by_wait ON measurement (wait) WHERE wait IS NOT NULL",
    """
    CREATE INDEX by_lane ON measurement (lane)
    WHERE lane IS NOT NULL AND state < 2
    """,
    # Counted with every change, so that nobody ever counts a million rows. `tag` makes
    # ids of this file differ from those of a file that stood here before. Rows with an
    # id of `new_from` or more are new, or were never to be delivered.
    """
    CREATE TABLE total (
        tag TEXT NOT NULL,
        last_id INTEGER NOT NULL,
        new_from INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        in_flight INTEGER NOT NULL,
        parked INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        kept INTEGER NOT NULL
    )
    """,
)


def _version_1(connection: sqlite3.Connection) -> None:
    for statement in VERSION_1:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO total VALUES (?, 0, 1, 0, 0, 0, 0, 0)", (os.urandom(2).hex(),)
    )


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_version_1,)
"""What leads from each version to the next; a new file begins at 0."""
VERSION: Final = len(MIGRATIONS)


def check(connection: sqlite3.Connection, path: str) -> None:
    """Raise `ConfigurationError` for the file of another program or newer version."""
    _refuse_foreign(connection, path)
    version = _version(connection)
    if version > VERSION:
        raise ConfigurationError(
            f"The outbox {path} was written by a newer version of stigg_guard: it has"
            f" form {version}, and this version reads up to {VERSION}. Update"
            " stigg_guard, or use another path."
        )


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the tables are of this version."""
    return _version(connection) == VERSION


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring them to this version.

    It writes even where nothing is to be done, so that a file that cannot be written
    shows itself when it is opened.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_version(connection) :]:
            step(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _refuse_foreign(connection: sqlite3.Connection, path: str) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    if found == APPLICATION_ID:
        return
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if found or tables:
        raise ConfigurationError(
            f"{path} is the SQLite database of another application (application_id"
            f" {found}, {tables} tables and indexes), not an outbox; it was left as it"
            " is. Give the outbox a path of its own."
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
