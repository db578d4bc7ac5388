"""Customers and their resources: provisioned, changed, archived, imported, listed.

What they subscribe to or are granted does not live here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sidecar_client.local.customers import Customer
from sidecar_client.local.management.about import (
    Kept,
    Told,
    note_change,
    note_new,
    part_name,
    told,
)
from sidecar_client.local.management.missing import customer_of, live_customer
from sidecar_client.local.management.pages import (
    Page,
    Turn,
    page_of,
    records_of,
    start_of,
)
from sidecar_client.local.records import customer_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

_PREFIX = "customer/"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCustomer:
    """What a customer is to be made of."""

    id: str
    name: str | None = None
    email: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])
    """What the sidecar has no use for: billing, language, integrations ..."""


async def get_customer(world: World, customer_id: str) -> Told[Customer]:
    """A customer, archived or not."""
    return await _told(world, await customer_of(world, customer_id))


async def list_customers(
    world: World,
    turn: Turn,
    *,
    name: str | None = None,
    email: str | None = None,
    created: Callable[[datetime], bool] | None = None,
) -> Page[Told[Customer]]:
    """Customers by id: those of a name, an email, or made at times that fit."""

    async def wanted() -> AsyncIterator[tuple[str, Told[Customer]]]:
        after = _PREFIX + start_of(turn)
        async for key, entry in records_of(world, _PREFIX, after=after):
            customer = cast("Customer", entry.record)
            if name in (None, customer.name) and email in (None, customer.email):
                found = await _told(world, customer)
                if created is None or created(found.about.created):
                    yield key.removeprefix(_PREFIX), found

    page = await page_of(wanted(), turn)
    return page.mapped(lambda items: [item for _, item in items])


async def provision_customer(
    world: World, new: NewCustomer, *, if_there: str = "refuse"
) -> Told[Customer]:
    """A new customer. One that is there is refused, or changed with `"update"`."""
    return await world.transact(
        lambda transaction: provisioned(transaction, new, if_there=if_there)
    )


async def provisioned(
    transaction: Transaction, new: NewCustomer, *, if_there: str = "refuse"
) -> Told[Customer]:
    """The same as a part of a greater change."""
    checked_id("customer", new.id)
    await transaction.index()  # Raises where the store has lost everything.
    if await transaction.read(customer_key(new.id)) is None:
        return _add(transaction, new)
    if if_there == "refuse":
        raise Refusal(
            "ALREADY_EXISTS",
            f"there is a customer {new.id!r} already; update it, or use another id.",
        )
    return await _replace(transaction, new)


async def update_customer(
    world: World, customer_id: str, changes: Mapping[str, object], kept: Kept
) -> Told[Customer]:
    """Change name, email or metadata, and what is kept beside them."""

    async def work(transaction: Transaction) -> Told[Customer]:
        customer = await live_customer(transaction, customer_id)
        return await _write(transaction, customer, dict(changes), kept)

    return await world.transact(work)


async def archive_customer(world: World, customer_id: str) -> Told[Customer]:
    """Archive a customer: it is granted nothing, its name and email are forgotten."""

    async def work(transaction: Transaction) -> Told[Customer]:
        customer = await live_customer(transaction, customer_id)
        changed = customer.model_copy(
            update={
                "archived": True,
                "archived_at": transaction.now,
                "name": None,
                "email": None,
            }
        )
        transaction.write(customer_key(customer_id), changed)
        about = await note_change(transaction, "customer", customer_id)
        transaction.announce("customer.deleted", customer_id=customer_id)
        return Told(value=changed, about=about)

    return await world.transact(work)


async def unarchive_customer(world: World, customer_id: str) -> Told[Customer]:
    """Take an archived customer back; what it had subscribed to counts again."""

    async def work(transaction: Transaction) -> Told[Customer]:
        customer = await customer_of(transaction, customer_id)
        if not customer.archived:
            raise Refusal(
                "FAILED_PRECONDITION", f"customer {customer_id!r} is not archived."
            )
        changed = customer.model_copy(update={"archived": False, "archived_at": None})
        transaction.write(customer_key(customer_id), changed)
        about = await note_change(transaction, "customer", customer_id)
        transaction.announce("customer.updated", customer_id=customer_id)
        return Told(value=changed, about=about)

    return await world.transact(work)


async def import_customers(world: World, customers: Sequence[NewCustomer]) -> list[str]:
    """Add those that are new, change the others; the ids of the new ones."""
    for customer in customers:
        checked_id("customer", customer.id)

    async def work(transaction: Transaction) -> list[str]:
        added: list[str] = []
        for new in customers:
            if await transaction.read(customer_key(new.id)) is None:
                _add(transaction, new)
                added.append(new.id)
            else:
                await _replace(transaction, new)
        return added

    return await world.transact(work)


async def list_resources(world: World, customer_id: str, turn: Turn) -> Page[Told[str]]:
    """The resources of a customer, by id."""
    customer = await customer_of(world, customer_id)
    page = await page_of(((name, name) for name in sorted(customer.resources)), turn)
    names = {part_name(customer_id, name): name for name, _ in page.items}
    resources = await told(world, "resource", names)
    return page.mapped(lambda _: resources)


def with_resource(
    transaction: Transaction, customer: Customer, resource_id: str | None
) -> Customer:
    """The customer with a resource, which is made when it is not there."""
    if resource_id is None or resource_id in customer.resources:
        return customer
    checked_id("resource", resource_id)
    note_new(
        transaction,
        "resource",
        part_name(customer.id, resource_id),
        owner=customer.id,
    )
    return customer.model_copy(update={"resources": (*customer.resources, resource_id)})


def _add(transaction: Transaction, new: NewCustomer) -> Told[Customer]:
    customer = Customer(
        id=new.id, name=new.name, email=new.email, metadata=dict(new.metadata)
    )
    transaction.write(customer_key(new.id), customer)
    about = note_new(transaction, "customer", new.id, kept=new.kept)
    transaction.announce("customer.created", customer_id=new.id)
    return Told(value=customer, about=about)


async def _replace(transaction: Transaction, new: NewCustomer) -> Told[Customer]:
    customer = await live_customer(transaction, new.id)
    given = {"name": new.name, "email": new.email, "metadata": dict(new.metadata)}
    changes: dict[str, object] = {k: v for k, v in given.items() if v}
    return await _write(transaction, customer, changes, new.kept)


async def _write(
    transaction: Transaction, customer: Customer, changes: dict[str, object], kept: Kept
) -> Told[Customer]:
    changed = customer.model_copy(update=changes)
    transaction.write(customer_key(customer.id), changed)
    about = await note_change(transaction, "customer", customer.id, kept=kept)
    transaction.announce("customer.updated", customer_id=customer.id)
    return Told(value=changed, about=about)


async def _told(world: World, customer: Customer) -> Told[Customer]:
    return (await told(world, "customer", {customer.id: customer}))[0]
