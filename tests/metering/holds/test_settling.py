"""Holds whose end changes no number are ended in the background, soon and in order."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest

from stigg_guard import AccessDenied, AsyncGuard, Guard, Subject
from stigg_guard.metering.holds.base import (
    GiveBack,
    Holds,
    Op,
    Peek,
    Place,
    Settle,
    Standing,
    Take,
)
from stigg_guard.metering.holds.redis import RedisHolds
from stigg_guard.metering.holds.settling import MOST_WAITING, Settling
from tests.counting_sidecar import CountingSidecar, counting_sidecar
from tests.metering.holds.servers import wait_until
from tests.metering.holds.stores import want
from tests.redis_server import RedisServer

CUSTOMER = Subject("customer-1")
FEATURE = "feature-1"
"""It has a limit of 6."""
PLACE = Place("customer-1", None, FEATURE)


def _step(number: int) -> Op:
    return GiveBack(place=PLACE, keys=(str(number),))


def _threads() -> list[threading.Thread]:
    found = threading.enumerate()
    return [thread for thread in found if thread.name == "stigg-guard-settling"]


class Gate:
    """Lets steps pass when it is open, and notes which have passed."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.passed: list[Op] = []

    def __call__(self, ops: Sequence[Op]) -> None:
        assert self.is_open.wait(30)
        self.passed.extend(ops)


def test_steps_are_carried_out_in_their_order() -> None:
    gate = Gate()
    gate.is_open.set()
    settling = Settling(gate)
    steps = [_step(number) for number in range(50)]

    assert all(settling.add(step) for step in steps)
    assert settling.flush(30)

    assert gate.passed == steps
    settling.close(1)


def test_steps_that_wait_together_are_carried_out_together() -> None:
    gate, batches = Gate(), list[int]()

    def perform(ops: Sequence[Op]) -> None:
        gate(ops)
        batches.append(len(ops))

    settling = Settling(perform)
    settling.add(_step(0))
    wait_until(lambda: not cast("Any", settling)._steps, "the first is under way")
    for number in range(1, 11):
        settling.add(_step(number))
    gate.is_open.set()
    assert settling.flush(30)

    assert batches == [1, 10]
    settling.close(1)


def test_a_step_after_a_while_of_none_is_carried_out() -> None:
    gate = Gate()
    gate.is_open.set()
    settling = Settling(gate)
    settling.add(_step(1))
    settling.flush(30)
    wait_until(lambda: cast("Any", settling)._sleeps, "the thread sleeps")

    settling.add(_step(2))

    wait_until(lambda: len(gate.passed) == 2, "the step is carried out")
    settling.close(1)


def test_who_finds_too_many_waiting_is_told_so() -> None:
    gate = Gate()
    settling = Settling(gate)
    settling.add(_step(0))
    # One of them may be under way, and does not wait.
    added = [settling.add(_step(number)) for number in range(MOST_WAITING + 2)]

    assert MOST_WAITING - 1 <= added.count(True) <= MOST_WAITING
    assert not added[-1]
    assert not settling.flush(0.01)
    gate.is_open.set()
    assert settling.flush(30)
    assert len(gate.passed) == 1 + added.count(True)
    assert settling.add(_step(1))
    settling.close(1)


def test_a_step_that_fails_is_logged_and_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    passed = list[Op]()

    def perform(ops: Sequence[Op]) -> None:
        if _step(1) in ops:
            raise RuntimeError("broken")
        passed.extend(ops)

    settling = Settling(perform)
    with caplog.at_level(logging.ERROR, "stigg_guard"):
        settling.add(_step(1))
        assert settling.flush(30)
        settling.add(_step(2))
        assert settling.flush(30)

    assert passed == [_step(2)]
    assert "Holds were not ended, which is a defect" in caplog.text
    settling.close(1)


def test_closing_ends_the_thread_and_the_next_step_starts_another() -> None:
    gate = Gate()
    gate.is_open.set()
    settling = Settling(gate)
    for number in range(3):
        before = set(_threads())
        assert settling.add(_step(number))
        (mine,) = set(_threads()) - before
        settling.close(30)
        mine.join(30)
        assert not mine.is_alive()
        assert len(gate.passed) == number + 1
    assert settling.flush(0)


# In a guard


class Gated(Holds):
    """Holds whose settlements wait for a gate, and the threads that made them."""

    def __init__(self, holds: Holds) -> None:
        self._holds = holds
        self.is_open = threading.Event()
        self.settled_by: list[str] = []

    def perform(self, op: Op) -> object:
        if isinstance(op, Settle):
            self.settled_by.append(threading.current_thread().name)
            assert self.is_open.wait(30)
        return self._holds.perform(op)

    def close(self) -> None:
        self._holds.close()


@pytest.fixture
def sidecar() -> Iterator[CountingSidecar]:
    with counting_sidecar() as running:
        yield running


@pytest.fixture
def guard(sidecar: CountingSidecar, server: RedisServer) -> Iterator[Guard]:
    guard = Guard(
        target=sidecar.target,
        timeout=5,
        write_timeout=5,
        holds=f"{server.url}?socket_timeout=30",
        holds_wait=0,
    )
    yield guard
    guard.close()


def _gated(guard: Guard) -> Gated:
    gated = Gated(guard.stores.holds)
    cast("Any", guard.stores)._holds = gated
    return gated


def _standing(server: RedisServer) -> Standing:
    holds = RedisHolds(server.url)
    standing = holds.perform(Peek(place=PLACE))
    holds.close()
    assert isinstance(standing, Standing)
    return standing


def test_nobody_waits_for_the_end_of_a_hold_that_was_used_as_it_was(
    guard: Guard, sidecar: CountingSidecar, server: RedisServer
) -> None:
    gated = _gated(guard)
    with guard.metered(CUSTOMER, FEATURE, value=4):
        pass

    assert sidecar.total() == 4
    # Until its hold is ended, the hold stands for what was used.
    assert (_standing(server).counted, _standing(server).held) == (4, 4)
    with pytest.raises(AccessDenied), guard.metered(CUSTOMER, FEATURE, value=3):
        pass
    gated.is_open.set()
    wait_until(lambda: _standing(server).held == 0, "the hold is ended")
    assert _standing(server).counted == 4
    assert gated.settled_by == ["stigg-guard-settling"]


async def test_nor_does_an_event_loop(
    guard: Guard, sidecar: CountingSidecar, server: RedisServer
) -> None:
    gated = _gated(guard)
    aio: AsyncGuard = guard.aio
    async with aio.metered(CUSTOMER, FEATURE, value=4):
        pass

    assert sidecar.total() == 4
    assert _standing(server).held == 4
    gated.is_open.set()
    await aio.aclose()
    assert (_standing(server).counted, _standing(server).held) == (4, 0)


@pytest.mark.parametrize("used", [1, 5])
def test_units_that_differ_from_the_hold_are_counted_before_the_response(
    guard: Guard, server: RedisServer, used: int
) -> None:
    gated = _gated(guard)
    gated.is_open.set()
    with guard.metered(CUSTOMER, FEATURE, value=3) as usage:
        usage.value = used

    assert (_standing(server).counted, _standing(server).held) == (used, 0)
    assert gated.settled_by == [threading.current_thread().name]


def test_a_new_total_is_counted_before_the_response(
    guard: Guard, server: RedisServer
) -> None:
    with guard.metered(CUSTOMER, FEATURE, value=3, update="set"):
        pass

    assert (_standing(server).counted, _standing(server).held) == (3, 0)


def test_closing_a_guard_ends_what_nobody_waited_for(
    guard: Guard, server: RedisServer
) -> None:
    for _ in range(6):
        with guard.metered(CUSTOMER, FEATURE):
            pass
    guard.close()

    assert (_standing(server).counted, _standing(server).held) == (6, 0)


def test_a_child_ends_its_own_holds_and_not_its_parents(server: RedisServer) -> None:
    # Nobody asks a sidecar: old versions of gRPC do not survive a fork beside a server.
    guard = Guard(target="127.0.0.1:1", holds=f"{server.url}?socket_timeout=30")
    stores, gated = guard.stores, _gated(guard)

    def use(key: str, units: float) -> None:
        wanted = want(key, units, place=PLACE)
        stores.perform(Take(wants=(wanted,), lease=30))
        used = Settle(
            place=PLACE, key=key, units=units, young_for=60, total=None, period=100
        )
        stores.perform(used, waits=False)

    use("parent's", 1)
    # What the tests before left to be collected may be servers, which no child can end.
    gc.disable()
    child = os.fork()
    if child == 0:
        is_fine = False
        with suppress(BaseException):
            use("child's", 2)
            guard.close()
            standing = _standing(server)
            is_fine = (standing.counted, standing.held) == (3, 1)
        os._exit(0 if is_fine else 1)
    gc.enable()
    ended: list[tuple[int, int]] = []

    def has_ended() -> bool:
        ended.append(os.waitpid(child, os.WNOHANG))
        return ended[-1][0] == child

    wait_until(has_ended, "the child has ended")
    assert ended[-1][1] == 0
    gated.is_open.set()
    wait_until(lambda: _standing(server).held == 0, "the parent's is ended, too")
    assert _standing(server).counted == 3
    guard.close()


def test_an_outage_costs_the_end_of_a_hold_nothing(
    sidecar: CountingSidecar,
) -> None:
    from tests.redis_server import redis_server

    with redis_server() as server:
        guard = Guard(
            target=sidecar.target, timeout=5, write_timeout=5, holds=server.url
        )
        with guard.metered(CUSTOMER, FEATURE, value=4):
            server.kill()
        server.start()

        # Whoever comes first when it is back tells it.
        wait_until(lambda: _told(guard, server), "the hold is ended")
        assert _standing(server).counted == 4
        guard.close()


def _told(guard: Guard, server: RedisServer) -> bool:
    guard.stores.perform(Peek(place=PLACE))
    return _standing(server).held == 0
