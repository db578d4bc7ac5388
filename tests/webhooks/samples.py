"""Webhooks as the vendor sends them, in both shapes, and what else may arrive."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

SECRET = "whsec-of-the-tests"
CUSTOMER = "customer-demo-01"
HEADER = "Stigg-Webhooks-Secret"

_numbers = count(1)


def message_id() -> str:
    """One that no other test has: processes remember them."""
    return f"a6ce-{next(_numbers)}"


def flat(name: str = "entitlements.updated", **fields: Any) -> dict[str, Any]:
    """The shape of the vendor's reference pages: all fields side by side."""
    return {
        "type": name,
        "messageId": message_id(),
        "traceId": "549a",
        "timestamp": "2025-11-13T21:41:56.923Z",
        **fields,
    }


def envelope(name: str = "subscription.updated", **data: Any) -> dict[str, Any]:
    """The shape of the vendor's guide for agents: an envelope around `data`."""
    return {
        "messageId": message_id(),
        "type": name,
        "createdAt": "2026-01-15T10:30:00Z",
        "data": data,
    }


def updated(customer: str = CUSTOMER, resource: str | None = None) -> dict[str, Any]:
    """What comes when the entitlements of a customer have changed."""
    return flat(
        trigger="subscription_updated",
        customer={"id": customer, "name": "Ryan"},
        resource=None if resource is None else {"id": resource, "entityId": "14ed"},
        entitlements=[],
        entitlementsUpdatedAt="2025-11-14T19:59:45.133Z",
    )


def encoded(body: object) -> bytes:
    """The body of a request."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()
