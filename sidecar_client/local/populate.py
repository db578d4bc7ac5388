"""A catalog becomes the content of a world: what changed of it since its last loading.

In which steps lives here; what becomes of a customer is in `populate_customers`, what
stands in the way in `conflicts`. Reading files (`loading`) and serving do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sidecar_client.local.catalog import Catalog, Definitions
from sidecar_client.local.catalog_diff import Change, changed, diff
from sidecar_client.local.catalog_words import changes_in_words
from sidecar_client.local.conflicts import check_conflicts
from sidecar_client.local.populate_customers import (
    CustomerChange,
    change_customer,
    records_of,
)
from sidecar_client.local.records import DEFINITIONS, SOURCE
from sidecar_client.local.world import Transaction, World

_CUSTOMERS_AT_ONCE = 100
_MOST_TOLD = 5
_MOST_PARTS = 1_000


class _Overtaken(Exception):
    """Another sidecar has loaded a catalog meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be done."""

    base: Catalog
    catalog: Catalog
    changes: tuple[Change, ...]
    definitions: list[Change] = field(default_factory=list[Change])
    customers: list[CustomerChange] = field(default_factory=list[CustomerChange])


async def populate(world: World, catalog: Catalog) -> tuple[Change, ...]:
    """Make what changed of the catalog since it was last loaded, and return that.

    What was changed in the world otherwise stays, and usage goes on from where it was.
    Raises `ConfigurationError`, and changes nothing, where what the world has besides
    does not fit the catalog.
    """
    changes = await _populate(world, catalog)
    await world.index()  # From now on it is noticed when the store loses it.
    return changes


async def _populate(world: World, catalog: Catalog) -> tuple[Change, ...]:
    while True:
        kept = await world.read(SOURCE)
        if kept is None:
            world.begin_anew()
        base = kept or Catalog()
        if base == catalog:
            return ()
        # Beside the loop, which serves meanwhile: a catalog may be large.
        changes = await asyncio.to_thread(diff, base, catalog)
        plan = _planned(base, catalog, changes)
        await check_conflicts(world, plan.definitions, plan.customers)
        try:
            await _carry_out(world, plan)
        except _Overtaken:
            continue
        return changes


def _planned(base: Catalog, catalog: Catalog, changes: tuple[Change, ...]) -> _Plan:
    plan = _Plan(base=base, catalog=catalog, changes=changes)
    by_customer: dict[str, list[Change]] = {}
    for change in changes:
        if change.path[0] != "customers":
            plan.definitions.append(change)
        elif len(change.path) > 1:
            by_customer.setdefault(change.path[1], []).append(change)
    before = {customer.id: customer for customer in base.customers}
    after = {customer.id: customer for customer in catalog.customers}
    plan.customers.extend(
        CustomerChange(
            id=name,
            changes=tuple(found),
            before=before.get(name),
            after=after.get(name),
        )
        for name, found in by_customer.items()
    )
    return plan


async def _carry_out(world: World, plan: _Plan) -> None:
    """In one step where that is not too large; else what was loaded is noted last.

    Then a sidecar that ends in between does the rest when it starts again.
    """
    batches = list(_batched(plan.customers))
    if len(batches) <= 1:
        await _step(world, plan, plan.customers, is_first=True, is_last=True)
        return
    await _step(world, plan, (), is_first=True, is_last=False)
    for batch in batches:
        await _step(world, plan, batch, is_first=False, is_last=False)
    await _step(world, plan, (), is_first=False, is_last=True)


async def _step(
    world: World,
    plan: _Plan,
    customers: Sequence[CustomerChange],
    *,
    is_first: bool,
    is_last: bool,
) -> None:
    gone = [item.id for item in customers if item.after is None]
    records = {name: await records_of(world, name) for name in gone}

    async def work(transaction: Transaction) -> None:
        if is_first or is_last:
            await _check_base(transaction, plan.base)
        if is_first and plan.definitions:
            await _define(transaction, plan.definitions)
        for customer in customers:
            await change_customer(transaction, customer, records.get(customer.id, ()))
        if not is_last:
            return
        is_again = await transaction.read(SOURCE) is not None
        transaction.write(SOURCE, plan.catalog)
        if is_again:
            lines = changes_in_words(plan.changes)
            transaction.announce(
                "catalog.loaded",
                changes=len(lines),
                said="; ".join(lines[:_MOST_TOLD]),
                changed=_changed_parts(plan.changes),
            )

    await world.transact(work)


async def _check_base(transaction: Transaction, base: Catalog) -> None:
    if (await transaction.read(SOURCE) or Catalog()) != base:
        raise _Overtaken


async def _define(transaction: Transaction, changes: Sequence[Change]) -> None:
    ours = await transaction.read(DEFINITIONS) or Definitions()
    whole = Catalog.model_construct(**dict(ours))
    transaction.write(DEFINITIONS, changed(whole, changes).definitions)


def _batched(items: Sequence[CustomerChange]) -> Iterable[Sequence[CustomerChange]]:
    for begin in range(0, len(items), _CUSTOMERS_AT_ONCE):
        yield items[begin : begin + _CUSTOMERS_AT_ONCE]


def _changed_parts(changes: Sequence[Change]) -> tuple[str, ...]:
    """What was changed, such as `plans/pro`, for those who tell others of it."""
    parts = dict.fromkeys(
        f"{change.path[0]}/{change.path[1]}" for change in changes if change.path[1:]
    )
    return tuple(parts)[:_MOST_PARTS]
