"""Answers of the twelve methods as the schema shows entitlements.

Only translation lives here; the answers are those of the gRPC side.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client.local.http.graphql.moments import told
from sidecar_client.local.http.graphql.views import View
from sidecar_client.protocol import sidecar_pb2 as pb

_PREFIX = "ACCESS_DENIED_REASON_"
_TYPES = {
    pb.FEATURE_TYPE_BOOLEAN: "BOOLEAN",
    pb.FEATURE_TYPE_NUMBER: "NUMBER",
    pb.FEATURE_TYPE_ENUM: "ENUM",
}
_METERS = {
    pb.METER_TYPE_NONE: "None",
    pb.METER_TYPE_FLUCTUATING: "Fluctuating",
    pb.METER_TYPE_INCREMENTAL: "Incremental",
}


def reason_of(answer: Any) -> str | None:
    """A denial's reason by the name that GraphQL gives it; None for none."""
    if not answer.HasField("access_denied_reason"):
        return None
    name = pb.AccessDeniedReason.Name(answer.access_denied_reason)
    return name.removeprefix(_PREFIX).replace("_", " ").title().replace(" ", "")


def entitlement_view(
    entitlement: pb.EntitlementV2, customer_id: str, resource_id: str | None
) -> View:
    """An entitlement to a feature or a currency."""
    view: View = {
        "isGranted": entitlement.has_access,
        "accessDeniedReason": reason_of(entitlement),
        "customerId": customer_id,
        "resourceId": resource_id,
    }
    kind = entitlement.WhichOneof("entitlement")
    if kind == "credit":
        return view | _credit(entitlement.credit)
    view["__typename"] = "Entitlement"
    match kind:
        case "numeric":
            numeric = entitlement.numeric
            view["usageLimit"] = numeric.value if numeric.HasField("value") else None
            view["hasUnlimitedUsage"] = numeric.is_unlimited
        case "metered":
            view |= _metered(entitlement.metered)
        case "enum":
            view["enumValues"] = list(entitlement.enum.enum_values)
        case _:
            pass
    if kind is not None:
        one = getattr(entitlement, kind)
        view["feature"] = _feature(one.feature) if one.HasField("feature") else None
    return view


def _metered(metered: pb.MeteredEntitlement) -> View:
    period = pb.EntitlementResetPeriod.Name(metered.reset_period)
    name = period.removeprefix("ENTITLEMENT_RESET_PERIOD_")
    view: View = {
        "usageLimit": (
            metered.usage_limit if metered.HasField("usage_limit") else None
        ),
        "hasUnlimitedUsage": metered.is_unlimited,
        "hasSoftLimit": metered.has_soft_limit,
        "currentUsage": metered.current_usage,
        "resetPeriod": None if name == "UNSPECIFIED" else name,
    }
    if metered.HasField("usage_period_end"):
        view |= {
            "usagePeriodAnchor": _moment(metered.usage_period_anchor),
            "usagePeriodStart": _moment(metered.usage_period_start),
            "usagePeriodEnd": _moment(metered.usage_period_end),
            "nextResetDate": _moment(metered.usage_period_end),
        }
    return view


def _credit(credit: pb.CreditEntitlement) -> View:
    ends = credit.HasField("usage_period_end")
    return {
        "__typename": "CreditEntitlement",
        "currencyId": credit.currency.currency_id,
        "displayName": credit.currency.display_name,
        "usageLimit": credit.usage_limit,
        "currentUsage": credit.current_usage,
        "remaining": credit.remaining,
        "hasSoftLimit": credit.has_soft_limit,
        "usagePeriodEnd": _moment(credit.usage_period_end) if ends else None,
    }


def _feature(feature: pb.EntitlementFeature) -> View:
    return {
        "id": feature.id,
        "refId": feature.id,
        "featureType": _TYPES[feature.feature_type],
        "meterType": _METERS[feature.meter_type],
        "featureUnits": feature.units or None,
        "featureUnitsPlural": feature.units_plural or None,
        "displayName": feature.id,
    }


def _moment(timestamp: Timestamp) -> str | None:
    return told(timestamp.ToDatetime(tzinfo=UTC))
