"""The raw events that were reported, newest kept, each once.

Keeping and telling repetitions apart live here; what events mean for usage does not.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from sidecar_client.protocol import sidecar_pb2 as pb

EventKey = tuple[datetime, str, str, str, str]


class EventLog:
    """Raw events in the order they came, bounded by number and bytes.

    Repetitions are recognised by time, customer, resource, name and idempotency key,
    for as long as the first one is kept.
    """

    def __init__(
        self, *, most: int = 100_000, most_bytes: int = 64 * 1024 * 1024
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[EventKey, pb.Event] = OrderedDict()

    def add(self, event: pb.Event, moment: datetime) -> bool:
        """Keep the event that happened at `moment`; False if it was kept before."""
        key = (
            moment,
            event.customer_id,
            event.resource_id,
            event.event_name,
            event.idempotency_key,
        )
        if key in self._kept:
            return False
        self._kept[key] = event
        self._bytes += event.ByteSize()
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.ByteSize()
        return True

    def all(self) -> tuple[pb.Event, ...]:
        """The events kept, oldest first."""
        return tuple(self._kept.values())
