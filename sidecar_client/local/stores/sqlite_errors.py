"""What SQLite's errors mean for a store in a file: the cause and the cure, in words.

Who asked for what is in `file`.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sidecar_client.local.stores.base import StoreError

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNWRITABLE: Final = (
    "cannot be written",
    "let this user write the file and its folder, or use another file",
)
_DAMAGED: Final = (
    "is damaged, or no database at all; it is left as it is",
    "restore it from a copy, or use another file",
)
_ADVICE: Final = {
    sqlite3.SQLITE_FULL: (
        "has no room: the disk is full",
        "free space on its disk, or use a file on a larger one",
    ),
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: (
        "cannot be used: its disk fails or is full",
        "look at the system's log for errors of the disk, or use another file",
    ),
}


def code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where Python raised it itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether others hold the file."""
    return code(error) in _BUSY


def store_error(path: str, error: sqlite3.Error, *, waited: float) -> StoreError:
    """The error to raise for one of SQLite's."""
    if is_busy(error):
        return StoreError(
            f"The store {path} has been locked by another process for more than "
            f"{waited:g} s; end what holds it, such as a backup or a shell, or use "
            "another file."
        )
    cause, cure = _ADVICE.get(code(error), ("cannot be used", "use another file"))
    return StoreError(f"The store {path} {cause} ({error}); {cure}.")
