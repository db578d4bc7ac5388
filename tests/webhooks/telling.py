"""What follows from what happens in a world: the messages that webhooks would get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from sidecar_client.local.webhook_events import messages_of
from sidecar_client.local.webhooks import Message
from sidecar_client.local.world import Announcement, World

Move = Callable[[timedelta], Awaitable[None]]


class Tells:
    """A world, and the messages that follow from what happens in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.announced: list[Announcement] = []
        world.listeners.append(self.announced.append)

    async def of(self, change: Awaitable[object]) -> list[Message]:
        """Those that follow from a change."""
        await change
        return await self.new()

    async def new(self) -> list[Message]:
        """Those that followed since the last look."""
        announced, self.announced[:] = [*self.announced], []
        return [m for one in announced async for m in messages_of(self.world, one)]


def types(messages: list[Message]) -> list[str]:
    return [message.type for message in messages]
