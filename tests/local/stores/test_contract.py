"""The contract of stores, on every store."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from sidecar_client.local.customers import Customer
from sidecar_client.local.records import Usage
from sidecar_client.local.stores.base import MOST_MARKS, Changes, Store, StoreError
from tests.local.stores.conftest import Opened

SHARED = ["file", "redis", "cluster"]
A, B, C = "usage/a///", "usage/b///", "customer/c"

every_store = pytest.mark.parametrize("opened", ["memory", *SHARED], indirect=True)
shared_stores = pytest.mark.parametrize("opened", SHARED, indirect=True)


def used(total: float) -> Usage:
    return Usage(total=total)


@pytest.fixture
async def store(opened: Opened) -> Store:
    return await opened()


async def put(store: Store, **records: BaseModel | None) -> None:
    names = {"a": A, "b": B, "c": C}
    written = {names[name]: record for name, record in records.items()}
    assert await store.commit(Changes(written=written))


@every_store
async def test_nothing_is_kept_under_a_name_that_was_never_written(
    store: Store,
) -> None:
    assert await store.read([A]) == [(0, None)]


@every_store
async def test_entries_come_in_the_order_asked(store: Store) -> None:
    await put(store, a=used(1), b=used(2))
    assert [entry.record for entry in await store.read([B, A, B])] == [
        used(2),
        used(1),
        used(2),
    ]


@every_store
async def test_records_of_each_kind_come_back_as_they_were(store: Store) -> None:
    customer = Customer.model_validate(
        {"id": "c", "subscriptions": [{"plan": "p", "start": "2026-01-01"}]}
    )
    await put(store, a=used(0.1), c=customer)
    assert [entry.record for entry in await store.read([A, C])] == [used(0.1), customer]


@every_store
async def test_each_write_raises_the_version(store: Store) -> None:
    versions: list[int] = []
    for total in (1, 1, 2):
        await put(store, a=used(total))
        versions.append((await store.read([A]))[0].version)
    assert sorted(set(versions)) == versions


@every_store
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


@every_store
async def test_removed_and_written_again_is_found_once(store: Store) -> None:
    for _ in range(2):
        await put(store, a=used(1), b=used(2))
        await put(store, a=None)
        await put(store, a=used(3))
        assert [name for name, _ in await store.scan("usage/")] == [A, B]


@every_store
async def test_removing_what_is_not_there_is_nothing(store: Store) -> None:
    await put(store, a=None)
    assert await store.read([A]) == [(0, None)]


@pytest.mark.parametrize("wrong", ["older", "absent"])
@every_store
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


@every_store
async def test_change_from_the_present_reading_is_made(store: Store) -> None:
    await put(store, a=used(1))
    entry = (await store.read([A]))[0]
    changes = Changes(expected={A: entry.version, B: 0}, written={B: used(2)})
    assert await store.commit(changes)
    assert (await store.read([B]))[0].record == used(2)
    assert not await store.commit(changes)


@every_store
async def test_mark_can_be_set_once(store: Store) -> None:
    assert await store.marked(["m", "n"]) == [False, False]
    assert await store.commit(Changes(marks=["m"]))
    assert await store.marked(["m", "n"]) == [True, False]
    assert not await store.commit(Changes(marks=["n", "m"], written={A: used(1)}))
    assert await store.marked(["n"]) == [False]
    assert await store.read([A]) == [(0, None)]


@every_store
async def test_oldest_marks_are_forgotten_beyond_the_most(store: Store) -> None:
    assert await store.commit(Changes(marks=["1", "2"]))
    assert await store.commit(Changes(marks=["3", "4"]))
    assert await store.marked(["1", "2", "3", "4"]) == [False, True, True, True]


@every_store
async def test_scan_finds_names_by_their_beginning_in_order(store: Store) -> None:
    names = ["usage/a/", "usage/b/", "usage/b/r/", "usage/c/", "customer/b"]
    for name in reversed(names):
        record = Customer(id="b") if name.startswith("c") else used(len(name))
        assert await store.commit(Changes(written={name: record}))
    assert [name for name, _ in await store.scan("usage/")] == names[:4]
    assert [name for name, _ in await store.scan("usage/b")] == names[1:3]
    assert (await store.scan("usage/c"))[0][1].record == used(8)
    assert await store.scan("plan/") == []


@every_store
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


@every_store
async def test_names_and_marks_may_have_any_letters(opened: Opened) -> None:
    store = await opened(most_marks=MOST_MARKS)
    names = [f"usage/{letter}" for letter in "aä\u07c0\uffff\U00010000\U0001f600"]
    for name in reversed(names):
        assert await store.commit(Changes(written={name: used(1)}))
    assert [name for name, _ in await store.scan("usage/")] == names
    assert [name for name, _ in await store.scan("usage/", after=names[3])] == names[4:]
    assert await store.scan("usage/\U0001f600") == [
        (names[-1], (await store.read([names[-1]]))[0])
    ]
    marks = [*names, "", "a\0b", "a\0c", "a b\r\n", "%s"]
    assert await store.commit(Changes(marks=marks))
    assert (
        await store.marked([*marks, "a\0d", "a"]) == [True] * len(marks) + [False] * 2
    )


@every_store
async def test_five_thousand_names_in_one_reading(store: Store) -> None:
    names = [f"usage/{number:05}" for number in range(5000)]
    written = {name: used(float(name[6:])) for name in names[::2]}
    assert await store.commit(Changes(written=written))
    await store.read(names)
    entries = await store.read(names)
    assert [e.record for e in entries] == [written.get(name) for name in names]
    versions = {n: e.version for n, e in zip(names, entries, strict=True)}
    assert await store.commit(Changes(expected=versions, written={names[1]: used(1)}))
    assert not await store.commit(Changes(expected=versions))


@every_store
async def test_a_thousand_marks_at_once(opened: Opened) -> None:
    store = await opened(most_marks=2500)
    for begin in range(0, 3000, 1000):
        marks = [str(number) for number in range(begin, begin + 1000)]
        assert await store.marked(marks) == [False] * 1000
        assert await store.commit(Changes(marks=marks))
    found = await store.marked([str(number) for number in range(3000)])
    assert found == [False] * 500 + [True] * 2500


@every_store
async def test_changes_at_the_same_time_are_made_one_after_the_other(
    store: Store,
) -> None:
    await put(store, a=used(0))

    async def add_one() -> None:
        made = False
        while not made:
            version, usage = (await store.read([A]))[0]
            assert isinstance(usage, Usage)
            made = await store.commit(
                Changes(expected={A: version}, written={A: used(usage.total + 1)})
            )

    await asyncio.gather(*[add_one() for _ in range(10)])
    assert (await store.read([A]))[0].record == used(10)


@every_store
async def test_what_is_kept_outlives_a_closing(store: Store) -> None:
    await put(store, a=used(1))
    assert await store.commit(Changes(marks=["m"]))
    before = await store.read([A])
    await store.close()
    await store.open()
    assert await store.read([A]) == before
    assert await store.marked(["m"]) == [True]


@shared_stores
async def test_other_stores_at_the_same_place_see_the_same(opened: Opened) -> None:
    one, other = await opened(), await opened()
    await put(one, a=used(1))
    assert await other.read([A]) == await one.read([A])
    await put(other, a=used(2), b=used(3))
    assert [e.record for e in await one.read([A, B])] == [used(2), used(3)]
    await put(one, a=None)
    assert await other.read([A]) == [(0, None)]
    assert [name for name, _ in await other.scan("usage/")] == [B]
    assert await one.commit(Changes(marks=["m"]))
    assert await other.marked(["m"]) == [True]
    assert not await other.commit(Changes(marks=["m"]))
    assert one.shared


@shared_stores
async def test_change_from_a_reading_before_another_stores_change_is_refused(
    opened: Opened,
) -> None:
    one, other = await opened(), await opened()
    await put(one, a=used(1))
    version = (await one.read([A]))[0].version
    await put(other, a=used(2))
    assert not await one.commit(Changes(expected={A: version}, written={A: used(9)}))
    assert (await one.read([A]))[0].record == used(2)


@shared_stores
async def test_versions_go_on_in_a_store_that_is_opened_later(opened: Opened) -> None:
    first = await opened()
    await put(first, a=used(1))
    before = (await first.read([A]))[0].version
    await put(first, a=None)
    await first.close()
    later = await opened()
    await put(later, a=used(1))
    assert (await later.read([A]))[0].version > before


@shared_stores
async def test_store_that_is_closed_says_so(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is not open; start its"):
        await store.read([A])
