"""The guards of a Django project: one memory and policy for sync and async code.

What Django asks of async code lives here; settings do not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

from stigg_guard import AsyncGuard, Guard, Settings
from stigg_guard.steps import Call, InTransaction, Pause, Step, Store


class DjangoAsyncGuard(AsyncGuard):
    """The guard of async views; functions that need the ORM run in Django's thread."""

    def _call(self, step: Call) -> object:
        return call(step.function, step.request, **step.named)

    async def _perform(self, step: Step) -> object:
        if self._is_in_thread(step):
            return await sync_to_async(self.sync.perform, thread_sensitive=True)(step)
        return await super()._perform(step)

    def _is_in_thread(self, step: Step) -> bool:
        """Whether it takes part in the transaction of Django's thread."""
        is_stored = isinstance(step, Store | InTransaction)
        return is_stored and self.stores.follows_transactions

    async def _start(self) -> None:
        await sync_to_async(self.stores.start, thread_sensitive=True)()


class WaitingGuard(DjangoAsyncGuard):
    """The guard of async views under WSGI, whose event loop lasts for one request.

    It asks through the connection of the sync guard: nothing else waits on such a loop,
    and an async connection would have to be made anew for every request.
    """

    @classmethod
    def of(cls, guard: AsyncGuard) -> Self:
        """One on the settings, memory and connection of another guard."""
        return cls._twin_of(guard.sync)

    async def _perform(self, step: Step) -> object:
        if isinstance(step, Pause) or self._is_in_thread(step):
            return await super()._perform(step)
        return self.sync.perform(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The sync guard, the async one, and the one for async views under WSGI."""

    sync: Guard
    aio: AsyncGuard
    waiting: AsyncGuard

    @classmethod
    def from_settings(cls, settings: Settings) -> Guards:
        """Guards that share everything; none of them connects yet."""
        aio = DjangoAsyncGuard(settings)
        return cls(sync=aio.sync, aio=aio, waiting=WaitingGuard.of(aio))

    def for_async_view(self, request: HttpRequest) -> AsyncGuard:
        """The guard that suits the server which an async view runs under."""
        return self.waiting if isinstance(request, WSGIRequest) else self.aio


async def call(function: Callable[..., Any], *args: object, **named: object) -> Any:
    """Call a user's function from an event loop, sync or async, ORM or not."""
    try:
        found = function(*args, **named)
    except SynchronousOnlyOperation:
        return await sync_to_async(function, thread_sensitive=True)(*args, **named)
    return await found if inspect.isawaitable(found) else found


def is_async(view: Any) -> bool:
    """Whether calling the view gives something to await.

    `View.dispatch` does for classes with async handlers, though it is no coroutine
    function; `method_decorator` hands it over in a `partial`.
    """
    # Not that of `inspect`: before Python 3.12 it does not see Django's own marks.
    if iscoroutinefunction(view):  # pyright: ignore[reportDeprecated]  # see above
        return True
    while isinstance(view, partial):
        view = view.func
    owner = getattr(view, "__self__", None)
    return bool(getattr(owner, "view_is_async", False))
