"""What SQLite's errors mean for an outbox: its place, the cause and the cure, in words.

What is done about them is `sqlite_file`'s.
"""

from __future__ import annotations

import sqlite3
from typing import Final

BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
UNWRITABLE: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_AUTH,
    }
)

ADVICE: Final = {
    sqlite3.SQLITE_FULL: (
        "has no room: the disk is full",
        "free space on its disk, or move it to a larger one",
    ),
    sqlite3.SQLITE_READONLY: (
        "cannot be written: the disk or the file is read-only",
        "mount the disk for writing and give this user the right to write",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "mount its disk for writing, and give this user the right to write the file"
        " and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be used: its disk failed or is read-only",
        "look at the system's log for the disk's errors",
    ),
    sqlite3.SQLITE_NOMEM: (
        "cannot be used: memory ran out",
        "give the process more memory",
    ),
}


def code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where Python raised it itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, or no database at all."""
    return code(error) in CORRUPT


def explanation(path: str, error: sqlite3.Error, *, busy_timeout: float) -> str:
    """One sentence for a person."""
    if code(error) in BUSY:
        return (
            f"The outbox {path} has been locked by another process for more than"
            f" {busy_timeout:g} s; end what holds it (a backup, a shell, a debugger),"
            " or raise busy_timeout."
        )
    cause, cure = ADVICE.get(
        code(error), ("cannot be used", "see what SQLite says of it")
    )
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return f"The outbox {path} {cause} ({error}; {name}); {cure}."
