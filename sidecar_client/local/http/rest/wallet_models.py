"""What requests say and answers tell about credits.

The endpoints are in `wallets`.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from sidecar_client.local.evaluation import Subject
from sidecar_client.local.http.rest.usage import Dimensions
from sidecar_client.local.http.rest.wire import (
    Body,
    Cursors,
    Ignored,
    Money,
    Paged,
    Query,
    Range,
    Time,
    Wire,
)
from sidecar_client.local.management.credits import Consumption
from sidecar_client.local.values import (
    CurrencyId,
    CustomerId,
    Metadata,
    Moment,
    Name,
    ResourceId,
    Text,
)

_MOST = 1e15
LedgerEvent = Literal[
    "CREDITS_GRANTED",
    "CREDITS_EXPIRED",
    "CREDITS_CONSUMED",
    "CREDITS_VOIDED",
    "CREDITS_UPDATED",
    "CREDITS_CONSUMPTION_TRANSFER_TARGET",
]
GrantStatusName = Literal["PAYMENT_PENDING", "ACTIVE", "EXPIRED", "VOIDED", "SCHEDULED"]
GrantTypeName = Literal["PAID", "PROMOTIONAL", "RECURRING", "OVERDRAFT"]
_RANGES = {
    "LAST_DAY": timedelta(days=1),
    "LAST_WEEK": timedelta(weeks=1),
    "LAST_MONTH": timedelta(days=30),
    "LAST_YEAR": timedelta(days=365),
}


class Cost(Body):
    """What was paid for credits."""

    amount: Annotated[float, Field(ge=0, le=_MOST)]
    currency: Money


class CreateGrant(Body):
    """Credits to be given."""

    customer_id: CustomerId
    currency_id: CurrencyId
    amount: Annotated[float, Field(gt=0, le=_MOST)]
    display_name: Text
    grant_type: Literal["PAID", "PROMOTIONAL"]
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    resource_id: ResourceId | None = None
    effective_at: Moment | None = None
    expire_at: Moment | None = None
    cost: Cost | None = None
    comment: Text | None = None
    metadata: Metadata = Field(default_factory=dict[str, str])
    payment_collection_method: Literal["CHARGE", "INVOICE", "NONE"] | None = None
    await_payment_confirmation: Ignored = None
    billing_information: Ignored = None


class ListGrants(Paged):
    """Which grants to list."""

    customer_id: CustomerId
    currency_id: CurrencyId | None = None
    resource_id: ResourceId | None = None
    created_at: Range | None = None


class Consume(Body):
    """Credits to be consumed, once for their key."""

    customer_id: CustomerId
    currency_id: CurrencyId
    amount: Annotated[float, Field(ge=0, le=_MOST)]
    idempotency_key: Name
    resource_id: ResourceId | None = None
    created_at: Moment | None = None
    dimensions: Dimensions = Field(default_factory=Dimensions)

    def wanted(self) -> Consumption:
        """What it asks for."""
        subject = Subject(customer_id=self.customer_id, resource_id=self.resource_id)
        return Consumption(
            subject=subject,
            currency_id=self.currency_id,
            amount=self.amount,
            key=self.idempotency_key,
            said=json.dumps(self.model_dump(mode="json"), sort_keys=True),
        )


class ConsumeAsync(Body):
    """Credits to be consumed in many places."""

    consumptions: Annotated[
        tuple[Consume, ...], Field(strict=False, min_length=1, max_length=1000)
    ]


class ListLedger(Paged):
    """Which movements of credits to list."""

    customer_id: CustomerId
    currency_id: CurrencyId | None = None
    resource_id: ResourceId | None = None
    event_type: str | None = None
    reservation_id: str | None = None


class CreditsUsed(Paged):
    """Which use of credits to look back on."""

    customer_id: CustomerId
    currency_id: CurrencyId | None = None
    resource_id: ResourceId | None = None
    start_date: Moment | None = None
    end_date: Moment | None = None
    time_range: Literal["LAST_DAY", "LAST_WEEK", "LAST_MONTH", "LAST_YEAR"] = (
        "LAST_MONTH"
    )
    group_by: str | None = None

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when to when."""
        end = self.end_date or now
        return self.start_date or end - _RANGES[self.time_range], end


class Recharge(Query):
    """Whose automatic recharge to tell of."""

    customer_id: CustomerId
    currency_id: CurrencyId


class CostData(Wire):
    """What was paid for credits."""

    amount: float
    currency: str


class GrantData(Wire):
    """Credits that were given."""

    id: str
    customer_id: str
    currency_id: str
    resource_id: str | None
    display_name: str
    grant_type: GrantTypeName
    status: GrantStatusName
    amount: float
    consumed_amount: float
    priority: float
    cost: CostData
    comment: str | None = None
    effective_at: Time
    expire_at: Time | None
    voided_at: Time | None
    payment_collection: Literal["NOT_REQUIRED"] = "NOT_REQUIRED"
    source_type: Literal["PLAN_ENTITLEMENT"] | None = None
    invoice_id: None = None
    latest_invoice: None = None
    metadata: dict[str, str]
    created_at: Time
    updated_at: Time


class BalanceData(Wire):
    """What there is of a currency."""

    currency_id: str
    current_usage: float
    usage_limit: float
    timestamp: Time
    usage_period_end: Time | None


class ConsumedData(Wire):
    """What was consumed, and what there is left."""

    customer_id: str
    currency_id: str
    resource_id: str | None
    amount: float
    timestamp: Time
    credit: BalanceData
    entities: None = None


class MovementData(Wire):
    """A movement of credits."""

    amount: float
    credit_currency_id: str
    credit_grant_id: str
    customer_id: str
    resource_id: str | None
    event_type: LedgerEvent
    feature_id: str | None
    event_id: None = None
    metadata: dict[str, str] | None = None
    timestamp: Time


class UsedPointData(Wire):
    """Credits that were used on a day."""

    timestamp: Time
    value: float
    event_count: float


class UsedSeriesData(Wire):
    """Credits that a feature used."""

    feature_id: str | None
    feature_name: str | None
    total_credits: float
    event_count: float
    points: list[UsedPointData]


class UsedCurrencyData(Wire):
    """The currency of credits that were used."""

    currency_id: str
    display_name: str
    singular: str | None
    plural: str | None
    symbol: str | None = None


class UsedData(Wire):
    """Credits that were used, by feature."""

    currency: UsedCurrencyData | None
    series: list[UsedSeriesData]
    pagination: Cursors


class RechargeData(Wire):
    """How credits are bought by themselves, which they are not here."""

    id: None = None
    customer_id: str
    currency_id: str
    is_enabled: Literal[False] = False
    threshold_type: Literal["CREDIT_AMOUNT"] = "CREDIT_AMOUNT"
    threshold_value: float = 0.0
    target_balance: float = 0.0
    max_spend_limit: float | None = None
    grant_expiration_period: Literal["1_YEAR"] = "1_YEAR"
    created_at: None = None
    updated_at: None = None
