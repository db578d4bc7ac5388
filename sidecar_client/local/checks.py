"""What one part of a catalog demands of another: references, fields that fit a type.

Each rule yields where it is broken, how, and the cure; the shape of parts is `catalog`.
What entitlements, customers and usage demand is in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar_client.local.catalog import Addon, Catalog, CatalogIndex, Plan
from sidecar_client.local.customer_checks import customer_problems
from sidecar_client.local.entitlement_checks import entitlements_problems
from sidecar_client.local.feature_checks import feature_problems
from sidecar_client.local.problem import Path, Problem, unknown


def problems(catalog: Catalog) -> Iterator[Problem]:
    """Everything in the catalog that does not fit together."""
    index = CatalogIndex.of(catalog)
    yield from _duplicates("features", (item.id for item in catalog.features))
    yield from _duplicates("currencies", (item.id for item in catalog.currencies))
    yield from _duplicates("products", (item.id for item in catalog.products))
    plans = ((item.id, item.version) for item in catalog.plans)
    yield from _duplicate_versions("plans", plans)
    addons = ((item.id, item.version) for item in catalog.addons)
    yield from _duplicate_versions("addons", addons)
    yield from _duplicates("customers", (item.id for item in catalog.customers))
    for at, currency in enumerate(catalog.currencies):
        if currency.archived_at is not None and currency.status != "archived":
            yield Problem(
                path=("currencies", at, "archived_at"),
                message="a currency that is not archived has no time at which it was; "
                "remove it, or use `status: archived`",
            )
    for at, feature in enumerate(catalog.features):
        yield from feature_problems(feature, ("features", at))
    for at, plan in enumerate(catalog.plans):
        yield from _plan(plan, index, ("plans", at))
    for at, addon in enumerate(catalog.addons):
        yield from _package(addon, index, ("addons", at))
    for at, customer in enumerate(catalog.customers):
        yield from customer_problems(customer, index, ("customers", at))
    yield from _shared_ids(catalog)


def _duplicates(part: str, ids: Iterable[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for at, name in enumerate(ids):
        if first.setdefault(name, at) != at:
            yield Problem(
                path=(part, at, "id"),
                message=f"the id {name!r} is already taken in {part}; use another",
                other=(part, first[name], "id"),
            )


def _duplicate_versions(
    part: str, versions: Iterable[tuple[str, int]]
) -> Iterator[Problem]:
    first: dict[tuple[str, int], int] = {}
    for at, (name, version) in enumerate(versions):
        if first.setdefault((name, version), at) == at:
            continue
        what = f"the id {name!r}"
        if version > 1:
            what = f"version {version} of {name!r}"
        yield Problem(
            path=(part, at, "id"),
            message=f"{what} is already taken in {part}; use another",
            other=(part, first[name, version], "id"),
        )


def _plan(plan: Plan, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    yield from _package(plan, index, path)
    if plan.parent is not None:
        yield from _parent(plan, index, (*path, "parent"))
    for name, rate in plan.credit_rates.items():
        at = (*path, "credit_rates", name)
        yield from _metered(name, index, at)
        if rate.currency not in index.currencies:
            yield unknown("currency", rate.currency, index.currencies, at)
    for number, addon in enumerate(plan.addons or ()):
        if addon not in index.addons:
            yield unknown("addon", addon, index.addons, (*path, "addons", number))


def _parent(plan: Plan, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    chain = [plan.id]
    parent = plan.parent
    while parent is not None:
        if parent in chain:
            yield Problem(
                path=path,
                message=f"the plan {plan.id!r} inherits from itself "
                f"({' from '.join([*chain, parent])}); name another parent, or none",
            )
            return
        found = index.plans.get(parent)
        if found is None:
            if len(chain) == 1:
                yield unknown("plan", parent, index.plans, path)
            return
        chain.append(parent)
        parent = found.parent


def _package(item: Plan | Addon, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    yield from _product(item, index, (*path, "product"))
    yield from entitlements_problems(item.entitlements, index, (*path, "entitlements"))
    for name in item.credits:
        if name not in index.currencies:
            at = (*path, "credits", name)
            yield unknown("currency", name, index.currencies, at)
    for name in item.charges:
        yield from _metered(name, index, (*path, "charges", name))


def _product(item: Plan | Addon, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    if item.product is None:
        if len(index.products) > 1:
            yield Problem(
                path=path[:-1],
                message=f"{item.id!r} names no product and there are "
                f"{len(index.products)}; add `product: ID`",
            )
    elif item.product not in index.products:
        yield unknown("product", item.product, index.products, path)


def _metered(name: str, index: CatalogIndex, path: Path) -> Iterator[Problem]:
    feature = index.features.get(name)
    if feature is None:
        yield unknown("feature", name, index.features, path)
    elif feature.type != "metered":
        yield Problem(
            path=path,
            message=f"{name!r} is {feature.type}; only a metered feature can cost "
            "something by the unit",
        )


def _shared_ids(catalog: Catalog) -> Iterator[Problem]:
    """Ids of subscriptions and grants that were given twice."""
    seen: dict[tuple[str, str], tuple[str, Path]] = {}
    for at, customer in enumerate(catalog.customers):
        ids = [("subscriptions", n, s.id) for n, s in enumerate(customer.subscriptions)]
        ids += [("credits", n, grant.id) for n, grant in enumerate(customer.credits)]
        for part, number, name in ids:
            if name is None:
                continue
            path = ("customers", at, part, number, "id")
            owner, other = seen.setdefault((part, name), (customer.id, path))
            if other != path:
                yield Problem(
                    path=path,
                    message=f"the id {name!r} is already taken in {part} of "
                    f"{owner!r}; use another",
                    other=other,
                )
