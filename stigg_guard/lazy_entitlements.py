"""The entitlements of a request, not asked for before somebody looks at them.

What adapters show as `request.stigg` and its like; the answers are `Entitlements`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from stigg_guard.decision import Decision
from stigg_guard.entitlements import Entitlements
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.steps import RequestScope


class LazyEntitlements:
    """What the customer of a request has: asked at first use, once, in one question.

    Usage that is reported meanwhile makes it ask again. Safe to use from the threads
    and tasks of one request. In async code, await the methods that begin with "a": the
    others block the event loop, unless the answer is there already.
    """

    __slots__ = ("_aio", "_async_lock", "_lock", "_scope", "_sync")

    def __init__(
        self, guard: Guard | AsyncGuard, scope: Callable[[], RequestScope]
    ) -> None:
        """Ask `guard`; `scope` gives what is known of the request, ready for it."""
        self._sync, self._aio = guard.sync, guard.aio
        self._scope = scope
        self._lock = threading.RLock()
        self._async_lock: asyncio.Lock | None = None

    @property
    def entitlements(self) -> Entitlements:
        """All of them, by the id of their feature or currency."""
        with self._lock:
            return self._sync.entitlements_of(self._scope())

    def has(self, feature_id: str) -> bool:
        """Whether the customer may use the feature; `Entitlements.has`."""
        return self.entitlements.has(feature_id)

    def value(self, feature_id: str) -> float:
        """How much of the feature there is; `Entitlements.value`."""
        return self.entitlements.value(feature_id)

    def remaining(self, feature_id: str) -> float:
        """How much of the feature is left; `Entitlements.remaining`."""
        return self.entitlements.remaining(feature_id)

    def enum_values(self, feature_id: str) -> tuple[str, ...]:
        """The values of an enum feature; `Entitlements.enum_values`."""
        return self.entitlements.enum_values(feature_id)

    def decision(self, feature_id: str) -> Decision:
        """Whether and why not; `Entitlements.decision`."""
        return self.entitlements.decision(feature_id)

    @property
    def is_fallback(self) -> bool:
        """Whether no verdict of the sidecar stands behind the answers."""
        return self.entitlements.is_fallback

    async def aentitlements(self) -> Entitlements:
        """All of them, without holding up the event loop."""
        if self._async_lock is None:
            self._async_lock = asyncio.Lock()
        async with self._async_lock:
            return await self._aio.entitlements_of(self._scope())

    async def ahas(self, feature_id: str) -> bool:
        """Whether the customer may use the feature; `Entitlements.has`."""
        return (await self.aentitlements()).has(feature_id)

    async def avalue(self, feature_id: str) -> float:
        """How much of the feature there is; `Entitlements.value`."""
        return (await self.aentitlements()).value(feature_id)

    async def aremaining(self, feature_id: str) -> float:
        """How much of the feature is left; `Entitlements.remaining`."""
        return (await self.aentitlements()).remaining(feature_id)

    async def aenum_values(self, feature_id: str) -> tuple[str, ...]:
        """The values of an enum feature; `Entitlements.enum_values`."""
        return (await self.aentitlements()).enum_values(feature_id)

    async def adecision(self, feature_id: str) -> Decision:
        """Whether and why not; `Entitlements.decision`."""
        return (await self.aentitlements()).decision(feature_id)
