"""What the customer of a request has, for endpoints, dependencies and templates.

What the answers mean is said in `stigg_guard.entitlements`.
"""

from __future__ import annotations

import asyncio

from anyio import from_thread
from starlette.requests import HTTPConnection

from stigg_guard.entitlements import Entitlements
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard_starlette.endpoints import is_async
from stigg_guard_starlette.middleware import exchange_of


def entitlements_from(request: HTTPConnection) -> LazyEntitlements:
    """What the customer of this request has: nothing is asked before first use.

    All of it is asked in one question, once; on an open WebSocket, which may live for
    hours, once for each call of this. In FastAPI it is a dependency:
    `Annotated[LazyEntitlements, Depends(entitlements_from)]`.
    """
    exchange = exchange_of(request)
    if not is_async(exchange.scope.customer or exchange.guard.settings.customer):
        return exchange.entitlements(request)
    return exchange.entitlements(request, _OnTheServersLoop)


class _OnTheServersLoop(LazyEntitlements):
    """Finds the customer where an asynchronous resolver has its connections."""

    __slots__ = ()

    @property
    def entitlements(self) -> Entitlements:
        """All of them; a worker thread has the server's loop ask."""
        if self._scope().subject_is_known or _is_on_a_loop():
            return super().entitlements
        return from_thread.run(self.aentitlements)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
