"""Hold stores of every kind, on real servers that are emptied between tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager

import pytest

from stigg_guard.metering.holds.memory import AsyncMemoryHolds, MemoryHolds
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from stigg_guard.metering.holds.unavailable import (
    AsyncGuardedHolds,
    GuardedHolds,
    StandIn,
)
from tests.metering.holds.servers import (
    UNSAFE_BUT_FAST,
    command,
    redis_cluster,
    redis_sentinel,
)
from tests.metering.holds.stores import Store, driven, driven_in_a_loop
from tests.redis_server import RedisServer, redis_server

SERVICE = "holds"
STORES = (
    "memory",
    "memory in a loop",
    "redis",
    "redis in a loop",
    "guarded redis",
    "guarded redis in a loop",
    "sentinel",
    "sentinel in a loop",
    "cluster",
    "cluster in a loop",
)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    with redis_server(*UNSAFE_BUT_FAST) as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    """An empty Redis."""
    command(shared_server.port, "FLUSHALL")
    return shared_server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[tuple[int, ...]]:
    with redis_cluster() as ports:
        yield ports


@pytest.fixture
def cluster_url(shared_cluster: tuple[int, ...]) -> str:
    """An empty cluster of three nodes, of which two are named."""
    for port in shared_cluster:
        command(port, "FLUSHALL")
    hosts = ",".join(f"127.0.0.1:{port}" for port in shared_cluster[:2])
    return f"redis+cluster://{hosts}"


@pytest.fixture(scope="session")
def shared_sentinel(shared_server: RedisServer) -> Iterator[int]:
    with redis_sentinel(shared_server.port, SERVICE) as port:
        yield port


@pytest.fixture
def sentinel_url(server: RedisServer, shared_sentinel: int) -> str:
    """A Sentinel of the empty Redis, named after one that is not there."""
    return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{shared_sentinel}/{SERVICE}/0"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Generator[Store]:
    """Each kind of store, empty."""
    with _opened(request.param, request) as opened:
        yield opened


def _opened(kind: str, request: pytest.FixtureRequest) -> AbstractContextManager[Store]:
    name, _, in_a_loop = kind.partition(" in a loop")[0], None, "loop" in kind
    if name == "memory":
        memory = MemoryHolds()
        return (
            driven_in_a_loop(AsyncMemoryHolds(memory)) if in_a_loop else driven(memory)
        )
    if name in ("sentinel", "cluster"):
        url: str = request.getfixturevalue(f"{name}_url")
    else:
        server: RedisServer = request.getfixturevalue("server")
        url = server.url
    stand_in = StandIn(MemoryHolds(), "deny")
    if in_a_loop:
        holds = AsyncRedisHolds(url)
        return driven_in_a_loop(
            AsyncGuardedHolds(holds, stand_in) if "guarded" in name else holds
        )
    held = RedisHolds(url)
    return driven(GuardedHolds(held, stand_in) if "guarded" in name else held)
