"""Leases, youth and forgetting in a ledger whose clock a test moves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from stigg_guard.metering.holds.base import (
    ORPHANED_FOR,
    REMEMBERED_FOR,
    STORED_FOR,
    Fence,
    Keep,
    Lift,
    Mode,
    Place,
    Renew,
    Settle,
    Standing,
    Take,
    Taken,
)
from stigg_guard.metering.holds.memory import MemoryHolds
from tests.metering.holds.stores import PLACE, Store, driven, want


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> MemoryHolds:
    return MemoryHolds(clock=clock)


@pytest.fixture
def store(memory: MemoryHolds) -> Iterator[Store]:
    with driven(memory) as opened:
        yield opened


def test_a_hold_runs_out_with_its_lease(store: Store, clock: Clock) -> None:
    store.take(want(units=6), lease=30)

    clock.now += 29.9
    assert store.take(want(usage=0)).refusal == "held"
    clock.now += 0.1
    assert store.take(want(usage=0)).granted


def test_a_hold_that_ran_out_leaves_expected_unknown(
    store: Store, clock: Clock
) -> None:
    store.take(want(usage=3), lease=30)

    clock.now += 30
    assert store.standing() == Standing(counted=4, period=100)


def test_an_acknowledgement_that_comes_late_lowers_nothing(
    store: Store, clock: Clock
) -> None:
    store.take(want("late", usage=3), lease=5)
    clock.now += 6
    store.take(want("other", usage=4))
    store.settle("other", total=5)
    store.settle("late", total=4)

    assert store.standing() == Standing(counted=6, period=100)


def test_a_total_shows_what_others_settled_and_never_told(
    store: Store, clock: Clock
) -> None:
    store.take(want("dead", 2, usage=0), lease=5)
    store.take(want("a", usage=0), want("b", usage=0))
    clock.now += 6
    store.settle("a", total=3)
    store.settle("b", total=4)

    # The answer is older than what was acknowledged.
    assert store.take(want(units=3, usage=0)).refusal == "used"
    assert store.take(want(units=2, usage=0)).granted


def test_units_of_a_dead_holder_were_reported_or_not_as_the_next_answer_tells(
    store: Store, clock: Clock
) -> None:
    store.take(want("dead", 3, usage=0), want("too", 1, usage=0), lease=5)
    clock.now += 6
    # Three of the four had been reported.
    assert store.take(want("a", 4, usage=3)).refusal == "used"
    assert store.take(want("a", 3, usage=3)).granted
    assert store.take(want("b", 1, usage=3)).refusal == "held"


def test_a_total_that_stands_alone_shows_it_too(store: Store, clock: Clock) -> None:
    store.take(want("dead", 3, usage=0), lease=5)
    clock.now += 6
    store.take(want("a", usage=0))
    store.settle("a", total=4)

    assert store.take(want(units=3, usage=0)).refusal == "used"
    assert store.take(want(units=2, usage=0)).granted


def test_a_total_that_was_found_outlives_an_older_answer(store: Store) -> None:
    store.perform(Fence(place=PLACE, token="t", lease=10))
    store.perform(Lift(place=PLACE, token="t", total=4, young_for=60))

    assert store.take(want(units=3, usage=0)).refusal == "used"


def test_the_hold_of_a_worker_that_died_waits_for_another_one(
    store: Store, clock: Clock
) -> None:
    store.perform(Keep(place=PLACE, key="row", units=1, mode="sending", lease=30))
    clock.now += 30 + ORPHANED_FOR - 1
    assert store.standing().doubtful == 1

    clock.now += 2
    assert store.standing().held == 0


def test_holds_run_out_in_the_order_of_their_ends(store: Store, clock: Clock) -> None:
    for key, lease in [("a", 30), ("b", 10), ("c", 20)]:
        store.take(want(key), lease=lease)

    held = list[float]()
    for _ in range(3):
        clock.now += 10
        held.append(store.standing().held)
    assert held == [2, 1, 0]


def test_a_renewed_hold_lasts_for_another_lease(store: Store, clock: Clock) -> None:
    store.take(want("a", 6), lease=30)

    for _ in range(5):
        clock.now += 20
        store.perform(Renew(place=PLACE, units=(("a", 6),), lease=30, period=100))
        assert store.standing().held == 6
    clock.now += 30
    assert store.standing().held == 0


def test_a_take_again_lasts_for_another_lease(store: Store, clock: Clock) -> None:
    store.take(want("a", 6), lease=30)
    clock.now += 20
    store.take(want("a", 6), lease=30)

    clock.now += 20
    assert store.standing().held == 6


def test_a_stored_hold_outlives_its_lease(store: Store, clock: Clock) -> None:
    store.take(want("a"), lease=30)
    store.perform(Keep(place=PLACE, key="a", units=1, mode="stored"))
    store.perform(Renew(place=PLACE, units=(("a", 6),), lease=30, period=100))

    clock.now += STORED_FOR - 1
    assert store.standing().held == 1
    clock.now += 1
    assert store.standing() == Standing(expected=0, period=100)


def test_a_hold_whose_sender_died_is_doubtful(store: Store, clock: Clock) -> None:
    store.take(want("a", 2))
    store.perform(Keep(place=PLACE, key="a", units=2, mode="sending", lease=30))

    clock.now += 30

    assert store.standing() == Standing(
        counted=2, held=2, doubtful=1, expected=0, period=100
    )
    clock.now += ORPHANED_FOR
    assert store.standing() == Standing(counted=2, period=100)


def test_units_are_young_for_their_time_and_a_sixteenth_longer(
    store: Store, clock: Clock
) -> None:
    store.take(want("a", 6))
    store.settle("a", 6, young_for=16)

    clock.now += 15.99
    assert store.take(want(usage=0)).refusal == "used"
    clock.now += 1.01
    assert store.take(want(usage=0)).granted


def test_units_grow_old_one_after_the_other(store: Store, clock: Clock) -> None:
    counted = list[float]()
    for number in range(6):
        store.take(want(str(number)))
        store.settle(str(number), young_for=16)
        clock.now += 4
    for _ in range(6):
        counted.append(store.take(want(units=9)).counted)
        clock.now += 4

    assert counted == [4, 3, 2, 1, 0, 0]


def test_a_fence_ends_by_itself(store: Store, clock: Clock) -> None:
    store.perform(Fence(place=PLACE, token="t", lease=30))

    clock.now += 30

    assert store.take(want()).granted


def test_an_account_is_remembered_for_an_hour_and_then_forgotten(
    store: Store, memory: MemoryHolds, clock: Clock
) -> None:
    store.take(want("a"))
    store.settle("a", young_for=60, total=1)

    clock.now += REMEMBERED_FOR
    store.take(want(place=Place("other", None, "f")))
    assert store.standing().expected == 1
    clock.now += 64
    for number in range(4):
        store.take(want(place=Place(f"other-{number}", None, "f")))
    assert store.standing() == Standing()


@pytest.mark.parametrize("mode", ["stored", "doubtful"])
def test_an_account_is_not_forgotten_while_something_is_held(
    store: Store, clock: Clock, mode: Mode
) -> None:
    kept = Keep(place=PLACE, key="a", units=2, mode=mode)
    store.perform(kept)

    for number in range(20):
        clock.now += REMEMBERED_FOR
        store.take(want(place=Place(f"other-{number}", None, "f")))

    assert store.standing().held == 2


def test_customers_who_come_once_are_forgotten_bit_by_bit(
    store: Store, memory: MemoryHolds, clock: Clock
) -> None:
    for number in range(30_000):
        key = str(number)
        place = Place(key, None, "f")
        store.take(want(key, place=place))
        store.settle(key, place=place, young_for=0)
        clock.now += 1

    assert len(memory) < 2.1 * REMEMBERED_FOR


def test_many_settlements_cost_an_account_nothing(
    memory: MemoryHolds, clock: Clock
) -> None:
    big = 1e9
    sizes = list[int]()
    for number in range(20_000):
        key = str(number)
        memory.perform(Take(wants=(want(key, limit=big),), lease=30))
        memory.perform(Settle(place=PLACE, key=key, units=1, young_for=60, total=None))
        clock.now += 0.01
        sizes.append(_size(memory))

    assert max(sizes[10_000:]) <= max(sizes[:10_000])


def _size(memory: MemoryHolds) -> int:
    """How many entries the containers of the one account have."""
    account = memory._ledger._accounts[PLACE]  # pyright: ignore[reportPrivateUsage]
    young = account._young._buckets  # pyright: ignore[reportPrivateUsage]
    ends = account.held._ends  # pyright: ignore[reportPrivateUsage]
    return len(young) + len(ends) + len(account.held.by_key)


def test_renewing_for_long_costs_nothing(memory: MemoryHolds, clock: Clock) -> None:
    for number in range(10):
        memory.perform(Take(wants=(want(str(number), limit=99),), lease=30))
    units = tuple((str(number), 1.0) for number in range(10))

    for _ in range(1000):
        clock.now += 0.01
        memory.perform(Renew(place=PLACE, units=units, lease=30, period=100))

    assert _size(memory) < 60


def test_a_clock_that_steps_back_gives_nothing_back_twice(
    store: Store, clock: Clock
) -> None:
    store.take(want("a", 4), lease=30)
    store.settle("a", 4, young_for=60)
    clock.now -= 1000
    store.take(want("b", 2), lease=30)

    assert store.take(want(usage=0)).refusal == "held"
    clock.now += 30
    assert store.standing().held == 0


def test_threads_are_granted_exactly_the_limit() -> None:
    for _ in range(20):
        memory, granted = MemoryHolds(), list[bool]()
        start = threading.Barrier(20)

        def take(
            memory: MemoryHolds = memory,
            start: threading.Barrier = start,
            granted: list[bool] = granted,
        ) -> None:
            start.wait(30)
            for _ in range(5):
                taken = memory.perform(Take(wants=(want(),), lease=30))
                granted.append(cast("Taken", taken).granted)

        threads = [threading.Thread(target=take) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert granted.count(True) == 6


def test_a_child_starts_without_its_parents_holds(memory: MemoryHolds) -> None:
    memory.perform(Take(wants=(want("a", 6),), lease=30))

    with memory._lock:  # pyright: ignore[reportPrivateUsage]
        child = os.fork()
        if child == 0:
            taken = memory.perform(Take(wants=(want(units=6),), lease=30))
            os._exit(0 if cast("Taken", taken).granted else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert memory.holds(PLACE, "a")
