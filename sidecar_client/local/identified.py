"""Ids for what a catalog may leave without: subscriptions and grants of credits.

Only giving ids lives here. They are the same at every loading of the same text.
"""

from __future__ import annotations

from typing import TypeVar

from sidecar_client.local.catalog import Catalog
from sidecar_client.local.customers import CreditGrant, Customer, Subscription

_Item = TypeVar("_Item", Subscription, CreditGrant)


def identified(catalog: Catalog) -> Catalog:
    """The catalog with an id for every subscription and every grant of credits."""
    customers = tuple(_identified(customer) for customer in catalog.customers)
    return catalog.model_copy(update={"customers": customers})


def _identified(customer: Customer) -> Customer:
    if all(item.id for item in customer.subscriptions) and all(
        grant.id for grant in customer.credits
    ):
        return customer
    base = customer.id.replace("@", ".")[:200]
    return customer.model_copy(
        update={
            "subscriptions": _with_ids(customer.subscriptions, f"{base}-subscription"),
            "credits": _with_ids(customer.credits, f"{base}-grant"),
        }
    )


def _with_ids(items: tuple[_Item, ...], base: str) -> tuple[_Item, ...]:
    taken = {item.id for item in items}
    numbers = (
        name
        for at in range(1, 2 * len(items) + 2)
        if (name := f"{base}-{at}") not in taken
    )
    return tuple(
        item if item.id else item.model_copy(update={"id": next(numbers)})
        for item in items
    )
