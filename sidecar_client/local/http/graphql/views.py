"""Customers, subscriptions, packages as the schema shows them: nested mappings.

Only translation lives here; what is read and changed does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from sidecar_client.local.catalog import Addon, CatalogIndex, Feature, Plan, Product
from sidecar_client.local.customers import Customer, Subscription
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.http.graphql.moments import told
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.billing_periods import billing_period
from sidecar_client.local.management.promotions import Given

View = dict[str, object]
_TYPES = {
    "boolean": "BOOLEAN",
    "numeric": "NUMBER",
    "metered": "NUMBER",
    "enum": "ENUM",
}
METERS = {None: "None", "fluctuating": "Fluctuating", "incremental": "Incremental"}


def customer_view(index: CatalogIndex, found: Told[Customer], now: datetime) -> View:
    """A customer, with subscriptions that know it."""
    customer, about = found.value, found.about
    view: View = {
        "id": customer.id,
        "refId": customer.id,
        "customerId": customer.id,
        "name": customer.name,
        "email": customer.email,
        "createdAt": told(about.created),
        "updatedAt": told(about.updated),
        "deletedAt": told(
            customer.archived_at or about.updated if customer.archived else None
        ),
        "billingId": about.kept.get("billingId"),
        "additionalMetaData": customer.metadata or None,
        "hasPaymentMethod": False,
        "hasActiveSubscription": any(s.holds(now) for s in customer.subscriptions),
        "promotionalEntitlements": [
            promotion_view(
                index,
                item.feature,
                item.entitlement,
                {
                    "id": f"{customer.id}.{item.feature}",
                    "status": "Active" if item.holds(now) else "Expired",
                    "startDate": told(item.start),
                    "endDate": told(item.end),
                },
            )
            for item in customer.promotions
            if item.feature in index.features
        ],
    }
    view["subscriptions"] = [
        subscription_view(index, view, subscription, now)
        for subscription in customer.subscriptions
    ]
    return view


def subscription_view(
    index: CatalogIndex, customer: View, subscription: Subscription, now: datetime
) -> View:
    """A subscription of a customer that is shown already."""
    plan = index.plan(subscription.plan, subscription.plan_version)
    holds = subscription.holds(now)
    return {
        "id": subscription.id,
        "refId": subscription.id,
        "subscriptionId": subscription.id,
        "status": subscription.status_at(now).upper(),
        "startDate": told(subscription.start),
        "endDate": told(subscription.end),
        "trialEndDate": told(subscription.trial_end),
        "cancellationDate": told(subscription.canceled_at),
        "effectiveEndDate": told(subscription.effective_end),
        "currentBillingPeriodEnd": (
            told(billing_period(subscription, now).end) if holds else None
        ),
        "additionalMetaData": subscription.metadata or None,
        "pricingType": plan.pricing.upper() if plan else "CUSTOM",
        "resource": (
            {"resourceId": subscription.resource} if subscription.resource else None
        ),
        "plan": (
            plan_view(index, plan)
            if plan
            else {"id": subscription.plan, "refId": subscription.plan}
        ),
        "addons": [
            {
                "id": item.id,
                "quantity": item.quantity,
                "addon": addon_view(index, index.addons[item.id]),
            }
            for item in subscription.addons
            if item.id in index.addons
        ],
        "customer": customer,
    }


def plan_view(index: CatalogIndex, plan: Plan) -> View:
    """A version of a plan."""
    parent = index.plans.get(plan.parent) if plan.parent else None
    product = index.products.get(plan.product) if plan.product else None
    return {
        **_package(index, plan),
        "pricingType": plan.pricing.upper(),
        "product": _product(product) if product else None,
        "basePlan": partial(_parent_view, index, parent) if parent else None,
    }


def _parent_view(index: CatalogIndex, parent: Plan, _: object) -> View:
    """Made only where a document asks for it: parents have parents."""
    return plan_view(index, parent)


def addon_view(index: CatalogIndex, addon: Addon) -> View:
    """An add-on."""
    return _package(index, addon)


def feature_view(feature: Feature) -> View:
    """A feature, as entitlements show it."""
    return {
        "id": feature.id,
        "refId": feature.id,
        "featureType": _TYPES[feature.type],
        "meterType": METERS[feature.meter],
        "featureUnits": feature.units or None,
        "featureUnitsPlural": feature.units_plural or None,
        "displayName": feature.name or feature.id,
        "description": feature.description or None,
        "additionalMetaData": feature.metadata or None,
    }


def given_view(index: CatalogIndex, given: Given) -> View:
    """A promotion that was granted or revoked."""
    promotion = given.promotion.value
    about = given.promotion.about
    view = {
        "id": given.id,
        "status": given.status.capitalize(),
        "startDate": told(promotion.start),
        "endDate": told(promotion.end),
        "isVisible": about.kept.get("isVisible") is not False,
    }
    return promotion_view(index, promotion.feature, promotion.entitlement, view)


def promotion_view(
    index: CatalogIndex,
    feature_id: str,
    entitlement: Entitlement,
    more: Mapping[str, object],
) -> View:
    """What is granted of a feature, with more about the grant."""
    return {"isVisible": True, **_entitlement(index, feature_id, entitlement), **more}


def _package(index: CatalogIndex, package: Plan | Addon) -> View:
    return {
        "id": package.id,
        "refId": package.id,
        "displayName": package.name or package.id,
        "description": package.description or None,
        "versionNumber": package.version,
        "status": package.status.upper(),
        "additionalMetaData": package.metadata or None,
        "entitlements": [
            _entitlement(index, name, entitlement)
            for name, entitlement in package.entitlements.items()
            if name in index.features
        ],
    }


def _entitlement(
    index: CatalogIndex, feature_id: str, entitlement: Entitlement
) -> View:
    amount = entitlement.value if entitlement.limit is None else entitlement.limit
    period = entitlement.reset_period
    return {
        "featureId": feature_id,
        "isGranted": entitlement.granted,
        "usageLimit": amount,
        "hasUnlimitedUsage": entitlement.unlimited,
        "hasSoftLimit": entitlement.soft_limit,
        "enumValues": list(entitlement.values) or None,
        "resetPeriod": period.upper() if period else None,
        "feature": feature_view(index.features[feature_id]),
    }


def _product(product: Product) -> View:
    return {
        "id": product.id,
        "refId": product.id,
        "displayName": product.name or product.id,
        "description": product.description or None,
        "additionalMetaData": product.metadata or None,
        "multipleSubscriptions": product.multiple_subscriptions,
    }
