"""What of a world does not fit a changed catalog: what was made in it otherwise.

Finding and telling that lives here; making the changes is in `populate`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, cast

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.catalog import Catalog, CatalogIndex
from sidecar_client.local.catalog_diff import Change, changed
from sidecar_client.local.checks import problems
from sidecar_client.local.customer_checks import customer_problems
from sidecar_client.local.customers import Customer
from sidecar_client.local.populate_customers import CustomerChange
from sidecar_client.local.problem import Problem
from sidecar_client.local.records import DEFINITIONS, customer_key
from sidecar_client.local.world import World

_AT_ONCE: Final = 1000
_SHOWN: Final = 10


async def check_conflicts(
    world: World,
    definitions: Sequence[Change],
    customers: Sequence[CustomerChange],
) -> None:
    """Raise `ConfigurationError` for what would not fit together any more.

    What did not fit before either is nobody's fault now.
    """
    ours = await world.read(DEFINITIONS)
    if ours is None:
        return  # Nothing is there besides the catalog, which was checked.
    old = Catalog.model_construct(**dict(ours))
    new = changed(old, definitions)
    known = set(_said(problems(old)))
    found = [line for line in _said(problems(new)) if line not in known]
    indices = CatalogIndex.of(old), CatalogIndex.of(new)
    for before, after in await _pairs(world, customers, are_all=bool(definitions)):
        found += _of_customer(before, after, *indices)
    if found:
        more = [f"... and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise ConfigurationError(
            "what the sidecar keeps besides the catalog does not fit it any more; "
            "change it too, or begin with an empty store:\n"
            + "\n".join([*found[:_SHOWN], *more])
        )


def _of_customer(
    before: Customer | None, after: Customer, old: CatalogIndex, new: CatalogIndex
) -> Iterator[str]:
    known = set(_said(customer_problems(before, old, ()))) if before else set[str]()
    for line in _said(customer_problems(after, new, ())):
        if line not in known:
            yield f"customer {after.id!r}: {line}"


async def _pairs(
    world: World, customers: Sequence[CustomerChange], *, are_all: bool
) -> list[tuple[Customer | None, Customer]]:
    """Each customer that may not fit, as it is and as it will be."""
    changes = {change.id: change for change in customers}
    found: list[tuple[Customer | None, Customer]] = []
    if are_all:
        async for before in _all(world):
            change = changes.pop(before.id, None)
            after = change.made_to(before) if change else before
            if after is not None:
                found.append((before, after))
    for change in changes.values():
        ours = await world.read(customer_key(change.id))
        if after := change.made_to(ours):
            found.append((ours, after))
    return found


async def _all(world: World) -> AsyncIterator[Customer]:
    after = ""
    while entries := await world.store.scan("customer/", after=after, limit=_AT_ONCE):
        for _, entry in entries:
            yield cast("Customer", entry.record)
        after = entries[-1][0]


def _said(found: Iterator[Problem]) -> Iterator[str]:
    for problem in found:
        path = ".".join(str(step) for step in problem.path)
        yield f"{path}: {problem.message}" if path else problem.message
