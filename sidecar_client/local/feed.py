"""The live feed: what happens in the sidecar, numbered, for whoever listens.

What is kept and who is told live here; what is worth telling does not.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

from sidecar_client.local.shown import limited

Fact = str | float | bool | tuple[str, ...] | None
Listener = Callable[["Happening"], None]

KEPT = 2000
"""How many happenings a feed keeps for those who come later."""
MOST_SUBSCRIBERS = 32
_MOST_TEXT = 300
_MOST_TEXTS = 20


class Happening(NamedTuple):
    """One thing that happened: its number, when by the sidecar's clock, and what.

    A tuple, as each call makes one.
    """

    number: int
    at: datetime
    kind: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a subscriber has not seen yet, oldest first."""

    happenings: tuple[Happening, ...]
    missed: int = 0
    """How many before them are gone, because the subscriber was too slow."""


class TooManySubscribers(Exception):
    """The feed has as many subscribers as it takes."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} subscribers follow the feed already, and more are not taken; "
            "close one, such as another tab of the console"
        )


class Feed:
    """A bounded memory of what happened, and those who follow it.

    `publish` may be called from any thread; it never waits for a subscriber.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        kept: int = KEPT,
        most_subscribers: int = MOST_SUBSCRIBERS,
    ) -> None:
        self.epoch = secrets.token_hex(4)
        """Tells the numbers of this feed from those of another run."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Happening] = deque(maxlen=kept)
        self._last = 0
        self._most = most_subscribers
        self._subscriptions: tuple[Subscription, ...] = ()
        self._listeners: tuple[Listener, ...] = ()

    @property
    def last(self) -> int:
        """The number of the latest happening; 0 before the first."""
        return self._last

    @property
    def kept(self) -> int:
        """How many happenings it keeps at most."""
        return self._kept.maxlen or 0

    @property
    def subscribers(self) -> int:
        """How many follow it now."""
        return len(self._subscriptions)

    def now(self) -> datetime:
        """The time by its clock."""
        return self._clock()

    def publish(self, kind: str, **facts: Fact) -> Happening:
        """Tell that something happened; long texts are cut in their middle."""
        return self.tell(kind, facts)

    def tell(self, kind: str, facts: Mapping[str, Fact]) -> Happening:
        """Tell that something happened, as `publish` does."""
        short = {
            # Most are short texts, and a call for each would take longer than that.
            name: fact if type(fact) is str and len(fact) < _MOST_TEXT else _short(fact)
            for name, fact in facts.items()
        }
        with self._lock:
            self._last += 1
            happening = Happening(
                number=self._last, at=self._clock(), kind=kind, facts=short
            )
            self._kept.append(happening)
        for listener in self._listeners:
            listener(happening)
        for subscription in self._subscriptions:
            subscription.wake()
        return happening

    def since(self, number: int, *, most: int | None = None) -> Batch:
        """What happened after `number`; of more than `most`, the latest."""
        with self._lock:
            fresh = self._last - number
            if fresh <= 0:
                return Batch(happenings=())
            wanted = min(fresh, len(self._kept), fresh if most is None else most)
            found = tuple(islice(self._kept, len(self._kept) - wanted, None))
        return Batch(happenings=found, missed=fresh - wanted)

    def listen(self, listener: Listener) -> None:
        """Call the listener with everything that happens, in the thread that tells.

        It has to be quick, and must not publish.
        """
        self._listeners = (*self._listeners, listener)

    def subscribe(self, *, after: int | None = None) -> Subscription:
        """Follow the feed on the running loop, after a number or from now on.

        Raises `TooManySubscribers` when the feed has as many as it takes.
        """
        with self._lock:
            if len(self._subscriptions) >= self._most:
                raise TooManySubscribers(self._most)
            seen = self._last if after is None else max(0, after)
            subscription = Subscription(self, seen=seen)
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscriber; does nothing when it has left."""
        with self._lock:
            self._subscriptions = tuple(
                other for other in self._subscriptions if other is not subscription
            )

    def close_subscriptions(self) -> None:
        """End every subscription, so that nobody waits for more."""
        for subscription in self._subscriptions:
            subscription.close()


class Subscription:
    """One subscriber's place in the feed; nothing is kept for it but that place."""

    def __init__(self, feed: Feed, *, seen: int) -> None:
        self._feed = feed
        self._seen = seen
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._news = asyncio.Event()
        self.is_closed = False

    async def next(self, *, within: float, most: int | None = None) -> Batch:
        """What is new, once there is something; empty after `within` seconds.

        Empty at once when the subscription is closed.
        """
        if self._seen >= self._feed.last and not self.is_closed:
            self._news.clear()
            try:
                # `wait_for` of Python 3.11 may forget that it was cancelled.
                async with asyncio.timeout(within):
                    await self._news.wait()
            except TimeoutError:
                return Batch(happenings=())
        batch = self._feed.since(self._seen, most=most)
        if batch.happenings:
            self._seen = batch.happenings[-1].number
        return batch

    def wake(self) -> None:
        """Let `next` look again; from any thread."""
        if threading.get_ident() == self._thread:
            self._news.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """Leave the feed; `next` returns at once from now on."""
        self.is_closed = True
        self._feed.leave(self)
        self.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _short(fact: Fact) -> Fact:
    if isinstance(fact, str):
        return fact if len(fact) <= _MOST_TEXT else limited(fact, _MOST_TEXT)
    if isinstance(fact, tuple):
        return tuple(limited(text, _MOST_TEXT) for text in fact[:_MOST_TEXTS])
    return fact
