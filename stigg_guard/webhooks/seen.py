"""Which messages were handled already: so that one that comes twice is handled once.

Here they are kept in the process; in Redis, for all processes, in `shared`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

Standing: TypeAlias = Literal["new", "under way", "done"]
"""Of a message that was claimed: it is the claimer's, somebody's, or handled."""

CLAIMED_FOR: Final = 120.0
"""Seconds until a claim is nobody's: its holder died."""
MOST_MESSAGES: Final = 10_000
"""How many a process remembers; the one that came first is forgotten first."""


class Seen(Protocol):
    """A store of message ids; an empty id is always new."""

    def claim(self, message_id: str) -> Standing:
        """Take a message on, unless that was done before."""
        ...

    def conclude(self, message_id: str) -> None:
        """Take note that a message was handled."""
        ...

    def release(self, message_id: str) -> None:
        """Give a claim back: the message is new again."""
        ...


class SeenHere:
    """The messages that this process handled."""

    def __init__(
        self, *, most: int = MOST_MESSAGES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, message_id: str) -> Standing:
        """Take a message on, unless that was done before."""
        if not message_id:
            return "new"
        now = self._clock()
        with self._lock:
            until = self._until.get(message_id)
            if until is not None and until > now:
                return "done" if until == float("inf") else "under way"
            self._keep(message_id, now + CLAIMED_FOR)
        return "new"

    def conclude(self, message_id: str) -> None:
        """Take note that a message was handled."""
        if message_id:
            with self._lock:
                self._keep(message_id, float("inf"))

    def release(self, message_id: str) -> None:
        """Give a claim back: the message is new again."""
        with self._lock:
            self._until.pop(message_id, None)

    def _keep(self, message_id: str, until: float) -> None:
        self._until[message_id] = until
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def __len__(self) -> int:
        return len(self._until)
