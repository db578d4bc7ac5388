"""Customers, by the vendor's client."""

from __future__ import annotations

import pytest
import stigg

from tests.local.wire import NOW


def test_a_customer_is_provisioned_read_changed_and_archived(
    client: stigg.Stigg,
) -> None:
    made = client.v1.customers.provision(
        id="b@x.org",
        name="B",
        email="b@x.org",
        metadata={"tier": "gold"},
        billing_currency="eur",
        language="de",
        passthrough={"stripe": {"customer_name": "B GmbH"}},
    ).data
    assert (made.id, made.name, made.email) == ("b@x.org", "B", "b@x.org")
    assert (made.created_at, made.billing_currency) == (NOW, "eur")
    assert made.passthrough is not None
    assert made.passthrough.stripe is not None
    assert made.passthrough.stripe.customer_name == "B GmbH"
    assert client.v1.customers.retrieve("b@x.org").data == made
    changed = client.v1.customers.update(
        "b@x.org", name=None, metadata={"tier": "silver"}
    ).data
    assert (changed.name, changed.metadata) == (None, {"tier": "silver"})
    assert (changed.email, changed.language) == ("b@x.org", "de")
    archived = client.v1.customers.archive("b@x.org").data
    assert (archived.archived_at, archived.email) == (NOW, None)
    back = client.v1.customers.unarchive("b@x.org").data
    assert back.archived_at is None


async def test_the_asyncio_client_does_the_same(
    async_client: stigg.AsyncStigg,
) -> None:
    made = (await async_client.v1.customers.provision(id="b", name="B")).data
    assert (await async_client.v1.customers.retrieve("b")).data == made
    assert [c.id async for c in async_client.v1.customers.list(limit=1)] == [
        "acme",
        "b",
        "old",
    ]


def test_lists_are_walked_in_both_directions(client: stigg.Stigg) -> None:
    for number in range(5):
        client.v1.customers.provision(id=f"x{number}", email="x@x.org")
    everyone = ["acme", "old", "x0", "x1", "x2", "x3", "x4"]
    assert [c.id for c in client.v1.customers.list(limit=3)] == everyone
    last = client.v1.customers.list(limit=3).get_next_page().get_next_page()
    assert [c.id for c in last.data] == ["x4"]
    assert last.pagination is not None
    assert last.pagination.prev is not None
    back = client.v1.customers.list(limit=3, before=last.pagination.prev)
    assert [c.id for c in back.data] == ["x1", "x2", "x3"]
    assert [c.id for c in back.get_next_page().data] == ["acme", "old", "x0"]


def test_lists_are_narrowed_down(client: stigg.Stigg) -> None:
    client.v1.customers.provision(id="b", email="b@x.org", name="B")
    customers = client.v1.customers
    assert [c.id for c in customers.list(email="b@x.org")] == ["b"]
    assert [c.id for c in customers.list(name="Acme")] == ["acme"]
    assert [c.id for c in customers.list(created_at={"gte": NOW})] == ["b"]
    assert [c.id for c in customers.list(created_at={"lt": NOW})] == ["acme", "old"]


def test_customers_are_imported(client: stigg.Stigg) -> None:
    answer = client.v1.customers.import_(
        customers=[
            {"id": "acme", "name": "Acme Inc.", "email": None},
            {"id": "b", "name": "B", "email": "b@x.org", "billing_id": "cus_1"},
        ]
    )
    assert answer.data.new_customers == ["b"]
    assert client.v1.customers.retrieve("acme").data.name == "Acme Inc."
    assert client.v1.customers.retrieve("b").data.billing_id == "cus_1"


def test_a_customer_that_is_there_is_a_conflict(client: stigg.Stigg) -> None:
    with pytest.raises(stigg.ConflictError, match="customer 'acme' already"):
        client.v1.customers.provision(id="acme")


def test_a_customer_that_is_not_there_is_not_found(client: stigg.Stigg) -> None:
    with pytest.raises(stigg.NotFoundError) as caught:
        client.v1.customers.retrieve("nobody")
    assert caught.value.body == {
        "statusCode": 404,
        "code": "NOT_FOUND",
        "message": "there is no customer 'nobody'; create it, or use another id.",
    }
