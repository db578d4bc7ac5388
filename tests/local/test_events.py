"""Raw events: accepted, validated, kept once, bounded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client.local import LocalSidecar
from sidecar_client.local.events import EventLog
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, Clock, ask, refusal

THEN = Timestamp(seconds=1700000000)


def event(**fields: Any) -> pb.Event:
    told: dict[str, Any] = {
        "event_name": "user_login",
        "customer_id": "customer-demo-01",
        "idempotency_key": "key-1",
    }
    return pb.Event(**(told | fields))


def report(sidecar: LocalSidecar, *events: pb.Event) -> None:
    ask(sidecar, pb.ReportEventsRequest(events=events))


def test_events_are_kept_in_order(demo: LocalSidecar) -> None:
    first = event(dimensions={"user_id": pb.EventDimensionValue(string_value="u")})
    second = event(idempotency_key="key-2", resource_id="site-01")
    report(demo, first)
    report(demo, second)
    assert demo.events == (first, second)


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": Timestamp(seconds=1700000001)},
        {"customer_id": "customer-demo-02"},
        {"resource_id": "site-01"},
        {"event_name": "user_logout"},
        {"idempotency_key": "key-2"},
    ],
)
def test_event_is_kept_once_by_time_customer_resource_name_and_key(
    demo: LocalSidecar, change: dict[str, Any]
) -> None:
    original = event(timestamp=THEN)
    report(demo, original)
    report(demo, event(timestamp=THEN))
    assert list(demo.events) == [original]
    other = event(**({"timestamp": THEN} | change))
    report(demo, other)
    assert list(demo.events) == [original, other]


def test_event_without_a_time_happens_when_it_arrives(
    demo: LocalSidecar, clock: Clock
) -> None:
    report(demo, event())
    report(demo, event())
    assert len(demo.events) == 1
    clock.now = NOW + timedelta(seconds=1)
    report(demo, event())
    assert len(demo.events) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"event_name": ""}, "events[1].event_name is empty"),
        ({"idempotency_key": ""}, "events[1].idempotency_key is empty"),
        ({"customer_id": ""}, "events[1].customer_id: the customer id is empty"),
        ({"customer_id": "a b"}, "events[1].customer_id: 'a b'"),
        ({"resource_id": "a@b"}, "events[1].resource_id: 'a@b'"),
        (
            {"dimensions": {"x": pb.EventDimensionValue()}},
            "events[1].dimensions['x'] has no value",
        ),
        (
            {"dimensions": {"x": pb.EventDimensionValue(number_value=float("nan"))}},
            "events[1].dimensions['x'] is nan",
        ),
        (
            {"dimensions": {"": pb.EventDimensionValue(boolean_value=True)}},
            "events[1].dimensions has an empty name",
        ),
        ({"timestamp": Timestamp(seconds=-(2**62))}, "events[1].timestamp is -"),
        (
            {"dimensions": {"x": pb.EventDimensionValue(string_value="x" * 1_000_000)}},
            "bytes; send at most 1000000",
        ),
    ],
)
def test_call_with_one_bad_event_keeps_nothing(
    demo: LocalSidecar, fields: dict[str, Any], message: str
) -> None:
    request = pb.ReportEventsRequest(events=[event(), event(**fields)])
    code, details = refusal(demo, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message in details
    assert demo.events == ()


@pytest.mark.parametrize("count", [0, 1001])
def test_call_takes_one_to_a_thousand_events(demo: LocalSidecar, count: int) -> None:
    code, message = refusal(demo, pb.ReportEventsRequest(events=[event()] * count))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"events has {count} events" in message


def test_thousand_events_are_taken(demo: LocalSidecar) -> None:
    report(demo, *(event(idempotency_key=f"key-{n}") for n in range(1000)))
    assert len(demo.events) == 1000


def test_oldest_events_go_when_there_are_too_many() -> None:
    log = EventLog(most=2)
    kept = [event(idempotency_key=f"key-{n}") for n in range(3)]
    for item in kept:
        log.add(item)
    assert log.all() == tuple(kept[1:])


def test_oldest_events_go_when_they_are_too_large() -> None:
    kept = [event(idempotency_key=f"key-{n}") for n in range(3)]
    log = EventLog(most_bytes=2 * kept[0].ByteSize())
    for item in kept:
        log.add(item)
    assert log.all() == tuple(kept[1:])
