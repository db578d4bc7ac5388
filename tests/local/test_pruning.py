"""Usage of reset periods that are long over goes; nothing else does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pydantic import BaseModel

from sidecar_client.local.customers import Customer
from sidecar_client.local.pruning import prune
from sidecar_client.local.records import (
    KINDS,
    Aggregate,
    History,
    Key,
    Seen,
    Usage,
    aggregate_key,
    billed_key,
    customer_key,
    history_key,
    seen_key,
    usage_key,
)
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Transaction, World
from tests.local.wire import NOW, Clock

OLD, RECENT = NOW - timedelta(days=767), NOW - timedelta(days=765)


def kept_of(begun: datetime | None) -> dict[Key[BaseModel], BaseModel]:
    """Everything that is kept of a counter, in the window that began then."""
    counter = usage_key("c", "r", "f", begun)
    aggregate = aggregate_key(counter)
    found: dict[Key[BaseModel], BaseModel] = {
        counter: Usage(total=1),
        history_key(counter.name): History(),
        aggregate: Aggregate(),
        seen_key(aggregate, "value"): Seen(),
    }
    if begun is not None:
        billed = billed_key(counter, begun)
        found |= {billed: Usage(total=1), aggregate_key(billed): Aggregate()}
    return found


async def put(world: World, records: dict[Key[BaseModel], BaseModel]) -> None:
    async def write(transaction: Transaction) -> None:
        for key, record in records.items():
            transaction.write(key, record)

    await world.transact(write)


async def names(world: World) -> set[str]:
    return {name for kind in KINDS for name, _ in await world.store.scan(f"{kind}/")}


@pytest.fixture
def world() -> World:
    return World(MemoryStore(), clock=Clock())


async def test_what_is_of_a_period_long_over_is_removed(world: World) -> None:
    recent = {**kept_of(RECENT), **kept_of(None)}
    recent[customer_key("c")] = Customer(id="c")
    await put(world, {**kept_of(OLD), **recent})
    await prune(world)
    assert await names(world) == {key.name for key in recent}


def of_events(
    customer: str, updated: datetime, begun: datetime | None = None
) -> dict[Key[BaseModel], BaseModel]:
    """What events of a customer came to; of no period where nothing entitles it."""
    aggregate = aggregate_key(usage_key(customer, None, "f", begun))
    return {aggregate: Aggregate(updated=updated), seen_key(aggregate, "v"): Seen()}


async def test_what_was_counted_for_customers_that_never_came_is_removed(
    world: World,
) -> None:
    quiet, lately = NOW - timedelta(days=401), NOW - timedelta(days=399)
    kept: dict[Key[BaseModel], BaseModel] = {
        customer_key("here"): Customer(id="here"),
        **of_events("here", quiet),
        **of_events("late", lately),
        **of_events("gone", quiet, begun=RECENT),
    }
    await put(world, {**kept, **of_events("nobody", quiet)})
    await prune(world)
    assert await names(world) == {key.name for key in kept}


async def test_many_are_looked_at_a_part_at_a_time(world: World) -> None:
    records: dict[Key[BaseModel], BaseModel] = {}
    for number in range(1200):
        begun = OLD if number % 3 else RECENT
        records[usage_key(f"{number:04}", None, "f", begun)] = Usage()
    await put(world, records)
    assert len(await names(world)) == 1000  # of one scan
    await prune(world)
    assert len(await names(world)) == 400
    await prune(world)
    assert len(await names(world)) == 400


async def test_clock_that_is_moved_on_lets_more_go(world: World) -> None:
    clock = world.clock
    assert isinstance(clock, Clock)
    await put(world, kept_of(RECENT))
    clock.now += timedelta(days=2)
    await prune(world)
    assert await names(world) == set()
