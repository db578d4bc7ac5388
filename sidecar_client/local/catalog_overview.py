"""What is in a catalog at a glance, for people; and all about one customer.

Texts that files are made of are in `catalog_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from sidecar_client.local.catalog import (
    Addon,
    Catalog,
    EventMeter,
    Feature,
    Plan,
)
from sidecar_client.local.catalog_entitled import entitled
from sidecar_client.local.catalog_words import (
    credits_in_words,
    entitlement_in_words,
    number,
)
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.entitlements import CreditEntitlement, Entitlement
from sidecar_client.local.shown import limited, printable

_MOST_CUSTOMERS: Final = 50
_MOST_CELL: Final = 60
_NONE: Final = "-"


def overview(catalog: Catalog) -> Iterator[str]:
    """Features, currencies, products, plans, add-ons and customers, in tables."""
    parts: list[tuple[str, list[Sequence[str]]]] = [
        ("Features", list(map(_feature, catalog.features))),
        ("Currencies", [(item.id, item.name) for item in catalog.currencies]),
        ("Products", [(item.id, item.name) for item in catalog.products]),
    ]
    for title, rows in parts:
        if rows:
            yield from (title, *_table(rows), "")
    for title, packages in (("Plans", catalog.plans), ("Add-ons", catalog.addons)):
        if packages:
            yield title
        for package in packages:
            yield from (*_package(package), "")
    yield from _customers(catalog.customers)


def overview_of_customer(catalog: Catalog) -> Iterator[str]:
    """All that a catalog says about its one customer, and what comes of it."""
    (customer,) = catalog.customers
    named = f" ({customer.name})" if customer.name else ""
    yield f"Customer {customer.id}{named}{', archived' if customer.archived else ''}"
    if customer.resources:
        yield f"Resources: {', '.join(customer.resources)}"
    parts: list[tuple[str, list[Sequence[str]]]] = [
        ("Subscriptions", [_subscription(item) for item in customer.subscriptions]),
        (
            "Promotions",
            [
                (
                    item.feature,
                    _entitlement(item.entitlement),
                    _span(item.start, item.end),
                )
                for item in customer.promotions
            ],
        ),
        (
            "Credits",
            [
                (item.currency, number(item.amount), item.type, item.resource or _NONE)
                for item in customer.credits
            ],
        ),
        (
            "Starting usage",
            [
                (item.feature, number(item.value), item.resource or _NONE)
                for item in customer.usage
            ],
        ),
    ]
    parts[:0] = entitled(catalog)
    for title, rows in parts:
        if rows:
            yield from ("", title, *_table(rows))
    names = dict.fromkeys(sub.plan for sub in customer.subscriptions)
    for plan in catalog.plans:
        if plan.id in names:
            yield from ("", *_package(plan))


def _feature(feature: Feature) -> Sequence[str]:
    kind = " ".join(filter(None, (feature.type, feature.meter)))
    said = ", ".join(feature.values) if feature.values else feature.units_plural
    events = _meter(feature.events) if feature.events else ""
    archived = "archived" if feature.status == "archived" else ""
    return (feature.id, kind, said or feature.units, events, archived)


def _meter(meter: EventMeter) -> str:
    of = f" of {meter.field}" if meter.field else ""
    filtered = ", filtered" if meter.filters else ""
    return f"{meter.aggregation}{of} of events {meter.event!r}{filtered}"


def _package(package: Plan | Addon) -> Iterator[str]:
    yield f"  {package.id}{''.join(f', {said}' for said in _about(package))}"
    rows = [
        (f"  {name}", _entitlement(said)) for name, said in package.entitlements.items()
    ]
    rows += [
        (f"  {name} (credits)", _credits(said))
        for name, said in package.credits.items()
    ]
    yield from _table(rows)


def _about(package: Plan | Addon) -> Iterator[str]:
    if package.version != 1:
        yield f"version {package.version}"
    if package.product:
        yield f"of {package.product}"
    if isinstance(package, Plan) and package.parent:
        yield f"inherits from {package.parent}"
    if package.status != "published":
        yield package.status
    if isinstance(package, Plan) and package.trial_days:
        yield f"trial of {package.trial_days} days"
    if isinstance(package, Addon) and package.max_quantity:
        yield f"at most {package.max_quantity} times"


def _entitlement(said: Entitlement) -> str:
    return entitlement_in_words(said.model_dump(mode="json", exclude_defaults=True))


def _credits(said: CreditEntitlement) -> str:
    return credits_in_words(said.model_dump(mode="json", exclude_defaults=True))


def _customers(customers: Sequence[Customer]) -> Iterator[str]:
    if not customers:
        return
    yield "Customers"
    yield from _table([_customer(item) for item in customers[:_MOST_CUSTOMERS]])
    if len(customers) > _MOST_CUSTOMERS:
        yield f"  ... and {len(customers) - _MOST_CUSTOMERS:,} more"


def _customer(customer: Customer) -> Sequence[str]:
    plans = [
        sub.plan
        + (f" for {sub.resource}" if sub.resource else "")
        + ("" if sub.status == "active" else f" ({sub.status.replace('_', ' ')})")
        for sub in customer.subscriptions
    ]
    more = ["archived"] if customer.archived else []
    more += [f"promotion of {item.feature}" for item in customer.promotions]
    for item in customer.credits:
        owed = "owes " if item.type == "overdraft" else ""
        more.append(f"{owed}{number(item.amount)} {item.currency}")
    return (customer.id, ", ".join(plans) or "no subscription", ", ".join(more))


def _subscription(sub: Subscription) -> Sequence[str]:
    version = f" version {sub.plan_version}" if sub.plan_version else ""
    addons = [
        item.id if item.quantity == 1 else f"{item.quantity} {item.id}"
        for item in sub.addons
    ]
    return (
        sub.id or _NONE,
        f"{sub.plan}{version}" + "".join(f" + {name}" for name in addons),
        sub.status.replace("_", " "),
        _span(sub.start, sub.end),
        f"for {sub.resource}" if sub.resource else "",
    )


def _span(start: datetime, end: datetime | None) -> str:
    return f"{_day(start)} to {_day(end) if end else '...'}"


def _day(moment: datetime) -> str:
    return moment.isoformat().replace("T00:00:00+00:00", "").replace("+00:00", "Z")


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows with their columns aligned, each two columns in."""
    cells = [[limited(_one_line(cell), _MOST_CELL) for cell in row] for row in rows]
    widths: Mapping[int, int] = {
        place: max(len(row[place]) for row in cells)
        for place in range(len(cells[0]) if cells else 0)
    }
    for row in cells:
        line = "  ".join(
            cell.ljust(widths[place]) for place, cell in enumerate(row) if widths[place]
        )
        yield f"  {line}".rstrip()


def _one_line(text: str) -> str:
    """What would do something to a terminal is spelled out."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in printable(text)
    )
