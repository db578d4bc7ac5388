"""Custom currencies of credits: defined, changed, archived, listed.

Grants and balances of credits do not live here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sidecar_client.local.catalog import Addon, CatalogIndex, Currency, Plan
from sidecar_client.local.management.about import (
    Kept,
    Told,
    note_change,
    note_new,
    told,
)
from sidecar_client.local.management.definitions import define, definitions_of, put
from sidecar_client.local.management.missing import missing
from sidecar_client.local.management.pages import Page, Turn, page_of
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

CurrencyStatus = Literal["active", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCurrency:
    """What is to be defined."""

    id: str
    name: str
    description: str | None = None
    unit_singular: str | None = None
    unit_plural: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])


def currency_of(index: CatalogIndex, currency_id: str) -> Currency:
    """The currency, archived or not."""
    checked_id("currency", currency_id)
    if currency := index.currencies.get(currency_id):
        return currency
    raise missing("currency", currency_id)


async def list_currencies(
    world: World, turn: Turn, *, statuses: Collection[CurrencyStatus] | None = None
) -> Page[Told[Currency]]:
    """Currencies by id, without those that are archived unless they are wanted."""
    wanted = {"active"} if statuses is None else set(statuses)
    currencies = dict(sorted((await world.index()).currencies.items()))
    fitting = [
        (item.value.id, item)
        for item in await told(world, "currency", currencies)
        if item.value.status in wanted
    ]
    page = await page_of(fitting, turn)
    return page.mapped(lambda items: [item for _, item in items])


async def create_currency(world: World, new: NewCurrency) -> Told[Currency]:
    """Define a currency; its id must be free."""
    checked_id("currency", new.id)

    async def work(transaction: Transaction) -> Told[Currency]:
        definitions = await definitions_of(transaction)
        if any(item.id == new.id for item in definitions.currencies):
            raise Refusal(
                "ALREADY_EXISTS",
                f"there is a currency {new.id!r} already; update it, or use another "
                "id.",
            )
        currency = Currency(
            id=new.id,
            name=new.name,
            description=new.description,
            unit_singular=new.unit_singular,
            unit_plural=new.unit_plural,
            metadata=dict(new.metadata),
        )
        currencies = (*definitions.currencies, currency)
        define(transaction, definitions.model_copy(update={"currencies": currencies}))
        about = note_new(transaction, "currency", new.id, kept=new.kept)
        transaction.announce("credit_type.created", currency_id=new.id)
        return Told(value=currency, about=about)

    return await world.transact(work)


async def update_currency(
    world: World, currency_id: str, changes: Mapping[str, object], kept: Kept
) -> Told[Currency]:
    """Change what is named in `changes`."""

    async def work(transaction: Transaction) -> Told[Currency]:
        currency = currency_of(await transaction.index(), currency_id)
        changed = currency.model_copy(update=dict(changes))
        definitions = await definitions_of(transaction)
        currencies = put(definitions.currencies, changed)
        define(transaction, definitions.model_copy(update={"currencies": currencies}))
        about = await note_change(transaction, "currency", currency_id, kept=kept)
        transaction.announce("credit_type.updated", currency_id=currency_id)
        return Told(value=changed, about=about)

    return await world.transact(work)


async def archive_currency(
    world: World, currency_id: str, *, archived: bool = True
) -> Told[Currency]:
    """Archive a currency that no plan or add-on uses, or take it back."""

    async def work(transaction: Transaction) -> Told[Currency]:
        index = await transaction.index()
        currency = currency_of(index, currency_id)
        if (currency.status == "archived") == archived:
            state = "archived already" if archived else "not archived"
            raise Refusal(
                "FAILED_PRECONDITION", f"currency {currency_id!r} is {state}."
            )
        if archived and (users := using(index, currency_id)):
            raise Refusal(
                "FAILED_PRECONDITION",
                f"currency {currency_id!r} is used, as by {users[0].id!r}; take it "
                "out there first.",
            )
        currency = currency.model_copy(
            update={
                "status": "archived" if archived else "active",
                "archived_at": transaction.now if archived else None,
            }
        )
        definitions = await definitions_of(transaction)
        currencies = put(definitions.currencies, currency)
        define(transaction, definitions.model_copy(update={"currencies": currencies}))
        about = await note_change(transaction, "currency", currency_id)
        transaction.announce(
            f"credit_type.{'archived' if archived else 'unarchived'}",
            currency_id=currency_id,
        )
        return Told(value=currency, about=about)

    return await world.transact(work)


def using(index: CatalogIndex, currency_id: str) -> list[Plan | Addon]:
    """The plans and add-ons that are not archived and refer to a currency."""
    plans: list[Plan | Addon] = [
        plan
        for plan in index.plans.values()
        if currency_id in plan.credits
        or any(rate.currency == currency_id for rate in plan.credit_rates.values())
    ]
    addons: list[Plan | Addon] = [
        addon for addon in index.addons.values() if currency_id in addon.credits
    ]
    return [item for item in plans + addons if item.status != "archived"]
