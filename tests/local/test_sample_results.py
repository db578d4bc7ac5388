"""The sample results of the vendor's SDK page come out of the demo catalog.

Where the page contradicts itself, the wire's meaning wins, and a comment says so.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import ask

WHO: dict[str, Any] = {"customer_id": "customer-demo-01", "resource_id": "site-01"}
NOT_SOLD = "ACCESS_DENIED_REASON_NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
TEMPLATES = {
    "id": "feature-01-templates",
    "featureType": "FEATURE_TYPE_NUMBER",
    "units": "template",
    "unitsPlural": "templates",
    "meterType": "METER_TYPE_FLUCTUATING",
    "isMetered": True,
}
FILE_SIZE = {
    "id": "feature-06-max-file-size",
    "featureType": "FEATURE_TYPE_NUMBER",
    "units": "MB",
    "unitsPlural": "MB",
    "meterType": "METER_TYPE_NONE",
    "isMetered": False,
}


def boolean(feature_id: str) -> dict[str, Any]:
    return {
        "id": feature_id,
        "featureType": "FEATURE_TYPE_BOOLEAN",
        "units": "",
        "unitsPlural": "",
        "meterType": "METER_TYPE_NONE",
        "isMetered": False,
    }


def whole(message: Message) -> dict[str, Any]:
    """The JSON of a message with its defaults; the page's nulls are left out."""
    written: dict[str, Any] = MessageToDict(
        message, always_print_fields_with_no_presence=True
    )
    return written


def test_boolean_feature_with_access(demo: LocalSidecar) -> None:
    for feature_id in ("feature-04-analytics", "feature-03-custom-domain"):
        request = pb.GetBooleanEntitlementRequest(**WHO, feature_id=feature_id)
        assert whole(ask(demo, request)) == {
            "hasAccess": True,
            "isFallback": False,
            "entitlement": {"feature": boolean(feature_id)},
        }


def test_boolean_feature_without_access(demo: LocalSidecar) -> None:
    # The page prints a granted answer here; a denied one has no feature.
    request = pb.GetBooleanEntitlementRequest(
        customer_id="customer-demo-02", feature_id="feature-03-custom-domain"
    )
    assert whole(ask(demo, request)) == {
        "hasAccess": False,
        "isFallback": False,
        "accessDeniedReason": NOT_SOLD,
        "entitlement": {},
    }


def test_numeric_feature_with_access(demo: LocalSidecar) -> None:
    request = pb.GetNumericEntitlementRequest(
        **WHO, feature_id="feature-06-max-file-size"
    )
    assert whole(ask(demo, request)) == {
        "hasAccess": True,
        "isFallback": False,
        "entitlement": {"feature": FILE_SIZE, "value": 100, "isUnlimited": False},
    }


def test_numeric_feature_without_access(demo: LocalSidecar) -> None:
    request = pb.GetNumericEntitlementRequest(**WHO, feature_id="feature-09-backups")
    assert whole(ask(demo, request)) == {
        "hasAccess": False,
        "isFallback": False,
        "accessDeniedReason": NOT_SOLD,
        "entitlement": {"isUnlimited": False},
    }


def templates(requested: float | None) -> pb.GetMeteredEntitlementRequest:
    return pb.GetMeteredEntitlementRequest(
        **WHO,
        feature_id="feature-01-templates",
        options=pb.MeteredEntitlementOptions(requested_usage=requested),
    )


TEMPLATES_LEFT = {
    "feature": TEMPLATES,
    "usageLimit": 6.0,
    "isUnlimited": False,
    "currentUsage": 3.0,
    "resetPeriod": "ENTITLEMENT_RESET_PERIOD_UNSPECIFIED",
}


def test_metered_feature_with_access(demo: LocalSidecar) -> None:
    for requested in (None, 1.0):
        assert whole(ask(demo, templates(requested))) == {
            "hasAccess": True,
            "isFallback": False,
            "requestedUsage": requested or 0.0,
            "entitlement": TEMPLATES_LEFT,
        }


def test_metered_feature_without_access(demo: LocalSidecar) -> None:
    # The page echoes 1.0 although nothing was requested; an echo repeats the request.
    request = pb.GetMeteredEntitlementRequest(**WHO, feature_id="feature-08-editors")
    assert whole(ask(demo, request)) == {
        "hasAccess": False,
        "isFallback": False,
        "accessDeniedReason": NOT_SOLD,
        "requestedUsage": 0.0,
        "entitlement": {
            "isUnlimited": False,
            "currentUsage": 0.0,
            "resetPeriod": "ENTITLEMENT_RESET_PERIOD_UNSPECIFIED",
        },
    }


def test_too_much_requested_is_denied_and_still_shows_the_entitlement(
    demo: LocalSidecar,
) -> None:
    assert whole(ask(demo, templates(10))) == {
        "hasAccess": False,
        "isFallback": False,
        "accessDeniedReason": "ACCESS_DENIED_REASON_REQUESTED_USAGE_EXCEEDING_LIMIT",
        "requestedUsage": 10.0,
        "entitlement": TEMPLATES_LEFT,
    }


PERIOD = {
    "resetPeriod": "ENTITLEMENT_RESET_PERIOD_MONTH",
    "usagePeriodStart": "2023-11-21T00:00:00Z",
    "usagePeriodEnd": "2023-12-21T00:00:00Z",
}
ENTITLEMENTS = [
    {
        "metered": {
            "feature": {
                "id": "feature-07-active-users",
                "featureType": "FEATURE_TYPE_NUMBER",
                "units": "active user",
                "unitsPlural": "active users",
                "meterType": "METER_TYPE_INCREMENTAL",
                "isMetered": True,
            },
            "usageLimit": 25000.0,
            "isUnlimited": False,
            "currentUsage": 1.0,
            "usagePeriodAnchor": "2023-07-21T00:00:00Z",
            **PERIOD,
        }
    },
    {"boolean": {"feature": boolean("feature-04-analytics")}},
    {"numeric": {"feature": FILE_SIZE, "value": 100, "isUnlimited": False}},
    {
        "metered": {
            "feature": {
                "id": "feature-02-campaigns",
                "featureType": "FEATURE_TYPE_NUMBER",
                "units": "campaign",
                "unitsPlural": "campaigns",
                "meterType": "METER_TYPE_INCREMENTAL",
                "isMetered": True,
            },
            "usageLimit": 32.0,
            "isUnlimited": False,
            "currentUsage": 0.0,
            "usagePeriodAnchor": "2023-02-21T00:00:00Z",
            **PERIOD,
        }
    },
    {"metered": TEMPLATES_LEFT},
    {"boolean": {"feature": boolean("feature-03-custom-domain")}},
]


def test_all_entitlements_of_a_customer(demo: LocalSidecar) -> None:
    for resource in ("site-01", None):
        request = pb.GetEntitlementsRequest(
            customer_id="customer-demo-01", resource_id=resource
        )
        answer = ask(demo, request)
        assert whole(answer) == {"entitlements": ENTITLEMENTS}


def test_reported_usage_has_a_measurement(demo: LocalSidecar) -> None:
    answer: pb.ReportUsageResponse = ask(
        demo, pb.ReportUsageRequest(**WHO, feature_id="feature-01-templates", value=2)
    )
    assert len(answer.measurement_id) == 36
    assert answer.current_usage == 5
