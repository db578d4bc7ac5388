"""One call of a guarded function: what it knows, and its guard around it.

How functions of each nature are run is in `around`; the decorators, in
`function_decorators`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from stigg_guard.errors import ConfigurationError
from stigg_guard.steps import RequestScope, Usage
from stigg_guard.view import ViewSpec

if TYPE_CHECKING:
    from stigg_guard.guard import AsyncGuard, Guard

_running: Final[ContextVar[tuple[GuardedCall, ...]]] = ContextVar(
    "stigg_guard_running", default=()
)

_RAN: Final = 200
"""The status of a function that returned, for a conversation that knows of statuses."""


class GuardedCall:
    """Asks before the function runs, and says afterwards what it used."""

    __slots__ = ("_guard", "_has_started", "_names", "_specs", "scope")

    def __init__(
        self,
        guard: Guard | AsyncGuard,
        specs: tuple[ViewSpec, ...],
        scope: RequestScope,
        names: frozenset[str],
    ) -> None:
        self._guard = guard
        self._specs = specs
        self._names = names
        self._has_started = False
        self.scope = scope

    def meters(self, name: str | None) -> bool:
        """Whether it meters this feature or event; without a name, anything."""
        return bool(self._names) if name is None else name in self._names

    def within(self) -> AbstractContextManager[object]:
        return self._bound() if self._names else nullcontext()

    @contextmanager
    def _bound(self) -> Generator[None]:
        _running.set((*_running.get(), self))
        try:
            yield
        finally:
            _running.set(_running.get()[:-1])

    def before(self) -> None:
        self._guard.sync.admit(self._specs, self.scope)

    def sent(self, item: Any) -> None:
        if not self._has_started:
            self._has_started = True
            self._guard.sync.settle(self.scope, _RAN, is_streamed=True)
        self.scope.sent(item)

    def after(self, result: Any) -> None:
        self.scope.result = result
        if self._has_started:
            self._guard.sync.finish(self.scope, is_complete=True)
        else:
            self._guard.sync.settle(self.scope, _RAN)

    def failed(self) -> None:
        if self._has_started:
            self._guard.sync.finish(self.scope, is_complete=False)
        else:
            self._guard.sync.settle(self.scope, None)

    async def abefore(self) -> None:
        await self._guard.aio.admit(self._specs, self.scope)

    async def asent(self, item: Any) -> None:
        if not self._has_started:
            self._has_started = True
            await self._guard.aio.settle(self.scope, _RAN, is_streamed=True)
        self.scope.sent(item)

    async def aafter(self, result: Any) -> None:
        self.scope.result = result
        if self._has_started:
            await self._guard.aio.finish(self.scope, is_complete=True)
        else:
            await self._guard.aio.settle(self.scope, _RAN)

    async def afailed(self) -> None:
        if self._has_started:
            await self._guard.aio.finish(self.scope, is_complete=False)
        else:
            await self._guard.aio.settle(self.scope, None)


def current_usage(feature_id: str | None = None) -> Usage:
    """What the running function uses; set its `value` to report that instead.

    With the id of a feature, or the name of an event, it is of that alone. The function
    is the innermost one that meters it. Raises `ConfigurationError` when there is none.
    """
    for call in reversed(_running.get()):
        if call.meters(feature_id):
            return call.scope.usage(feature_id or "")
    what = "usage" if feature_id is None else f'"{feature_id}"'
    raise ConfigurationError(
        f"current_usage() was called where no function runs that meters {what}; call it"
        " inside a function below @guard.meters_usage(...), in its thread or task. In a"
        " view, use usage_from(request)."
    )
