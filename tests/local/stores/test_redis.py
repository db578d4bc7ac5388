"""What only a store in Redis can suffer: outages, lost answers, expiry, strangers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import pytest
import redis as redis_py

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.records import Usage
from sidecar_client.local.stores.base import Changes, StoreError
from sidecar_client.local.stores.redis import RedisStore
from sidecar_client.local.stores.redis_address import RedisAddress
from tests.local.stores.lossy import LossyProxy, lossy_proxy
from tests.redis_server import RedisServer, redis_server

A, B = "usage/a///", "usage/b///"
KEPT = ["marks", "names", "state", "texts", "versions"]


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def keys(redis: RedisServer) -> Iterator[Any]:
    """A plain client, to look at keys and to break them."""
    with redis_py.Redis(port=redis.port, decode_responses=True) as client:
        yield cast("Any", client)


@pytest.fixture
async def store(redis: RedisServer, prefix: str) -> AsyncIterator[RedisStore]:
    made = RedisStore(f"{redis.url}?prefix={prefix}", patience=0.3)
    await made.open()
    yield made
    await made.close()


async def write(store: RedisStore, total: float, *marks: str) -> None:
    changes = Changes(written={A: Usage(total=total)}, marks=marks)
    assert await store.commit(changes)


async def total(store: RedisStore) -> float | None:
    record = (await store.read([A]))[0].record
    assert record is None or isinstance(record, Usage)
    return record.total if record else None


async def failure(url: str) -> str:
    store = RedisStore(url, patience=0.3)
    with pytest.raises(StoreError) as caught:
        await store.open()
    return str(caught.value)


# -- keys and their end ----------------------------------------------------------------


async def test_all_keys_begin_with_the_prefix_and_are_in_one_slot(
    store: RedisStore, prefix: str, keys: Any
) -> None:
    await write(store, 1, "m")
    found: list[str] = keys.keys(f"*{prefix}*")
    base = f"{prefix}:{{{prefix}}}:"
    assert sorted(key.removeprefix(base) for key in found if "done" not in key) == KEPT
    assert len(found) == len(KEPT) + 1
    assert {key.startswith(base) for key in found} == {True}


async def test_all_that_is_kept_expires_at_the_same_moment(
    store: RedisStore, prefix: str, keys: Any
) -> None:
    await write(store, 1, "m")
    base = f"{prefix}:{{{prefix}}}:"
    ends = {keys.execute_command("PEXPIRETIME", base + name) for name in KEPT}
    assert len(ends) == 1
    assert 604_790 < ends.pop() / 1000 - time.time() <= 604_801


@pytest.mark.parametrize("ttl", [-1, -604800])
async def test_negative_ttl_keeps_everything_for_ever(
    redis: RedisServer, prefix: str, keys: Any, ttl: int
) -> None:
    other = RedisStore(f"{redis.url}?prefix={prefix}")
    store = RedisStore(f"{redis.url}?prefix={prefix}&ttl={ttl}")
    for one in (other, store):
        await one.open()
        await write(one, 1, f"{one.address.keys_ttl}")
    await other.close()
    await store.close()
    base = f"{prefix}:{{{prefix}}}:"
    assert {keys.ttl(base + name) for name in KEPT} == {-1}


async def test_sidecar_that_only_waits_keeps_everything_alive(
    redis: RedisServer, prefix: str, keys: Any
) -> None:
    store = RedisStore(f"{redis.url}?prefix={prefix}&ttl=1")
    await store.open()
    await write(store, 1, "m")
    texts = f"{prefix}:{{{prefix}}}:texts"
    end = first_end = keys.execute_command("PEXPIRETIME", texts)
    give_up = time.monotonic() + 30
    while end < first_end + 500:
        assert time.monotonic() < give_up
        assert await total(store) == 1
        end = keys.execute_command("PEXPIRETIME", texts)
    await store.close()
    while keys.exists(texts):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)
    await store.open()
    assert await total(store) is None
    assert await store.scan("usage/") == []
    assert await store.marked(["m"]) == [False]
    await write(store, 2, "m")
    await store.close()


class Swallowing(RedisStore):
    """Its renewal is answered in the very moment in which it is cancelled."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.renewals = 0
        self.renews_again = asyncio.Event()

    async def _renewed(self, patience: float) -> None:
        self.renewals += 1
        if self.renewals == 2:
            self.renews_again.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        await super()._renewed(patience)


async def test_closing_ends_a_renewal_that_did_not_hear_that_it_was_cancelled(
    redis: RedisServer, prefix: str
) -> None:
    store = Swallowing(f"{redis.url}?prefix={prefix}&ttl=1")
    async with asyncio.timeout(20):
        await store.open()
        await store.renews_again.wait()
        await store.close()


async def test_versions_go_on_after_everything_expired(
    store: RedisStore, prefix: str, keys: Any
) -> None:
    await write(store, 1)
    before = (await store.read([A]))[0].version
    keys.delete(*keys.keys(f"{prefix}*"))
    assert await store.read([A]) == [(0, None)]
    await write(store, 2)
    version, record = (await store.read([A]))[0]
    assert version > before
    assert record == Usage(total=2)


@pytest.mark.parametrize("lost", ["versions", "texts", "names", "state"])
async def test_store_of_which_a_part_is_gone_is_refused(
    store: RedisStore, prefix: str, keys: Any, lost: str
) -> None:
    await write(store, 1)
    keys.delete(f"{prefix}:{{{prefix}}}:{lost}")
    for step in (store.read([A]), store.commit(Changes(written={A: Usage(total=2)}))):
        with pytest.raises(StoreError) as caught:
            await step
        assert "a part of what it kept is gone, as by eviction" in str(caught.value)
        assert "maxmemory-policy to noeviction" in str(caught.value)


async def test_keys_of_another_version_or_of_somebody_else_are_left_alone(
    redis: RedisServer, prefix: str, keys: Any
) -> None:
    state = f"{prefix}:{{{prefix}}}:state"
    url = f"{redis.url}?prefix={prefix}"
    keys.hset(state, "form", "2")
    assert "written by another version of stigg-guard" in await failure(url)
    keys.set(state, "theirs")
    assert "belong to something else; use another prefix" in await failure(url)
    assert keys.get(state) == "theirs"


# -- lost connections ------------------------------------------------------------------


@pytest.fixture
async def proxy(redis: RedisServer) -> AsyncIterator[LossyProxy]:
    async with lossy_proxy(redis.port) as made:
        yield made


@pytest.mark.parametrize("loses", ["request", "answer"])
async def test_change_is_made_once_although_a_connection_breaks(
    proxy: LossyProxy, prefix: str, loses: str
) -> None:
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}?prefix={prefix}")
    await store.open()
    await write(store, 1)
    entry = (await store.read([A]))[0]
    changes = Changes(
        expected={A: entry.version}, written={A: Usage(total=2)}, marks=["m"]
    )
    proxy.lose(loses)
    assert await store.commit(changes)
    assert proxy.lost == 1
    assert await total(store) == 2
    assert await store.marked(["m"]) == [True]
    # Those that only read are asked again.
    proxy.lose(loses)
    assert await total(store) == 2
    assert proxy.lost == 2
    await store.close()


async def test_change_that_was_refused_stays_so_when_the_answer_is_lost(
    proxy: LossyProxy, prefix: str
) -> None:
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}?prefix={prefix}")
    await store.open()
    await write(store, 1)
    proxy.lose("answer")
    assert not await store.commit(Changes(expected={A: 1}, written={A: Usage(total=9)}))
    assert proxy.lost == 1
    assert await total(store) == 1
    await store.close()


async def test_store_goes_on_when_redis_is_back() -> None:
    with redis_server() as server:
        store = RedisStore(server.url, patience=30, patience_of_reading=30)
        await store.open()
        await write(store, 1)
        server.kill()
        reading = asyncio.create_task(total(store))
        writing = asyncio.create_task(write(store, 2))
        await asyncio.sleep(0)
        await asyncio.to_thread(server.start)
        assert await reading in (1, 2)
        await writing
        assert await total(store) == 2
        await store.close()


async def test_reading_does_not_wait_for_long() -> None:
    with redis_server("--appendonly", "no") as server:
        store = RedisStore(server.url)
        await store.open()
        server.kill()
        began = time.monotonic()
        with pytest.raises(StoreError):
            await store.read([A])
        assert time.monotonic() - began < 2
        await store.close()


async def test_redis_that_stays_away_is_named_after_a_while() -> None:
    with redis_server() as server:
        store = RedisStore(f"redis://:se@cret@127.0.0.1:{server.port}/0", patience=0.2)
    for step in (store.open(), store.open()):
        began = time.monotonic()
        with pytest.raises(StoreError) as caught:
            await step
        assert time.monotonic() - began < 5
        text = str(caught.value)
        assert f"The store redis://:***@127.0.0.1:{server.port}/0 is out" in text
        assert "look whether it runs and can be reached from here" in text


# -- what Redis refuses ----------------------------------------------------------------


async def test_full_memory_changes_nothing(redis: RedisServer, prefix: str) -> None:
    with redis_server("--maxmemory", "3mb", "--appendonly", "no") as server:
        store = RedisStore(f"{server.url}?prefix={prefix}")
        await store.open()
        names: list[str] = []

        async def write_on() -> None:
            for number in range(100_000):
                names[:] = [f"usage/{number}/{at}" for at in range(1000)]
                written = {name: Usage(total=number) for name in names}
                assert await store.commit(Changes(written=written))

        with pytest.raises(StoreError, match="is out of memory; raise its maxmemory"):
            await write_on()
        assert [e.version for e in await store.read(names)] == [0] * 1000
        assert await store.scan(names[0].removesuffix("0")) == []
        await store.close()


async def test_passwords_users_and_databases(prefix: str) -> None:
    acl = ("--user", "dev", "on", ">s3:cret/", "~*", "&*", "+@all")
    with redis_server("--requirepass", "p@ss", *acl) as server:
        place = f"127.0.0.1:{server.port}"
        assert "it wants a password" in await failure(f"redis://{place}")
        assert "user or password is wrong" in await failure(f"redis://:x@{place}")
        text = await failure(f"redis://:p%40ss@{place}/99")
        assert "it has no such database" in text
        assert "p%40ss" not in text
        address = RedisAddress.of_parts(
            prefix=prefix,
            host="127.0.0.1",
            port=server.port,
            db=3,
            username="dev",
            password="s3:cret/",
        )
        store = RedisStore(address)
        await store.open()
        await write(store, 1)
        assert "s3" not in repr(address)
        with redis_py.Redis(port=server.port, password="p@ss", db=3) as client:
            assert cast("Any", client).keys(f"{prefix}*")
        await store.close()


async def test_unix_sockets_are_understood(redis: RedisServer, prefix: str) -> None:
    store = RedisStore(f"{redis.unix_url}&prefix={prefix}")
    await store.open()
    await write(store, 1)
    await store.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host/x", "'x' is no number of a database; use redis://user"),
        ("redis://host:port/0", "use redis://user:password@host:6379/0"),
        ("redis://h/0?ttl=week", "ttl is 'week' and no whole number of seconds; use"),
        ("redis://h/0?ttl=0", "ttl is 0; use a number of seconds from 1"),
        ("redis://h/0?prefix=", "prefix is ''; use 1 to 200 characters"),
        ("redis://h/0?prefix=a{b}", "prefix is 'a{b}'; use 1 to 200 characters"),
        ("http://:pw@h/0", "the store is 'http://:***@h/0'"),
    ],
)
def test_addresses_that_cannot_be_are_refused(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisStore(url)
    assert told in str(caught.value)


async def test_options_that_redis_py_does_not_know_are_refused() -> None:
    store = RedisStore("redis://:pw@h/0?no_such_option=1")
    with pytest.raises(ConfigurationError) as caught:
        await store.open()
    assert str(caught.value) == (
        "the store is 'redis://:***@h/0?no_such_option=1': there is no option "
        "'no_such_option'. Correct the part after the question mark."
    )
