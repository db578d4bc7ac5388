"""What a catalog can say: features, plans, customers, in the vendor's words.

The shape of each part lives here; reading files (`loading`) and what one part demands
of another (`checks`) do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sidecar_client.local.identifiers import Kind, id_problem
from sidecar_client.local.shown import printable, shown

FeatureType = Literal["boolean", "numeric", "metered", "enum"]
ResetPeriod = Literal["hour", "day", "week", "month", "year"]
Status = Literal[
    "active", "in_trial", "payment_pending", "expired", "canceled", "not_started"
]
RUNNING: tuple[Status, ...] = ("active", "in_trial")
"""The states in which a subscription grants anything."""
AnchorRule = Literal[
    "subscription_start",
    "start_of_month",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
]
DEFAULT_START = datetime(2020, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
TIME_RANGE = "use a time between the years 1970 and 9000"
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def _id(kind: Kind) -> AfterValidator:
    def check(value: str) -> str:
        if problem := id_problem(kind, value):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _text(value: str) -> str:
    """Half of a surrogate pair, as an escape can write it, fits into no answer."""
    if printable(value) != value:
        raise ValueError(f"{shown(value)} is no valid Unicode; remove what is not")
    return value


def _moment(value: object) -> object:
    """Dates and ISO texts become aware UTC times; everything else is left to fail."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        # Compared first: the edges of the calendar have no time in other zones.
        if not EARLIEST <= aware < LATEST:
            raise ValueError(f"{value} is out of range; {TIME_RANGE}")
        return aware.astimezone(UTC)
    return value


def _shorthand(value: object) -> object:
    """`feature: true` says the same as `feature: {granted: true}`."""
    return {"granted": value} if isinstance(value, bool) else value


CustomerId = Annotated[str, _id("customer")]
ResourceId = Annotated[str, _id("resource")]
FeatureId = Annotated[str, _id("feature")]
PlanId = Annotated[str, _id("plan")]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Text = Annotated[str, AfterValidator(_text)]
EnumValue = Annotated[str, Field(min_length=1), AfterValidator(_text)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class Feature(_Part):
    """A feature of the product."""

    id: FeatureId
    type: FeatureType
    units: Text = ""
    units_plural: Text = ""
    meter: Literal["fluctuating", "incremental"] | None = None
    """What usage is, for metered features: what is held now, or what was consumed."""
    values: Annotated[tuple[EnumValue, ...], Field(strict=False)] = ()
    """What an enum feature can be."""


class Entitlement(_Part):
    """What a plan says about one feature. Which fields fit is the feature's matter."""

    granted: bool = True
    """False revokes the feature: the denial's reason is REVOKED."""
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    limit: Annotated[float, Field(ge=0)] | None = None
    unlimited: bool = False
    soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    reset_anchor: AnchorRule | Moment = "subscription_start"
    values: Annotated[tuple[EnumValue, ...], Field(strict=False)] = ()


class Plan(_Part):
    """A plan and what it entitles to."""

    id: PlanId
    entitlements: dict[
        FeatureId, Annotated[Entitlement, BeforeValidator(_shorthand)]
    ] = Field(default_factory=dict[str, Entitlement])


class Subscription(_Part):
    """A customer's subscription to a plan, for itself or for one of its resources."""

    plan: PlanId
    resource: ResourceId | None = None
    start: Moment = DEFAULT_START
    end: Moment | None = None
    """The first moment at which it no longer holds."""
    status: Status = "active"

    def holds(self, now: datetime) -> bool:
        """Whether it grants anything at `now`."""
        running = self.start <= now and (self.end is None or now < self.end)
        return running and self.status in RUNNING


class StartingUsage(_Part):
    """Usage that was reported before the sidecar started."""

    feature: FeatureId
    resource: ResourceId | None = None
    value: Annotated[float, Field(ge=0)]
    at: Moment | None = None
    """When it was used, where a reset period matters; by default, at the start."""


class Customer(_Part):
    """A customer, its resources, its subscriptions and what it has used."""

    id: CustomerId
    archived: bool = False
    resources: Annotated[tuple[ResourceId, ...], Field(strict=False)] = ()
    subscriptions: Annotated[tuple[Subscription, ...], Field(strict=False)] = ()
    usage: Annotated[tuple[StartingUsage, ...], Field(strict=False)] = ()


class Catalog(_Part):
    """A whole world for the local sidecar. `load_catalog` makes and checks one."""

    features: Annotated[tuple[Feature, ...], Field(strict=False)] = ()
    plans: Annotated[tuple[Plan, ...], Field(strict=False)] = ()
    customers: Annotated[tuple[Customer, ...], Field(strict=False)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogIndex:
    """The parts of a catalog by their ids."""

    features: dict[str, Feature]
    plans: dict[str, Plan]
    customers: dict[str, Customer]

    @classmethod
    def of(cls, catalog: Catalog) -> Self:
        """The index of a checked catalog."""
        return cls(
            features={feature.id: feature for feature in catalog.features},
            plans={plan.id: plan for plan in catalog.plans},
            customers={customer.id: customer for customer in catalog.customers},
        )
