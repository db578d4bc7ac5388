"""Usage to report to the sidecar: calculated usage or a raw event, and how it is kept.

How it is sent lives in `stigg_guard.sidecar`, where it waits meanwhile in `outbox`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from stigg_guard.requirement import Dimension, Update
from stigg_guard.subject import Subject

RECORD_VERSION: Final = 1
MOST_EVENT_BYTES: Final = 1_000_000
"""What the vendor takes of one event."""


def new_key() -> str:
    """A key that no other measurement has: the time and 64 random bits, in hex.

    In the order of time: an index of random keys is slower the more of them it has.
    """
    return f"{time.time_ns():016x}{os.urandom(8).hex()}"


def now_utc() -> datetime:
    """The moment, aware of its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was used, in the feature's units, by whom and when.

    Calculated usage has a `feature_id`; `value` is a change, or with `update` "set" the
    new total. A raw event has a name in `event`; its `feature_id`, if any, says whose
    units are counted until the sidecar shows them, and `value` how many. `key` is made
    once: it is the event's idempotency key, and names the hold and the stored row.
    """

    subject: Subject
    feature_id: str | None = None
    value: float = 1
    update: Update = "delta"
    event: str | None = None
    dimensions: tuple[tuple[str, Dimension], ...] = ()
    timestamp: datetime = field(default_factory=now_utc)
    key: str = field(default_factory=new_key)

    @property
    def is_change(self) -> bool:
        """Whether sending it twice would count it twice."""
        return self.event is None and self.update == "delta"

    @property
    def name(self) -> str:
        """The event or feature, for messages."""
        return self.event or self.feature_id or ""

    @property
    def size(self) -> int:
        """About how many bytes it has on the wire, rather too many."""
        return 200 + sum(
            32 + len(name.encode()) + len(str(value).encode())
            for name, value in self.dimensions
        )

    @property
    def lane(self) -> str | None:
        """What is delivered in order: calculated usage of a customer's feature."""
        if self.event is not None:
            return None
        return f"{self.subject.customer_id}\x1f{self.feature_id}"

    @property
    def described(self) -> str:
        """All of it in one line, to report it by hand."""
        what = f"{self.update} {self.value:g}" if self.event is None else "event"
        return (
            f"{'event' if self.event else 'feature'} {self.name}, {what},"
            f" customer {self.subject.customer_id!r},"
            f" resource {self.subject.resource_id!r}, dimensions"
            f" {dict(self.dimensions)!r}, at {self.timestamp.isoformat()}, key"
            f" {self.key}"
        )

    def as_record(self) -> dict[str, Any]:
        """All of it in JSON's words; `from_record` reads it."""
        return {
            "v": RECORD_VERSION,
            "key": self.key,
            "customer": self.subject.customer_id,
            "resource": self.subject.resource_id,
            "feature": self.feature_id,
            "value": self.value,
            "update": self.update,
            "event": self.event,
            "dimensions": dict(self.dimensions),
            "timestamp": self.timestamp.isoformat(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Measurement:
        """A measurement that was kept; raises `ValueError` for what is none."""
        try:
            if record["v"] > RECORD_VERSION:
                raise ValueError(
                    f"a measurement was stored in form {record['v']}, and this version"
                    f" of stigg_guard reads up to {RECORD_VERSION}; update it."
                )
            return cls(
                subject=Subject(record["customer"], record["resource"]),
                feature_id=record["feature"],
                value=record["value"],
                update=record["update"],
                event=record["event"],
                dimensions=tuple(record["dimensions"].items()),
                timestamp=datetime.fromisoformat(record["timestamp"]),
                key=record["key"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no stored measurement: {record!r}") from error
