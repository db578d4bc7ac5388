"""`Webhook`: a URL that is told of changes; and what became of each message.

What is told lives in `webhook_events`, sending it in `webhook_courier`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.shown import shown
from sidecar_client.local.webhook_payloads import iso

Shape = Literal["flat", "envelope"]
"""`flat`: all fields side by side, as the vendor's reference pages have it.
`envelope`: `{messageId, type, createdAt, data}`."""
State = Literal["pending", "delivered", "failed", "dropped"]
"""`dropped` was never tried: too many were waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A URL that is told of changes, and the secret that it knows the sidecar by.

    `events` are types of the vendor's, or how they begin: `subscription.*`.
    """

    url: str
    secret: str = field(repr=False)
    shape: Shape = "flat"
    events: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        """Refuse what cannot be sent to, without showing the secret."""
        try:
            parts = urlsplit(self.url)
            is_fine = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except (ValueError, AttributeError):
            is_fine = False
        if not is_fine or not self.url.isascii() or not self.url.isprintable():
            raise ConfigurationError(
                f"the webhook's URL is {shown(self.url)}; use one that begins with"
                " http:// or https://, such as http://127.0.0.1:8000/webhooks/stigg/"
            )
        if not _may_be_a_header(self.secret):
            raise ConfigurationError(
                f"the secret of the webhook {self.url} is empty, or has characters that"
                " no header has; use letters, digits and signs of ASCII"
            )
        if self.shape not in ("flat", "envelope"):
            raise ConfigurationError(
                f"the shape of the webhook {self.url} is {shown(self.shape)};"
                ' use "flat" or "envelope"'
            )

    def wants(self, name: str) -> bool:
        """Whether it is to be told of events of this type."""
        return any(
            name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
            for wanted in self.events
        )


def _may_be_a_header(secret: object) -> bool:
    return (
        isinstance(secret, str)
        and bool(secret)
        and secret == secret.strip()
        and secret.isascii()
        and secret.isprintable()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event, with ids of its own; the same for every webhook and every attempt."""

    type: str
    at: datetime
    fields: Mapping[str, Any]
    id: str = field(default_factory=lambda: str(uuid4()))
    trace_id: str = field(default_factory=lambda: str(uuid4()))

    def body(self, shape: Shape) -> bytes:
        """What is posted."""
        if shape == "envelope":
            return _json(
                {
                    "messageId": self.id,
                    "type": self.type,
                    "createdAt": iso(self.at),
                    "data": self.fields,
                }
            )
        return _json(
            {
                "type": self.type,
                "messageId": self.id,
                "traceId": self.trace_id,
                "timestamp": iso(self.at),
                **self.fields,
            }
        )


def _json(found: object) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a message was posted: the status, or the error instead."""

    at: datetime
    seconds: float
    status: int | None = None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the other side took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(slots=True, kw_only=True)
class Delivery:
    """A message on its way to one webhook, and what became of it so far."""

    webhook: Webhook
    message: Message
    body: bytes = field(repr=False)
    state: State = "pending"
    attempts: list[Attempt] = field(default_factory=list[Attempt])
