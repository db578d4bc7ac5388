"""What is read from a webhook, in whichever shape it comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stigg_guard import Subject, WebhookEvent
from stigg_guard.webhooks.event import UnreadableWebhook
from tests.webhooks.samples import encoded, envelope, flat, updated


def parsed(body: Any) -> WebhookEvent:
    return WebhookEvent.parse(encoded(body))


def test_flat_webhook_has_its_own_fields_as_data() -> None:
    body = updated("customer-1", "device-1")
    event = parsed(body)
    assert event.type == "entitlements.updated"
    assert event.message_id == body["messageId"]
    assert event.created_at == datetime(2025, 11, 13, 21, 41, 56, 923_000, tzinfo=UTC)
    assert event.customer_id == "customer-1"
    assert event.resource_id == "device-1"
    assert event.data == body
    assert event.subjects == (
        Subject("customer-1"),
        Subject("customer-1", "device-1"),
    )


def test_enveloped_webhook_has_the_envelopes_content_as_data() -> None:
    body = envelope("subscription.created", id="sub-1", customerId="customer-1")
    event = parsed(body)
    assert event.type == "subscription.created"
    assert event.message_id == body["messageId"]
    assert event.created_at == datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
    assert event.customer_id == "customer-1"
    assert event.resource_id is None
    assert event.data == {"id": "sub-1", "customerId": "customer-1"}


@pytest.mark.parametrize(
    "fields",
    [
        {"customer": {"id": "c"}},
        {"customer": {"customerId": "c"}},
        {"customer": "c"},
        {"customerId": "c"},
        {"customer_id": "c"},
        {"subscription": {"customer": {"id": "c"}}},
        {"input": {"customerId": "c"}},
        {"promotionalEntitlement": {"customerId": "c"}},
        {"grant": {"customer_id": "c"}},
    ],
)
@pytest.mark.parametrize("shape", [flat, envelope])
def test_customer_is_found_wherever_events_say_it(
    fields: dict[str, Any], shape: Any
) -> None:
    assert parsed(shape("any.thing", **fields)).customer_id == "c"


def test_id_of_a_customer_event_is_the_customers() -> None:
    assert parsed(flat("customer.deleted", id="c", entityId="0")).customer_id == "c"
    assert parsed(flat("subscription.created", id="sub")).customer_id is None


@pytest.mark.parametrize(
    "wrong", [None, "", 7, [], {}, {"id": None}, {"id": 7}, "c" * 256]
)
def test_what_is_no_id_is_nobody(wrong: object) -> None:
    event = parsed(flat(customer=wrong, resource=wrong))
    assert event.customer_id is None
    assert event.resource_id is None
    assert event.subjects == ()


@pytest.mark.parametrize("name", ["plan.updated", "addon.created", "feature.updated"])
def test_catalog_is_everybodys(name: str) -> None:
    assert parsed(flat(name, id="x")).is_of_catalog
    assert not parsed(flat(name, customerId="c")).is_of_catalog


@pytest.mark.parametrize("wrong", [None, 7, "", "yesterday", "2025-13-01", {}])
def test_time_that_is_none_is_not_told(wrong: object) -> None:
    assert parsed({"type": "x", "timestamp": wrong}).created_at is None


def test_times_are_told_in_utc() -> None:
    event = parsed({"type": "x", "timestamp": "2025-01-01T00:00:00+02:00"})
    assert event.created_at is not None
    assert event.created_at.utcoffset() == timedelta(0)
    assert event.created_at.hour == 22


def test_types_are_whole_names_or_beginnings() -> None:
    event = parsed(flat("subscription.trial_started"))
    assert event.is_of("subscription.trial_started")
    assert event.is_of("subscription.*")
    assert event.is_of("*")
    assert not event.is_of("subscription")
    assert not event.is_of("trial.*")


def test_representation_shows_no_data() -> None:
    assert "Ryan" not in repr(parsed(updated()))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["type", "data", "messageId", "customer", "customerId", "resource", "timestamp"]
)


@given(st.dictionaries(NAMES, JSON) | JSON)
def test_whatever_is_json_is_an_event_or_unreadable(body: object) -> None:
    try:
        event = parsed(body)
    except UnreadableWebhook:
        return
    assert event.type
    assert len(event.subjects) <= 2


@given(st.binary())
def test_whatever_is_sent_is_an_event_or_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableWebhook):
        WebhookEvent.parse(body)
