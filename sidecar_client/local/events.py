"""The raw events that were reported to this process, the newest of them.

Only keeping them for those who look lives here; what they count for does not.
"""

from __future__ import annotations

from collections import deque

from sidecar_client.protocol import sidecar_pb2 as pb


class EventLog:
    """Raw events in the order they came, bounded by number and bytes."""

    def __init__(
        self, *, most: int = 100_000, most_bytes: int = 64 * 1024 * 1024
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: deque[pb.Event] = deque()

    def add(self, event: pb.Event) -> None:
        """Keep the event; the oldest go when there are too many."""
        self._kept.append(event)
        self._bytes += event.ByteSize()
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._bytes -= self._kept.popleft().ByteSize()

    def all(self) -> tuple[pb.Event, ...]:
        """The events kept, oldest first."""
        return tuple(self._kept)
