"""An outbox of every store in turn, with a clock to move; a store is one in `STORES`.

Each takes the test's request, for fixtures of its own, and the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Final, TypeAlias

import pytest

from stigg_guard.metering.measurement import new_key
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.memory import MemoryOutbox
from stigg_guard.metering.outbox.redis import RedisOutbox
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.django.site import KINDS, connected
from tests.metering.outbox.samples import Clock
from tests.redis_server import RedisServer, redis_server

Store: TypeAlias = Callable[
    [pytest.FixtureRequest, Clock], AbstractContextManager[Outbox]
]


@contextmanager
def _sqlite(request: pytest.FixtureRequest, clock: Clock) -> Generator[Outbox]:
    path = request.getfixturevalue("tmp_path") / "outbox.db"
    outbox = SqliteOutbox(path, clock=clock)
    yield outbox
    outbox.close()


@contextmanager
def _memory(request: pytest.FixtureRequest, clock: Clock) -> Generator[Outbox]:
    yield MemoryOutbox(clock=clock)


@contextmanager
def _redis(request: pytest.FixtureRequest, clock: Clock) -> Generator[Outbox]:
    server: RedisServer = request.getfixturevalue("outbox_server")
    outbox = RedisOutbox(server.url, prefix=f"test-{new_key()}", clock=clock)
    yield outbox
    outbox.close()


def _django(kind: str) -> Store:
    """A database of the Django project of the tests."""

    @contextmanager
    def opened(request: pytest.FixtureRequest, clock: Clock) -> Generator[Outbox]:
        alias = request.getfixturevalue("django_databases")(kind)
        module: Any = import_module("stigg_guard_django.outbox")
        with connected(alias):
            yield module.DjangoOutbox(alias, clock=clock)

    return opened


STORES: Final[dict[str, Store]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    "redis": _redis,
    **{f"django-{kind}": _django(kind) for kind in KINDS},
}


@pytest.fixture(scope="session")
def outbox_server() -> Iterator[RedisServer]:
    """A Redis for outboxes with prefixes of their own."""
    options = ("--enable-debug-command", "local", "--appendfsync", "no")
    with redis_server(*options) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def outbox(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Outbox]:
    with STORES[request.param](request, clock) as opened:
        yield opened
