"""How customers, subscriptions and the rest look in the vendor's webhooks.

Only the form of single things lives here; which event has which is `webhook_events`'.
Source: the vendor's reference pages of webhook events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from sidecar_client.local.catalog import Addon, CatalogIndex, Currency, Feature, Plan
from sidecar_client.local.customers import Customer, Promotion, Subscription
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.evaluation import Verdict
from sidecar_client.local.periods import Window
from sidecar_client.local.wallets import CreditStanding

Fields = dict[str, Any]
_TYPES: Final = {
    "boolean": "BOOLEAN",
    "numeric": "NUMBER",
    "metered": "NUMBER",
    "enum": "ENUM",
}


def iso(moment: datetime) -> str:
    """A time as the vendor writes it: milliseconds, and a Z."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def moment(found: datetime | None) -> str | None:
    """The same, of a time that may be missing."""
    return None if found is None else iso(found)


def customer_fields(customer: Customer) -> Fields:
    """The minimal customer that events embed."""
    return {
        "id": customer.id,
        "name": customer.name,
        "email": customer.email,
        "billingId": None,
        "crmId": None,
        "metadata": dict(customer.metadata),
    }


def resource_fields(resource_id: str | None) -> Fields | None:
    """A resource, None for what is the whole customer's."""
    return None if resource_id is None else {"id": resource_id}


def subscription_fields(
    index: CatalogIndex, customer: Customer, sub: Subscription, now: datetime
) -> Fields:
    """A subscription, with whose it is."""
    status = sub.status_at(now)
    plan = index.plan(sub.plan, sub.plan_version)
    return {
        "id": sub.id,
        "status": status.upper(),
        "startDate": iso(sub.start),
        "endDate": moment(sub.end),
        "cancellationDate": moment(sub.canceled_at),
        "trialEndDate": moment(sub.trial_end),
        "billingPeriod": sub.billing_period.upper(),
        "isTrialSubscription": status == "in_trial",
        "paymentCollection": "NOT_REQUIRED",
        "customer": customer_fields(customer),
        "resource": resource_fields(sub.resource),
        "plan": {"id": sub.plan} if plan is None else plan_summary(plan),
        "addons": [{"id": a.id, "quantity": a.quantity} for a in sub.addons],
        "metadata": dict(sub.metadata),
    }


def plan_summary(plan: Plan) -> Fields:
    """The minimal plan that events embed."""
    return {
        "id": plan.id,
        "name": plan.name,
        "description": plan.description,
        "pricingType": plan.pricing.upper(),
        "status": plan.status.upper(),
    }


def package_fields(index: CatalogIndex, package: Plan | Addon) -> Fields:
    """A plan or add-on, with its entitlements."""
    is_plan = isinstance(package, Plan)
    latest = (index.plans if is_plan else index.addons).get(package.id)
    return {
        "id": package.id,
        "name": package.name,
        "description": package.description,
        "productId": package.product,
        "status": package.status.upper(),
        "isLatest": latest is not None and latest.version == package.version,
        "version": package.version,
        "packageEntitlements": [
            {
                **entitlement_fields(said),
                "feature": feature_fields(index.features[name]),
            }
            for name, said in package.entitlements.items()
            if name in index.features
        ],
        "prices": [],
        "metadata": dict(package.metadata),
    }


def feature_fields(feature: Feature) -> Fields:
    """A feature."""
    return {
        "id": feature.id,
        "name": feature.name,
        "description": feature.description,
        "featureType": _TYPES[feature.type],
        "meterType": (feature.meter or "none").upper(),
        "unit": feature.units,
        "units": feature.units_plural,
        "status": feature.status.upper(),
        "enumConfiguration": [{"value": value} for value in feature.values] or None,
        "metadata": dict(feature.metadata),
    }


def entitlement_fields(said: Entitlement) -> Fields:
    """What is granted of a feature, by whomever."""
    return {
        "usageLimit": said.limit if said.value is None else said.value,
        "hasUnlimitedUsage": said.unlimited,
        "hasSoftLimit": said.soft_limit,
        "resetPeriod": None if said.reset_period is None else said.reset_period.upper(),
        "enumValues": list(said.values) or None,
    }


def granted_fields(verdict: Verdict) -> Fields | None:
    """What a customer effectively has of a feature; None for nothing."""
    standing = verdict.standing
    if standing.feature is None or standing.grant is None:
        return None
    is_metered = standing.feature.type == "metered"
    return {
        **entitlement_fields(standing.grant.entitlement),
        "enumValues": list(standing.values) or None,
        "feature": feature_fields(standing.feature),
        "currentUsage": verdict.usage if is_metered else None,
        **window_fields(standing.window),
        "creditBalance": None,
    }


def window_fields(window: Window | None) -> Fields:
    """The usage period."""
    return {
        "usagePeriodAnchor": None if window is None else iso(window.anchor),
        "usagePeriodStart": None if window is None else iso(window.start),
        "usagePeriodEnd": None if window is None else iso(window.end),
        "resetPeriodConfiguration": None,
    }


def credit_balance_fields(standing: CreditStanding) -> Fields:
    """The balance of a currency."""
    balance = standing.balance
    granted, remaining = balance.granted, balance.remaining
    return {
        "creditCurrency": currency_fields(standing.currency),
        "totalGranted": granted,
        "remainingBalance": remaining,
        "remainingBalancePercentage": 100 * remaining / granted if granted else 0,
    }


def currency_fields(currency: Currency) -> Fields:
    """A currency of credits."""
    return {
        "id": currency.id,
        "name": currency.name,
        "description": currency.description,
        "unitLabel": {
            "singular": currency.unit_singular,
            "plural": currency.unit_plural,
        },
    }


def promotion_fields(
    index: CatalogIndex,
    customer: Customer,
    feature_id: str,
    promotion: Promotion | None,
    now: datetime,
) -> Fields:
    """A promotional entitlement; None for one that is gone."""
    feature = index.features.get(feature_id)
    found: Fields = {
        "id": f"{customer.id}/{feature_id}",
        "status": "REVOKED",
        "feature": {"id": feature_id} if feature is None else feature_fields(feature),
        "customer": customer_fields(customer),
    }
    if promotion is None:
        return found
    is_over = promotion.end is not None and promotion.end <= now
    return {
        **found,
        "status": "EXPIRED" if is_over else promotion.status.upper(),
        **entitlement_fields(promotion.entitlement),
        "startDate": iso(promotion.start),
        "endDate": moment(promotion.end),
    }


def in_camel_case(facts: Mapping[str, object]) -> Fields:
    """What an announcement says, under the names that JSON of the vendor's has."""
    return {_camel(name): _plain(value) for name, value in facts.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, Mapping):
        found = cast("Mapping[object, object]", value)
        return {str(name): _plain(item) for name, item in found.items()}
    return str(value)
