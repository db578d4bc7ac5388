"""Posts messages to webhooks, again and again as the vendor does, and keeps a list.

Which messages there are is not its business. Source: the vendor's page on webhooks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import httpx

from sidecar_client.local.tasks import ended
from sidecar_client.local.webhooks import Attempt, Delivery, Message, Webhook

logger = logging.getLogger("sidecar_client.local")

HEADER: Final = "Stigg-Webhooks-Secret"
TIMEOUT: Final = 30.0
"""Seconds that the other side has for its answer."""
PAUSES: Final = (0.0, 0.0, 0.0, 30.0, 30.0, 30.0)
"""Seconds before each time that a message is sent again; then it has failed."""
MOST_WAITING: Final = 1_000
MOST_KEPT: Final = 1_000
MOST_KEPT_BYTES: Final = 16_000_000
AT_ONCE: Final = 8


class Courier:
    """Delivers on the running loop; to be closed on the same one.

    `pause` waits so many seconds before a message is sent again.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        timeout: float = TIMEOUT,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._timeout = timeout
        self._kept: deque[Delivery] = deque()
        self._kept_bytes = 0
        self._under_way: dict[asyncio.Task[None], Delivery] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self._is_full = False

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """The latest messages to each webhook, oldest first."""
        return tuple(self._kept)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way, or waits to be sent again."""
        return not self._under_way

    def send(self, webhook: Webhook, message: Message) -> Delivery:
        """Deliver a message; it never waits."""
        delivery = Delivery(
            webhook=webhook, message=message, body=message.body(webhook.shape)
        )
        self._keep(delivery)
        self._begin(delivery)
        return delivery

    def resend(self, message_id: str) -> tuple[Delivery, ...]:
        """Send a message again to each webhook that it was for, from the first try.

        Raises `LookupError` for a message that is not kept any more.
        """
        found = tuple(d for d in self._kept if d.message.id == message_id)
        if not found:
            raise LookupError(
                f"there is no message {message_id!r}; the latest {MOST_KEPT} are kept"
            )
        for delivery in found:
            if delivery.state != "pending":
                self._begin(delivery)
        return found

    def _keep(self, delivery: Delivery) -> None:
        self._kept.append(delivery)
        self._kept_bytes += len(delivery.body)
        while len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().body)

    def _begin(self, delivery: Delivery) -> None:
        if len(self._under_way) >= MOST_WAITING:
            delivery.state = "dropped"
            if not self._is_full:
                logger.warning(
                    "%d messages wait for webhooks; more are dropped until some"
                    " arrive.",
                    MOST_WAITING,
                )
            self._is_full = True
            return
        delivery.state = "pending"
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._under_way[task] = delivery
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery = self._under_way.pop(task)
        self._is_full = False
        if delivery.state == "pending":
            # Cancelled, or failed in a way that nobody thought of.
            delivery.state = "failed"
        if not task.cancelled() and task.exception() is not None:
            logger.error("A webhook was not sent.", exc_info=task.exception())

    async def _deliver(self, delivery: Delivery) -> None:
        attempt = await self._attempt(delivery)
        for pause in PAUSES:
            if attempt.is_success:
                break
            if pause:
                await self._pause(pause)
            attempt = await self._attempt(delivery)
        delivery.state = "delivered" if attempt.is_success else "failed"
        if not attempt.is_success:
            logger.warning(
                "The webhook %s did not take %s (%s), after %d attempts: %s.",
                delivery.webhook.url,
                delivery.message.type,
                delivery.message.id,
                len(PAUSES) + 1,
                attempt.error or f"it answered {attempt.status}",
            )

    async def _attempt(self, delivery: Delivery) -> Attempt:
        async with self._places:
            at, began = self._clock(), time.monotonic()
            status, error = await self._post(delivery)
            seconds = time.monotonic() - began
        attempt = Attempt(at=at, seconds=seconds, status=status, error=error)
        delivery.attempts.append(attempt)
        return attempt

    async def _post(self, delivery: Delivery) -> tuple[int | None, str | None]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "stigg-guard-local-sidecar",
            HEADER: delivery.webhook.secret,
        }
        request = self._opened().stream(
            "POST", delivery.webhook.url, content=delivery.body, headers=headers
        )
        try:
            async with asyncio.timeout(self._timeout), request as response:
                return response.status_code, None
        except TimeoutError:
            return None, f"no answer within {self._timeout:g} seconds"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as found:
            return None, f"{found}" or type(found).__name__

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # What the environment says of proxies is not for a machine's own ports.
            self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 (a deadline for all of it stands around each request)
        return self._client

    async def close(self) -> None:
        """Give up what is on its way, and close the connections."""
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        for task in tasks:
            await ended(task)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
