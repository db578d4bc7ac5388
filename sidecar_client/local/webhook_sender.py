"""Listens to a world and has its webhooks told; what is told when is `webhook_events`'.

The world never waits for it: what happens is noted, and told on the sidecar's loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.due import Due
from sidecar_client.local.shown import shown
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.tasks import ended
from sidecar_client.local.webhook_events import messages_of
from sidecar_client.local.webhooks import Delivery, Webhook
from sidecar_client.local.world import Announcement, World

if TYPE_CHECKING:
    from sidecar_client.local.webhook_courier import Courier

logger = logging.getLogger("sidecar_client.local")

MOST_NOTED: Final = 10_000
"""How many announcements may wait to be made messages of."""
MOST_WEBHOOKS: Final = 20
_PATIENCE: Final = 10.0

Pause = Callable[[float], Awaitable[object]]


class WebhookSender:
    """The webhooks of one sidecar, from `start` to `stop`.

    Its list of deliveries outlives a stop. `pause` waits so many seconds before a
    message is sent again. Without webhooks it does nothing.
    """

    def __init__(
        self,
        world: World,
        webhooks: Sequence[Webhook],
        *,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self.webhooks = _checked(webhooks)
        self._world = world
        self._pause = pause
        self._made: Courier | None = None
        self._noted: deque[Announcement] = deque()
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._workers: tuple[asyncio.Task[None], ...] = ()
        self._due: Due | None = None
        self._is_full = False

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The latest messages to each webhook, oldest first."""
        return () if self._made is None else self._made.deliveries

    @property
    def is_idle(self) -> bool:
        """Whether everything that happened was told, or was given up."""
        return not self._noted and (self._made is None or self._made.is_idle)

    @property
    def _courier(self) -> Courier:
        if self._made is None:
            # Imported here: a sidecar without webhooks loads no client of HTTP.
            from sidecar_client.local.webhook_courier import Courier

            self._made = Courier(clock=self._world.clock, pause=self._pause)
        return self._made

    def resend(self, message_id: str) -> tuple[Delivery, ...]:
        """Send a message again to each webhook that it was for; from any thread.

        Raises `LookupError` for one that is not kept any more.
        """
        if not self.webhooks:
            raise ConfigurationError(
                "the local sidecar sends no webhooks; give it one with --webhook-url, "
                "or webhooks=[Webhook(...)]"
            )
        loop = self._loop
        if not self._workers or loop is None:
            raise ConfigurationError(
                "the local sidecar sends nothing while it is stopped; start it first"
            )
        courier = self._courier
        if threading.get_ident() == self._thread:
            return courier.resend(message_id)

        async def again() -> tuple[Delivery, ...]:
            return courier.resend(message_id)

        return asyncio.run_coroutine_threadsafe(again(), loop).result(_PATIENCE)

    async def start(self) -> None:
        """Tell what happens from now on."""
        if not self.webhooks:
            return
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._news = asyncio.Event()
        self._due = due = Due(self._world)
        work = (self._work(due), due.run())
        self._workers = tuple(map(self._loop.create_task, work))
        self._world.listeners.append(self.note)

    async def stop(self) -> None:
        """Tell no more; what is on its way is given up. Does nothing when stopped."""
        workers, self._workers = self._workers, ()
        if not workers:
            return
        self._world.listeners.remove(self.note)
        for worker in workers:
            await ended(worker)
        self._noted.clear()
        if self._made is not None:
            await self._made.close()

    def note(self, announcement: Announcement) -> None:
        """Take note of what happened; from any thread."""
        if len(self._noted) >= MOST_NOTED:
            if not self._is_full:
                logger.warning("Too much happens for webhooks; some of it is not told.")
            self._is_full = True
            return
        self._noted.append(announcement)
        self._call(self._news.set)

    def look_at_clock(self) -> None:
        """Tell what is due now: the clock was moved. From any thread."""
        if self._due is not None:
            self._call(self._due.look)

    def _call(self, function: Callable[[], object]) -> None:
        loop = self._loop
        if self._workers and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(function)

    async def _work(self, due: Due) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._noted:
                announcement = self._noted[0]
                due.note(announcement)
                try:
                    await self._tell(announcement)
                except StoreError as error:
                    logger.warning("No webhook for %s: %s", announcement.kind, error)
                except Exception:
                    logger.exception("A webhook was not made.")
                self._noted.popleft()
            self._is_full = False

    async def _tell(self, announcement: Announcement) -> None:
        async for message in messages_of(self._world, announcement):
            for webhook in self.webhooks:
                if webhook.wants(message.type):
                    self._courier.send(webhook, message)


def _checked(webhooks: Sequence[Webhook]) -> tuple[Webhook, ...]:
    found = tuple(webhooks)
    if len(found) > MOST_WEBHOOKS:
        raise ConfigurationError(
            f"there are {len(found)} webhooks; use {MOST_WEBHOOKS} at most"
        )
    for webhook in found:
        if not isinstance(webhook, Webhook):
            raise ConfigurationError(
                f"webhooks has {shown(webhook)}; use Webhook(url=..., secret=...)"
            )
    return found
