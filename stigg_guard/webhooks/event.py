"""`WebhookEvent`: what a webhook says, read from either shape that the vendor sends.

What is done about it is `flow`'s. Source: the vendor's reference pages of events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from stigg_guard.subject import Subject

_WITHIN: Final = (
    *("subscription", "promotionalEntitlement", "creditGrant", "grant", "input"),
)
"""Parts of an event that name the customer where the event itself does not."""
_TIMES: Final = ("timestamp", "createdAt", "entitlementsUpdatedAt")
_LONGEST_ID: Final = 255
_CATALOG: Final = ("plan.", "addon.", "feature.", "product.", "package.")


class UnreadableWebhook(ValueError):
    """A body that is no webhook of the vendor's; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """One webhook: which customer something happened to, and what.

    `type` is the vendor's name of it, such as "subscription.updated"; more names come
    up as the vendor adds them. `data` are the event's own fields, without an envelope.
    `message_id` is the same when a message is sent again; empty where there is none.
    `customer_id` is None where the event is about nobody, as "plan.updated" is. Order
    is not guaranteed: `created_at`, in UTC, says when it happened, if that is said.
    """

    message_id: str
    type: str
    created_at: datetime | None = None
    customer_id: str | None = None
    resource_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @classmethod
    def parse(cls, body: bytes) -> WebhookEvent:
        """Read `{messageId, type, createdAt, data}`, or all fields side by side.

        Raises `UnreadableWebhook` for what is neither.
        """
        outer = _object(body)
        name = outer.get("type")
        if not isinstance(name, str) or not name:
            raise UnreadableWebhook("The body has no type.")
        inner = outer.get("data")
        is_envelope = isinstance(inner, dict)
        data = cast("dict[str, Any]", inner) if is_envelope else outer
        times = reversed(_TIMES) if is_envelope else _TIMES
        return cls(
            message_id=_text(outer.get("messageId")) or "",
            type=name,
            created_at=_first_time([outer, data], [*times]),
            customer_id=_customer(name, data),
            resource_id=_named("resource", data),
            data=data,
        )

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Whose entitlements may have changed: the customer's, and the resource's."""
        if self.customer_id is None:
            return ()
        customer = Subject(self.customer_id)
        if self.resource_id is None:
            return (customer,)
        return customer, Subject(self.customer_id, self.resource_id)

    @property
    def is_of_catalog(self) -> bool:
        """Whether it is about what every customer has."""
        return self.customer_id is None and self.type.startswith(_CATALOG)

    def is_of(self, pattern: str) -> bool:
        """Whether its type is this one, or begins so: "subscription.*"."""
        if pattern.endswith("*"):
            return self.type.startswith(pattern[:-1])
        return self.type == pattern


def _object(body: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableWebhook("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise UnreadableWebhook("The body is not a JSON object.")
    return cast("dict[str, Any]", found)


def _customer(name: str, data: Mapping[str, Any]) -> str | None:
    found = _named("customer", data)
    if found is None and name.startswith("customer."):
        found = _text(data.get("id"))
    return found


def _named(kind: str, data: Mapping[str, Any]) -> str | None:
    """The id of a customer or resource, wherever an event says it."""
    found = _directly(kind, data)
    if found is not None:
        return found
    for name in _WITHIN:
        part = data.get(name)
        if isinstance(part, dict):
            found = _directly(kind, cast("dict[str, Any]", part))
            if found is not None:
                return found
    return None


def _directly(kind: str, data: Mapping[str, Any]) -> str | None:
    whole = data.get(kind)
    if isinstance(whole, dict):
        of_whole = cast("dict[str, Any]", whole)
        whole = of_whole.get("id") or of_whole.get(f"{kind}Id")
    for found in (data.get(f"{kind}Id"), data.get(f"{kind}_id"), whole):
        text = _text(found)
        if text is not None and len(text) <= _LONGEST_ID:
            return text
    return None


def _text(found: object) -> str | None:
    return found if isinstance(found, str) and found else None


def _first_time(places: list[Mapping[str, Any]], names: list[str]) -> datetime | None:
    for place in places:
        for name in names:
            found = _time(place.get(name))
            if found is not None:
                return found
    return None


def _time(found: object) -> datetime | None:
    if not isinstance(found, str):
        return None
    try:
        moment = datetime.fromisoformat(found)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
