"""Refusals of oversized requests: the right status, short enough to arrive, at once."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import check, refusal

CUSTOMER = "customer-demo-01"
NOTHING = pb.EventDimensionValue()
HUGE = "a" * 10_000_000


def event(name: str) -> pb.ReportEventsRequest:
    told = pb.Event(
        event_name="e", customer_id="c", idempotency_key="k", dimensions={name: NOTHING}
    )
    return pb.ReportEventsRequest(events=[told])


def usage(name: str) -> pb.ReportUsageRequest:
    return pb.ReportUsageRequest(
        customer_id=CUSTOMER, feature_id="f", dimensions={name: NOTHING}
    )


@pytest.mark.parametrize(
    "name",
    ["x" * 20_000, "x" * 900_000, "é" * 20_000, "\N{GRINNING FACE}" * 900, "\n" * 5000],
    ids=["20 kB", "900 kB", "two bytes", "four bytes", "line ends"],
)
@pytest.mark.parametrize("request_of", [event, usage])
def test_refusal_that_quotes_a_long_name_arrives(
    demo: LocalSidecar, request_of: type[Message], name: str
) -> None:
    code, message = refusal(demo, request_of(name))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "dimensions['" in message
    assert message.endswith("has no value; set a string, a number or a boolean.")
    assert message.isascii()
    assert len(message) <= 1000


def test_name_that_is_not_ascii_is_told_in_escapes(demo: LocalSidecar) -> None:
    code, message = refusal(demo, pb.GetEntitlementRequest(customer_id="é"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith("customer_id: '\\xe9' is no customer id; start with")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetEntitlementRequest(customer_id=HUGE, feature_id="f"), "customer"),
        (pb.GetEntitlementRequest(customer_id="c", feature_id=HUGE), "feature"),
        (pb.GetEntitlementV2Request(customer_id="c", currency_id=HUGE), "currency"),
        (pb.GetEntitlementsRequest(customer_id="c", resource_id=HUGE), "resource"),
        (pb.ReloadEntitlementsRequest(customer_id=HUGE), "customer"),
        (pb.ReportUsageRequest(customer_id="c", feature_id=HUGE, value=1), "feature"),
        (
            pb.ReportEventsRequest(
                events=[
                    pb.Event(event_name="e", customer_id=HUGE, idempotency_key="k"),
                ]
            ),
            "customer",
        ),
    ],
)
def test_ids_of_megabytes_are_refused_at_once(
    demo: LocalSidecar, request_: Message, field: str
) -> None:
    # Work that grows with the square of the length would take longer than the call may.
    code, message = refusal(demo, request_)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{field}_id: the {field} id has 10000000 characters" in message
    assert len(message) < 200


def test_values_of_megabytes_do_not_match(demo: LocalSidecar) -> None:
    reason = check(
        demo,
        "feature-05-export-formats",
        customer_id="customer-demo-04",
        values=(HUGE,),
    )
    assert reason == "REQUESTED_VALUES_MISMATCH"
