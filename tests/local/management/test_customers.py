"""Customers: provisioned, changed, archived, imported, listed."""

from __future__ import annotations

import pytest

from sidecar_client.local.management import customers
from sidecar_client.local.management.customers import NewCustomer
from sidecar_client.local.management.pages import Turn
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import Announcement, World
from tests.local.wire import NOW


async def test_a_new_customer_is_kept_with_the_time_it_was_made(
    world: World, heard: list[Announcement]
) -> None:
    new = NewCustomer(id="b", name="B", email="b@x.org", kept={"language": "de"})
    made = await customers.provision_customer(world, new)
    assert (made.value.name, made.value.email) == ("B", "b@x.org")
    assert (made.about.created, made.about.kept) == (NOW, {"language": "de"})
    assert await customers.get_customer(world, "b") == made
    assert [(item.kind, item.customer_id) for item in heard] == [
        ("customer.created", "b")
    ]


async def test_an_id_that_is_taken_is_refused_or_changed_when_wanted(
    world: World,
) -> None:
    new = NewCustomer(id="acme", email="a@x.org")
    with pytest.raises(Refusal, match="customer 'acme' already") as caught:
        await customers.provision_customer(world, new)
    assert caught.value.code == "ALREADY_EXISTS"
    changed = await customers.provision_customer(world, new, if_there="update")
    assert (changed.value.name, changed.value.email) == ("Acme", "a@x.org")


@pytest.mark.parametrize("name", ["", "with space", "a/b", "x" * 256])
async def test_an_id_that_is_none_is_refused(world: World, name: str) -> None:
    with pytest.raises(Refusal) as caught:
        await customers.provision_customer(world, NewCustomer(id=name))
    assert caught.value.code == "INVALID_ARGUMENT"


async def test_archiving_forgets_name_and_email_and_can_be_taken_back(
    world: World,
) -> None:
    archived = await customers.archive_customer(world, "acme")
    assert (archived.value.archived, archived.value.name) == (True, None)
    assert archived.value.archived_at == NOW
    with pytest.raises(Refusal, match="archived; unarchive it first"):
        await customers.update_customer(world, "acme", {"name": "A"}, {})
    back = await customers.unarchive_customer(world, "acme")
    assert (back.value.archived, back.value.archived_at) == (False, None)
    with pytest.raises(Refusal, match="is not archived"):
        await customers.unarchive_customer(world, "acme")


async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(Refusal, match="no customer 'nobody'") as caught:
        await customers.get_customer(world, "nobody")
    assert caught.value.code == "NOT_FOUND"


async def test_importing_adds_the_new_and_changes_the_others(world: World) -> None:
    wanted = [NewCustomer(id="acme", name="Acme Inc."), NewCustomer(id="b", name="B")]
    assert await customers.import_customers(world, wanted) == ["b"]
    assert (await customers.get_customer(world, "acme")).value.name == "Acme Inc."


async def test_an_import_with_one_bad_id_adds_nobody(world: World) -> None:
    with pytest.raises(Refusal):
        await customers.import_customers(
            world, [NewCustomer(id="b"), NewCustomer(id="no id")]
        )
    with pytest.raises(Refusal):
        await customers.get_customer(world, "b")


async def test_pages_go_forth_and_back_over_all_customers(world: World) -> None:
    for number in range(7):
        await customers.provision_customer(world, NewCustomer(id=f"x-{number}"))
    everyone = ["acme", "old", *(f"x-{number}" for number in range(7))]
    seen: list[list[str]] = []
    turn = Turn(limit=4)
    while True:
        page = await customers.list_customers(world, turn)
        seen.append([item.value.id for item in page.items])
        if page.next is None:
            break
        turn = Turn(limit=4, after=page.next)
    assert seen == [everyone[:4], everyone[4:8], everyone[8:]]
    assert page.prev is not None
    page = await customers.list_customers(world, Turn(limit=4, before=page.prev))
    assert [item.value.id for item in page.items] == everyone[4:8]
    assert page.next is not None
    page = await customers.list_customers(world, Turn(limit=4, before=page.prev))
    assert [item.value.id for item in page.items] == everyone[:4]
    assert page.prev is None


async def test_customers_are_found_by_name_and_email(world: World) -> None:
    page = await customers.list_customers(world, Turn(), name="Acme")
    assert [item.value.id for item in page.items] == ["acme"]
    page = await customers.list_customers(world, Turn(), email="nobody@x.org")
    assert page.items == []


@pytest.mark.parametrize("cursor", ["!", "A", "\u00fc", "_w"])
async def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(Refusal, match="use a cursor"):
        await customers.list_customers(world, Turn(after=cursor))


def test_a_page_has_a_bounded_size_and_one_direction() -> None:
    for limit in (0, 101):
        with pytest.raises(Refusal, match="use 1 to 100"):
            Turn(limit=limit)
    with pytest.raises(Refusal, match="one of them"):
        Turn(after="YQ", before="YQ")
