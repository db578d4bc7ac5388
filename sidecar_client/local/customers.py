"""What a customer is and has: resources, subscriptions, promotions, credits.

The shape of these parts lives here; what they entitle to does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sidecar_client.local.entitlements import Entitlement, entitlement_shorthand
from sidecar_client.local.values import (
    AddonId,
    CurrencyId,
    CustomerId,
    FeatureId,
    GrantId,
    Metadata,
    Moment,
    Part,
    PlanId,
    ResourceId,
    SubscriptionId,
    Text,
)

Status = Literal[
    "active", "in_trial", "payment_pending", "expired", "canceled", "not_started"
]
CancelReason = Literal[
    "upgrade_or_downgrade",
    "immediate",
    "scheduled_cancellation",
    "trial_ended",
    "trial_converted",
    "expired",
    "pending_payment_expired",
    "canceled_by_billing",
    "detached_from_billing",
    "customer_archived",
    "auto_cancellation_rule",
]
RUNNING: tuple[Status, ...] = ("active", "in_trial")
"""The states in which a subscription grants anything."""
GrantType = Literal["paid", "promotional", "recurring", "overdraft"]
PromotionPeriod = Literal[
    "one_week", "one_month", "six_months", "one_year", "lifetime", "custom"
]
DEFAULT_START = datetime(2020, 1, 1, tzinfo=UTC)


class AddonQuantity(Part):
    """An add-on of a subscription and how often it was bought."""

    id: AddonId
    quantity: Annotated[int, Field(ge=1)] = 1


class Budget(Part):
    """What a subscription may spend on charges in a billing period."""

    limit: Annotated[float, Field(ge=0)]
    soft_limit: bool = False


class Subscription(Part):
    """A customer's subscription to a plan, for itself or for one of its resources."""

    id: SubscriptionId | None = None
    """None only in a file: `load_catalog` gives every subscription an id."""
    plan: PlanId
    plan_version: Annotated[int, Field(ge=1)] | None = None
    """None follows the latest version."""
    resource: ResourceId | None = None
    start: Moment = DEFAULT_START
    end: Moment | None = None
    """The first moment at which it no longer holds."""
    trial_end: Moment | None = None
    """When its trial is over, for the status `in_trial`: it expires then."""
    trial_end_behavior: Literal["cancel_subscription", "convert_to_paid"] = (
        "cancel_subscription"
    )
    """What becomes of it then: it expires, or goes on."""
    status: Status = "active"
    addons: Annotated[tuple[AddonQuantity, ...], Field(strict=False)] = ()
    entitlements: dict[
        FeatureId, Annotated[Entitlement, BeforeValidator(entitlement_shorthand)]
    ] = Field(default_factory=dict[str, Entitlement])
    """What was agreed with this customer alone; it replaces what the plan says."""
    budget: Budget | None = None
    billing_period: Literal["monthly", "annually"] = "monthly"
    canceled_at: Moment | None = None
    cancel_reason: CancelReason | None = None
    """Why it was canceled; it is only told."""
    paying_customer: CustomerId | None = None
    """Who pays for it, where that is another customer; it is only told."""
    metadata: Metadata = Field(default_factory=dict[str, str])

    @property
    def effective_end(self) -> datetime | None:
        """When it is over, by its end or its trial's; None where it goes on."""
        converts = self.trial_end_behavior == "convert_to_paid"
        return self.end or (None if converts else self.trial_end)

    def status_at(self, now: datetime) -> Status:
        """Its status at a moment, with what time alone changes."""
        if self.status not in RUNNING:
            return self.status
        if now < self.start:
            return "not_started"
        if self.end is not None and self.end <= now:
            return "expired" if self.canceled_at is None else "canceled"
        if self.status == "in_trial" and self.trial_end is not None:
            if now < self.trial_end:
                return "in_trial"
            converts = self.trial_end_behavior == "convert_to_paid"
            return "active" if converts else "expired"
        return self.status

    def holds(self, now: datetime) -> bool:
        """Whether it grants anything at `now`."""
        return self.status_at(now) in RUNNING


class Promotion(Part):
    """An entitlement given to a customer outside of every subscription."""

    feature: FeatureId
    entitlement: Annotated[Entitlement, BeforeValidator(entitlement_shorthand)]
    start: Moment = DEFAULT_START
    end: Moment | None = None
    """The first moment at which it no longer holds; None for a lifetime."""
    period: PromotionPeriod | None = None
    """For how long it was given; it is only told, and `end` says when it is over."""
    visible: bool = True
    """Whether people are to see it; it is only told."""
    status: Literal["active", "paused"] = "active"

    def holds(self, now: datetime) -> bool:
        """Whether it grants anything at `now`."""
        running = self.start <= now and (self.end is None or now < self.end)
        return running and self.status == "active"


class CreditGrant(Part):
    """Credits given to a customer."""

    id: GrantId | None = None
    """None only in a file: `load_catalog` gives every grant an id."""
    currency: CurrencyId
    amount: Annotated[float, Field(gt=0)]
    spent: Annotated[float, Field(ge=0)] = 0
    """What is spent of it already."""
    type: GrantType = "paid"
    """Recurring ones come by themselves; a catalog only tells what is spent of them.

    The amount of an overdraft is what is owed, until later grants settle it.
    """
    name: Text = ""
    priority: int = 0
    """Lower ones are spent first."""
    effective: Moment = DEFAULT_START
    expires: Moment | None = None
    """The first moment at which what is left cannot be spent."""
    resource: ResourceId | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    metadata: Metadata = Field(default_factory=dict[str, str])


class StartingUsage(Part):
    """Usage that was reported before the sidecar started."""

    feature: FeatureId
    resource: ResourceId | None = None
    value: Annotated[float, Field(ge=0)]
    at: Moment | None = None
    """When it was used, where a reset period matters; by default, at the start."""


class Customer(Part):
    """A customer, its resources, its subscriptions and what it has used."""

    id: CustomerId
    name: Text | None = None
    email: Text | None = None
    archived: bool = False
    archived_at: Moment | None = None
    """When it was archived."""
    resources: Annotated[tuple[ResourceId, ...], Field(strict=False)] = ()
    subscriptions: Annotated[tuple[Subscription, ...], Field(strict=False)] = ()
    promotions: Annotated[tuple[Promotion, ...], Field(strict=False)] = ()
    credits: Annotated[tuple[CreditGrant, ...], Field(strict=False)] = ()
    usage: Annotated[tuple[StartingUsage, ...], Field(strict=False)] = ()
    metadata: Metadata = Field(default_factory=dict[str, str])

    def turns(self) -> Iterator[datetime]:
        """When its subscriptions and promotions begin, end, or change their status."""
        for sub in self.subscriptions:
            yield from filter(None, (sub.start, sub.end, sub.trial_end))
        for promotion in self.promotions:
            yield from filter(None, (promotion.start, promotion.end))
