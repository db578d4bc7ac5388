"""What stands in for a hold store that is out; Redis is killed and started again."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import cast

import pytest

from stigg_guard.metering.holds.base import (
    Fence,
    GiveBack,
    Holds,
    HoldsUnavailable,
    Keep,
    Lift,
    Op,
    Place,
    Renew,
    Settle,
    Standing,
    Take,
    Taken,
)
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.holds.outage import MOST_UNTOLD, SECONDS_BETWEEN_TRIES
from stigg_guard.metering.holds.redis import AsyncRedisHolds, RedisHolds
from stigg_guard.metering.holds.shared import shared_holds
from stigg_guard.metering.holds.unavailable import (
    MOST_TOLD_AT_ONCE,
    AsyncGuardedHolds,
    GuardedHolds,
    Policy,
    StandIn,
)
from tests.metering.holds.servers import command
from tests.metering.holds.stores import (
    OTHER,
    PLACE,
    Store,
    driven,
    driven_in_a_loop,
    want,
)
from tests.redis_server import RedisServer, redis_server


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_a_pause(self) -> None:
        self.now += SECONDS_BETWEEN_TRIES


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def mortal() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(mortal: RedisServer) -> Generator[Store]:
    """The store behind the guarded ones."""
    with driven(RedisHolds(mortal.url)) as store:
        yield store


@pytest.fixture
def stand_in(request: pytest.FixtureRequest, clock: Clock) -> StandIn:
    policy: Policy = getattr(request, "param", "memory")
    return StandIn(MemoryHolds(clock=clock), policy, clock=clock)


@pytest.fixture(params=["sync", "async"])
def store(
    request: pytest.FixtureRequest, mortal: RedisServer, stand_in: StandIn
) -> Generator[Store]:
    """A guarded Redis that runs at the test's beginning and is empty."""
    command(mortal.port, "FLUSHALL")
    if request.param == "sync":
        with driven(GuardedHolds(RedisHolds(mortal.url), stand_in)) as opened:
            yield opened
    else:
        holds = AsyncGuardedHolds(AsyncRedisHolds(mortal.url), stand_in)
        with driven_in_a_loop(holds) as opened:
            yield opened
    _start(mortal)


def _start(server: RedisServer) -> None:
    server.kill()
    server.start()


denying = pytest.mark.parametrize("stand_in", ["deny"], indirect=True)


def test_holds_are_taken_in_memory_while_the_store_is_out(
    store: Store, mortal: RedisServer, stand_in: StandIn
) -> None:
    store.take(want("before", 2))
    mortal.kill()

    granted = [store.take(want()).granted for _ in range(8)]

    assert granted == [True] * 6 + [False] * 2
    assert store.standing().held == 6
    assert stand_in.is_out
    assert stand_in.missed == 9


@denying
def test_nothing_is_granted_while_the_store_is_out_when_told_so(
    store: Store, mortal: RedisServer
) -> None:
    store.take(want("a"))
    mortal.kill()

    for _ in range(2):
        with pytest.raises(HoldsUnavailable, match=f":{mortal.port}/0 is out: "):
            store.take(want())
    store.settle("a")
    store.perform(GiveBack(place=PLACE, keys=("a",)))
    store.perform(Renew(place=PLACE, units=(("a", 1),), lease=30, period=None))
    store.perform(Lift(place=PLACE, token="t", total=None))
    assert store.standing() == Standing()
    assert store.perform(_keep("a", "stored")) is True
    assert store.perform(_keep("a", "sending")) is False


@pytest.mark.parametrize("stand_in", ["memory", "deny"], indirect=True)
def test_nobody_fences_an_account_while_the_store_is_out(
    store: Store, mortal: RedisServer
) -> None:
    mortal.kill()

    assert store.perform(Fence(place=PLACE, token="t", lease=30)) is None


def test_rows_are_sent_while_the_store_is_out(
    store: Store, mortal: RedisServer
) -> None:
    mortal.kill()

    assert store.perform(_keep("a", "sending")) is True
    assert store.standing().held == 1


def _keep(key: str, mode: str) -> Op:
    return Keep(place=PLACE, key=key, units=1, mode=mode)  # type: ignore[arg-type]


def test_the_store_is_tried_once_in_a_while(
    store: Store, mortal: RedisServer, clock: Clock, stand_in: StandIn
) -> None:
    mortal.kill()
    store.take(want())
    mortal.start()

    store.take(want())
    is_out = [stand_in.is_out]
    clock.pass_a_pause()
    store.take(want())

    assert [*is_out, stand_in.is_out] == [True, False]
    assert store.standing().held == 1


def test_an_outage_is_logged_once_and_its_end(
    store: Store,
    mortal: RedisServer,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stigg_guard")
    mortal.kill()
    for _ in range(5):
        store.take(want())
        clock.pass_a_pause()
    mortal.start()
    store.take(want())

    first, last = caplog.records
    assert first.levelname == "WARNING"
    assert f"redis://127.0.0.1:{mortal.port}/0 is out: " in first.message
    assert "Holds are kept within each process until it is back." in first.message
    assert last.levelname == "INFO"
    assert "back after 5.0 s and 5 steps without it" in last.message


@pytest.mark.parametrize("stand_in", ["memory", "deny"], indirect=True)
def test_how_holds_ended_is_told_to_the_store_when_it_is_back(
    store: Store, mortal: RedisServer, clock: Clock, redis: Store
) -> None:
    store.take(want("used", 1), want("free", 2), want("kept", 3))
    mortal.kill()
    store.perform(_keep("used", "stored"))
    store.settle("used", 1)
    store.perform(GiveBack(place=PLACE, keys=("free", "other")))
    store.perform(Keep(place=PLACE, key="kept", units=3, mode="stored"))
    mortal.start()
    clock.pass_a_pause()

    store.perform(GiveBack(place=OTHER, keys=()))

    standing = redis.standing()
    assert (standing.counted, standing.held, standing.open) == (4, 3, 0)


def test_what_was_granted_in_memory_counts_in_the_store_once_it_is_used(
    store: Store, mortal: RedisServer, clock: Clock, redis: Store
) -> None:
    mortal.kill()
    store.take(want("used", 2), want("open", 1))
    store.settle("used", 2)
    mortal.start()
    clock.pass_a_pause()

    assert store.take(want("new", 4)).granted
    assert redis.standing().counted == 6
    store.settle("open", 1)

    assert redis.standing().counted == 7
    assert store.take(want()).refusal == "held"


def test_what_is_held_in_memory_is_held_in_the_store_from_its_renewal_on(
    store: Store, mortal: RedisServer, clock: Clock, redis: Store, stand_in: StandIn
) -> None:
    mortal.kill()
    store.take(want("open", 2))
    mortal.start()
    clock.pass_a_pause()

    units = (("open", 2.0),)
    store.perform(Renew(place=PLACE, units=units, lease=30, period=100))
    assert redis.standing().held == 2

    store.perform(GiveBack(place=PLACE, keys=("open",)))
    assert redis.standing().held == 0
    assert not stand_in.memory.holds(PLACE, "open")


@pytest.mark.parametrize(
    ("policy", "in_memory", "held"),
    [("memory", 0, 4), ("memory", 5, 0), ("deny", 0, 0)],
)
def test_what_was_granted_unheard_is_given_back_unless_it_is_used(
    clock: Clock, policy: Policy, in_memory: float, held: float
) -> None:
    class Unheard(_Failing):
        def perform(self, op: Op) -> object:
            reply = self._store.perform(op)
            if self.is_out:
                take_next()
                raise HoldsUnavailable("The hold store is out: it answers late.")
            return reply

    def take_next() -> None:
        # They are under way beside each other.
        if takes:
            with suppress(HoldsUnavailable):
                guarded.perform(takes.pop())

    behind, memory = MemoryHolds(), MemoryHolds()
    if in_memory:
        memory.perform(Take(wants=(want(units=in_memory),), lease=30))
    unheard = Unheard(behind)
    guarded = GuardedHolds(unheard, StandIn(memory, policy, clock=clock))
    takes = [Take(wants=(want(key, 2),), lease=30) for key in ("a", "b")]

    take_next()

    unheard.is_out = False
    clock.pass_a_pause()
    guarded.perform(GiveBack(place=OTHER, keys=()))

    with driven(behind) as opened:
        assert opened.standing().held == held


def test_a_long_outage_is_made_up_for_bit_by_bit(
    store: Store, mortal: RedisServer, clock: Clock, redis: Store, stand_in: StandIn
) -> None:
    mortal.kill()
    settled = 2 * MOST_TOLD_AT_ONCE + 50
    for number in range(settled):
        store.settle(str(number))
    mortal.start()
    clock.pass_a_pause()

    told = list[float]()
    while stand_in.is_out:
        store.take(want(usage=None, limit=0))
        told.append(redis.standing().counted)

    assert told == [MOST_TOLD_AT_ONCE, 2 * MOST_TOLD_AT_ONCE, settled]


def test_what_is_remembered_of_an_outage_is_bounded(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stigg_guard")
    stand_in, store = StandIn(MemoryHolds(), "deny", clock=clock), MemoryHolds()
    guarded = GuardedHolds(_Failing(store), stand_in)
    for number in range(MOST_UNTOLD + 7):
        guarded.perform(_settlement(str(number)))
    _Failing.is_out = False
    clock.pass_a_pause()
    while stand_in.is_out:
        guarded.perform(GiveBack(place=OTHER, keys=()))

    assert _counted(store) == MOST_UNTOLD
    assert "7 of them could not be made up for" in caplog.text


class _Failing(Holds):
    """A store that is out until it is told otherwise."""

    is_out = True

    def __init__(self, store: MemoryHolds) -> None:
        self._store = store
        type(self).is_out = True

    def perform(self, op: Op) -> object:
        if self.is_out:
            raise HoldsUnavailable("The hold store is out: of order.")
        return self._store.perform(op)

    def close(self) -> None:
        self._store.close()


def _settlement(key: str) -> Settle:
    return Settle(place=PLACE, key=key, units=1, young_for=1000, total=None)


def _counted(store: MemoryHolds) -> float:
    with driven(store) as opened:
        return opened.standing().counted


def test_a_store_that_fails_while_it_is_told_is_told_all_of_it_later(
    clock: Clock,
) -> None:
    class Flickering(_Failing):
        left = 0

        def perform(self, op: Op) -> object:
            if self.left <= 0:
                raise HoldsUnavailable("The hold store is out: it flickers.")
            self.left -= 1
            return self._store.perform(op)

    store = MemoryHolds()
    flickering = Flickering(store)
    stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
    guarded = GuardedHolds(flickering, stand_in)
    for number in range(10):
        guarded.perform(_settlement(str(number)))
    while stand_in.is_out:
        flickering.left = 3
        clock.pass_a_pause()
        guarded.perform(GiveBack(place=OTHER, keys=()))

    assert _counted(store) == 10


def test_what_ends_while_the_store_comes_back_is_told_to_it(clock: Clock) -> None:
    class Returning(_Failing):
        def perform(self, op: Op) -> object:
            if isinstance(op, Fence):
                guarded.perform(_settlement("meanwhile"))
            return super().perform(op)

    store = MemoryHolds()
    stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
    guarded = GuardedHolds(Returning(store), stand_in)
    guarded.perform(_settlement("before"))
    _Failing.is_out = Returning.is_out = False
    clock.pass_a_pause()

    guarded.perform(Fence(place=OTHER, token="t", lease=30))
    guarded.perform(GiveBack(place=OTHER, keys=()))

    assert _counted(store) == 2
    assert not stand_in.is_out


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_of_steps_that_go_together_only_what_failed_is_told_later(
    clock: Clock, fails: int
) -> None:
    class Choosy(_Failing):
        is_out = False
        asked = -1

        def perform(self, op: Op) -> object:
            self.asked += 1
            if self.asked == fails:
                raise HoldsUnavailable("The hold store is out: just now.")
            return self._store.perform(op)

    store = MemoryHolds()
    stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
    guarded = GuardedHolds(Choosy(store), stand_in)
    told = guarded.perform_each([_settlement(str(number)) for number in range(3)])

    assert list(told) == [None, None, None]
    assert stand_in.is_out
    assert _counted(store) == 2
    clock.pass_a_pause()
    guarded.perform_each([_settlement("later")])
    assert _counted(store) == 4
    assert not stand_in.is_out


def test_steps_that_go_together_are_told_to_no_store_that_is_out(clock: Clock) -> None:
    store, memory = MemoryHolds(), MemoryHolds()
    stand_in = StandIn(memory, "memory", clock=clock)
    failing = _Failing(store)
    guarded = GuardedHolds(failing, stand_in)
    guarded.perform(_settlement("a"))
    failing.is_out = False

    guarded.perform_each([_settlement("b"), _settlement("c")])

    assert (_counted(store), _counted(memory)) == (0, 3)
    clock.pass_a_pause()
    guarded.perform(GiveBack(place=OTHER, keys=()))
    assert _counted(store) == 3


def test_a_cancelled_try_loses_nothing(clock: Clock) -> None:
    class Hanging:
        is_out = True

        async def perform(self, op: Op) -> object:
            if self.is_out:
                raise HoldsUnavailable("The hold store is out: it hangs.")
            await asyncio.Event().wait()
            return None

        async def aclose(self) -> None:
            """Nothing is open."""

    async def cancel() -> None:
        hanging = Hanging()
        stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
        guarded = AsyncGuardedHolds(hanging, stand_in)
        await guarded.perform(_settlement("a"))
        hanging.is_out = False
        clock.pass_a_pause()
        task = asyncio.create_task(guarded.perform(_settlement("b")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        store = MemoryHolds()
        clock.pass_a_pause()
        GuardedHolds(store, stand_in).perform(GiveBack(place=OTHER, keys=()))
        assert _counted(store) == 1

    asyncio.run(cancel())


def test_only_one_of_many_threads_waits_for_a_store_that_hangs(clock: Clock) -> None:
    tried, go_on = list[Op](), threading.Event()

    class Slow(_Failing):
        def perform(self, op: Op) -> object:
            tried.append(op)
            go_on.wait(30)
            raise HoldsUnavailable("The hold store is out: it is slow.")

    stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
    go_on.set()
    guarded = GuardedHolds(Slow(MemoryHolds()), stand_in)
    guarded.perform(Take(wants=(want(),), lease=30))
    go_on.clear()
    tried.clear()
    clock.pass_a_pause()
    waiting = threading.Thread(
        target=guarded.perform, args=(Take(wants=(want(),), lease=30),)
    )
    waiting.start()
    while not tried:
        waiting.join(0.001)

    for _ in range(4):
        taken = guarded.perform(Take(wants=(want(),), lease=30))
        assert cast("Taken", taken).granted

    assert len(tried) == 1
    go_on.set()
    waiting.join(30)


def test_a_child_tells_nothing_of_its_parents(clock: Clock) -> None:
    store = MemoryHolds()
    stand_in = StandIn(MemoryHolds(), "memory", clock=clock)
    guarded = GuardedHolds(_Failing(store), stand_in)
    guarded.perform(_settlement("a"))

    child = os.fork()
    if child == 0:
        os._exit(1 if stand_in.is_out else 0)
    assert os.waitpid(child, 0)[1] == 0
    assert stand_in.is_out


def test_the_stores_of_threads_and_loops_are_out_together(
    server: RedisServer,
) -> None:
    holds, async_holds = shared_holds(
        server.url, prefix="p", memory=MemoryHolds(), on_unavailable="memory"
    )
    place = Place("c", None, "f")

    async def use() -> Taken:
        take = Take(wants=(want("b", 6, place=place),), lease=30)
        taken = cast("Taken", await async_holds.perform(take))
        await async_holds.aclose()
        return taken

    holds.perform(Take(wants=(want("a", 1, place=place),), lease=30))
    holds.close()
    assert asyncio.run(use()).refusal == "held"
