"""The plans and add-ons of a product: archived or copied along with it.

Only what definitions become lives here; who changes them does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sidecar_client.local.catalog import Addon, CatalogIndex, Definitions, Plan, Product

_Package = TypeVar("_Package", Plan, Addon)


def archived(versions: Iterable[_Package]) -> tuple[_Package, ...]:
    """All versions of packages archived, but for drafts beside what was published.

    A draft is nobody's yet: archived, it would be the latest version.
    """
    items = tuple(versions)
    begun = {item.id for item in items if item.status != "draft"}
    return tuple(
        item
        if item.status == "draft" and item.id in begun
        else item.model_copy(update={"status": "archived"})
        for item in items
    )


def with_product(definitions: Definitions, product: Product) -> Definitions:
    """The definitions with one product more.

    What named no product, being of the only one, names it from now on.
    """
    plans, addons = definitions.plans, definitions.addons
    if len(definitions.products) == 1:
        only = definitions.products[0].id
        plans = tuple(_of(only, plan) for plan in plans)
        addons = tuple(_of(only, addon) for addon in addons)
    products = (*definitions.products, product)
    return definitions.model_copy(
        update={"products": products, "plans": plans, "addons": addons}
    )


def packages_of(definitions: Definitions, product: Product) -> list[Plan | Addon]:
    """All versions of all plans and add-ons of a product."""
    only = len(definitions.products) == 1
    everything: list[Plan | Addon] = [*definitions.plans, *definitions.addons]
    return [package for package in everything if _is_of(package, product, only)]


def with_archived_packages(definitions: Definitions, product: Product) -> Definitions:
    """The definitions with all plans and add-ons of a product archived."""
    only = len(definitions.products) == 1
    return definitions.model_copy(
        update={
            "plans": _archived_of(definitions.plans, product, only),
            "addons": _archived_of(definitions.addons, product, only),
        }
    )


def with_copies(
    definitions: Definitions, product: Product, target_id: str
) -> Definitions:
    """The definitions with the latest plans and add-ons of a product copied.

    A copy is called `TARGET-ID` and refers to other copies, not to what they are of.
    """
    index = CatalogIndex.of(definitions)
    plans = {p.id: p for p in index.plans.values() if p.product == product.id}
    addons = {a.id: a for a in index.addons.values() if a.product == product.id}
    copies = [_copied_plan(plan, target_id, plans, addons) for plan in plans.values()]
    return definitions.model_copy(
        update={
            "plans": (
                *definitions.plans,
                *copies,
            ),
            "addons": (
                *definitions.addons,
                *(_copied(addon, target_id) for addon in addons.values()),
            ),
        }
    )


def _copied_plan(
    plan: Plan, target_id: str, plans: dict[str, Plan], addons: dict[str, Addon]
) -> Plan:
    parent, fitting = plan.parent, plan.addons
    if parent in plans:
        parent = f"{target_id}-{parent}"
    if fitting is not None:
        fitting = tuple(
            f"{target_id}-{name}" if name in addons else name for name in fitting
        )
    return _copied(plan, target_id).model_copy(
        update={"parent": parent, "addons": fitting}
    )


def _copied(package: _Package, target_id: str) -> _Package:
    return package.model_copy(
        update={"id": f"{target_id}-{package.id}", "version": 1, "product": target_id}
    )


def _of(product_id: str, package: _Package) -> _Package:
    return package.model_copy(update={"product": package.product or product_id})


def _is_of(package: Plan | Addon, product: Product, only: bool) -> bool:
    return package.product == product.id or (only and package.product is None)


def _archived_of(
    packages: tuple[_Package, ...], product: Product, only: bool
) -> tuple[_Package, ...]:
    """The packages in their order, those of the product archived."""
    theirs = archived(item for item in packages if _is_of(item, product, only))
    found = {(item.id, item.version): item for item in theirs}
    return tuple(found.get((item.id, item.version), item) for item in packages)
