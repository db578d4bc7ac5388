"""Calculated usage: what a report changes, and what it may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.conftest import Serve
from tests.local.wire import Clock, ask, refusal

DELTA = pb.USAGE_UPDATE_BEHAVIOR_DELTA
SET = pb.USAGE_UPDATE_BEHAVIOR_SET
UNSPECIFIED = pb.USAGE_UPDATE_BEHAVIOR_UNSPECIFIED


def usage(value: float, **fields: Any) -> pb.ReportUsageRequest:
    told: dict[str, Any] = {
        "customer_id": "customer-demo-01",
        "feature_id": "feature-01-templates",
    }
    return pb.ReportUsageRequest(value=value, **(told | fields))


def current(
    sidecar: LocalSidecar,
    feature: str = "feature-01-templates",
    customer: str = "customer-demo-01",
    resource: str | None = None,
) -> float:
    answer: pb.GetMeteredEntitlementResponse = ask(
        sidecar,
        pb.GetMeteredEntitlementRequest(
            customer_id=customer, feature_id=feature, resource_id=resource
        ),
    )
    return answer.entitlement.current_usage


def moment(text: str) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    return written


@pytest.mark.parametrize(
    ("update", "value", "total"),
    [
        (None, 2, 5),
        (UNSPECIFIED, 2, 5),
        (DELTA, 2, 5),
        (DELTA, -3, 0),
        (DELTA, 0.5, 3.5),
        (SET, 2, 2),
        (SET, 0, 0),
    ],
)
def test_next_check_sees_what_was_reported(
    demo: LocalSidecar,
    update: pb.UsageUpdateBehavior | None,
    value: float,
    total: float,
) -> None:
    answer: pb.ReportUsageResponse = ask(demo, usage(value, update_behavior=update))
    assert answer.current_usage == total
    assert current(demo) == total


def test_answer_names_what_was_reported(demo: LocalSidecar) -> None:
    request = usage(1, feature_id="feature-07-active-users", resource_id="site-01")
    answer: pb.ReportUsageResponse = ask(demo, request)
    assert (answer.customer_id, answer.resource_id, answer.feature_id) == (
        "customer-demo-01",
        "site-01",
        "feature-07-active-users",
    )
    assert answer.usage_period_start == moment("2023-11-21")
    assert answer.usage_period_end == moment("2023-12-21")
    again: pb.ReportUsageResponse = ask(demo, request)
    assert again.measurement_id != answer.measurement_id


def test_usage_that_never_resets_has_no_period(demo: LocalSidecar) -> None:
    answer: pb.ReportUsageResponse = ask(demo, usage(1))
    assert not answer.HasField("usage_period_start")
    assert not answer.HasField("resource_id")


def test_customers_subscription_counts_the_usage_of_all_its_resources(
    demo: LocalSidecar,
) -> None:
    ask(demo, usage(1, resource_id="site-01"))
    ask(demo, usage(1))
    assert current(demo) == current(demo, resource="site-01") == 5


def test_resources_own_subscription_counts_its_usage_alone(serve: Serve) -> None:
    sidecar = serve(
        [{"id": "seats", "type": "metered", "meter": "fluctuating"}],
        {"team": {"seats": {"limit": 5}}},
        resources=["a", "b"],
        subscriptions=[
            {"plan": "team", "resource": "a"},
            {"plan": "team", "resource": "b"},
        ],
        usage=[{"feature": "seats", "resource": "b", "value": 4}],
    )
    ask(sidecar, usage(2, customer_id="c", feature_id="seats", resource_id="a"))
    assert current(sidecar, "seats", "c", "a") == 2
    assert current(sidecar, "seats", "c", "b") == 4


def test_usage_beyond_a_hard_limit_is_recorded(demo: LocalSidecar) -> None:
    ask(demo, usage(100))
    assert current(demo) == 103


def test_usage_resets_with_its_period(demo: LocalSidecar, clock: Clock) -> None:
    feature = "feature-07-active-users"
    ask(demo, usage(4, feature_id=feature))
    assert current(demo, feature) == 5
    clock.now = datetime(2023, 12, 21, tzinfo=UTC)
    assert current(demo, feature) == 0
    ask(demo, usage(1, feature_id=feature))
    assert current(demo, feature) == 1


def test_timestamp_decides_the_period(demo: LocalSidecar) -> None:
    feature = "feature-07-active-users"
    late = usage(7, feature_id=feature, timestamp=moment("2023-11-20T23:59:59"))
    answer: pb.ReportUsageResponse = ask(demo, late)
    assert answer.current_usage == 7
    assert answer.usage_period_end == moment("2023-11-21")
    assert current(demo, feature) == 1


def test_starting_usage_can_be_of_an_earlier_period(serve: Serve) -> None:
    sidecar = serve(
        [{"id": "calls", "type": "metered", "meter": "incremental"}],
        {"team": {"calls": {"limit": 5, "reset_period": "day"}}},
        subscriptions=[{"plan": "team"}],
        usage=[
            {"feature": "calls", "value": 1},
            {"feature": "calls", "value": 4, "at": "2023-11-30T23:00:00Z"},
        ],
    )
    assert current(sidecar, "calls", "c") == 1


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"customer_id": "nobody"}, "NOT_FOUND", "no customer 'nobody'"),
        ({"resource_id": "site-9"}, "NOT_FOUND", "no resource 'site-9'"),
        ({"feature_id": "feature-99"}, "NOT_FOUND", "no feature 'feature-99'"),
        ({"feature_id": "feature-04-analytics"}, "FAILED_PRECONDITION", "not metered"),
        ({"feature_id": "feature-08-editors"}, "FAILED_PRECONDITION", "entitles"),
        ({"customer_id": "customer-demo-03"}, "FAILED_PRECONDITION", "archived"),
        ({"customer_id": "customer-demo-05"}, "FAILED_PRECONDITION", "subscription"),
        ({"value": float("nan")}, "INVALID_ARGUMENT", "value is nan"),
        ({"value": float("-inf")}, "INVALID_ARGUMENT", "value is -inf"),
        ({"value": -4.0}, "OUT_OF_RANGE", "adding -4 would make the usage"),
        ({"value": -1.0, "update_behavior": SET}, "OUT_OF_RANGE", "setting -1"),
        ({"update_behavior": 7}, "INVALID_ARGUMENT", "update_behavior is 7"),
        ({"customer_id": ""}, "INVALID_ARGUMENT", "customer_id: the customer id is"),
        ({"customer_id": "a b"}, "INVALID_ARGUMENT", "'a b' is no customer id"),
        ({"customer_id": "a\n"}, "INVALID_ARGUMENT", "'a\\n' is no customer id"),
        ({"customer_id": "é"}, "INVALID_ARGUMENT", "is no customer id"),
        ({"feature_id": "f@x"}, "INVALID_ARGUMENT", "'f@x' is no feature id"),
        ({"feature_id": "f" * 256}, "INVALID_ARGUMENT", "has 256 characters"),
        ({"resource_id": ""}, "INVALID_ARGUMENT", "resource_id: the resource id is"),
        (
            {"timestamp": Timestamp(seconds=2**62)},
            "INVALID_ARGUMENT",
            "timestamp is 4611686018427387904 s",
        ),
        (
            {"timestamp": Timestamp(seconds=253402300799)},
            "INVALID_ARGUMENT",
            "between the years 1970 and 9000",
        ),
        (
            {"dimensions": {"plan": pb.EventDimensionValue()}},
            "INVALID_ARGUMENT",
            "dimensions['plan'] has no value",
        ),
    ],
)
def test_report_is_refused(
    demo: LocalSidecar, fields: dict[str, Any], code: str, message: str
) -> None:
    told = {"value": 1.0} | fields
    got, details = refusal(demo, usage(**told))
    assert got is grpc.StatusCode[code]
    assert message in details
    assert current(demo) == 3


def test_bulk_reports_apply_in_order(demo: LocalSidecar) -> None:
    answer: pb.ReportUsageBulkResponse = ask(
        demo,
        pb.ReportUsageBulkRequest(
            usages=[usage(1, update_behavior=SET), usage(-1), usage(4)]
        ),
    )
    assert [item.current_usage for item in answer.usages] == [1, 0, 4]
    assert current(demo) == 4


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        (usage(1, customer_id="nobody"), "NOT_FOUND", "usages[1]: there is no"),
        (usage(1, customer_id="a b"), "INVALID_ARGUMENT", "usages[1].customer_id"),
        (usage(float("inf")), "INVALID_ARGUMENT", "usages[1].value is inf"),
        (usage(-99), "OUT_OF_RANGE", "would make the usage"),
    ],
)
def test_bulk_with_one_bad_report_changes_nothing(
    demo: LocalSidecar, bad: pb.ReportUsageRequest, code: str, message: str
) -> None:
    request = pb.ReportUsageBulkRequest(usages=[usage(1), bad, usage(1)])
    got, details = refusal(demo, request)
    assert got is grpc.StatusCode[code]
    assert message in details
    assert current(demo) == 3


@pytest.mark.parametrize("count", [0, 101])
def test_bulk_takes_one_to_a_hundred(demo: LocalSidecar, count: int) -> None:
    code, message = refusal(demo, pb.ReportUsageBulkRequest(usages=[usage(1)] * count))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"usages has {count} measurements" in message
    assert current(demo) == 3


def test_bulk_of_a_hundred_is_taken(demo: LocalSidecar) -> None:
    ask(demo, pb.ReportUsageBulkRequest(usages=[usage(1)] * 100))
    assert current(demo) == 103
