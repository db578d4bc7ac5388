"""A catalog from the vendor's management API: products, plans, features and the like.

What is asked for, and in which order, lives here; what becomes of an answer is in
`pulled_definitions` and `pulled_customers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar_client.local.pulled_customers import Customers
from sidecar_client.local.pulled_definitions import (
    addon_of,
    charges_of,
    currency_of,
    entitlements_of,
    feature_of,
    plan_of,
    product_of,
)

if TYPE_CHECKING:
    import stigg

_ALL_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a catalog says of what the API told, and what it cannot say."""

    data: dict[str, list[dict[str, Any]]] = field(
        default_factory=dict[str, list[dict[str, Any]]]
    )
    notes: list[str] = field(default_factory=list[str])


def pull(client: stigg.Stigg, *, with_customers: bool) -> Pulled:
    """All that is published, and with it the customers if they are wanted.

    Raises the client's own errors.
    """
    pulled = Pulled()
    v1 = client.v1
    features = [
        feature_of(item, pulled.notes)
        for item in v1.features.list_features(limit=_ALL_AT_ONCE)
    ]
    types = {item["id"]: str(item["type"]) for item in features}
    pulled.data["features"] = features
    pulled.data["currencies"] = [
        currency_of(item)
        for item in v1.credits.custom_currencies.list(
            status=["ACTIVE", "ARCHIVED"], limit=_ALL_AT_ONCE
        )
    ]
    pulled.data["products"] = [
        product_of(item) for item in v1.products.list_products(limit=_ALL_AT_ONCE)
    ]
    pulled.data["addons"] = list(_addons(client, types, pulled))
    pulled.data["plans"] = list(_plans(client, types, pulled))
    if with_customers:
        known = Customers(
            types=types,
            plans={item["id"]: item for item in pulled.data["plans"]},
            addons={item["id"] for item in pulled.data["addons"]},
            currencies={item["id"] for item in pulled.data["currencies"]},
            notes=pulled.notes,
        )
        pulled.data["customers"] = list(_customers(client, known))
    return pulled


def _addons(
    client: stigg.Stigg, types: Mapping[str, str], pulled: Pulled
) -> Iterator[dict[str, Any]]:
    for item in client.v1.addons.list(limit=_ALL_AT_ONCE):
        if item.status == "DRAFT":
            continue
        found = addon_of(item)
        said = client.v1.addons.entitlements.list(item.id).data
        what = f"add-on {item.id!r}"
        found |= entitlements_of(said, types, what, pulled.notes, is_addon=True)
        charges = client.v1.addons.list_charges(item.id, limit=_ALL_AT_ONCE)
        found |= charges_of(charges, types, what, pulled.notes, with_credits=False)
        yield found


def _plans(
    client: stigg.Stigg, types: Mapping[str, str], pulled: Pulled
) -> Iterator[dict[str, Any]]:
    items = [
        item
        for item in client.v1.plans.list(limit=_ALL_AT_ONCE)
        if item.status != "DRAFT"
    ]
    plans = {item.id for item in items}
    addons = [item["id"] for item in pulled.data["addons"]]
    for item in items:
        found = plan_of(item, plans, addons, pulled.notes)
        said = client.v1.plans.entitlements.list(item.id).data
        what = f"plan {item.id!r}"
        found |= entitlements_of(said, types, what, pulled.notes, is_addon=False)
        charges = client.v1.plans.list_charges(item.id, limit=_ALL_AT_ONCE)
        found |= charges_of(charges, types, what, pulled.notes, with_credits=True)
        yield found


def _customers(client: stigg.Stigg, known: Customers) -> Iterator[dict[str, Any]]:
    v1 = client.v1
    for item in v1.customers.list(limit=_ALL_AT_ONCE):
        found = v1.customers.list_resources(item.id, limit=_ALL_AT_ONCE)
        resources = [resource.id for resource in found]
        yield known.customer_of(
            item,
            resources=resources,
            subscriptions=list(
                v1.subscriptions.list(customer_id=item.id, limit=_ALL_AT_ONCE)
            ),
            promotions=list(
                v1.customers.promotional_entitlements.list(item.id, limit=_ALL_AT_ONCE)
            ),
            grants=list(_grants(client, item.id, resources)),
        )


def _grants(
    client: stigg.Stigg, customer_id: str, resources: Iterable[str]
) -> Iterator[Any]:
    """Those of the customer, then of each resource: no list has them all."""
    grants = client.v1.credits.grants
    yield from grants.list(customer_id=customer_id, limit=_ALL_AT_ONCE)
    for resource in resources:
        yield from grants.list(
            customer_id=customer_id, resource_id=resource, limit=_ALL_AT_ONCE
        )
