"""Words that the REST API spells otherwise than a catalog does, both ways.

Only spelling lives here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from sidecar_client.local.catalog import Aggregation, Operator
from sidecar_client.local.customers import CancelReason, PromotionPeriod, Status
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.http.rest.wire import Body, Wire
from sidecar_client.local.management.promotions import PromotionStatus
from sidecar_client.local.values import AnchorRule, FeatureType, ResetPeriod

_Name = TypeVar("_Name", bound=str)
_Word = TypeVar("_Word", bound=str)
SubscriptionStatus = Literal[
    "PAYMENT_PENDING", "ACTIVE", "EXPIRED", "IN_TRIAL", "CANCELED", "NOT_STARTED"
]
CancelReasonName = Literal[
    "UPGRADE_OR_DOWNGRADE",
    "CANCELLED_BY_BILLING",
    "EXPIRED",
    "DETACH_BILLING",
    "TRIAL_ENDED",
    "Immediate",
    "TRIAL_CONVERTED",
    "PENDING_PAYMENT_EXPIRED",
    "ScheduledCancellation",
    "CustomerArchived",
    "AutoCancellationRule",
]
PricingType = Literal["FREE", "PAID", "CUSTOM"]
PackageStatus = Literal["DRAFT", "PUBLISHED", "ARCHIVED"]
BillingPeriod = Literal["MONTHLY", "ANNUALLY"]
FeatureTypeName = Literal["BOOLEAN", "NUMBER", "ENUM"]
MeterTypeName = Literal["None", "FLUCTUATING", "INCREMENTAL"]
FeatureStatus = Literal["NEW", "SUSPENDED", "ACTIVE"]
AggregationName = Literal["SUM", "MAX", "MIN", "AVG", "COUNT", "UNIQUE"]
OperatorName = Literal[
    "EQUALS",
    "NOT_EQUALS",
    "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL",
    "LESS_THAN",
    "LESS_THAN_OR_EQUAL",
    "IS_NULL",
    "IS_NOT_NULL",
    "CONTAINS",
    "STARTS_WITH",
    "ENDS_WITH",
    "IN",
]
Period = Literal["YEAR", "MONTH", "WEEK", "DAY", "HOUR"]
Behavior = Literal["Increment", "Override"]
PromotionPeriodName = Literal[
    "1 week", "1 month", "6 month", "1 year", "lifetime", "custom"
]
PromotionStatusName = Literal["Active", "Expired", "Paused"]

PROMOTION_PERIODS: Final[dict[PromotionPeriodName, PromotionPeriod]] = {
    "1 week": "one_week",
    "1 month": "one_month",
    "6 month": "six_months",
    "1 year": "one_year",
    "lifetime": "lifetime",
    "custom": "custom",
}
PROMOTION_STATUSES: Final[dict[PromotionStatusName, PromotionStatus]] = {
    "Active": "active",
    "Expired": "expired",
    "Paused": "paused",
}
STATUSES: Final[dict[SubscriptionStatus, Status]] = {
    "PAYMENT_PENDING": "payment_pending",
    "ACTIVE": "active",
    "EXPIRED": "expired",
    "IN_TRIAL": "in_trial",
    "CANCELED": "canceled",
    "NOT_STARTED": "not_started",
}
CANCEL_REASONS: Final[dict[CancelReasonName, CancelReason]] = {
    "UPGRADE_OR_DOWNGRADE": "upgrade_or_downgrade",
    "CANCELLED_BY_BILLING": "canceled_by_billing",
    "EXPIRED": "expired",
    "DETACH_BILLING": "detached_from_billing",
    "TRIAL_ENDED": "trial_ended",
    "Immediate": "immediate",
    "TRIAL_CONVERTED": "trial_converted",
    "PENDING_PAYMENT_EXPIRED": "pending_payment_expired",
    "ScheduledCancellation": "scheduled_cancellation",
    "CustomerArchived": "customer_archived",
    "AutoCancellationRule": "auto_cancellation_rule",
}
PRICINGS: Final[dict[PricingType, Literal["free", "paid", "custom"]]] = {
    "FREE": "free",
    "PAID": "paid",
    "CUSTOM": "custom",
}
PACKAGE_STATUSES: Final[
    dict[PackageStatus, Literal["draft", "published", "archived"]]
] = {
    "DRAFT": "draft",
    "PUBLISHED": "published",
    "ARCHIVED": "archived",
}
RESET_PERIODS: Final[dict[Period, ResetPeriod]] = {
    "YEAR": "year",
    "MONTH": "month",
    "WEEK": "week",
    "DAY": "day",
    "HOUR": "hour",
}
AGGREGATIONS: Final[dict[AggregationName, Aggregation]] = {
    "SUM": "sum",
    "MAX": "max",
    "MIN": "min",
    "AVG": "average",
    "COUNT": "count",
    "UNIQUE": "unique",
}
OPERATORS: Final[dict[OperatorName, Operator]] = {
    "EQUALS": "equals",
    "NOT_EQUALS": "not_equals",
    "GREATER_THAN": "greater_than",
    "GREATER_THAN_OR_EQUAL": "greater_than_or_equal",
    "LESS_THAN": "less_than",
    "LESS_THAN_OR_EQUAL": "less_than_or_equal",
    "IS_NULL": "is_null",
    "IS_NOT_NULL": "is_not_null",
    "CONTAINS": "contains",
    "STARTS_WITH": "starts_with",
    "ENDS_WITH": "ends_with",
    "IN": "in",
}
_WEEKDAYS: Final[dict[str, AnchorRule]] = {
    "EverySunday": "sunday",
    "EveryMonday": "monday",
    "EveryTuesday": "tuesday",
    "EveryWednesday": "wednesday",
    "EveryThursday": "thursday",
    "EveryFriday": "friday",
    "EverySaturday": "saturday",
}
RESET_RULES: Final[dict[str, AnchorRule]] = {
    "SubscriptionStart": "subscription_start",
    "StartOfTheMonth": "start_of_month",
    **_WEEKDAYS,
}


class Yearly(Body):
    """What a yearly reset counts from."""

    according_to: Literal["SubscriptionStart"]


class Monthly(Body):
    """What a monthly reset counts from."""

    according_to: Literal["SubscriptionStart", "StartOfTheMonth"]


class Weekly(Body):
    """What a weekly reset counts from."""

    according_to: Literal[
        "SubscriptionStart",
        "EverySunday",
        "EveryMonday",
        "EveryTuesday",
        "EveryWednesday",
        "EveryThursday",
        "EveryFriday",
        "EverySaturday",
    ]


class Resets(Body):
    """When usage starts again from zero."""

    reset_period: Period | None = None
    yearly_reset_period_configuration: Yearly | None = None
    monthly_reset_period_configuration: Monthly | None = None
    weekly_reset_period_configuration: Weekly | None = None

    @property
    def resets_each(self) -> ResetPeriod | None:
        """The period, None without resets."""
        return RESET_PERIODS[self.reset_period] if self.reset_period else None

    @property
    def anchor(self) -> AnchorRule:
        """What is counted from, of the configuration that fits the period."""
        fitting = {
            "YEAR": self.yearly_reset_period_configuration,
            "MONTH": self.monthly_reset_period_configuration,
            "WEEK": self.weekly_reset_period_configuration,
        }
        found = fitting.get(self.reset_period or "")
        return RESET_RULES[found.according_to] if found else "subscription_start"


class ResetConfiguration(Wire):
    """What resets count from, in an answer."""

    according_to: str


def reset_period(period: ResetPeriod | None) -> Period | None:
    """The name of a reset period."""
    return key_of(RESET_PERIODS, period) if period else None


def reset_configuration(entitlement: Entitlement) -> ResetConfiguration | None:
    """What the resets of an entitlement count from; None where nothing can be said."""
    anchor = entitlement.reset_anchor
    if entitlement.reset_period not in ("year", "month", "week"):
        return None
    if not isinstance(anchor, str):
        return None
    return ResetConfiguration(according_to=key_of(RESET_RULES, anchor))


def feature_type(name: FeatureTypeName, meter: MeterTypeName) -> FeatureType:
    """The type of a feature, which the API tells in two words."""
    if name == "BOOLEAN":
        return "boolean"
    if name == "ENUM":
        return "enum"
    return "numeric" if meter == "None" else "metered"


def type_name(kind: FeatureType) -> FeatureTypeName:
    """The name of a feature's type."""
    names: dict[FeatureType, FeatureTypeName] = {
        "boolean": "BOOLEAN",
        "enum": "ENUM",
        "numeric": "NUMBER",
        "metered": "NUMBER",
    }
    return names[kind]


def reason_name(protocol_name: str) -> str:
    """`CUSTOMER_NOT_FOUND`, with the protocol's prefix, as `CustomerNotFound`."""
    plain = protocol_name.removeprefix("ACCESS_DENIED_REASON_")
    return "".join(word.capitalize() for word in plain.split("_"))


def key_of(words: Mapping[_Name, str], value: str) -> _Name:
    """The API's word for a word of a catalog."""
    return next(name for name, word in words.items() if word == value)


def translated(
    words: Mapping[_Name, _Word], names: Collection[_Name] | None
) -> set[_Word] | None:
    """A catalog's words for the API's; None for None."""
    return None if names is None else {words[name] for name in names}


Amount = Annotated[float, Field(ge=0)]
