"""Stores of every kind, each test with a place of its own on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from sidecar_client.local.stores.base import Store
from sidecar_client.local.stores.file import FileStore
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.stores.redis import RedisStore
from tests.metering.holds.servers import UNSAFE_BUT_FAST, redis_cluster
from tests.redis_server import RedisServer, redis_server


class Opened(Protocol):
    """Another store object at the same place, open; closed when the test ends."""

    def __call__(self, *, most_marks: int = 3) -> Awaitable[Store]: ...


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with redis_server(*UNSAFE_BUT_FAST) as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[int, ...]]:
    with redis_cluster() as ports:
        yield ports


@pytest.fixture
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Opened]:
    """Of the kind that the test is run with: `memory`, `file`, `redis`, `cluster`."""
    make = _maker(request, tmp_path)
    stores: list[Store] = []

    async def open_another(*, most_marks: int = 3) -> Store:
        store = make(most_marks)
        stores.append(store)
        await store.open()
        return store

    yield open_another
    for store in stores:
        await store.close()


def _maker(request: pytest.FixtureRequest, folder: Path) -> Callable[[int], Store]:
    kind: str = request.param
    if kind == "memory":
        return lambda most: MemoryStore(most_marks=most)
    if kind == "file":
        return lambda most: FileStore(folder / "store.db", most_marks=most)
    place = f"?prefix={uuid4().hex}"
    if kind == "redis":
        url = request.getfixturevalue("redis").url + place
    else:
        # Not the node that has the slot, in two of three cases.
        url = f"redis://127.0.0.1:{request.getfixturevalue('cluster')[0]}/{place}"
    return lambda most: RedisStore(url, most_marks=most)
