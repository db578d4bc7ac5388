"""The contract of usage stores, on every store."""

from __future__ import annotations

import math

import pytest

from sidecar_client.local.stores.base import (
    UsageChange,
    UsageKey,
    UsageOutOfRange,
    UsageStore,
)
from sidecar_client.local.stores.memory import MemoryUsageStore

A = UsageKey(customer_id="c", resource_id=None, feature_id="a", window_start=None)
B = UsageKey(customer_id="c", resource_id="r", feature_id="a", window_start=None)


def add(key: UsageKey, value: float) -> UsageChange:
    return UsageChange(key=key, update="delta", value=value)


def put(key: UsageKey, value: float) -> UsageChange:
    return UsageChange(key=key, update="set", value=value)


@pytest.fixture(params=[MemoryUsageStore])
def store(request: pytest.FixtureRequest) -> UsageStore:
    made: UsageStore = request.param()
    return made


async def test_counter_that_was_never_changed_is_zero(store: UsageStore) -> None:
    assert await store.read([A, B]) == [0, 0]


async def test_values_come_in_the_order_asked(store: UsageStore) -> None:
    await store.apply([put(A, 1), put(B, 2)])
    assert await store.read([B, A, B]) == [2, 1, 2]


async def test_later_changes_see_earlier_ones(store: UsageStore) -> None:
    assert await store.apply([add(A, 2), add(A, 3), put(A, 1), add(A, 1)]) == [
        2,
        5,
        1,
        2,
    ]
    assert await store.read([A]) == [2]


@pytest.mark.parametrize("bad", [-4, math.inf, math.nan])
async def test_change_out_of_range_changes_nothing(
    store: UsageStore, bad: float
) -> None:
    await store.apply([put(A, 3)])
    with pytest.raises(UsageOutOfRange) as caught:
        await store.apply([add(B, 1), add(A, bad)])
    assert repr(caught.value.change) == repr(add(A, bad))  # nan equals nothing
    assert await store.read([A, B]) == [3, 0]


async def test_seed_leaves_changed_counters_alone(store: UsageStore) -> None:
    await store.apply([put(A, 0)])
    await store.seed([put(A, 7), put(B, 8)])
    await store.seed([put(B, 9)])
    assert await store.read([A, B]) == [0, 8]
