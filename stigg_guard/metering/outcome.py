"""How the outcomes of I/O become values that the conversation goes on with.

Who does the I/O is `sync_guard` and `async_guard`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from stigg_guard.decision import NoAnswer
from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.steps import Store

BEHIND: Final = NoAnswer(
    cause="usage reported before it still waits in the outbox", may_have_arrived=False
)
"""Why a new total is stored and not reported: it must not overtake."""


def one(reply: tuple[Acknowledged, ...] | NoAnswer) -> Acknowledged | NoAnswer:
    """The reply to a batch of one."""
    return reply if isinstance(reply, NoAnswer) else reply[0]


def stored(store: Callable[[Store], None], step: Store) -> str | None:
    """None when the row is stored, else why it is not."""
    try:
        store(step)
    except (OutboxUnavailable, ConfigurationError) as error:
        return str(error)
    return None


async def astored(store: Callable[[Store], Awaitable[None]], step: Store) -> str | None:
    """None when the row is stored, else why it is not."""
    try:
        await store(step)
    except (OutboxUnavailable, ConfigurationError) as error:
        return str(error)
    return None
