"""Changes of a world: atomic, from one reading, told once they are kept."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from sidecar_client.local import LocalSidecar
from sidecar_client.local.populate import populate
from sidecar_client.local.records import DEFINITIONS, SOURCE, Usage, usage_key
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.stores.base import Changes
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Announcement, Transaction, World
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, Clock

KEY = usage_key("c", None, "f", None)


@pytest.fixture
def world() -> World:
    return World(MemoryStore(), clock=Clock())


async def add_one(transaction: Transaction) -> float:
    usage = await transaction.read(KEY) or Usage()
    await asyncio.sleep(0)  # lets the others read as well
    transaction.write(KEY, Usage(total=usage.total + 1))
    transaction.announce("counted", customer_id="c", total=usage.total + 1)
    return usage.total + 1


async def test_changes_at_the_same_time_all_count(world: World) -> None:
    results = await asyncio.gather(*[world.transact(add_one) for _ in range(20)])
    assert sorted(results) == list(range(1, 21))
    assert await world.read(KEY) == Usage(total=20)


async def test_changes_that_came_too_late_go_one_by_one() -> None:
    attempts = 0

    class Counting(MemoryStore):
        async def commit(self, changes: Changes) -> bool:
            nonlocal attempts
            attempts += 1
            return await super().commit(changes)

    world = World(Counting(), clock=Clock())
    await asyncio.gather(*[world.transact(add_one) for _ in range(50)])
    assert await world.read(KEY) == Usage(total=50)
    assert attempts <= 2 * 50


def test_world_may_be_used_on_one_loop_after_another(world: World) -> None:
    async def change_at_once() -> None:
        await asyncio.gather(*[world.transact(add_one) for _ in range(3)])

    for _ in range(2):
        asyncio.run(change_at_once())
    assert asyncio.run(world.read(KEY)) == Usage(total=6)


async def test_listeners_hear_of_a_change_once_and_after_it(world: World) -> None:
    heard: list[Announcement] = []
    world.listeners.append(heard.append)
    await asyncio.gather(*[world.transact(add_one) for _ in range(5)])
    assert [item.facts["total"] for item in heard] == [1, 2, 3, 4, 5]
    assert {(item.kind, item.customer_id, item.at) for item in heard} == {
        ("counted", "c", NOW)
    }


async def test_work_that_raises_changes_nothing_and_tells_nobody(world: World) -> None:
    heard: list[Announcement] = []
    world.listeners.append(heard.append)

    async def fail(transaction: Transaction) -> None:
        await add_one(transaction)
        raise LookupError("no")

    with pytest.raises(LookupError):
        await world.transact(fail)
    assert await world.read(KEY) is None
    assert not heard


async def test_transaction_sees_its_own_writes(world: World) -> None:
    async def work(transaction: Transaction) -> list[Usage | None]:
        seen = [await transaction.read(KEY)]
        transaction.write(KEY, Usage(total=1))
        seen.append(await transaction.read(KEY))
        transaction.remove(KEY)
        return [*seen, await transaction.read(KEY)]

    assert await world.transact(work) == [None, Usage(total=1), None]


async def test_mark_is_new_once(world: World) -> None:
    async def mark(transaction: Transaction) -> list[bool]:
        return await transaction.mark(["a", "b", "a"])

    assert await world.transact(mark) == [True, True, False]
    assert await world.transact(mark) == [False, False, False]


@pytest.mark.parametrize("was_asked", [True, False])
async def test_store_that_was_emptied_is_no_world_without_customers(
    was_asked: bool,
) -> None:
    store = MemoryStore()
    sidecar = LocalSidecar(store=store, clock=Clock())
    async with sidecar:
        asked = pb.GetEntitlementRequest(
            customer_id="customer-demo-01", feature_id="feature-04-analytics"
        )
        if was_asked:
            assert (await sidecar.service.get_entitlement(asked)).has_access
        names = [name for name, _ in await store.scan("customer/")]
        emptied: dict[str, BaseModel | None] = dict.fromkeys(
            [*names, DEFINITIONS.name, SOURCE.name]
        )
        assert await store.commit(Changes(written=emptied))
        answer = await sidecar.service.get_entitlement(asked)
        assert answer.is_fallback
        assert answer.access_denied_reason == pb.ACCESS_DENIED_REASON_UNKNOWN
        with pytest.raises(Refusal, match="lost what was kept in it"):
            await sidecar.service.report_usage(
                pb.ReportUsageRequest(
                    customer_id="customer-demo-01",
                    feature_id="feature-01-templates",
                    value=1,
                )
            )
        await populate(sidecar.world, sidecar.catalog)
        assert (await sidecar.service.get_entitlement(asked)).has_access
