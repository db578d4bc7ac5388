"""What requests say about subscriptions, and which are to be listed.

Answers are in `subscription_answers`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sidecar_client.local.customers import AddonQuantity, Budget
from sidecar_client.local.http.rest.wire import (
    Anything,
    Body,
    Ignored,
    Many,
    Paged,
    Range,
    kept,
)
from sidecar_client.local.http.rest.words import (
    Amount,
    BillingPeriod,
    PricingType,
    Resets,
    SubscriptionStatus,
)
from sidecar_client.local.management.provisioning import (
    BillingPeriod as CatalogPeriod,
)
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    Schedule,
    TrialWish,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.values import (
    AddonId,
    CurrencyId,
    CustomerId,
    FeatureId,
    Metadata,
    Moment,
    PlanId,
    ResourceId,
    SubscriptionId,
    Text,
)

_PERIODS: dict[BillingPeriod, CatalogPeriod] = {
    "MONTHLY": "monthly",
    "ANNUALLY": "annually",
}
_SCHEDULES: dict[str, Schedule] = {
    "IMMEDIATE": "immediate",
    "END_OF_BILLING_PERIOD": "end_of_billing_period",
    "END_OF_BILLING_MONTH": "end_of_billing_month",
}
_TRIAL_ENDS: dict[str, Literal["convert_to_paid", "cancel_subscription"]] = {
    "CONVERT_TO_PAID": "convert_to_paid",
    "CANCEL_SUBSCRIPTION": "cancel_subscription",
}
_KEPT = (
    "billing_id",
    "minimum_spend",
    "payment_collection_method",
    "salesforce_id",
)
ScheduleStrategy = Literal["END_OF_BILLING_PERIOD", "END_OF_BILLING_MONTH", "IMMEDIATE"]
TrialEndBehavior = Literal["CONVERT_TO_PAID", "CANCEL_SUBSCRIPTION"]


class BoughtAddon(Body):
    """An add-on and how often it is bought."""

    id: AddonId
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class SpendLimit(Body):
    """What may be spent on charges."""

    limit: Amount
    has_soft_limit: bool


class AgreedFeature(Resets):
    """What is agreed with this customer alone about a feature."""

    id: FeatureId
    type: Literal["FEATURE"]
    usage_limit: int | None = None
    has_unlimited_usage: bool = False
    has_soft_limit: bool = False

    @property
    def terms(self) -> Terms:
        """What is agreed."""
        return Terms(
            amount=self.usage_limit,
            unlimited=self.has_unlimited_usage,
            soft_limit=self.has_soft_limit,
            reset_period=self.resets_each,
            reset_anchor=self.anchor,
        )


class AgreedCredits(Body):
    """Credits that are agreed with this customer alone."""

    id: CurrencyId
    type: Literal["CREDIT"]
    amount: Amount
    cadence: Literal["MONTH", "YEAR"]
    has_soft_limit: bool = False


Agreed = Annotated[AgreedFeature | AgreedCredits, Field(discriminator="type")]
Agreements = Annotated[tuple[Agreed, ...], Field(strict=False, max_length=1000)]
Addons = Annotated[tuple[BoughtAddon, ...], Field(strict=False, max_length=1000)]


class Trial(Body):
    """Whether it is a trial, whatever its plan says."""

    is_trial: bool
    trial_end_behavior: TrialEndBehavior | None = None
    trial_end_date: Moment | None = None

    @property
    def wish(self) -> TrialWish:
        """What it asks for."""
        behavior = self.trial_end_behavior
        return TrialWish(
            is_trial=self.is_trial,
            end=self.trial_end_date,
            end_behavior=_TRIAL_ENDS[behavior] if behavior else None,
        )


class _Wanted(Body):
    """What provisioning and its preview have in common."""

    customer_id: CustomerId
    plan_id: PlanId
    resource_id: ResourceId | None = None
    billing_period: BillingPeriod = "MONTHLY"
    addons: Addons = ()
    start_date: Moment | None = None
    trial_override_configuration: Trial | None = None
    schedule_strategy: ScheduleStrategy = "IMMEDIATE"
    applied_coupon: Ignored = None
    billing_country_code: Ignored = None
    billing_cycle_anchor: Ignored = None
    billing_information: Ignored = None
    charges: Ignored = None
    unit_quantity: Ignored = None
    paying_customer_id: CustomerId | None = None

    def wanted(self) -> NewSubscription:
        """What it asks for."""
        trial = self.trial_override_configuration
        return NewSubscription(
            customer_id=self.customer_id,
            plan_id=self.plan_id,
            resource_id=self.resource_id,
            billing_period=_PERIODS[self.billing_period],
            addons=[bought(addon) for addon in self.addons],
            start=self.start_date,
            trial=trial.wish if trial else None,
            schedule=_SCHEDULES[self.schedule_strategy],
            paying_customer=self.paying_customer_id,
            kept=kept(self, *_KEPT),
        )


class PreviewSubscription(_Wanted):
    """A subscription that is not to be made."""

    billable_features: Ignored = None


class ProvisionSubscription(_Wanted):
    """A subscription to be made."""

    id: SubscriptionId | None = None
    budget: SpendLimit | None = None
    cancellation_date: Moment | None = None
    entitlements: Agreements = ()
    metadata: Metadata = Field(default_factory=dict[str, str])
    billing_id: Text | None = None
    minimum_spend: Anything = None
    payment_collection_method: Literal["CHARGE", "INVOICE", "NONE"] | None = None
    salesforce_id: Text | None = None
    await_payment_confirmation: Ignored = None
    checkout_options: Ignored = None
    price_overrides: Ignored = None


class UpdateSubscription(Body):
    """What a subscription is to be from now on; what is left out stays."""

    addons: Addons = ()
    billing_period: BillingPeriod = "MONTHLY"
    budget: SpendLimit | None = None
    cancellation_date: Moment | None = None
    entitlements: Agreements = ()
    metadata: Metadata = Field(default_factory=dict[str, str])
    trial_end_date: Moment | None = None
    schedule_strategy: ScheduleStrategy = "IMMEDIATE"
    minimum_spend: Anything = None
    salesforce_id: Text | None = None
    applied_coupon: Ignored = None
    await_payment_confirmation: Ignored = None
    billing_cycle_anchor: Ignored = None
    billing_information: Ignored = None
    charges: Ignored = None
    price_overrides: Ignored = None
    promotion_code: Ignored = None


class CancelSubscription(Body):
    """When a subscription is to end."""

    cancellation_time: (
        Literal["END_OF_BILLING_PERIOD", "IMMEDIATE", "SPECIFIC_DATE"] | None
    ) = None
    cancellation_action: Literal["DEFAULT", "REVOKE_ENTITLEMENTS"] = "DEFAULT"
    end_date: Moment | None = None
    prorate: Ignored = None


class MigrateSubscription(Body):
    """When a subscription is to get the latest version of its plan."""

    subscription_migration_time: Literal["END_OF_BILLING_PERIOD", "IMMEDIATE"] = (
        "IMMEDIATE"
    )


class TransferSubscription(Body):
    """The resource that a subscription is to be of."""

    destination_resource_id: ResourceId


class DelegateSubscription(Body):
    """The customer that a subscription is to be of."""

    target_customer_id: CustomerId


class ImportedSubscription(Body):
    """A subscription as it was elsewhere."""

    id: SubscriptionId
    customer_id: CustomerId
    plan_id: PlanId
    resource_id: ResourceId | None = None
    addons: Addons = ()
    billing_id: Text | None = None
    billing_period: BillingPeriod = "MONTHLY"
    charges: Ignored = None
    start_date: Moment | None = None
    end_date: Moment | None = None
    metadata: Metadata = Field(default_factory=dict[str, str])

    def wanted(self) -> NewSubscription:
        """What it asks for; nothing of it is a trial."""
        return NewSubscription(
            id=self.id,
            customer_id=self.customer_id,
            plan_id=self.plan_id,
            resource_id=self.resource_id,
            addons=[bought(addon) for addon in self.addons],
            billing_period=_PERIODS[self.billing_period],
            start=self.start_date,
            end=self.end_date,
            trial=TrialWish(is_trial=False),
            metadata=self.metadata,
            kept=kept(self, "billing_id"),
        )


class ImportSubscriptions(Body):
    """Subscriptions to be taken over at once."""

    subscriptions: Annotated[
        tuple[ImportedSubscription, ...],
        Field(strict=False, min_length=1, max_length=1000),
    ]
    integration_id: Ignored = None


class ListSubscriptions(Paged):
    """Which subscriptions to list."""

    customer_id: CustomerId | None = None
    plan_id: PlanId | None = None
    resource_id: ResourceId | None = None
    status: Many[SubscriptionStatus] | None = None
    pricing_type: Many[PricingType] | None = None
    created_at: Range | None = None


def bought(addon: BoughtAddon) -> AddonQuantity:
    """An add-on as a subscription has it."""
    return AddonQuantity(id=addon.id, quantity=addon.quantity)


def budget_of(limit: SpendLimit | None) -> Budget | None:
    """A budget as a subscription has it."""
    if limit is None:
        return None
    return Budget(limit=limit.limit, soft_limit=limit.has_soft_limit)


def catalog_period(name: BillingPeriod) -> CatalogPeriod:
    """A billing period as a subscription has it."""
    return _PERIODS[name]
