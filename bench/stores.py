"""The stores that the bench of outboxes puts rows into: ours, and bare ones.

Bare is what one would write by hand with the same promises: a key and 160 bytes. What
is measured on them is in `outbox`.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.redis import RedisOutbox
from stigg_guard.metering.outbox.row import NewRow
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.redis_server import redis_server

PAYLOAD: Final = b"x" * 160


class Store(Protocol):
    """Ours or the bare one."""

    def put(self, rows: Sequence[NewRow]) -> None: ...

    def close(self) -> None: ...


class Bare:
    """A table, a transaction, and nothing else."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE event (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
            " payload BLOB NOT NULL)"
        )

    def put(self, rows: Sequence[NewRow]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO event (key, payload) VALUES (?, ?)",
            [(row.measurement.key, PAYLOAD) for row in rows],
        )
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class BareStream:
    """Entries of a stream, in one transaction, and nothing else."""

    def __init__(self, url: str) -> None:
        redis: Any = import_module("redis")
        self._client = redis.Redis.from_url(url)

    def put(self, rows: Sequence[NewRow]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            for row in rows:
                pipe.xadd("bare", {"key": row.measurement.key, "payload": PAYLOAD})
            pipe.execute()

    def close(self) -> None:
        self._client.close()


class BareTable:
    """Rows of a table through a cursor of Django, in one transaction."""

    def __init__(self, alias: str) -> None:
        from django.db import connections, transaction

        self._alias, self._atomic = alias, transaction.atomic
        self._connection = connections[alias]
        with self._connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY,"
                " key TEXT NOT NULL UNIQUE, payload BLOB NOT NULL)"
            )

    def put(self, rows: Sequence[NewRow]) -> None:
        with self._atomic(self._alias), self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO bare (key, payload) VALUES (%s, %s)",
                [(row.measurement.key, PAYLOAD) for row in rows],
            )

    def close(self) -> None:
        self._connection.close()


class BareGroup:
    """One thread commits what the others left in a queue, and wakes them."""

    def __init__(self, bare: Store) -> None:
        self._bare = bare
        self._queue: queue.SimpleQueue[tuple[Sequence[NewRow], threading.Lock] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, rows: Sequence[NewRow]) -> None:
        latch = threading.Lock()
        latch.acquire()
        self._queue.put((rows, latch))
        latch.acquire()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            orders = [first]
            while not self._queue.empty():
                if (order := self._queue.get()) is not None:
                    orders.append(order)
            self._bare.put([row for rows, _ in orders for row in rows])
            for _, latch in orders:
                latch.release()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._bare.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """An outbox and its bare one, at a place of their own; `most` rows are tried."""

    ours: Callable[[str], Outbox]
    bare: Callable[[str], Store]
    place: Callable[[], AbstractContextManager[str]]
    is_shared: bool = True
    most: int = 1_000_000


@contextmanager
def _file() -> Generator[str]:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        yield os.path.join(folder, "outbox.db")


@contextmanager
def _server() -> Generator[str]:
    with redis_server() as server:
        yield server.url


@contextmanager
def _database() -> Generator[str]:
    """The alias of a new database, on SQLite with the same promises."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    with _file() as path:
        if not settings.configured:
            settings.configure(
                DATABASES={"default": _sqlite()},
                INSTALLED_APPS=["stigg_guard_django"],
                SECRET_KEY="bench",
            )
            django.setup()
        alias = f"bench-{next(_numbers)}"
        default = connections.settings["default"]
        connections.settings[alias] = {**default, "NAME": path}
        call_command("migrate", database=alias, verbosity=0)
        try:
            yield alias
        finally:
            connections[alias].close()
            del connections.settings[alias]


def _sqlite() -> dict[str, Any]:
    pragmas = "PRAGMA journal_mode=wal; PRAGMA synchronous=full"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": pragmas},
    }


def _django(alias: str) -> Outbox:
    from stigg_guard_django.outbox import DjangoOutbox

    return DjangoOutbox(alias)


_numbers = count()

KINDS: Final = {
    "SQLite": Kind(ours=SqliteOutbox, bare=Bare, place=_file),
    "Redis Streams": Kind(
        ours=RedisOutbox, bare=BareStream, place=_server, most=100_000
    ),
    "Django, on SQLite": Kind(
        ours=_django, bare=BareTable, place=_database, is_shared=False, most=100_000
    ),
}
