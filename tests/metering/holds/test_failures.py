"""What is said when a Redis cannot be used, seen from real servers in that state."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.holds.base import (
    GiveBack,
    HoldsUnavailable,
    Peek,
    Place,
    Take,
)
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from tests.metering.holds.servers import (
    SLOTS,
    UNSAFE_BUT_FAST,
    command,
    free_port,
    redis_cluster,
    wait_until,
)
from tests.metering.holds.stores import PLACE, driven, want
from tests.redis_server import RedisServer, redis_server

SECRET = "s3cret"


def _sync_failure(url: str) -> str:
    holds = RedisHolds(url)
    with pytest.raises(HoldsUnavailable) as caught:
        holds.perform(Take(wants=(want(),), lease=30))
    holds.close()
    return str(caught.value)


def _async_failure(url: str) -> str:
    async def fail() -> str:
        holds = AsyncRedisHolds(url)
        with pytest.raises(HoldsUnavailable) as caught:
            await holds.perform(Take(wants=(want(),), lease=30))
        await holds.aclose()
        return str(caught.value)

    return asyncio.run(fail())


@pytest.fixture(params=[_sync_failure, _async_failure], ids=["sync", "async"])
def failure(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The text of the error of a step on a URL."""
    found: Callable[[str], str] = request.param
    return found


def test_nobody_listens(failure: Callable[[str], str]) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"

    text = failure(url)

    assert text.startswith(f"The hold store {url} is out: ")
    assert "refused" in text or "Connect call failed" in text
    assert "look whether it runs and can be reached from here" in text


def test_no_socket_is_there(failure: Callable[[str], str]) -> None:
    assert "look whether it runs" in failure("unix:///nowhere/redis.sock?db=0")


def test_a_host_has_no_address(failure: Callable[[str], str]) -> None:
    assert "look whether it runs" in failure("redis://no-such-host.invalid/0")


def test_a_wrong_password(failure: Callable[[str], str]) -> None:
    with redis_server(*UNSAFE_BUT_FAST, "--requirepass", "right") as server:
        text = failure(f"redis://:{SECRET}@127.0.0.1:{server.port}/0")

    assert text.startswith(
        f"The hold store redis://:***@127.0.0.1:{server.port}/0 is out: user or"
        " password is wrong; correct it in the URL ("
    )
    assert SECRET not in text


def test_no_password_where_one_is_wanted(failure: Callable[[str], str]) -> None:
    with redis_server(*UNSAFE_BUT_FAST, "--requirepass", "right") as server:
        assert "it wants a password; put it into the URL" in failure(server.url)


def test_a_user_who_may_not_run_scripts(failure: Callable[[str], str]) -> None:
    with redis_server(*UNSAFE_BUT_FAST) as server:
        command(
            server.port,
            *("ACL", "SETUSER", "reader", "on", f">{SECRET}", "~*", "+@read"),
        )
        text = failure(f"redis://reader:{SECRET}@127.0.0.1:{server.port}/0")

    assert "allow it EVALSHA, EVAL" in text
    assert SECRET not in text


def test_a_read_only_replica(
    failure: Callable[[str], str], shared_server: RedisServer
) -> None:
    primary = ("127.0.0.1", str(shared_server.port))
    with redis_server(*UNSAFE_BUT_FAST, "--replicaof", *primary) as server:
        wait_until(
            lambda: command(server.port, "INFO").get("master_link_status") == "up",
            "the replica follows",
        )
        text = failure(server.url)

    assert "it is a read-only replica; point the URL at the primary" in text


def test_out_of_memory(failure: Callable[[str], str]) -> None:
    options = ("--maxmemory", "100kb", "--maxmemory-policy", "noeviction")
    with redis_server(*UNSAFE_BUT_FAST, *options) as server:
        text = failure(server.url)

    assert "it is out of memory; raise maxmemory" in text


def test_too_few_replicas(failure: Callable[[str], str]) -> None:
    with redis_server(*UNSAFE_BUT_FAST, "--min-replicas-to-write", "1") as server:
        assert "too few of its replicas are there" in failure(server.url)


def test_a_database_that_is_not_there(failure: Callable[[str], str]) -> None:
    with redis_server(*UNSAFE_BUT_FAST, "--databases", "2") as server:
        url = server.url.replace("/0", "/7")
        assert "correct the number in the URL" in failure(url)


def test_too_many_clients(failure: Callable[[str], str]) -> None:
    with (
        redis_server(*UNSAFE_BUT_FAST, "--maxclients", "1") as server,
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        text = failure(server.url)

    # What the server says is lost when the asynchronous redis-py 5 writes meanwhile.
    assert "raise its maxclients" in text or "Connection lost" in text


def test_a_node_of_a_cluster(failure: Callable[[str], str]) -> None:
    with redis_cluster(2) as ports:
        slot = command(ports[0], "CLUSTER", "KEYSLOT", PLACE.customer_id)
        other = ports[0] if slot >= SLOTS / 2 else ports[1]
        text = failure(f"redis://127.0.0.1:{other}/0")

    assert "use redis+cluster:// in the URL" in text


def test_a_cluster_that_is_down(failure: Callable[[str], str]) -> None:
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis_server(*UNSAFE_BUT_FAST, *cluster) as server:
        text = failure(f"redis+cluster://127.0.0.1:{server.port}")

    assert "the cluster is down" in text


def test_a_server_that_hangs_costs_a_second(failure: Callable[[str], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        text = failure(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        took = time.monotonic() - start

    assert "it does not answer in time" in text
    assert took < 4


async def test_many_tasks_do_not_queue_long_for_a_server_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=500) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0?socket_timeout=0.2"
        holds = AsyncRedisHolds(url)
        start = time.monotonic()
        outcomes = await asyncio.gather(
            *(holds.perform(Peek(place=PLACE)) for _ in range(300)),
            return_exceptions=True,
        )
        took = time.monotonic() - start
        await holds.aclose()

    assert all(isinstance(outcome, HoldsUnavailable) for outcome in outcomes)
    assert took < 3


def test_options_of_the_url_come_first(failure: Callable[[str], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        start = time.monotonic()
        failure(f"redis://127.0.0.1:{port}/0?socket_timeout=0.05")
        assert time.monotonic() - start < 0.9


def test_a_sentinel_that_does_not_know_the_service(
    failure: Callable[[str], str], shared_sentinel: int
) -> None:
    text = failure(f"redis+sentinel://127.0.0.1:{shared_sentinel}/unheard/0")

    assert "No master found for 'unheard'" in text


def test_a_server_that_was_stopped_and_started_is_used_again() -> None:
    with redis_server() as server, driven(RedisHolds(server.url)) as store:
        assert store.take(want("a", 6)).granted
        server.kill()
        with pytest.raises(HoldsUnavailable):
            store.take(want())
        server.start()
        # What it wrote is there again.
        assert store.take(want()).refusal == "held"
        assert store.take(want("a", 6)).granted


def test_what_was_taken_is_given_back_when_a_later_customer_fails(
    shared_cluster: tuple[int, ...], cluster_url: str
) -> None:
    first, last = Place("a", None, "f"), Place("z", None, "f")
    with driven(RedisHolds(cluster_url)) as store:
        store.take(want("x", place=last))
        (key,) = [
            (port, name)
            for port in shared_cluster
            for name in command(port, "KEYS", "*{z}*f")
        ]
        command(key[0], "DEL", key[1])
        command(key[0], "SET", key[1], "not a hash")

        with pytest.raises(HoldsUnavailable, match="WRONGTYPE"):
            store.take(want("k", place=first), want("k", place=last))

        assert store.standing(first).held == 0
        store.perform(GiveBack(place=first, keys=("k",)))


@pytest.mark.parametrize(
    "url",
    [
        "redis:localhost",
        "http://localhost",
        "memcached://localhost",
        "",
        "redis://localhost:port/0",
        "redis://localhost:70000/0",
        "redis://localhost/zero",
        "redis://localhost/0?socket_timeout=soon",
        "redis+sentinel://localhost:26379",
        "redis+sentinel://localhost:26379/service/x",
        "redis+sentinel://a:1,,b:2/service",
        "redis+cluster://localhost:7000/1",
        "redis+cluster://",
        "unix+sentinel:///redis.sock/service",
    ],
)
def test_what_is_no_url_of_a_redis_is_refused_at_once(url: str) -> None:
    for kind in (RedisHolds, AsyncRedisHolds):
        with pytest.raises(ConfigurationError) as caught:
            kind(url)

        text = str(caught.value)
        assert text.startswith(f"HOLDS is {url!r}: ")
        assert "Use redis://host:port/0, " in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost/0?no_such_option=1",
        "redis+sentinel://localhost/service/0?no_such_option=1",
        "redis+cluster://localhost:7000?no_such_option=1",
    ],
)
def test_options_that_nobody_knows_are_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no_such_option"):
        RedisHolds(url)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@localhost:port/0",
        f"redis://:{SECRET}@localhost:port/0",
        f"redis://localhost:port/0?password={SECRET}",
        f"redis+sentinel://a:{SECRET}@b:1,c:2?sentinel_password={SECRET}",
        f"redis://user:{SECRET}/@{SECRET}@localhost/x",
        f"redi://user:{SECRET}@localhost",
    ],
)
def test_passwords_are_never_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisHolds(url)

    assert SECRET not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://[::1]:6379/3",
        "rediss://user:p%40ss@redis.internal:6380/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://u:p@a:26379,b,[::1]:5/main/2?sentinel_username=s"
        "&sentinel_password=t&socket_timeout=2",
        "rediss+cluster://u:p@a:7000,b?max_connections=5",
    ],
)
def test_urls_of_every_kind_are_read(url: str) -> None:
    RedisHolds(url).close()
    AsyncRedisHolds(url)
