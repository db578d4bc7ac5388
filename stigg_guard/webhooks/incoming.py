"""A request that claims to be a webhook, and the answer that it gets.

Adapters make the one and send the other; what is in between is `flow`'s.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

SECRET_HEADER: Final = "Stigg-Webhooks-Secret"  # noqa: S105  # a header's name
"""Where the vendor puts the secret, as plain text."""
MOST_BYTES: Final = 1_048_576
"""How long a body may be."""


class BodyTooLarge(Exception):
    """A body that is longer than it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What a framework's request says of itself before its body is read.

    `secret` and `length` are the headers Stigg-Webhooks-Secret and Content-Length, None
    where they are missing. `read` gives the body, or something to await; it takes how
    long that may be, and raises `BodyTooLarge`.
    """

    method: str
    secret: str | None = field(repr=False)
    length: str | None
    read: Callable[[int], object]

    @property
    def is_too_large(self) -> bool:
        """Whether it says so itself."""
        length = self.length or ""
        return length.isascii() and length.isdigit() and int(length[:20]) > MOST_BYTES

    def is_authentic(self, secrets: tuple[str, ...]) -> bool:
        """Whether it knows one of the secrets; it takes as long for all of them."""
        given = _digest(self.secret or "")
        found = [hmac.compare_digest(given, _digest(secret)) for secret in secrets]
        return any(found) and self.secret is not None


def _digest(text: str) -> bytes:
    # Of one length, so that not even that can be told from the time it takes.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    """Status, headers and JSON body of the answer to a webhook."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, detail: str, **headers: str) -> WebhookAnswer:
        """An answer that says in a sentence what became of the message."""
        return cls(
            status=status,
            headers={
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                **{name.replace("_", "-"): text for name, text in headers.items()},
            },
            body=json.dumps({"detail": detail}).encode(),
        )


RECEIVED: Final = WebhookAnswer.of(200, "Received.")
RECEIVED_BEFORE: Final = WebhookAnswer.of(200, "Received before.")
NOT_READ: Final = WebhookAnswer.of(400, "The body cannot be read.")
UNAUTHORIZED: Final = WebhookAnswer.of(
    401, f"The header {SECRET_HEADER} is missing or wrong."
)
NOT_A_POST: Final = WebhookAnswer.of(405, "Send webhooks by POST.", Allow="POST")
UNDER_WAY: Final = WebhookAnswer.of(
    409, "This message is being handled just now.", Retry_After="30"
)
TOO_LARGE: Final = WebhookAnswer.of(413, f"The body has more than {MOST_BYTES} bytes.")
SIDECAR_AWAY: Final = WebhookAnswer.of(
    503, "The sidecar cannot be asked just now; send it again.", Retry_After="30"
)
