"""Open holds are prolonged while their requests run, and let go of when they end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from stigg_guard.metering.holds.base import (
    Holds,
    HoldsUnavailable,
    Keep,
    Op,
    Peek,
    Place,
    Renew,
    Standing,
    Take,
)
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.holds.redis import RedisHolds
from stigg_guard.metering.holds.renewal import MOST_AT_ONCE, NOWHERE, Renewals
from tests.metering.holds.servers import command, wait_until
from tests.metering.holds.stores import OTHER, PLACE, driven, want
from tests.redis_server import RedisServer

LEASE = 3000.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Recorded(Holds):
    """Holds in memory that note what they are asked, and fail when told to."""

    def __init__(self, clock: Clock) -> None:
        self.memory = MemoryHolds(clock=clock)
        self.asked: list[Op] = []
        self.error: Exception | None = None
        self.is_out = False

    def perform(self, op: Op) -> object:
        self.asked.append(op)
        if self.error is not None:
            raise self.error
        return self.memory.perform(op)

    def close(self) -> None:
        self.memory.close()

    def held(self, place: Place = PLACE) -> float:
        return cast("Standing", self.memory.perform(Peek(place=place))).held


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Recorded:
    return Recorded(clock)


@pytest.fixture
def renewals(store: Recorded, clock: Clock) -> Iterator[Renewals]:
    made = Renewals(store, lease=LEASE, clock=clock)
    yield made
    made.close()


def test_a_hold_is_prolonged_for_as_long_as_it_is_open(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    store.memory.perform(Take(wants=(want("a", 2),), lease=LEASE))
    renewals.add(PLACE, "a", 2, 100)

    for _ in range(20):
        clock.now += LEASE / 2
        renewals.renew_due()
        assert store.held() == 2
    renewals.drop(PLACE, "a", ended=False)
    clock.now += LEASE
    renewals.renew_due()
    assert store.held() == 0


def test_a_hold_is_not_prolonged_before_a_third_of_its_lease(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    renewals.add(PLACE, "a", 2, 100)
    clock.now += LEASE / 3 - 1
    renewals.renew_due()
    assert store.asked == []

    clock.now += 1
    renewals.renew_due()
    renewals.renew_due()
    assert store.asked == [
        Renew(place=PLACE, units=(("a", 2),), lease=LEASE, period=100)
    ]


def test_holds_of_a_place_are_prolonged_together(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    for number in range(MOST_AT_ONCE + 1):
        renewals.add(PLACE, str(number), 1, 100)
    renewals.add(OTHER, "a", 1, None)
    clock.now += LEASE / 3

    renewals.renew_due()

    sizes = [len(cast("Renew", op).units) for op in store.asked]
    assert sizes == [MOST_AT_ONCE, 1, 1]


def test_a_hold_that_ended_amid_its_renewal_is_not_held_again(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    renewals.add(PLACE, "a", 2, 100)
    clock.now += LEASE / 3
    renewals.renew_due()
    assert store.held() == 2

    # It was settled just before the renewal above.
    renewals.drop(PLACE, "a")
    renewals.renew_due()
    assert store.held() == 0


def test_a_hold_that_lives_on_in_the_outbox_stays(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    renewals.add(PLACE, "a", 2, 100)
    clock.now += LEASE / 3
    renewals.renew_due()
    store.memory.perform(Keep(place=PLACE, key="a", units=2, mode="stored"))

    renewals.drop(PLACE, "a", ended=False)
    renewals.renew_due()

    assert store.held() == 2


def test_a_short_request_costs_the_store_nothing(
    store: Recorded, renewals: Renewals
) -> None:
    renewals.add(PLACE, "a", 2, 100)
    renewals.drop(PLACE, "a")
    renewals.drop(PLACE, "never")
    renewals.renew_due()

    assert store.asked == []
    assert len(renewals) == 0


def test_errors_of_the_store_are_survived(
    store: Recorded,
    renewals: Renewals,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stigg_guard")
    renewals.add(PLACE, "a", 2, 100)

    store.error = HoldsUnavailable("out")
    clock.now += LEASE / 3
    renewals.renew_due()
    # The store's own wrapper logs it.
    assert caplog.records == []
    store.error = ZeroDivisionError("a defect")
    clock.now += LEASE / 3
    renewals.renew_due()
    assert "Holds could not be prolonged" in caplog.text
    store.error = None
    clock.now += LEASE / 3
    renewals.renew_due()
    assert store.held() == 2


def test_a_thread_prolongs_and_ends_when_there_is_nothing_to_do(
    server: RedisServer,
) -> None:
    with driven(RedisHolds(server.url)) as store:
        lease = 0.3
        renewals = Renewals(RedisHolds(server.url), lease=lease)
        for _ in range(2):
            store.take(want("a", 2), lease=lease)
            renewals.add(PLACE, "a", 2, 100)
            (thread,) = _threads()
            _wait_for_steps(server, 5)
            assert store.standing().held == 2
            renewals.drop(PLACE, "a")
            thread.join(30)
            assert not thread.is_alive()
            assert store.standing().held == 0


def test_a_store_that_is_out_is_asked_again_long_before_a_lease_is_over(
    store: Recorded, renewals: Renewals
) -> None:
    store.is_out = True

    renewals.add(PLACE, "a", 2, 100)

    wait_until(lambda: Peek(place=NOWHERE) in store.asked, "it is asked")


def _threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "stigg-guard-holds"]


def _wait_for_steps(server: RedisServer, more: int) -> None:
    asked = _count(server)
    wait_until(lambda: _count(server) >= asked + more, "it goes on")


def _count(server: RedisServer) -> int:
    stats = command(server.port, "INFO", "COMMANDSTATS")
    return int(stats["cmdstat_evalsha"]["calls"])


def test_a_child_prolongs_nothing_of_its_parents(
    store: Recorded, renewals: Renewals, clock: Clock
) -> None:
    renewals.add(PLACE, "a", 2, 100)

    child = os.fork()
    if child == 0:
        clock.now += LEASE
        renewals.renew_due()
        is_free = not store.asked and not len(renewals)
        renewals.add(PLACE, "b", 1, 100)
        os._exit(0 if is_free and len(_threads()) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(renewals) == 1
