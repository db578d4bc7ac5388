"""Tasks that run beside, and their end.

Only ending one lives here.
"""

from __future__ import annotations

import asyncio


async def ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait until it has ended. Does nothing without one."""
    while task is not None and not task.done():
        # Once may not do: some libraries swallow it when their answer comes just then.
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
