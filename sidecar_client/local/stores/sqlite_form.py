"""What a file of records looks like, and the statements on it.

Each function is one step on an open connection; when and where they run is in `file`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from sidecar_client.local.records import encoded
from sidecar_client.local.stores.base import Changes, StoreError

APPLICATION: Final = 0x53474C53
"""SQLite's mark of whose file it is: `SGLS`."""
FORM: Final = 1

_SCHEMA: Final = (
    # Names are compared as bytes of UTF-8: in the order of their code points.
    "CREATE TABLE entries (name TEXT PRIMARY KEY, version INTEGER NOT NULL,"
    " text TEXT NOT NULL) WITHOUT ROWID",
    # Numbered without gaps; the oldest are removed first.
    "CREATE TABLE marks (number INTEGER PRIMARY KEY, mark TEXT NOT NULL UNIQUE)",
    # Versions are never used again, not even by a name that was removed meanwhile.
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    f"PRAGMA user_version = {FORM}",
    f"PRAGMA application_id = {APPLICATION}",
)

Found = tuple[str, int, str | None]
"""A name, its version, and its text unless this version is known."""


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables in an empty file; `StoreError` for one that is not ours."""
    if _is_ours(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been faster.
    if not _is_ours(connection, path):
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _is_ours(connection: sqlite3.Connection, path: str) -> bool:
    application = _one(connection, "PRAGMA application_id")
    form = _one(connection, "PRAGMA user_version")
    if application == APPLICATION and form > FORM:
        raise StoreError(
            f"The store {path} was written by a newer stigg-guard (form {form}; this "
            f"one knows {FORM}); upgrade stigg-guard, or use another file."
        )
    if application != APPLICATION and (
        application or form or _one(connection, "SELECT count(*) FROM sqlite_master")
    ):
        raise StoreError(
            f"The store {path} is a database of something else; it is left as it is. "
            "Use another file."
        )
    return application == APPLICATION


def read(
    connection: sqlite3.Connection, known: Sequence[tuple[str, int]]
) -> list[Found]:
    """What is kept under names, of which versions may be known; no row for none."""
    return connection.execute(
        "SELECT name, version, CASE WHEN version = json_extract(value, '$[1]')"
        " THEN NULL ELSE text END"
        " FROM json_each(?) JOIN entries ON name = json_extract(value, '$[0]')",
        (json.dumps(known, ensure_ascii=False),),
    ).fetchall()


def scan(
    connection: sqlite3.Connection, prefix: str, after: str, limit: int
) -> list[tuple[str, int, str]]:
    """Names that begin so and come after another, in order."""
    return connection.execute(
        "SELECT name, version, text FROM entries WHERE name >= ? AND name > ?"
        " AND name < ? ORDER BY name LIMIT ?",
        (prefix, after, end_of(prefix), limit),
    ).fetchall()


def end_of(prefix: str) -> str:
    """The first text after all that begin with a kind, a slash and so on.

    The highest code point is in no name.
    """
    return f"{prefix}\U0010ffff"


def marked(connection: sqlite3.Connection, marks: Sequence[str]) -> set[str]:
    """Those of the marks that are set."""
    # One by one: JSON would not do, as a mark may have any character.
    ask = "SELECT 1 FROM marks WHERE mark = ?"
    return {mark for mark in marks if connection.execute(ask, (mark,)).fetchone()}


def commit(
    connection: sqlite3.Connection, changes: Changes, *, most_marks: int
) -> int | None:
    """Make all changes: the version of what was written; None if none is made."""
    connection.execute("BEGIN IMMEDIATE")
    version = _changed(connection, changes, most_marks)
    connection.execute("COMMIT" if version else "ROLLBACK")
    return version


def _changed(
    connection: sqlite3.Connection, changes: Changes, most_marks: int
) -> int | None:
    for name, expected in changes.expected.items():
        row = connection.execute(
            "SELECT version FROM entries WHERE name = ?", (name,)
        ).fetchone()
        if (row[0] if row else 0) != expected:
            return None
    if marked(connection, changes.marks):
        return None
    connection.execute("UPDATE counter SET version = version + 1")
    version = _one(connection, "SELECT version FROM counter")
    for name, record in changes.written.items():
        if record is None:
            connection.execute("DELETE FROM entries WHERE name = ?", (name,))
        else:
            connection.execute(
                "REPLACE INTO entries VALUES (?, ?, ?)",
                (name, version, encoded(record)),
            )
    _mark(connection, changes.marks, most_marks)
    return version


def _mark(connection: sqlite3.Connection, marks: Sequence[str], most: int) -> None:
    if not marks:
        return
    connection.executemany(
        "INSERT INTO marks (mark) VALUES (?)", [(mark,) for mark in marks]
    )
    connection.execute(
        "DELETE FROM marks WHERE number <= (SELECT max(number) FROM marks) - ?",
        (most,),
    )


def _one(connection: sqlite3.Connection, statement: str) -> int:
    number: int = connection.execute(statement).fetchone()[0]
    return number
