"""What is Redis's own: leases by its clock, keys that vanish, processes, loops."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import time
import warnings
from collections.abc import Iterator
from typing import cast

import pytest

from stigg_guard.metering.holds.base import (
    ORPHANED_FOR,
    REMEMBERED_FOR,
    STORED_FOR,
    GiveBack,
    Keep,
    Op,
    Peek,
    Place,
    Settle,
    Standing,
    Take,
    Taken,
)
from stigg_guard.metering.holds.redis import MOST_AT_ONCE, AsyncRedisHolds, RedisHolds
from stigg_guard.metering.holds.redis_form import keys_of
from tests.metering.holds.servers import command, wait_until
from tests.metering.holds.stores import OTHER, PLACE, Store, driven, want
from tests.redis_server import RedisServer

PATIENT = "socket_timeout=30&socket_connect_timeout=30"
"""For a machine that does much else."""


@pytest.fixture
def holds(server: RedisServer) -> Iterator[RedisHolds]:
    opened = RedisHolds(f"{server.url}?{PATIENT}")
    yield opened
    opened.close()


@pytest.fixture
def store(holds: RedisHolds) -> Iterator[Store]:
    with driven(holds) as opened:
        yield opened


def test_a_lease_runs_out_by_the_servers_clock(store: Store) -> None:
    assert store.take(want(units=6), lease=0.2).granted
    assert store.take(want()).refusal == "held"

    wait_until(lambda: store.standing().held == 0, "the lease ran out")
    assert store.standing() == Standing(counted=6, period=100)
    assert store.take(want(usage=0)).granted


def test_a_sender_that_died_leaves_a_doubtful_hold(store: Store) -> None:
    store.take(want("a"))
    store.perform(Keep(place=PLACE, key="a", units=1, mode="sending", lease=0.2))

    wait_until(lambda: store.standing().doubtful == 1, "the hold is doubtful")
    assert store.standing().held == 1


def test_units_grow_old_by_the_servers_clock(store: Store) -> None:
    store.take(want("a", 6))
    store.settle("a", 6, young_for=0.2)
    assert store.take(want()).refusal == "used"

    wait_until(lambda: store.take(want()).granted, "the units are young no more")


def test_keys_vanish_once_they_may_be_forgotten(
    store: Store, server: RedisServer
) -> None:
    store.take(want("a"), lease=30)
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - 30 < 70

    store.settle("a", young_for=160)
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - 155 < 80

    # Its leases are a new key; the account is an old one.
    store.take(want("c"), lease=30)
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - 155 < 80

    store.perform(GiveBack(place=PLACE, keys=("c",)))
    store.perform(Keep(place=PLACE, key="b", units=1, mode="sending", lease=30))
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - ORPHANED_FOR - 25 < 70

    store.perform(Keep(place=PLACE, key="b", units=1, mode="doubtful"))
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - STORED_FOR < 70

    store.settle("b", young_for=160)
    assert 0 < _seconds_left(server) - REMEMBERED_FOR - 155 < 80


def _seconds_left(server: RedisServer) -> float:
    left = {
        command(server.port, "PTTL", key) for key in command(server.port, "KEYS", "*")
    }
    assert max(left) - min(left) < 1000
    return float(max(left)) / 1000


def test_a_take_that_is_refused_anew_writes_nothing(
    store: Store, server: RedisServer
) -> None:
    store.take(want(units=6))
    command(server.port, "CONFIG", "RESETSTAT")

    for _ in range(5):
        assert store.take(want()).refusal == "held"

    stats = command(server.port, "INFO", "COMMANDSTATS")
    assert stats["cmdstat_evalsha"]["calls"] == 5
    assert not {"cmdstat_hset", "cmdstat_zadd", "cmdstat_pexpire"} & set(stats)


def test_a_step_does_not_cost_more_with_many_holds(
    store: Store, server: RedisServer
) -> None:
    def commands() -> int:
        command(server.port, "CONFIG", "RESETSTAT")
        store.take(want("one", limit=1e9))
        store.settle("one")
        stats = command(server.port, "INFO", "COMMANDSTATS")
        return sum(stat["calls"] for stat in stats.values())

    store.take(want("first"))
    few = commands()
    for number in range(500):
        store.take(want(f"many-{number}", limit=1e9))
    assert commands() <= few


def test_stores_of_another_prefix_share_nothing(
    store: Store, server: RedisServer
) -> None:
    store.take(want(units=6))

    with driven(RedisHolds(server.url, prefix="other")) as other:
        assert other.standing() == Standing()


def test_a_script_that_the_server_lost_is_loaded_again(
    store: Store, server: RedisServer
) -> None:
    store.take(want())
    command(server.port, "SCRIPT", "FLUSH")

    assert store.take(want()).granted
    assert store.standing().held == 2


def test_a_connection_that_the_server_ended_is_made_anew(
    store: Store, server: RedisServer
) -> None:
    store.take(want())
    command(server.port, "CLIENT", "KILL", "TYPE", "normal")

    assert store.take(want()).granted
    assert store.standing().held == 2


def test_a_thread_uses_one_connection_again_and_again(server: RedisServer) -> None:
    # Others may connect to the server meanwhile.
    url = f"{server.url}?client_name=again&{PATIENT}"

    def connections() -> list[bytes]:
        lines = command(server.port, "CLIENT", "LIST").splitlines()
        return [line.split()[0] for line in lines if b" name=again " in line]

    with driven(RedisHolds(url)) as opened:
        assert opened.take(want(limit=100)).granted
        (first,) = connections()
        for _ in range(5):
            assert opened.take(want(limit=100)).granted
        assert connections() == [first]


def _settlements(*keys: str, place: Place = PLACE) -> list[Settle]:
    return [
        Settle(place=place, key=key, units=1, young_for=1000, total=None)
        for key in keys
    ]


def test_steps_that_nobody_waits_for_are_carried_out_in_their_order(
    store: Store, holds: RedisHolds
) -> None:
    for key in ("a", "b", "c"):
        store.take(want(key))

    ops: list[Op] = [
        GiveBack(place=PLACE, keys=("c",)),
        *_settlements("a", "b"),
        *_settlements("d", place=OTHER),
        Take(wants=(want("c", 2, place=OTHER),), lease=30),
    ]
    assert holds.perform_each(ops[:-1]) == [None] * 4
    assert (store.standing().counted, store.standing().held) == (2, 0)
    assert holds.perform_each(ops[-1:]) == [None]
    assert (store.standing(OTHER).counted, store.standing(OTHER).held) == (3, 2)
    assert holds.perform_each([]) == []


def test_each_of_them_is_carried_out_once_though_the_script_was_lost(
    store: Store, holds: RedisHolds, server: RedisServer
) -> None:
    store.take(want("a"), want("b"))
    command(server.port, "SCRIPT", "FLUSH")

    assert holds.perform_each(_settlements("a", "b", "c")) == [None] * 3
    assert (store.standing().counted, store.standing().held) == (3, 0)


def test_those_that_redis_refuses_are_told_and_the_others_carried_out(
    store: Store, holds: RedisHolds, server: RedisServer
) -> None:
    store.take(want("a"), want("b"))
    command(server.port, "SET", keys_of(OTHER, "stigg_guard")[0], "no account")

    first, refused, last = holds.perform_each(
        [*_settlements("a"), *_settlements("x", place=OTHER), *_settlements("b")]
    )
    assert (first, last) == (None, None)
    assert "WRONGTYPE" in str(refused)
    assert (store.standing().counted, store.standing().held) == (2, 0)


def test_each_of_them_is_out_when_the_server_is_gone() -> None:
    holds = RedisHolds("redis://127.0.0.1:1")
    told = holds.perform_each(_settlements("a", "b"))
    assert ["127.0.0.1:1" in str(outage) for outage in told] == [True, True]


def test_a_bound_of_connections_is_kept(server: RedisServer) -> None:
    with driven(RedisHolds(f"{server.url}?max_connections=1")) as opened:
        for _ in range(3):
            assert opened.take(want()).granted
        assert b"id=" in (clients := command(server.port, "CLIENT", "LIST"))
        assert clients.count(b"cmd=evalsha") + clients.count(b"cmd=eval ") == 1


def test_a_unix_socket_is_as_good(server: RedisServer) -> None:
    with driven(RedisHolds(server.unix_url)) as opened:
        assert opened.take(want(units=6)).granted
        assert opened.take(want()).refusal == "held"


def test_answers_may_be_decoded(server: RedisServer) -> None:
    with driven(RedisHolds(f"{server.url}?decode_responses=true")) as opened:
        assert opened.take(want(units=6)).granted
        assert opened.take(want()).refusal == "held"
        assert opened.standing().held == 6


def test_a_closed_store_connects_again(holds: RedisHolds) -> None:
    take = Take(wants=(want("a"),), lease=30)
    holds.perform(take)
    holds.close()
    holds.close()

    assert cast("Taken", holds.perform(take)).granted


def test_a_hundred_threads_are_granted_exactly_the_limit(
    holds: RedisHolds, server: RedisServer
) -> None:
    for _ in range(5):
        command(server.port, "FLUSHALL")
        granted = list[bool]()

        def take(granted: list[bool] = granted) -> None:
            taken = holds.perform(Take(wants=(want(),), lease=30))
            granted.append(cast("Taken", taken).granted)

        threads = [threading.Thread(target=take) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert (granted.count(True), granted.count(False)) == (6, 94)


async def test_a_hundred_tasks_are_granted_exactly_the_limit(
    server: RedisServer,
) -> None:
    holds = AsyncRedisHolds(f"{server.url}?{PATIENT}")
    for round_ in range(5):
        place = Place("customer", str(round_), "templates")
        takes = [Take(wants=(want(place=place),), lease=30) for _ in range(100)]
        taken = await asyncio.gather(*(holds.perform(take) for take in takes))
        assert sum(cast("Taken", one).granted for one in taken) == 6
    await holds.aclose()


async def test_a_loop_does_not_open_a_connection_for_each_of_many_tasks(
    server: RedisServer,
) -> None:
    holds = AsyncRedisHolds(f"{server.url}?{PATIENT}")
    await asyncio.gather(*(holds.perform(Peek(place=PLACE)) for _ in range(200)))

    clients = command(server.port, "INFO", "CLIENTS")["connected_clients"]
    assert clients < MOST_AT_ONCE + 5
    await holds.aclose()


def _take_in_a_process(url: str, rounds: int, start: float) -> list[int]:
    holds = RedisHolds(f"{url}?{PATIENT}")
    granted = list[int]()
    for round_ in range(rounds):
        place = Place("customer", str(round_), "templates")
        while time.time() < start + round_ * 0.1:
            time.sleep(0.0005)
        keys = [f"{os.getpid()}-{number}" for number in range(25)]
        takes = [Take(wants=(want(key, place=place),), lease=30) for key in keys]
        taken = [cast("Taken", holds.perform(take)).granted for take in takes]
        granted.append(sum(taken))
    holds.close()
    return granted


def test_four_processes_are_granted_exactly_the_limit(server: RedisServer) -> None:
    rounds = 10
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        # The pool's processes are up before the first round starts.
        pool.map(os.path.basename, [server.url] * 16)
        work = (server.url, rounds, time.time() + 0.3)
        granted = pool.starmap(_take_in_a_process, [work] * 4)

    assert [sum(of_round) for of_round in zip(*granted, strict=True)] == [6] * rounds


def test_takes_of_several_features_never_block_each_other(
    holds: RedisHolds,
) -> None:
    places = [Place(name, None, "f") for name in ("a", "b", "c")]
    whole = list[int]()

    def work(number: int) -> None:
        for step in range(20):
            key = f"{number}-{step}"
            mine = places[number % 3 :] + places[: number % 3]
            wants = tuple(want(key, 2, place=place, limit=3) for place in mine)
            if cast("Taken", holds.perform(Take(wants=wants, lease=30))).granted:
                whole.append(1)
                for place in mine:
                    held = cast("Standing", holds.perform(Peek(place=place))).held
                    assert held >= 2
                    holds.perform(GiveBack(place=place, keys=(key,)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert whole
    for place in places:
        assert cast("Standing", holds.perform(Peek(place=place))).held == 0


def test_a_child_has_connections_of_its_own(holds: RedisHolds) -> None:
    assert cast("Taken", holds.perform(Take(wants=(want("a"),), lease=30))).granted

    child = os.fork()
    if child == 0:
        taken = cast("Taken", holds.perform(Take(wants=(want("b"),), lease=30)))
        os._exit(0 if taken.granted and taken.held == 1 else 1)
    for _ in range(50):
        holds.perform(Peek(place=OTHER))
    assert os.waitpid(child, 0)[1] == 0
    assert cast("Standing", holds.perform(Peek(place=PLACE))).held == 2


def test_every_loop_has_connections_of_its_own(server: RedisServer) -> None:
    holds = AsyncRedisHolds(server.url)

    async def use() -> float:
        await holds.perform(Take(wants=(want(),), lease=30))
        held = cast("Standing", await holds.perform(Peek(place=PLACE))).held
        await holds.aclose()
        return held

    assert [asyncio.run(use()) for _ in range(3)] == [1, 2, 3]


def test_connections_of_closed_loops_are_dropped(server: RedisServer) -> None:
    holds = AsyncRedisHolds(server.url)

    async def use() -> None:
        await holds.perform(Peek(place=PLACE))

    with warnings.catch_warnings():
        # Python tells that nobody closed them.
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(20):
            asyncio.run(use())
        gc.collect()
        clients = command(server.port, "CLIENT", "LIST").count(b"name=")
        assert clients < 5
        holds.forget()
        gc.collect()
