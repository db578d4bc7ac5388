"""What a catalog defines for all customers, in the vendor's words.

Features, plans, add-ons, currencies and the catalog as a whole live here; what one
customer has is in `customers`, what one part demands of another in `checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field

from sidecar_client.local.customers import Customer
from sidecar_client.local.entitlements import (
    AddonEntitlement,
    CreditEntitlement,
    Entitlement,
    entitlement_shorthand,
)
from sidecar_client.local.sources import Offer
from sidecar_client.local.values import (
    AddonId,
    CurrencyId,
    FeatureId,
    FeatureType,
    Metadata,
    Moment,
    Name,
    Part,
    PlanId,
    ProductId,
    Text,
)

Operator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
    "contains",
    "starts_with",
    "ends_with",
    "in",
    "is_null",
    "is_not_null",
]
Aggregation = Literal["count", "sum", "min", "max", "average", "unique"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Condition(Part):
    """What one dimension of an event must be like."""

    field: Name
    operator: Operator
    value: Text | float | bool | None = None
    values: Annotated[tuple[Text | float | bool, ...], Field(strict=False)] = ()
    """For `in` alone."""


class Filter(Part):
    """Conditions that an event meets all of."""

    conditions: Annotated[tuple[Condition, ...], Field(strict=False, min_length=1)]


class EventMeter(Part):
    """How raw events become usage of a feature."""

    event: Name
    """The name of the events that count."""
    aggregation: Aggregation = "count"
    field: Name | None = None
    """The dimension to aggregate; all but `count` need one."""
    filters: Annotated[tuple[Filter, ...], Field(strict=False)] = ()
    """An event counts when it meets one of them, or when there are none."""


class UnitTransformation(Part):
    """From the units that are reported to those that are granted and shown."""

    divide: Positive
    round: Literal["up", "down"] = "up"


class Feature(Part):
    """A feature of the product."""

    id: FeatureId
    type: FeatureType
    name: Text = ""
    description: Text = ""
    units: Text = ""
    units_plural: Text = ""
    meter: Literal["fluctuating", "incremental"] | None = None
    """What usage is, for metered features: what is held now, or what was consumed."""
    events: EventMeter | None = None
    """Counted from raw events; without it, from reports of calculated usage."""
    unit_transformation: UnitTransformation | None = None
    values: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """What an enum feature can be."""
    status: Literal["active", "archived"] = "active"
    metadata: Metadata = Field(default_factory=dict[str, str])


class Product(Part):
    """What plans belong to."""

    id: ProductId
    name: Text = ""
    description: Text = ""
    multiple_subscriptions: bool = False
    """Whether a customer subscribes once for each of its resources."""
    status: Literal["published", "archived"] = "published"
    metadata: Metadata = Field(default_factory=dict[str, str])


class Charge(Part):
    """What a unit of a feature costs beyond what is included; it spends a budget."""

    price: NotNegative
    included: NotNegative = 0
    """Units that cost nothing."""


class CreditRate(Part):
    """What a unit of a feature costs in credits."""

    currency: CurrencyId
    rate: Positive


class _Package(Part):
    """What plans and add-ons have in common."""

    name: Text = ""
    description: Text = ""
    product: ProductId | None = None
    """None for the only product of a catalog that names none."""
    status: Literal["published", "draft", "archived"] = "published"
    credits: dict[CurrencyId, CreditEntitlement] = Field(
        default_factory=dict[str, CreditEntitlement]
    )
    """Credits that recur while subscribed."""
    charges: dict[FeatureId, Charge] = Field(default_factory=dict[str, Charge])
    """A charge makes the limit of its feature soft: beyond it is paid for."""
    metadata: Metadata = Field(default_factory=dict[str, str])


class Plan(_Package):
    """A plan and what it entitles to."""

    id: PlanId
    version: Annotated[int, Field(ge=1)] = 1
    """Several versions of one id may stand side by side; the highest is the latest."""
    parent: PlanId | None = None
    """The plan whose entitlements it inherits, where it has none of its own."""
    entitlements: dict[
        FeatureId, Annotated[Entitlement, BeforeValidator(entitlement_shorthand)]
    ] = Field(default_factory=dict[str, Entitlement])
    credit_rates: dict[FeatureId, CreditRate] = Field(
        default_factory=dict[str, CreditRate]
    )
    """Features that are paid in credits."""
    addons: Annotated[tuple[AddonId, ...], Field(strict=False)] | None = None
    """The add-ons that fit; None for every one of the same product."""
    pricing: Literal["free", "paid", "custom"] = "free"
    trial_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """How long a trial lasts; None for a plan without one."""


class Addon(_Package):
    """What is bought beside a plan, once or several times."""

    id: AddonId
    version: Annotated[int, Field(ge=1)] = 1
    entitlements: dict[
        FeatureId, Annotated[AddonEntitlement, BeforeValidator(entitlement_shorthand)]
    ] = Field(default_factory=dict[str, AddonEntitlement])
    max_quantity: Annotated[int, Field(ge=1)] | None = None


class Currency(Part):
    """A custom currency of credits."""

    id: CurrencyId
    name: Text = ""
    description: Text | None = None
    unit_singular: Text | None = None
    unit_plural: Text | None = None
    status: Literal["active", "archived"] = "active"
    archived_at: Moment | None = None
    """When it was archived."""
    metadata: Metadata = Field(default_factory=dict[str, str])


class Definitions(Part):
    """What is defined for all customers; the kinds of parts in the order of reading."""

    features: Annotated[tuple[Feature, ...], Field(strict=False)] = ()
    currencies: Annotated[tuple[Currency, ...], Field(strict=False)] = ()
    products: Annotated[tuple[Product, ...], Field(strict=False)] = ()
    plans: Annotated[tuple[Plan, ...], Field(strict=False)] = ()
    addons: Annotated[tuple[Addon, ...], Field(strict=False)] = ()


class Catalog(Definitions):
    """A whole world for the local sidecar. `load_catalog` makes and checks one."""

    customers: Annotated[tuple[Customer, ...], Field(strict=False)] = ()

    @property
    def definitions(self) -> Definitions:
        """The catalog without its customers."""
        return Definitions(
            features=self.features,
            currencies=self.currencies,
            products=self.products,
            plans=self.plans,
            addons=self.addons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogIndex:
    """The defined parts of a catalog by their ids."""

    features: dict[str, Feature]
    currencies: dict[str, Currency]
    products: dict[str, Product]
    plans: dict[str, Plan]
    """The latest version of each that is published, else the latest of all."""
    plan_versions: dict[tuple[str, int], Plan]
    addons: dict[str, Addon]
    """The latest version of each, as of plans."""
    meters: dict[str, tuple[Feature, ...]]
    """The features that events of a name may count for."""
    has_credit_rates: bool
    """Whether any feature is paid in credits."""
    offers: dict[tuple[str, int], dict[str, Offer]] = field(
        default_factory=dict[tuple[str, int], dict[str, Offer]], repr=False
    )
    """What plan versions say, with what they inherit, as far as it was asked for."""

    @classmethod
    def of(cls, definitions: Definitions) -> Self:
        """The index of checked definitions."""
        plans: dict[str, Plan] = {}
        for plan in sorted(
            definitions.plans, key=lambda p: (p.status != "draft", p.version)
        ):
            plans[plan.id] = plan
        addons = sorted(
            definitions.addons, key=lambda a: (a.status != "draft", a.version)
        )
        meters: dict[str, tuple[Feature, ...]] = {}
        for feature in definitions.features:
            if meter := feature.events:
                meters[meter.event] = (*meters.get(meter.event, ()), feature)
        return cls(
            features={feature.id: feature for feature in definitions.features},
            currencies={item.id: item for item in definitions.currencies},
            products={item.id: item for item in definitions.products},
            plans=plans,
            plan_versions={(p.id, p.version): p for p in definitions.plans},
            addons={item.id: item for item in addons},
            meters=meters,
            has_credit_rates=any(plan.credit_rates for plan in definitions.plans),
        )

    def plan(self, plan_id: str, version: int | None = None) -> Plan | None:
        """A version of a plan, the latest for None; None if there is none."""
        if version is None:
            return self.plans.get(plan_id)
        return self.plan_versions.get((plan_id, version))
