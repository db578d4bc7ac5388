"""The conversation about a webhook, written once: check, claim, reload, forget, tell.

A generator like those of `stigg_guard.flow`: it yields steps and does no I/O itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Protocol

from stigg_guard.decision import NoAnswer
from stigg_guard.steps import Aside, Call, Reload, Step, Tell
from stigg_guard.webhooks import incoming
from stigg_guard.webhooks.event import UnreadableWebhook, WebhookEvent
from stigg_guard.webhooks.handlers import Handling
from stigg_guard.webhooks.incoming import (
    MOST_BYTES,
    BodyTooLarge,
    Incoming,
    WebhookAnswer,
)
from stigg_guard.webhooks.seen import Standing

logger = logging.getLogger("stigg_guard")


class Desk(Protocol):
    """What the conversation stands on: the application's secrets and its memory."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that may be given; raises `ConfigurationError` when there are none."""
        ...

    @property
    def asks_sidecar(self) -> bool:
        """Whether the guard is not switched off."""
        ...

    def refused(self, request: Incoming) -> None:
        """Take note of a request that does not know the secret."""
        ...

    def claim(self, message_id: str) -> Standing:
        """Take a message on, unless that was done before; may wait for a store."""
        ...

    def conclude(self, message_id: str) -> None:
        """Take note that a message was handled; may wait for a store."""
        ...

    def release(self, message_id: str) -> None:
        """Give a claim back; may wait for a store."""
        ...

    def forget(self, event: WebhookEvent) -> None:
        """Forget, in this process, what the event makes old."""
        ...

    def announce(self, event: WebhookEvent) -> None:
        """Have the other processes forget it, too; may wait for a store."""
        ...


def webhook_flow(
    request: Incoming, handlings: Sequence[Handling], desk: Desk
) -> Generator[Step, Any, WebhookAnswer]:
    """Answer one request: who is not known is refused before the body is read."""
    secrets = desk.secrets
    if request.method != "POST":
        return incoming.NOT_A_POST
    if not request.is_authentic(secrets):
        desk.refused(request)
        return incoming.UNAUTHORIZED
    if request.is_too_large:
        return incoming.TOO_LARGE
    try:
        body = yield Call(request.read, MOST_BYTES)
        event = WebhookEvent.parse(body)
    except BodyTooLarge:
        return incoming.TOO_LARGE
    except UnreadableWebhook as error:
        return WebhookAnswer.of(400, str(error))
    return (yield from event_flow(event, handlings, desk))


def event_flow(
    event: WebhookEvent, handlings: Sequence[Handling], desk: Desk
) -> Generator[Step, Any, WebhookAnswer]:
    """Act on an event, once for each message.

    What the guard does is done as often as it takes: when the sidecar is away the
    vendor sends the message again. The application's handlers are called once for all
    that, and again only when one of them failed.
    """
    standing: Standing = yield from _store(desk.claim, event.message_id)
    if standing == "done":
        return incoming.RECEIVED_BEFORE
    if standing == "under way":
        return incoming.UNDER_WAY
    try:
        is_reloaded = yield from _refresh(event, desk)
        yield from _tell_all(event, handlings, desk)
    except BaseException:
        yield from _store(desk.release, event.message_id)
        raise
    if not is_reloaded:
        yield from _store(desk.release, event.message_id)
        return incoming.SIDECAR_AWAY
    yield from _store(desk.conclude, event.message_id)
    return incoming.RECEIVED


def _refresh(event: WebhookEvent, desk: Desk) -> Generator[Step, Any, bool]:
    """Have the sidecar ask the vendor anew, and forget what it said before."""
    is_reloaded = True
    if desk.asks_sidecar:
        for subject in event.subjects:
            failure: NoAnswer | None = yield Reload(subject)
            if failure is not None and not failure.refused:
                is_reloaded = False
                logger.warning(
                    "The sidecar was not told of a webhook, %s: %s",
                    event.type,
                    failure.cause,
                )
                break
    if event.customer_id is not None or event.is_of_catalog:
        # After the sidecar: what is asked from now on is new.
        desk.forget(event)
        yield from _store(desk.announce, event)
    return is_reloaded


def _tell_all(
    event: WebhookEvent, handlings: Sequence[Handling], desk: Desk
) -> Generator[Step, Any, None]:
    wanting = [handling.handler for handling in handlings if handling.wants(event)]
    told = event.message_id and f"{event.message_id} told"
    if not wanting or (yield from _store(desk.claim, told)) != "new":
        return
    failures: list[BaseException] = []
    try:
        for handler in wanting:
            try:
                yield Tell(handler, event)
            except Exception as error:
                failures.append(error)
                logger.exception("The handler %r of webhooks failed.", handler)
        if failures:
            raise failures[0]
    except BaseException:
        yield from _store(desk.release, told)
        raise
    yield from _store(desk.conclude, told)


def _store(
    function: Callable[[Any], Any], argument: object
) -> Generator[Step, Any, Any]:
    return (yield Aside(partial(function, argument)))
