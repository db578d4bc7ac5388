"""What the management API tells of features, plans and the like, as a catalog says it.

Answers are the vendor's client's; spelling is in `http.rest.words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sidecar_client.local.http.rest.words import (
    AGGREGATIONS,
    OPERATORS,
    RESET_PERIODS,
    RESET_RULES,
    feature_type,
)

_EVENT_NAME: Final = "eventName"
_ORDERED: Final = ("GREATER_THAN", "LESS_THAN")
_DAYS: Final = {"DAY": 1, "MONTH": 30}
_LONGEST_TRIAL: Final = 3650
Data = dict[str, Any]


def said(**facts: Any) -> Data:
    """The facts that say something: neither None nor empty."""
    return {
        name: value for name, value in facts.items() if value not in (None, "", {}, [])
    }


def feature_of(item: Any, notes: list[str]) -> Data:
    """A feature."""
    kind = feature_type(item.feature_type, item.meter_type)
    is_metered = kind == "metered"
    change = item.unit_transformation
    return said(
        id=item.id,
        type=kind,
        name=_name(item),
        description=item.description,
        units=item.feature_units,
        units_plural=item.feature_units_plural,
        meter=str(item.meter_type).lower() if is_metered else None,
        events=_events(item, notes) if is_metered and item.meter else None,
        unit_transformation=(
            {"divide": change.divide, "round": str(change.round).lower()}
            if is_metered and change
            else None
        ),
        values=[entry.value for entry in item.enum_configuration or ()]
        if kind == "enum"
        else None,
        status="archived" if item.feature_status == "SUSPENDED" else None,
        metadata=item.metadata,
    )


def _events(item: Any, notes: list[str]) -> Data | None:
    """How events are counted: a catalog names their event apart."""
    names: set[str] = set()
    filters: list[Data] = []
    for entry in item.meter.filters:
        rest: list[Data] = []
        for condition in entry.conditions:
            if condition.field == _EVENT_NAME and condition.operation == "EQUALS":
                names.add(str(condition.value))
            else:
                rest.append(_condition(condition))
        filters.append({"conditions": rest})
    if len(names) != 1:
        notes.append(
            f"feature {item.id!r} counts {len(names)} kinds of events, and a catalog"
            " can say one: it is counted from reports instead"
        )
        return None
    # A filter of the name alone lets every such event in.
    are_open = any(not entry["conditions"] for entry in filters)
    aggregation = item.meter.aggregation
    return said(
        event=names.pop(),
        aggregation=AGGREGATIONS[aggregation.function],
        field=None if aggregation.function == "COUNT" else aggregation.field,
        filters=[] if are_open else filters,
    )


def _condition(condition: Any) -> Data:
    value: Any = condition.value
    if value is not None and condition.operation.startswith(_ORDERED):
        value = float(value)
    operator = OPERATORS[condition.operation]
    found: Data = {"field": condition.field, "operator": operator}
    return found | said(value=value, values=condition.values)


def currency_of(item: Any) -> Data:
    """A custom currency."""
    return said(
        id=item.id,
        name=_name(item),
        description=item.description,
        unit_singular=item.units and item.units.singular,
        unit_plural=item.units and item.units.plural,
        status=None if item.archived_at is None else "archived",
        archived_at=item.archived_at and item.archived_at.isoformat(),
        metadata=item.metadata,
    )


def product_of(item: Any) -> Data:
    """A product."""
    return said(
        id=item.id,
        name=_name(item),
        description=item.description,
        multiple_subscriptions=item.multiple_subscriptions or None,
        status="archived" if item.status == "ARCHIVED" else None,
        metadata=item.metadata,
    )


def addon_of(item: Any) -> Data:
    """An add-on, without what it entitles to."""
    return _package(item) | said(max_quantity=item.max_quantity)


def plan_of(
    item: Any, plans: set[str], addons: Sequence[str], notes: list[str]
) -> Data:
    """A plan, without what it entitles to."""
    parent = item.parent_plan_id
    if parent is not None and parent not in plans:
        notes.append(
            f"plan {item.id!r} inherits from {parent!r}, which is not published"
        )
        parent = None
    pricing = str(item.pricing_type or "FREE").lower()
    found = _package(item) | said(
        parent=parent,
        pricing=None if pricing == "free" else pricing,
        trial_days=_trial(item.default_trial_config),
    )
    if item.compatible_addon_ids is not None:
        fitting = [name for name in item.compatible_addon_ids if name in addons]
        # All of them is what a plan without a list says.
        if set(fitting) != set(addons):
            found["addons"] = fitting
    return found


def _trial(config: Any) -> int | None:
    if config is None:
        return None
    days = int(config.duration * _DAYS.get(config.units, 1))
    return min(_LONGEST_TRIAL, max(1, days))


def _package(item: Any) -> Data:
    version = item.version_number
    return said(
        id=item.id,
        version=version if version > 1 else None,
        name=_name(item),
        description=item.description,
        product=item.product_id,
        status="archived" if item.status == "ARCHIVED" else None,
        metadata=item.metadata,
    )


def entitlements_of(
    items: Iterable[Any],
    types: Mapping[str, str],
    what: str,
    notes: list[str],
    *,
    is_addon: bool,
) -> Data:
    """What a package entitles to: features, and credits that recur."""
    features: Data = {}
    credits_: Data = {}
    for item in items:
        if item.type == "CREDIT":
            if item.is_granted and item.amount is not None:
                credits_[item.id] = said(
                    amount=item.amount,
                    cadence="year" if item.cadence == "YEAR" else None,
                    soft_limit=item.has_soft_limit or None,
                )
            continue
        found = terms_of(item, types.get(item.id), f"{what}: {item.id!r}", notes)
        if found is None:
            continue
        if is_addon and item.behavior == "Override":
            found = {
                **({} if isinstance(found, bool) else found),
                "behavior": "override",
            }
        features[item.id] = found
    return said(entitlements=features, credits=credits_)


def terms_of(
    item: Any, kind: str | None, what: str, notes: list[str]
) -> Data | bool | None:
    """What is said of a feature; None, with a note, where a catalog cannot say it."""
    if kind is None:
        notes.append(f"{what} is no feature that the API lists: it is left out")
        return None
    if getattr(item, "is_granted", True) is False:
        return False
    if kind == "boolean":
        return True
    if kind == "enum":
        found = said(values=item.enum_values)
    elif item.has_unlimited_usage:
        found = {"unlimited": True}
    elif kind == "numeric":
        found = said(value=None if item.usage_limit is None else int(item.usage_limit))
    else:
        found = said(limit=item.usage_limit)
    if not found:
        notes.append(f"{what} is granted without an amount: it is left out")
        return None
    return found | (_resets(item) if kind == "metered" else {})


def _resets(item: Any) -> Data:
    period = item.reset_period and RESET_PERIODS[item.reset_period]
    config = item.reset_period_configuration
    rule = config and RESET_RULES.get(config.according_to)
    return said(
        soft_limit=item.has_soft_limit or None,
        reset_period=period,
        reset_anchor=None if not period or rule == "subscription_start" else rule,
    )


def charges_of(
    items: Iterable[Any],
    types: Mapping[str, str],
    what: str,
    notes: list[str],
    *,
    with_credits: bool,
) -> Data:
    """What units of features cost, in money or in credits."""
    charges: Data = {}
    rates: Data = {}
    for item in items:
        name = item.feature_id
        if name is None or types.get(name) != "metered":
            continue
        if item.credit_rate is not None and with_credits:
            rate = item.credit_rate
            rates[name] = {"currency": rate.currency_id, "rate": rate.amount}
        elif item.billing_model == "USAGE_BASED" and item.price is not None:
            charges.setdefault(name, {"price": item.price.amount})
        elif item.billing_model == "USAGE_BASED":
            notes.append(f"{what}: {name!r} is charged by tiers: it is left out")
    return said(charges=charges, credit_rates=rates)


def _name(item: Any) -> str:
    """How people see it; an id says itself."""
    return "" if item.display_name == item.id else str(item.display_name)
