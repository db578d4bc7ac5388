"""`guard_lifespan`: guards that begin and end with a Starlette or FastAPI application.

The middleware does so for a guard that it makes itself; this is for one that is shared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.lifespan import end, start
from stigg_guard_starlette.mounted import guards_below

Lifespan: TypeAlias = Callable[
    [Any], AbstractAsyncContextManager[Mapping[str, Any] | None]
]


def guard_lifespan(
    *guards: Guard | AsyncGuard, lifespan: Lifespan | None = None
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan for `Starlette(lifespan=...)` or `FastAPI(lifespan=...)`.

    It begins to deliver stored usage before the application's own `lifespan` begins,
    and when that has ended it sends what waits and closes the guards' connections,
    those of mounted applications too. What the application's own yields is its state.
    """
    for guard in guards:
        if not isinstance(guard, Guard | AsyncGuard):
            raise ConfigurationError(
                f"guard_lifespan() was given {guard!r}; give it guards, and your own"
                " lifespan as lifespan=..."
            )

    @asynccontextmanager
    async def combined(app: Any) -> AsyncGenerator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(_end_below, app)
            for guard in guards:
                stack.push_async_callback(end, guard.aio)
                await start(guard.aio)
            state = None
            if lifespan is not None:
                state = await stack.enter_async_context(lifespan(app))
            yield dict(state or {})

    return combined


async def _end_below(app: Any) -> None:
    for guard in guards_below(getattr(app, "routes", ())):
        await end(guard)
