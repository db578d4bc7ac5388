"""The thread of a process that listens to a channel of Redis.

What is said there is `shared`'s business. Source: Redis' page on Pub/Sub: a message
reaches those who listen at that moment, once, or not at all.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from stigg_guard.metering.holds.redis_clients import Client

logger = logging.getLogger("stigg_guard")

_LOOK: Final = 5.0
"""Seconds after which a silent connection is looked at."""
_PAUSE: Final = 1.0
"""Seconds until a lost connection is made again."""
_END: Final = 2.0


class News:
    """Calls `heard` with each message, and `missed` when some may have been lost.

    That is each time when it begins to listen. Neither may raise what is not logged.
    """

    def __init__(
        self,
        client: Client,
        channel: str,
        *,
        heard: Callable[[bytes | str], None],
        missed: Callable[[], None],
        failures: tuple[type[Exception], ...],
    ) -> None:
        self._client = client
        self._channel = channel
        self._heard = heard
        self._missed = missed
        self._failures = failures
        self._ended = threading.Event()
        self._subscription: Any = None
        self._thread = threading.Thread(
            target=self._listen, name="stigg-guard-webhooks", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it may be in the middle of a message."""
        self._ended.set()
        connection = getattr(self._subscription, "connection", None)
        if connection is not None:
            with suppress(Exception):  # it wakes up who reads
                connection.disconnect()
        if threading.current_thread() is not self._thread:
            self._thread.join(_END)

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen_once()
            except self._failures as error:
                logger.debug("Webhooks are not heard of just now: %s", error)
            except Exception:
                if not self._ended.is_set():
                    logger.exception("Listening to webhooks failed; it begins anew.")
            self._ended.wait(_PAUSE)

    def _listen_once(self) -> None:
        subscription = self._client.commands.pubsub()
        self._subscription = subscription
        try:
            subscription.subscribe(self._channel)
            is_asked = False
            while not self._ended.is_set():
                message = subscription.get_message(timeout=_LOOK)
                if message is None:
                    if is_asked:
                        raise TimeoutError("the Redis does not answer")
                    subscription.ping()
                is_asked = message is None
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._missed()
                elif message["type"] == "message":
                    self._take(message["data"])
        finally:
            self._subscription = None
            with suppress(Exception):
                subscription.close()

    def _take(self, data: bytes | str) -> None:
        try:
            self._heard(data)
        except Exception:
            logger.exception("A notice of a webhook was not understood.")
