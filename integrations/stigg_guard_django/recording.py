"""What a request says to the sidecar, with times: for the panel of the debug toolbar.

Nothing is recorded, and nothing is slower, before `install` was called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from time import perf_counter
from typing import Any, Final

from stigg_guard.sidecar import AsyncSidecar, SyncSidecar

_METHODS: Final = ("ask", "entitlements", "report")
_MARK: Final = "__stigg_guard_recorded__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: what was said, the reply, and how long that took."""

    method: str
    said: tuple[Any, ...]
    reply: object
    seconds: float


CALLS: Final[ContextVar[list[Call] | None]] = ContextVar(
    "stigg_guard_calls", default=None
)
"""Where the calls of this request go; None: nowhere."""


def install() -> None:
    """Have calls recorded wherever `CALLS` is set; again does nothing more."""
    kinds: tuple[type, ...] = (SyncSidecar, AsyncSidecar)
    for kind in kinds:
        for name in _METHODS:
            method = getattr(kind, name)
            if not hasattr(method, _MARK):
                setattr(kind, name, _recorded(name, method))


def _recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @wraps(method)
        async def recorded_async(self: object, *said: Any) -> Any:
            began = perf_counter()
            reply = await method(self, *said)
            _note(name, said, reply, began)
            return reply

        setattr(recorded_async, _MARK, True)
        return recorded_async

    @wraps(method)
    def recorded(self: object, *said: Any) -> Any:
        began = perf_counter()
        reply = method(self, *said)
        _note(name, said, reply, began)
        return reply

    setattr(recorded, _MARK, True)
    return recorded


def _note(name: str, said: tuple[Any, ...], reply: object, began: float) -> None:
    calls = CALLS.get()
    if calls is not None:
        seconds = perf_counter() - began
        calls.append(Call(method=name, said=said, reply=reply, seconds=seconds))
