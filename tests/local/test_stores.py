"""The contract of stores, on every store."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from sidecar_client.local.customers import Customer
from sidecar_client.local.records import Usage
from sidecar_client.local.stores.base import Changes, Store
from sidecar_client.local.stores.memory import MemoryStore

A, B, C = "usage/a///", "usage/b///", "customer/c"


def used(total: float) -> Usage:
    return Usage(total=total)


@pytest.fixture(params=[MemoryStore])
async def store(request: pytest.FixtureRequest) -> Store:
    made: Store = request.param(most_marks=3)
    await made.open()
    return made


async def put(store: Store, **records: BaseModel | None) -> None:
    names = {"a": A, "b": B, "c": C}
    written = {names[name]: record for name, record in records.items()}
    assert await store.commit(Changes(written=written))


async def test_nothing_is_kept_under_a_name_that_was_never_written(
    store: Store,
) -> None:
    assert await store.read([A]) == [(0, None)]


async def test_entries_come_in_the_order_asked(store: Store) -> None:
    await put(store, a=used(1), b=used(2))
    assert [entry.record for entry in await store.read([B, A, B])] == [
        used(2),
        used(1),
        used(2),
    ]


async def test_records_of_each_kind_come_back_as_they_were(store: Store) -> None:
    customer = Customer.model_validate(
        {"id": "c", "subscriptions": [{"plan": "p", "start": "2026-01-01"}]}
    )
    await put(store, a=used(0.1), c=customer)
    assert [entry.record for entry in await store.read([A, C])] == [used(0.1), customer]


async def test_each_write_raises_the_version(store: Store) -> None:
    versions: list[int] = []
    for total in (1, 1, 2):
        await put(store, a=used(total))
        versions.append((await store.read([A]))[0].version)
    assert sorted(set(versions)) == versions


async def test_removed_record_is_gone_and_its_version_never_comes_again(
    store: Store,
) -> None:
    await put(store, a=used(1))
    before = (await store.read([A]))[0].version
    await put(store, a=None)
    assert await store.read([A]) == [(0, None)]
    await put(store, a=used(1))
    assert (await store.read([A]))[0].version != before
    assert not await store.commit(Changes(expected={A: before}))


async def test_removing_what_is_not_there_is_nothing(store: Store) -> None:
    await put(store, a=None)
    assert await store.read([A]) == [(0, None)]


@pytest.mark.parametrize("wrong", ["older", "absent"])
async def test_change_from_an_old_reading_changes_nothing(
    store: Store, wrong: str
) -> None:
    await put(store, a=used(1))
    older = (await store.read([A]))[0].version if wrong == "older" else 0
    await put(store, a=used(2))
    changes = Changes(
        expected={A: older}, written={A: used(9), B: used(9)}, marks=["m"]
    )
    assert not await store.commit(changes)
    assert [e.record for e in await store.read([A, B])] == [used(2), None]
    assert await store.marked(["m"]) == [False]


async def test_change_from_the_present_reading_is_made(store: Store) -> None:
    await put(store, a=used(1))
    entry = (await store.read([A]))[0]
    changes = Changes(expected={A: entry.version, B: 0}, written={B: used(2)})
    assert await store.commit(changes)
    assert (await store.read([B]))[0].record == used(2)
    assert not await store.commit(changes)


async def test_mark_can_be_set_once(store: Store) -> None:
    assert await store.marked(["m", "n"]) == [False, False]
    assert await store.commit(Changes(marks=["m"]))
    assert await store.marked(["m", "n"]) == [True, False]
    assert not await store.commit(Changes(marks=["n", "m"], written={A: used(1)}))
    assert await store.marked(["n"]) == [False]
    assert await store.read([A]) == [(0, None)]


async def test_oldest_marks_are_forgotten_beyond_the_most(store: Store) -> None:
    assert await store.commit(Changes(marks=["1", "2"]))
    assert await store.commit(Changes(marks=["3", "4"]))
    assert await store.marked(["1", "2", "3", "4"]) == [False, True, True, True]


async def test_scan_finds_names_by_their_beginning_in_order(store: Store) -> None:
    names = ["usage/a/", "usage/b/", "usage/b/r/", "usage/c/", "customer/b"]
    for name in reversed(names):
        record = Customer(id="b") if name.startswith("c") else used(len(name))
        assert await store.commit(Changes(written={name: record}))
    assert [name for name, _ in await store.scan("usage/")] == names[:4]
    assert [name for name, _ in await store.scan("usage/b")] == names[1:3]
    assert (await store.scan("usage/c"))[0][1].record == used(8)
    assert await store.scan("plan/") == []


async def test_scan_goes_on_after_a_name(store: Store) -> None:
    for number in range(5):
        name = f"usage/{number}"
        assert await store.commit(Changes(written={name: used(number)}))
    assert [n for n, _ in await store.scan("usage/", after="usage/1", limit=2)] == [
        "usage/2",
        "usage/3",
    ]
    await store.commit(Changes(written={"usage/2": None}))
    assert [n for n, _ in await store.scan("usage/", after="usage/1")] == [
        "usage/3",
        "usage/4",
    ]
