"""The application's own functions that are told of webhooks, and of which.

Who calls them is `flow`; Django and Flask tell their signals through one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from stigg_guard.webhooks.event import WebhookEvent

WebhookHandler: TypeAlias = Callable[[WebhookEvent], object]
"""A function of the event, sync or async. What it raises is answered with an error, so
that the vendor sends the message again."""


class Handling(NamedTuple):
    """A handler and the types that it wants; all of them, if it names none."""

    handler: WebhookHandler
    types: tuple[str, ...] = ()

    def wants(self, event: WebhookEvent) -> bool:
        """Whether it is to be told of an event."""
        return not self.types or any(event.is_of(pattern) for pattern in self.types)


def checked_handler(handler: object, place: str) -> WebhookHandler:
    """A handler that was given to `place`, or an error that says what to give."""
    if not callable(handler):
        raise ValueError(
            f"{place} was given {handler!r}; give it a function that takes a"
            " WebhookEvent."
        )
    return handler


def checked_types(types: Iterable[object], place: str) -> tuple[str, ...]:
    """Types as they are written: whole names, or beginnings that end in `*`."""
    for found in types:
        if not isinstance(found, str) or not found or "*" in found[:-1]:
            raise ValueError(
                f"{place} was given the type {found!r}; give names, such as"
                ' "subscription.updated", or how they begin: "subscription.*".'
            )
    return tuple(str(found) for found in types)
