"""Changes of what is defined for all customers: checked as a whole, then kept.

What features, plans and the rest are changed to lives in modules of their own.
"""

from __future__ import annotations

from typing import TypeVar

from sidecar_client.local.catalog import (
    Addon,
    Catalog,
    Currency,
    Definitions,
    Feature,
    Plan,
    Product,
)
from sidecar_client.local.checks import problems
from sidecar_client.local.records import DEFINITIONS
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import Transaction

Defined = TypeVar("Defined", Feature, Currency, Product, Plan, Addon)


async def definitions_of(transaction: Transaction) -> Definitions:
    """Everything that is defined."""
    return await transaction.read(DEFINITIONS) or Definitions()


def define(transaction: Transaction, definitions: Definitions) -> None:
    """Keep the definitions; refused when one does not fit the others."""
    whole = Catalog(
        features=definitions.features,
        currencies=definitions.currencies,
        products=definitions.products,
        plans=definitions.plans,
        addons=definitions.addons,
    )
    for problem in problems(whole):
        place = ".".join(str(step) for step in problem.path)
        raise Refusal("INVALID_ARGUMENT", f"{place}: {problem.message}.")
    transaction.write(DEFINITIONS, definitions)


def put(items: tuple[Defined, ...], item: Defined) -> tuple[Defined, ...]:
    """The items with one that takes the place of that of its id and version."""
    name = _name(item)
    changed = [item if _name(other) == name else other for other in items]
    if item not in changed:
        changed.append(item)
    return tuple(changed)


def without(items: tuple[Defined, ...], item: Defined) -> tuple[Defined, ...]:
    """The items but one."""
    name = _name(item)
    return tuple(other for other in items if _name(other) != name)


def _name(item: Defined) -> tuple[str, int]:
    version = item.version if isinstance(item, (Plan, Addon)) else 1
    return item.id, version
