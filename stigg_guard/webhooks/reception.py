"""Where an application's webhooks arrive: its secrets, handlers, and what it has seen.

What is done with a webhook is said in `flow`; how other processes hear of it is
`shared`'s.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from stigg_guard.errors import ConfigurationError
from stigg_guard.subject import Subject
from stigg_guard.webhooks.event import WebhookEvent
from stigg_guard.webhooks.handlers import Handling
from stigg_guard.webhooks.incoming import SECRET_HEADER, Incoming
from stigg_guard.webhooks.seen import Seen, SeenHere, Standing

if TYPE_CHECKING:
    from stigg_guard.decision import NoAnswer
    from stigg_guard.settings import Settings
    from stigg_guard.webhooks.shared import SharedSeen

logger = logging.getLogger("stigg_guard")

SECONDS_BETWEEN_REFUSALS: Final = 10.0
MEMORY: Final = "memory"


class Ground(Protocol):
    """What remembers things that webhooks make old."""

    @property
    def is_on(self) -> bool:
        """Whether the guard is not switched off."""
        ...

    def forget(self, customer_id: str | None) -> None:
        """Forget all of one customer, or of everybody."""
        ...

    def expire(self) -> None:
        """Use nothing again that is known now; it may still stand in."""
        ...

    def reload(self, subject: Subject) -> NoAnswer | None:
        """Have this process's sidecar load a subject anew, from a thread."""
        ...


class Reception:
    """The webhooks of one application; nothing is opened before the first one."""

    def __init__(self, settings: Settings, ground: Ground) -> None:
        self._settings = settings
        self._ground = ground
        self.handlings: tuple[Handling, ...] = ()
        store = settings.webhook_store or settings.holds
        self.is_instant = store == MEMORY
        """Whether no step of ours waits for anything."""
        self._url = store
        self._refused_at = float("-inf")
        self._refusals = 0
        self._here = SeenHere()
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew in a child: threads and connections are the parent's."""
        self._lock = threading.Lock()
        self._shared: SharedSeen | None = None
        self._must_listen = not self.is_instant and bool(self._settings.webhook_secret)

    def add(self, handling: Handling) -> None:
        """Have one more handler told."""
        self.handlings = (*self.handlings, handling)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that may be given; raises `ConfigurationError` when there are none."""
        if not self._settings.webhook_secret:
            raise ConfigurationError(_MISSING)
        return self._settings.webhook_secret

    @property
    def asks_sidecar(self) -> bool:
        """Whether the guard is not switched off."""
        return self._ground.is_on

    def refused(self, request: Incoming) -> None:
        """Log a refusal, at most one in a while: anybody may send them."""
        self._refusals += 1
        now = time.monotonic()
        if now - self._refused_at < SECONDS_BETWEEN_REFUSALS:
            return
        more, self._refusals, self._refused_at = self._refusals - 1, 0, now
        logger.warning(
            "A webhook was refused: its header %s %s (%d more since the last such"
            " line).",
            SECRET_HEADER,
            "is missing" if request.secret is None else "is not WEBHOOK_SECRET",
            more,
        )

    @property
    def _seen(self) -> Seen:
        return self._here if self.is_instant else self._opened()

    def claim(self, message_id: str) -> Standing:
        """Take a message on, unless that was done before."""
        return self._seen.claim(message_id)

    def conclude(self, message_id: str) -> None:
        """Take note that a message was handled."""
        self._seen.conclude(message_id)

    def release(self, message_id: str) -> None:
        """Give a claim back: the message is new again."""
        self._seen.release(message_id)

    def forget(self, event: WebhookEvent) -> None:
        """Forget, in this process, what the event makes old.

        What concerns everybody is asked anew, but may still stand in: in an outage it
        is better than nothing.
        """
        if event.customer_id is None:
            self._ground.expire()
        else:
            self._ground.forget(event.customer_id)

    def announce(self, event: WebhookEvent) -> None:
        """Have the other processes forget it, too; without a Redis nobody hears."""
        if not self.is_instant:
            self._opened().announce(event)

    def listen(self) -> None:
        """Hear what other processes announce; costs nothing when that is done."""
        if self._must_listen:
            self._opened().listen()
            self._must_listen = False

    def _opened(self) -> SharedSeen:
        with self._lock:
            if self._shared is None:
                from stigg_guard.webhooks.shared import SharedSeen

                is_own = self._settings.webhook_store is not None
                self._shared = SharedSeen(
                    self._url,
                    setting="WEBHOOK_STORE" if is_own else "HOLDS",
                    prefix=self._settings.redis_prefix,
                    target=self._settings.target,
                    ground=self._ground,
                    here=self._here,
                )
            return self._shared

    def close(self) -> None:
        """Let go of threads and connections; the next webhook opens them again."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()
            self.after_fork()

    async def aclose(self) -> None:
        """Close from an event loop, which goes on meanwhile."""
        if self._shared is not None:
            await asyncio.to_thread(self.close)


_MISSING: Final = (
    "webhooks arrive here, but WEBHOOK_SECRET is not set: every one of them fails; set"
    " it to the secret that Stigg shows on the webhook's page."
)
