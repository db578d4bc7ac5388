"""What answers tell of subscriptions.

Bodies of requests are in `subscription_bodies`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.customers import Subscription
from sidecar_client.local.http.rest.entitlements import AnyEntitlement
from sidecar_client.local.http.rest.subscription_bodies import TrialEndBehavior
from sidecar_client.local.http.rest.wire import Anything, Kind, Time, Wire
from sidecar_client.local.http.rest.words import (
    CANCEL_REASONS,
    STATUSES,
    BillingPeriod,
    CancelReasonName,
    PricingType,
    SubscriptionStatus,
    key_of,
)
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.billing_periods import billing_period


class AddonData(Wire):
    """An add-on of a subscription."""

    id: str
    quantity: int


class BudgetData(Wire):
    """What may be spent on charges."""

    limit: float
    has_soft_limit: bool


class AgreedData(Wire):
    """Something that was agreed with this customer alone."""

    id: str
    type: Kind


class TrialData(Wire):
    """What becomes of a trial when it ends."""

    trial_end_behavior: TrialEndBehavior


class SubscriptionData(Wire):
    """A subscription."""

    id: str
    customer_id: str
    plan_id: str
    plan_version: int | None
    resource_id: str | None
    status: SubscriptionStatus
    pricing_type: PricingType
    payment_collection: Literal["NOT_REQUIRED"] = "NOT_REQUIRED"
    billing_period: BillingPeriod
    created_at: Time
    start_date: Time
    end_date: Time | None
    effective_end_date: Time | None
    cancellation_date: Time | None
    cancel_reason: CancelReasonName | None
    current_billing_period_start: Time
    current_billing_period_end: Time
    billing_cycle_anchor: Time
    trial: TrialData | None
    trial_end_date: Time | None
    addons: list[AddonData]
    budget: BudgetData | None
    subscription_entitlements: list[AgreedData] | None
    metadata: dict[str, str]
    billing_id: str | None = None
    minimum_spend: Anything = None
    paying_customer_id: str | None = None
    payment_collection_method: Literal["CHARGE", "INVOICE", "NONE"] | None = None


class ProvisionedData(Wire):
    """What provisioning came to."""

    id: str
    status: Literal["SUCCESS"] = "SUCCESS"
    subscription: SubscriptionData
    entitlements: list[AnyEntitlement]
    is_scheduled: bool
    checkout_url: None = None
    checkout_billing_id: None = None


class PeriodData(Wire):
    """A billing period."""

    start: Time
    end: Time


class InvoiceData(Wire):
    """What is to be paid, which is nothing."""

    sub_total: float = 0.0
    total: float = 0.0
    billing_period_range: PeriodData


class PreviewData(Wire):
    """What a subscription would cost, and when it would be billed."""

    immediate_invoice: InvoiceData
    recurring_invoice: InvoiceData
    billing_period_range: PeriodData
    has_scheduled_updates: bool
    is_plan_downgrade: bool = False


class TaskData(Wire):
    """Work that is done."""

    task_id: str


def shown(
    index: CatalogIndex,
    customer_id: str,
    told: Told[Subscription],
    now: datetime,
    *,
    with_entitlements: bool = True,
) -> SubscriptionData:
    """A subscription as an answer tells of it."""
    sub, about = told.value, told.about
    plan = index.plan(sub.plan, sub.plan_version)
    period = billing_period(sub, now)
    known = {field.alias for field in SubscriptionData.model_fields.values()}
    extra = {name: value for name, value in about.kept.items() if name in known}
    is_trial = sub.status == "in_trial"
    return SubscriptionData.model_validate(
        {
            **extra,
            "id": sub.id,
            "customerId": customer_id,
            "planId": sub.plan,
            "planVersion": sub.plan_version,
            "resourceId": sub.resource,
            "status": key_of(STATUSES, sub.status_at(now)),
            "pricingType": (plan.pricing if plan else "free").upper(),
            "billingPeriod": sub.billing_period.upper(),
            "createdAt": about.created,
            "startDate": sub.start,
            "endDate": sub.end,
            "effectiveEndDate": sub.effective_end,
            "cancellationDate": sub.end if sub.canceled_at else None,
            "cancelReason": (
                key_of(CANCEL_REASONS, sub.cancel_reason) if sub.cancel_reason else None
            ),
            "payingCustomerId": sub.paying_customer,
            "currentBillingPeriodStart": period.start,
            "currentBillingPeriodEnd": period.end,
            "billingCycleAnchor": sub.start,
            "trial": (
                {"trialEndBehavior": sub.trial_end_behavior.upper()}
                if is_trial
                else None
            ),
            "trialEndDate": sub.trial_end,
            "addons": [item.model_dump() for item in sub.addons],
            "budget": (
                {"limit": sub.budget.limit, "hasSoftLimit": sub.budget.soft_limit}
                if sub.budget
                else None
            ),
            "subscriptionEntitlements": (
                [{"id": name, "type": "FEATURE"} for name in sub.entitlements]
                if with_entitlements
                else None
            ),
            "metadata": sub.metadata,
        }
    )
