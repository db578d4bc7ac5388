"""What becomes of a customer whose part of the catalog changed: itself, usage, credits.

When this is done, and for whom, is said in `populate`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel

from sidecar_client.local.catalog import Catalog, CatalogIndex, Feature
from sidecar_client.local.catalog_diff import Change, changed
from sidecar_client.local.credits import granted, owing, voided
from sidecar_client.local.customers import CreditGrant, Customer
from sidecar_client.local.meters import starting
from sidecar_client.local.records import (
    Key,
    Usage,
    Wallet,
    about_key,
    aggregate_key,
    customer_key,
    wallet_key,
)
from sidecar_client.local.starting_usage import counters_of
from sidecar_client.local.values import EARLIEST
from sidecar_client.local.wallets import recurring_sources
from sidecar_client.local.world import Transaction, World

_OF_CUSTOMERS: Final = ("usage", "history", "billed", "aggregate", "seen", "wallet")
"""The kinds of records that go with their customer."""
_KEPT_APART: Final = frozenset({"credits", "usage"})
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerChange:
    """What changed of one customer, and what the catalogs say of it."""

    id: str
    changes: tuple[Change, ...]
    before: Customer | None
    """None for one that is new."""
    after: Customer | None
    """None for one that is gone."""

    def made_to(self, ours: Customer | None) -> Customer | None:
        """The customer as it is to be kept, without usage and credits.

        One that was removed otherwise, and is not new in the catalog, stays away.
        """
        if self.after is None:
            return None
        if ours is None:
            apart = {"usage": (), "credits": ()}
            return None if self.before else self.after.model_copy(update=apart)
        changes = [item for item in self.changes if not _is_kept_apart(item)]
        whole = Catalog.model_construct(customers=(ours,))
        (found,) = changed(whole, changes).customers
        return found


def _is_kept_apart(change: Change) -> bool:
    return len(change.path) > 2 and change.path[2] in _KEPT_APART


async def change_customer(
    transaction: Transaction, change: CustomerChange, records: Iterable[str]
) -> None:
    """Make what changed of a customer; `records` are those that go with it."""
    key = customer_key(change.id)
    customer = change.made_to(await transaction.read(key))
    if change.after is None:
        for name in (key.name, *records):
            transaction.remove(Key(name, BaseModel))
    if change.after is None or customer is None:
        return
    transaction.write(key, customer)
    index = await transaction.index()
    debtors = await _debtors(transaction, customer, change)
    await _change_credits(transaction, index, customer, change)
    # After all grants: what is left of them settles it.
    await _change_debts(transaction, index, customer, change, debtors)
    await _change_usage(transaction, index, customer, change)


async def records_of(world: World, customer_id: str) -> list[str]:
    """The names of all that is kept about a customer, beside itself."""
    found = [about_key("customer", customer_id).name]
    for kind in _OF_CUSTOMERS:
        prefix, after = f"{kind}/{customer_id}/", ""
        while entries := await world.store.scan(prefix, after=after, limit=_AT_ONCE):
            found += [name for name, _ in entries]
            after = entries[-1][0]
    return found


async def _change_credits(
    transaction: Transaction,
    index: CatalogIndex,
    customer: Customer,
    change: CustomerChange,
) -> None:
    """New grants are granted, and those that are gone are void; what is spent stays."""
    before = {item.id: item for item in _credits(change.before, owed=False)}
    after = {item.id: item for item in _credits(change.after, owed=False)}
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old and new and _place(customer, old) == _place(customer, new):
            await _change_grant(transaction, customer, new)
            continue
        if old:
            await _void(transaction, customer, old)
        if new:
            await _grant(transaction, index, customer, new)


async def _change_debts(
    transaction: Transaction,
    index: CatalogIndex,
    customer: Customer,
    change: CustomerChange,
    there: Container[Key[Wallet]],
) -> None:
    """What the catalog says is owed more, or less, than it said before, is.

    What a new customer owes gives way to a wallet that was `there` before.
    """
    debts: dict[tuple[str | None, str], float] = {}
    for sign, said in ((-1, change.before), (1, change.after)):
        for item in _credits(said, owed=True):
            place = item.resource, item.currency
            debts[place] = debts.get(place, 0.0) + sign * item.amount
    now = transaction.now
    for (resource, currency), more in debts.items():
        key = wallet_key(customer.id, resource, currency)
        if not more or (change.before is None and key in there):
            continue
        wallet = await transaction.read(key) or Wallet()
        sources = tuple(recurring_sources(index, customer, resource, currency, now))
        transaction.write(key, owing(wallet, more, sources, now))


async def _debtors(
    transaction: Transaction, customer: Customer, change: CustomerChange
) -> set[Key[Wallet]]:
    """The wallets that are there already of those that are said to owe."""
    keys = [_place(customer, item) for item in _credits(change.after, owed=True)]
    wallets = await transaction.read_all(keys)
    return {
        key for key, wallet in zip(keys, wallets, strict=True) if wallet is not None
    }


def _credits(said: Customer | None, *, owed: bool) -> Iterator[CreditGrant]:
    """What is owed of the credits that a catalog tells, or else all others."""
    for item in said.credits if said else ():
        if (item.type == "overdraft") == owed:
            yield item


def _place(customer: Customer, grant: CreditGrant) -> Key[Wallet]:
    return wallet_key(customer.id, grant.resource, grant.currency)


async def _grant(
    transaction: Transaction,
    index: CatalogIndex,
    customer: Customer,
    grant: CreditGrant,
) -> None:
    # One that recurs has to be there before what is spent of it can be told.
    is_recurring = grant.type == "recurring"
    now = max(transaction.now, grant.effective) if is_recurring else transaction.now
    wallet = await transaction.read(_place(customer, grant)) or Wallet()
    is_there = any(held.grant.id == grant.id for held in wallet.grants)
    if is_there and not is_recurring:
        return
    sources = tuple(
        recurring_sources(index, customer, grant.resource, grant.currency, now)
    )
    key = _place(customer, grant)
    transaction.write(key, granted(wallet, grant, sources, now))


async def _void(
    transaction: Transaction, customer: Customer, grant: CreditGrant
) -> None:
    key = _place(customer, grant)
    wallet = await transaction.read(key)
    if wallet is not None and grant.id is not None:
        transaction.write(key, voided(wallet, grant.id, transaction.now))


async def _change_grant(
    transaction: Transaction, customer: Customer, grant: CreditGrant
) -> None:
    key = _place(customer, grant)
    wallet = await transaction.read(key)
    if wallet is None:
        return
    grants = tuple(
        held.model_copy(update={"grant": grant}) if held.grant.id == grant.id else held
        for held in wallet.grants
    )
    transaction.write(key, wallet.model_copy(update={"grants": grants}))


async def _change_usage(
    transaction: Transaction,
    index: CatalogIndex,
    customer: Customer,
    change: CustomerChange,
) -> None:
    """Starting usage that changed is what is used from now on; all other stays.

    What a new customer starts with gives way to what was counted already.
    """
    now = transaction.now
    said = change.after.usage if change.after else ()
    known = change.before.usage if change.before else ()
    edited = [item for item in said if item not in known]
    counters = {
        counter.name
        for item in edited
        for _, counter in counters_of(index, customer, item, now)
    }
    totals: dict[Key[Usage], float] = {}
    times: dict[Key[Usage], datetime] = {}
    features: dict[Key[Usage], Feature] = {}
    for item in said:
        for feature, counter in counters_of(index, customer, item, now):
            if counter.name in counters:
                totals[counter] = totals.get(counter, 0.0) + item.value
                times[counter] = max(item.at or now, times.get(counter, EARLIEST))
                features[counter] = feature
    for counter, total in totals.items():
        await _set_usage(
            *(transaction, features[counter], counter),
            Usage(total=total, updated=min(times[counter], now)),
            is_new=change.before is None,
        )


async def _set_usage(
    transaction: Transaction,
    feature: Feature,
    counter: Key[Usage],
    used: Usage,
    *,
    is_new: bool,
) -> None:
    if feature.events is None:
        if not is_new or await transaction.read(counter) is None:
            transaction.write(counter, used)
        return
    key = aggregate_key(counter)
    if not is_new or await transaction.read(key) is None:
        at = used.updated or transaction.now
        transaction.write(key, starting(feature.events, used.total, at))
