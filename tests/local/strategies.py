"""Catalogs of all shapes, as files say them and as they are loaded, by hypothesis.

Every part that a catalog can have is drawn, and what is drawn is always valid.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final, cast

from hypothesis import strategies as st

from sidecar_client.local import Catalog, load_catalog
from sidecar_client.local.catalog import CatalogIndex, Feature, Plan
from sidecar_client.local.customers import RUNNING
from sidecar_client.local.management.missing import product_of_package

Data = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

_FIRST: Final = string.ascii_letters + string.digits
_ID: Final = _FIRST + "_|.-"
_WEEKDAYS: Final = (
    *("monday", "tuesday", "wednesday", "thursday"),
    *("friday", "saturday", "sunday"),
)


def ids(*, more: str = "") -> st.SearchStrategy[str]:
    """Ids as the vendor takes them; `more` are further signs that are allowed."""
    rest = st.text(_ID + more, max_size=6)
    return st.builds(str.__add__, st.sampled_from(_FIRST), rest)


def texts(*, min_size: int = 0) -> st.SearchStrategy[str]:
    """Any text that can be sent: everything but halves of surrogate pairs."""
    signs = st.characters(exclude_categories=["Cs"])
    return st.text(signs, min_size=min_size, max_size=12)


def numbers(*, least: float = 0.0, most: float = 1e12) -> st.SearchStrategy[float]:
    """Finite numbers, whole ones more often than not."""
    whole = st.integers(ceil(least), int(most)).map(float)
    return whole | st.floats(least, most, allow_subnormal=False)


def moments() -> st.SearchStrategy[datetime]:
    """Times that a catalog takes."""
    return st.datetimes(datetime(1970, 1, 1), datetime(8990, 1, 1)).map(
        lambda moment: moment.replace(tzinfo=UTC)
    )


def later(moment: datetime) -> st.SearchStrategy[datetime]:
    """Times after a moment."""
    return st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)).map(
        lambda more: moment + more
    )


def metadata() -> st.SearchStrategy[Data]:
    """Names and values of the application's own."""
    return st.dictionaries(texts(), texts(), max_size=2)


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    """Some of the parts, each there or not."""
    return st.fixed_dictionaries({}, optional=parts)


def entitlements_to(
    feature: Feature, *, revoked: bool = True
) -> st.SearchStrategy[Any]:
    """What can be said about a feature, in long and in short."""
    kinds: Mapping[str, st.SearchStrategy[Any]] = {
        "boolean": st.sampled_from([True, {}, {"granted": True}]),
        "numeric": st.fixed_dictionaries({"value": st.integers(-(2**31), 2**31 - 1)})
        | st.just({"unlimited": True}),
        "metered": _metered(),
        "enum": st.lists(
            st.sampled_from(feature.values or ("",)), min_size=1, unique=True
        ).map(lambda values: {"values": values}),
    }
    granted = kinds[feature.type]
    if not revoked:
        return granted
    return granted | st.sampled_from([False, {"granted": False}])


@st.composite
def _metered(draw: Draw) -> Data:
    amount = draw(
        st.fixed_dictionaries({"limit": numbers()}) | st.just({"unlimited": True})
    )
    more = draw(some(soft_limit=st.booleans()))
    period = draw(st.sampled_from([None, "hour", "day", "week", "month", "year"]))
    if period is None:
        return {**amount, **more}
    rules = {"week": _WEEKDAYS, "month": ("start_of_month",)}.get(period, ())
    anchors = st.sampled_from(["subscription_start", *rules]) | moments()
    anchor = draw(some(reset_anchor=anchors))
    return {**amount, **more, "reset_period": period, **anchor}


def features(feature_id: str) -> st.SearchStrategy[Data]:
    """A feature of any type."""
    common = {
        "name": texts(),
        "description": texts(),
        "units": texts(),
        "units_plural": texts(),
        "status": st.sampled_from(["active", "archived"]),
        "metadata": metadata(),
    }
    plain = st.fixed_dictionaries(
        {"id": st.just(feature_id), "type": st.sampled_from(["boolean", "numeric"])},
        optional=common,
    )
    values = st.lists(texts(min_size=1), min_size=1, max_size=3, unique=True)
    enum = st.fixed_dictionaries(
        {"id": st.just(feature_id), "type": st.just("enum"), "values": values},
        optional=common,
    )
    transformation = st.fixed_dictionaries(
        {"divide": numbers(least=1e-3)},
        optional={"round": st.sampled_from(["up", "down"])},
    )
    metered = st.fixed_dictionaries(
        {
            "id": st.just(feature_id),
            "type": st.just("metered"),
            "meter": st.sampled_from(["fluctuating", "incremental"]),
        },
        optional={
            **common,
            "events": event_meters(),
            "unit_transformation": transformation,
        },
    )
    return st.one_of(plain, enum, metered)


@st.composite
def event_meters(draw: Draw) -> Data:
    """How events are counted."""
    found: Data = {"event": draw(texts(min_size=1))}
    aggregations = ["count", "sum", "min", "max", "average", "unique"]
    aggregation = draw(st.sampled_from(aggregations))
    if aggregation != "count":
        found |= {"aggregation": aggregation, "field": draw(texts(min_size=1))}
    filters = st.lists(
        st.lists(conditions(), min_size=1, max_size=2).map(
            lambda found: {"conditions": found}
        ),
        max_size=2,
    )
    found |= draw(some(filters=filters))
    return found


@st.composite
def conditions(draw: Draw) -> Data:
    """What a dimension of an event must be like."""
    texts_of = ("contains", "starts_with", "ends_with")
    ordered = [
        *("greater_than", "greater_than_or_equal"),
        *("less_than", "less_than_or_equal"),
    ]
    value = texts() | numbers(least=-10.0) | st.booleans()
    operator = draw(
        st.sampled_from(
            [
                "equals",
                "not_equals",
                "in",
                "is_null",
                "is_not_null",
                *texts_of,
                *ordered,
            ]
        )
    )
    found: Data = {"field": draw(texts(min_size=1)), "operator": operator}
    if operator == "in":
        return found | {"values": draw(st.lists(value, min_size=1, max_size=3))}
    if operator in texts_of:
        return found | {"value": draw(texts())}
    if operator in ordered:
        return found | {"value": draw(numbers(least=-10.0))}
    if operator in ("equals", "not_equals"):
        return found | {"value": draw(value)}
    return found


@st.composite
def definitions_data(draw: Draw) -> Data:
    """Features, currencies, products, add-ons and plans, as a file says them."""
    names = draw(st.lists(ids(), max_size=4, unique=True))
    found: Data = {"features": [draw(features(name)) for name in names]}
    currencies = draw(st.lists(ids(), max_size=2, unique=True))
    found["currencies"] = [
        draw(
            st.fixed_dictionaries(
                {"id": st.just(name)},
                optional={
                    "name": texts(),
                    "description": texts(),
                    "unit_singular": texts(),
                    "unit_plural": texts(),
                    "metadata": metadata(),
                },
            )
            | _archived_currencies(name)
        )
        for name in currencies
    ]
    products = draw(st.lists(ids(), max_size=2, unique=True))
    found["products"] = [
        draw(
            st.fixed_dictionaries(
                {"id": st.just(name)},
                optional={
                    "name": texts(),
                    "description": texts(),
                    "multiple_subscriptions": st.booleans(),
                    "status": st.sampled_from(["published", "archived"]),
                    "metadata": metadata(),
                },
            )
        )
        for name in products
    ]
    known = load_catalog(found)
    found["addons"] = draw(_addons(known))
    found["plans"] = draw(_plans(known, [item["id"] for item in found["addons"]]))
    return found


def _archived_currencies(name: str) -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries(
        {"id": st.just(name), "status": st.just("archived")},
        optional={"archived_at": moments()},
    )


@st.composite
def _package(draw: Draw, known: Catalog, *, is_addon: bool) -> Data:
    """What plans and add-ons have in common."""
    currencies = [item.id for item in known.currencies]
    metered = [item.id for item in known.features if item.type == "metered"]
    credits_of = st.fixed_dictionaries(
        {"amount": numbers()},
        optional={
            "cadence": st.sampled_from(["month", "year"]),
            "soft_limit": st.booleans(),
        },
    )
    charges = st.fixed_dictionaries(
        {"price": numbers()}, optional={"included": numbers()}
    )
    found: Data = draw(
        some(
            name=texts(),
            description=texts(),
            status=st.sampled_from(["published", "draft", "archived"]),
            credits=_mapped(currencies, credits_of),
            charges=_mapped(metered, charges),
            metadata=metadata(),
        )
    )
    products = [item.id for item in known.products]
    if products and (len(products) > 1 or draw(st.booleans())):
        found["product"] = draw(st.sampled_from(products))
    if draw(st.booleans()):
        found["entitlements"] = {
            feature.id: draw(_maybe_addons(feature, is_addon=is_addon))
            for feature in known.features
            if draw(st.booleans())
        }
    return found


@st.composite
def _maybe_addons(draw: Draw, feature: Feature, *, is_addon: bool) -> Any:
    said = draw(entitlements_to(feature))
    if is_addon and isinstance(said, dict):
        behavior = st.sampled_from(["increment", "override"])
        return cast("Data", said) | draw(some(behavior=behavior))
    return said


@st.composite
def _addons(draw: Draw, known: Catalog) -> list[Data]:
    found: list[Data] = []
    for name in draw(st.lists(ids(), max_size=2, unique=True)):
        more = {"max_quantity": st.integers(1, 9)}
        found += [
            {
                "id": name,
                **version,
                **draw(_package(known, is_addon=True)),
                **draw(some(**more)),
            }
            for version in draw(_versions())
        ]
    return found


@st.composite
def _plans(draw: Draw, known: Catalog, addons: Sequence[str]) -> list[Data]:
    found: list[Data] = []
    currencies = [item.id for item in known.currencies]
    metered = [item.id for item in known.features if item.type == "metered"]
    rates = st.fixed_dictionaries(
        {
            "currency": st.sampled_from(currencies or [""]),
            "rate": numbers(least=1e-3),
        }
    )
    more: dict[str, st.SearchStrategy[Any]] = {
        "pricing": st.sampled_from(["free", "paid", "custom"]),
        "trial_days": st.integers(1, 3650),
        "credit_rates": _mapped(metered if currencies else [], rates),
        "addons": st.lists(st.sampled_from(addons or [""]), unique=True)
        if addons
        else st.just([]),
    }
    names = draw(st.lists(ids(), max_size=3, unique=True))
    for at, name in enumerate(names):
        parents = {"parent": st.sampled_from(names[:at])} if at else {}
        found += [
            {
                "id": name,
                **version,
                **draw(_package(known, is_addon=False)),
                **draw(some(**more, **parents)),
            }
            for version in draw(_versions())
        ]
    return found


def _versions() -> st.SearchStrategy[list[Data]]:
    several = st.lists(st.integers(1, 5), min_size=1, max_size=2, unique=True)
    alone: list[Data] = [{}]
    return st.just(alone) | several.map(
        lambda numbers: [{"version": number} for number in numbers]
    )


def _mapped(
    keys: Sequence[str], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[Data]:
    if not keys:
        return st.just({})
    return st.dictionaries(st.sampled_from(keys), values, max_size=2)


@st.composite
def customer_data(draw: Draw, customer_id: str, catalog: Catalog) -> Data:
    """A customer in the world that a catalog defines."""
    index = CatalogIndex.of(catalog.definitions)
    resources = draw(st.lists(ids(), max_size=2, unique=True))
    found: Data = {"id": customer_id, "resources": resources}
    found |= draw(
        some(name=texts(), email=texts(), archived=st.booleans(), metadata=metadata())
    )
    if found.get("archived"):
        found |= draw(some(archived_at=moments()))
    count = draw(st.integers(0, 2)) if index.plans else 0
    found["subscriptions"] = [
        draw(_subscriptions(index, resources)) for _ in range(count)
    ]
    if index.features:
        promoted = st.sampled_from(list(index.features.values()))
        found["promotions"] = draw(st.lists(promoted.flatmap(_promotions), max_size=2))
    if index.currencies:
        found["credits"] = draw(
            st.lists(_grants(list(index.currencies), resources), max_size=2)
        )
    found["usage"] = draw(_usage(index, found["subscriptions"]))
    return found


@st.composite
def _subscriptions(draw: Draw, index: CatalogIndex, resources: Sequence[str]) -> Data:
    plan_id = draw(st.sampled_from(list(index.plans)))
    versions = [version for name, version in index.plan_versions if name == plan_id]
    found: Data = {"plan": plan_id}
    found |= draw(
        some(
            plan_version=st.sampled_from(versions),
            resource=st.sampled_from([None, *resources]),
            start=moments(),
            canceled_at=moments(),
            cancel_reason=st.sampled_from(["immediate", "trial_ended"]),
            paying_customer=ids(more="@"),
            billing_period=st.sampled_from(["monthly", "annually"]),
            budget=st.fixed_dictionaries(
                {"limit": numbers()}, optional={"soft_limit": st.booleans()}
            ),
            status=st.sampled_from(
                ["active", "in_trial", "payment_pending", "expired", "canceled"]
            ),
            metadata=metadata(),
        )
    )
    start = found.get("start", datetime(2020, 1, 1, tzinfo=UTC))
    found |= draw(some(end=later(start)))
    if found.get("status") == "in_trial":
        found |= draw(some(trial_end=later(start)))
    plan = index.plan(plan_id, found.get("plan_version"))
    assert plan is not None
    product = product_of_package(index, plan)
    own = [
        n for n, a in index.addons.items() if product_of_package(index, a) == product
    ]
    fitting = own if plan.addons is None else plan.addons
    found["addons"] = [
        {
            "id": name,
            "quantity": draw(st.integers(1, index.addons[name].max_quantity or 9)),
        }
        for name in fitting
        if draw(st.booleans())
    ]
    found["entitlements"] = {
        feature.id: draw(entitlements_to(feature))
        for feature in index.features.values()
        if draw(st.booleans())
    }
    return found


@st.composite
def _promotions(draw: Draw, feature: Feature) -> Data:
    start = draw(moments())
    states = st.sampled_from(["active", "paused"])
    found = draw(some(end=later(start), status=states, visible=st.booleans()))
    periods = ["one_week", "custom"] if "end" in found else ["lifetime"]
    found |= draw(some(period=st.sampled_from(periods)))
    granted = draw(entitlements_to(feature, revoked=False))
    return {"feature": feature.id, "entitlement": granted, "start": start, **found}


@st.composite
def _grants(draw: Draw, currencies: Sequence[str], resources: Sequence[str]) -> Data:
    effective = draw(moments())
    found: Data = {
        "currency": draw(st.sampled_from(currencies)),
        "amount": draw(numbers(least=1e-3)),
    }
    if draw(st.booleans()) and draw(st.booleans()):
        places = some(resource=st.sampled_from([None, *resources]))
        found |= {"type": "overdraft", **draw(places)}
        return found
    found["effective"] = effective
    found |= draw(
        some(
            type=st.sampled_from(["paid", "promotional"]),
            name=texts(),
            priority=st.integers(-5, 5),
            expires=later(effective),
            resource=st.sampled_from([None, *resources]),
            cost=numbers(),
            metadata=metadata(),
        )
    )
    return found


@st.composite
def _usage(
    draw: Draw, index: CatalogIndex, subscriptions: Sequence[Data]
) -> list[Data]:
    """Usage that one of the subscriptions counts."""
    counted = {
        (name, sub.get("resource"))
        for sub in subscriptions
        if sub.get("status", "active") in RUNNING
        # What was agreed beside the plan, or bought, may revoke what it grants.
        and not sub.get("entitlements")
        and not sub.get("addons")
        for name, said in _plan_of(index, sub).entitlements.items()
        if said.granted and index.features[name].type == "metered"
    }
    found: list[Data] = []
    for name, resource in sorted(counted, key=str):
        if draw(st.booleans()):
            entry: Data = {"feature": name, "value": draw(numbers())}
            if resource is not None:
                entry["resource"] = resource
            found.append(entry | draw(some(at=moments())))
    return found


def _plan_of(index: CatalogIndex, sub: Data) -> Plan:
    plan = index.plan(sub["plan"], sub.get("plan_version"))
    assert plan is not None
    return plan


@st.composite
def catalog_data(draw: Draw) -> Data:
    """A whole catalog, as a file says it."""
    found = draw(definitions_data())
    catalog = load_catalog(found)
    names = draw(st.lists(ids(more="@"), max_size=3, unique=True))
    found["customers"] = [draw(customer_data(name, catalog)) for name in names]
    return {name: items for name, items in found.items() if items}


def catalogs() -> st.SearchStrategy[Catalog]:
    """A whole catalog, loaded."""
    return catalog_data().map(load_catalog)
