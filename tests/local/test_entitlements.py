"""Who is entitled to what: every rule, asked over the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.conftest import Serve
from tests.local.wire import Clock, ask, check, reason_of, refusal

FEATURES: list[dict[str, object]] = [
    {"id": "seats", "type": "metered", "meter": "fluctuating"},
    {"id": "sso", "type": "boolean"},
    {"id": "size", "type": "numeric"},
    {"id": "export", "type": "enum", "values": ["csv", "xlsx", "pdf"]},
]
TEAM = [{"plan": "team"}]


def limited(**entitlement: object) -> dict[str, dict[str, object]]:
    return {"team": {"seats": entitlement}}


def used(value: float) -> list[dict[str, object]]:
    return [{"feature": "seats", "value": value}]


ONE, TWO, THREE, FOUR, FIVE = (f"customer-demo-0{n}" for n in range(1, 6))


@pytest.mark.parametrize(
    ("customer", "resource", "feature", "reason"),
    [
        ("nobody", None, "04-analytics", "CUSTOMER_NOT_FOUND"),
        (THREE, None, "04-analytics", "CUSTOMER_IS_ARCHIVED"),
        (ONE, "site-9", "04-analytics", "CUSTOMER_RESOURCE_NOT_FOUND"),
        (ONE, "site-01", "99", "FEATURE_NOT_FOUND"),
        (FIVE, None, "04-analytics", "NO_ACTIVE_SUBSCRIPTION"),
        (ONE, None, "08-editors", "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"),
        (TWO, None, "01-templates", "REQUESTED_USAGE_EXCEEDING_LIMIT"),
        (TWO, None, "10-white-label", "REVOKED"),
        (FOUR, "site-04", "02-campaigns", None),
        (FOUR, None, "06-max-file-size", None),
    ],
)
def test_demo_catalog_has_every_reason(
    demo: LocalSidecar,
    customer: str,
    resource: str | None,
    feature: str,
    reason: str | None,
) -> None:
    got = check(demo, f"feature-{feature}", customer_id=customer, resource_id=resource)
    assert got == reason


@pytest.mark.parametrize(
    ("entitlement", "usage", "requested", "granted"),
    [
        pytest.param({"limit": 6}, 5, None, True, id="some left"),
        pytest.param({"limit": 6}, 6, None, False, id="none left"),
        pytest.param({"limit": 6}, 6, 0, True, id="nothing more fits at the limit"),
        pytest.param({"limit": 6}, 7, 0, False, id="nothing more, beyond the limit"),
        pytest.param({"limit": 6}, 5, 1, True, id="the last one"),
        pytest.param({"limit": 6}, 5, 1.5, False, id="half too much"),
        pytest.param({"limit": 0}, 0, None, False, id="a limit of nothing"),
        pytest.param({"limit": 6, "soft_limit": True}, 9, 5, True, id="soft limit"),
        pytest.param({"unlimited": True}, 1e9, 1e9, True, id="unlimited"),
    ],
)
def test_metered_limit(
    serve: Serve,
    entitlement: dict[str, object],
    usage: float,
    requested: float | None,
    granted: bool,
) -> None:
    sidecar = serve(
        FEATURES, limited(**entitlement), subscriptions=TEAM, usage=used(usage)
    )
    expected = None if granted else "REQUESTED_USAGE_EXCEEDING_LIMIT"
    assert check(sidecar, "seats", usage=requested) == expected


def test_soft_limit_and_unlimited_are_shown(serve: Serve) -> None:
    sidecar = serve(
        FEATURES,
        {
            "team": {
                "seats": {"limit": 6, "soft_limit": True},
                "size": {"unlimited": True},
            }
        },
        subscriptions=TEAM,
    )
    metered: pb.GetMeteredEntitlementResponse = ask(
        sidecar, pb.GetMeteredEntitlementRequest(customer_id="c", feature_id="seats")
    )
    assert metered.entitlement.has_soft_limit
    assert metered.entitlement.usage_limit == 6
    numeric: pb.GetNumericEntitlementResponse = ask(
        sidecar, pb.GetNumericEntitlementRequest(customer_id="c", feature_id="size")
    )
    assert numeric.entitlement.is_unlimited
    assert not numeric.entitlement.HasField("value")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((), None),
        (("csv",), None),
        (("pdf", "csv"), None),
        (("csv", "xlsx"), "REQUESTED_VALUES_MISMATCH"),
        (("CSV",), "REQUESTED_VALUES_MISMATCH"),
    ],
)
def test_all_requested_values_must_be_granted(
    serve: Serve, values: tuple[str, ...], reason: str | None
) -> None:
    plans = {"team": {"export": {"values": ["csv", "pdf"]}}}
    sidecar = serve(FEATURES, plans, subscriptions=TEAM)
    assert check(sidecar, "export", values=values) == reason
    typed: pb.GetEnumEntitlementResponse = ask(
        sidecar,
        pb.GetEnumEntitlementRequest(
            customer_id="c",
            feature_id="export",
            options=pb.EnumEntitlementOptions(requested_values=values),
        ),
    )
    assert reason_of(typed) == reason
    assert tuple(typed.requested_values) == values
    assert list(typed.entitlement.enum_values) == ["csv", "pdf"]


def test_requested_values_mean_nothing_for_other_types(serve: Serve) -> None:
    sidecar = serve(FEATURES, {"team": {"sso": True}}, subscriptions=TEAM)
    assert check(sidecar, "sso", values=("csv",)) is None


def test_most_generous_subscription_wins(serve: Serve) -> None:
    sidecar = serve(
        FEATURES,
        {
            "small": {
                "seats": {"limit": 2},
                "sso": False,
                "size": {"value": 10},
                "export": {"values": ["csv"]},
            },
            "large": {
                "seats": {"limit": 9},
                "sso": True,
                "size": {"unlimited": True},
                "export": {"values": ["pdf"]},
            },
        },
        subscriptions=[{"plan": "small"}, {"plan": "large"}],
    )
    assert check(sidecar, "seats", usage=9) is None
    assert check(sidecar, "sso") is None
    assert check(sidecar, "export", values=("csv", "pdf")) is None
    numeric: pb.GetNumericEntitlementResponse = ask(
        sidecar, pb.GetNumericEntitlementRequest(customer_id="c", feature_id="size")
    )
    assert numeric.entitlement.is_unlimited


@pytest.mark.parametrize(
    ("subscription", "runs"),
    [
        ({}, True),
        ({"status": "in_trial"}, True),
        ({"status": "payment_pending"}, False),
        ({"status": "canceled"}, False),
        ({"status": "expired"}, False),
        ({"status": "not_started"}, False),
        ({"start": "2023-12-01"}, True),
        ({"start": "2023-12-02"}, False),
        ({"end": "2023-12-01"}, False),
        ({"end": "2023-12-01T00:00:01Z"}, True),
    ],
)
def test_only_running_subscriptions_grant(
    serve: Serve, subscription: dict[str, object], runs: bool
) -> None:
    sidecar = serve(
        FEATURES,
        {"team": {"sso": True}},
        subscriptions=[{"plan": "team", **subscription}],
    )
    assert check(sidecar, "sso") == (None if runs else "NO_ACTIVE_SUBSCRIPTION")


def test_subscription_ends_while_the_sidecar_runs(serve: Serve, clock: Clock) -> None:
    subscriptions = [{"plan": "team", "end": "2023-12-02"}]
    sidecar = serve(FEATURES, {"team": {"sso": True}}, subscriptions=subscriptions)
    assert check(sidecar, "sso") is None
    clock.now = datetime(2023, 12, 2, tzinfo=UTC)
    assert check(sidecar, "sso") == "NO_ACTIVE_SUBSCRIPTION"


def test_resource_has_its_own_subscription_and_the_customers(serve: Serve) -> None:
    sidecar = serve(
        FEATURES,
        {"site": {"seats": {"limit": 3}}, "account": {"sso": True}},
        resources=["a", "b"],
        subscriptions=[{"plan": "site", "resource": "a"}, {"plan": "account"}],
    )
    missing = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert check(sidecar, "seats", resource_id="a") is None
    assert check(sidecar, "seats", resource_id="b") == missing
    assert check(sidecar, "seats") == missing
    for resource in ("a", "b", None):
        assert check(sidecar, "sso", resource_id=resource) is None


def test_without_a_resource_its_subscriptions_do_not_count(serve: Serve) -> None:
    sidecar = serve(
        FEATURES,
        {"site": {"sso": True}},
        resources=["a"],
        subscriptions=[{"plan": "site", "resource": "a"}],
    )
    assert check(sidecar, "sso") == "NO_ACTIVE_SUBSCRIPTION"


@pytest.mark.parametrize(
    ("request_type", "fits"),
    [
        (pb.GetBooleanEntitlementRequest, "feature-04-analytics"),
        (pb.GetNumericEntitlementRequest, "feature-06-max-file-size"),
        (pb.GetMeteredEntitlementRequest, "feature-08-editors"),
        (pb.GetEnumEntitlementRequest, "feature-05-export-formats"),
    ],
)
def test_typed_method_refuses_features_of_other_types(
    demo: LocalSidecar, request_type: type[pb.GetBooleanEntitlementRequest], fits: str
) -> None:
    features = {
        "feature-04-analytics",
        "feature-06-max-file-size",
        "feature-08-editors",
        "feature-05-export-formats",
    }
    for feature in features:
        answer = ask(
            demo, request_type(customer_id="customer-demo-04", feature_id=feature)
        )
        expected = None if feature == fits else "FEATURE_TYPE_MISMATCH"
        assert reason_of(answer) == expected
        assert answer.entitlement.feature.id == (feature if feature == fits else "")


def test_verdict_wins_over_the_requests_fallback(demo: LocalSidecar) -> None:
    answer: pb.GetEntitlementResponse = ask(
        demo,
        pb.GetEntitlementRequest(
            customer_id="customer-demo-01",
            feature_id="feature-99",
            options=pb.GetEntitlementOptions(
                fallback=pb.GetEntitlementFallback(has_access=True)
            ),
        ),
    )
    assert not answer.has_access
    assert not answer.is_fallback


def test_second_version_answers_for_features(demo: LocalSidecar) -> None:
    answer: pb.GetEntitlementV2Response = ask(
        demo,
        pb.GetEntitlementV2Request(
            customer_id="customer-demo-01",
            feature_id="feature-01-templates",
            options=pb.GetEntitlementOptions(requested_usage=4),
        ),
    )
    assert reason_of(answer.entitlement) == "REQUESTED_USAGE_EXCEEDING_LIMIT"
    assert answer.entitlement.metered.current_usage == 3


def test_second_version_knows_no_currency(demo: LocalSidecar) -> None:
    for customer, reason in (
        ("customer-demo-01", "ENTITLEMENT_NOT_FOUND"),
        ("nobody", "CUSTOMER_NOT_FOUND"),
    ):
        answer: pb.GetEntitlementV2Response = ask(
            demo, pb.GetEntitlementV2Request(customer_id=customer, currency_id="tokens")
        )
        assert reason_of(answer.entitlement) == reason


@pytest.mark.parametrize("both", [True, False])
def test_second_version_wants_a_feature_or_a_currency(
    demo: LocalSidecar, both: bool
) -> None:
    code, message = refusal(
        demo,
        pb.GetEntitlementV2Request(
            customer_id="customer-demo-01",
            feature_id="feature-04-analytics" if both else None,
            currency_id="tokens" if both else None,
        ),
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "feature_id and currency_id" in message


def test_list_of_the_first_version_has_what_is_granted(demo: LocalSidecar) -> None:
    answer: pb.GetEntitlementsResponse = ask(
        demo, pb.GetEntitlementsRequest(customer_id="customer-demo-02")
    )
    listed = [item.WhichOneof("entitlement") for item in answer.entitlements]
    # The templates are used up and still listed; the revoked white label is not.
    assert listed == ["metered", "metered", "enum", "numeric", "metered"]
    assert answer.entitlements[0].metered.current_usage == 6


def test_list_of_the_second_version_has_verdicts(demo: LocalSidecar) -> None:
    answer: pb.GetEntitlementsStateV2Response = ask(
        demo, pb.GetEntitlementsStateV2Request(customer_id="customer-demo-02")
    )
    verdicts = {
        getattr(item, item.WhichOneof("entitlement") or "").feature.id: reason_of(item)
        for item in answer.entitlements
    }
    assert verdicts == {
        "feature-01-templates": "REQUESTED_USAGE_EXCEEDING_LIMIT",
        "feature-02-campaigns": None,
        "feature-05-export-formats": None,
        "feature-06-max-file-size": None,
        "feature-07-active-users": None,
        "feature-10-white-label": "REVOKED",
    }


@pytest.mark.parametrize(
    ("customer", "resource", "reason"),
    [
        ("nobody", None, "CUSTOMER_NOT_FOUND"),
        ("customer-demo-03", None, "CUSTOMER_IS_ARCHIVED"),
        ("customer-demo-05", None, "NO_ACTIVE_SUBSCRIPTION"),
        ("customer-demo-01", "site-9", "CUSTOMER_RESOURCE_NOT_FOUND"),
        ("customer-demo-01", "site-01", None),
    ],
)
def test_lists_say_why_they_are_empty(
    demo: LocalSidecar, customer: str, resource: str | None, reason: str | None
) -> None:
    for kind in (pb.GetEntitlementsRequest, pb.GetEntitlementsStateV2Request):
        answer = ask(demo, kind(customer_id=customer, resource_id=resource))
        assert reason_of(answer) == reason
        assert bool(answer.entitlements) == (reason is None)


@pytest.mark.parametrize(
    ("customer", "resource", "exists"),
    [
        ("customer-demo-01", None, True),
        ("customer-demo-01", "site-01", True),
        ("customer-demo-03", None, True),
        ("customer-demo-01", "site-9", False),
        ("nobody", None, False),
    ],
)
def test_reload_tells_whether_the_entity_exists(
    demo: LocalSidecar, customer: str, resource: str | None, exists: bool
) -> None:
    answer: pb.ReloadEntitlementsResponse = ask(
        demo, pb.ReloadEntitlementsRequest(customer_id=customer, resource_id=resource)
    )
    assert answer.entitled_entity_exists == exists
