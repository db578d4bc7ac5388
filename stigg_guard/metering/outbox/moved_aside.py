"""A damaged outbox file is moved aside, with its log, and nothing is overwritten.

When a file counts as damaged is `sqlite_file`'s to say.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from stigg_guard.metering.outbox.base import OutboxUnavailable

log = logging.getLogger("stigg_guard")

BESIDE: Final = ("-wal", "-shm", "")
"""The database itself comes last: until then it still is found to be damaged."""


@contextmanager
def folder_to_oneself(path: str, *, timeout: float) -> Generator[None]:
    """While it lasts no other process opens or moves an outbox of the same folder."""
    folder = os.path.dirname(path)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, folder, timeout)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: str, timeout: float) -> None:
    give_up = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise OutboxUnavailable(
                    f"Another process has been opening an outbox in {folder} for more"
                    f" than {timeout:g} s; end it, or raise busy_timeout."
                ) from None
            time.sleep(0.005)
        else:
            return


def move_aside(path: str, cause: object) -> str:
    """Rename the file and its log, say so in the log, and return the new name."""
    goal = _free_name(path)
    moved = 0
    for suffix in BESIDE:
        if os.path.lexists(path + suffix):
            moved += os.lstat(path + suffix).st_size
            os.rename(path + suffix, goal + suffix)
    log.error(
        "The outbox %s is damaged (%s). It was moved to %s, %d bytes with its log, and"
        " a new one is begun. What it held is not delivered: recover it with"
        " `sqlite3 %s .recover`, or report its usage by hand.",
        *(path, cause, goal, moved, goal),
    )
    return goal


def _free_name(path: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name, number = f"{path}.corrupt-{stamp}", 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}.corrupt-{stamp}-{number}"
    return name
