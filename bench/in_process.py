"""What the guard itself costs, in microseconds, with no sidecar and no sockets.

A client that answers at once stands in for the sidecar: all that is left is ours. The
clock counts this process's own time, so that other programs do not add to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import Any, Final, TypeAlias, cast

from bench.question import ANSWER, CUSTOMER, FEATURE
from sidecar_client import GetEntitlementRequest, GetEntitlementResponse
from stigg_guard import AsyncGuard, Guard, Subject, feature
from stigg_guard.decorators import Decorators
from stigg_guard.sidecar import AsyncSidecar, SyncSidecar
from stigg_guard.steps import RequestScope
from stigg_guard.view import ViewSpec

SLICE: Final = 0.02
NOWHERE: Final = "127.0.0.1:1"
MANY: Final = 10_000

Calls: TypeAlias = Callable[[int], float]
"""Makes so many calls and returns the seconds that they took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One thing's cost beside that of what it is put on top of."""

    name: str
    beside: str
    total: float
    without: float

    @property
    def added(self) -> float:
        """Microseconds that it adds."""
        return self.total - self.without


class _Client:
    """Answers as the fast server does, but at once."""

    def __init__(self) -> None:
        self._answer = GetEntitlementResponse.FromString(ANSWER)

    def get_entitlement(self, request: GetEntitlementRequest) -> Any:
        return self._answer


class _AsyncClient(_Client):
    async def get_entitlement(self, request: GetEntitlementRequest) -> Any:
        return self._answer


def _stand_in(guard: Guard | AsyncGuard, sidecar: SyncSidecar | AsyncSidecar) -> None:
    # There is no other way in: a guard makes its own sidecar.
    guard._sidecar_instance = sidecar  # pyright: ignore


def measure(*, rounds: int, progress: Callable[[str], None]) -> list[Cost]:
    """Measure everything, the sync and the async way."""
    progress("in process: remembered decisions, and the guard without a sidecar")
    return [
        *_remembered(rounds),
        _sync_guard(rounds),
        asyncio.run(_async_guard(rounds)),
    ]


def _remembered(rounds: int) -> list[Cost]:
    guard = Guard(target=NOWHERE, remember=3600, remember_customers=MANY + 1)
    _stand_in(guard, SyncSidecar(cast("Any", _Client())))
    need = feature(FEATURE)
    hot = Subject(CUSTOMER)
    many = [Subject(f"customer-{number}") for number in range(MANY)]
    for subject in (hot, *many):
        assert guard.check(subject, need).allowed
    turns, empty_turns = cycle(many), cycle(many)

    def empty(subject: Subject, need: object) -> None:
        pass

    calls = _compare(
        rounds,
        lambda n: _time(n, lambda: guard.check(hot, need)),
        lambda n: _time(n, lambda: empty(hot, need)),
        lambda n: _time(n, lambda: guard.check(next(turns), need)),
        lambda n: _time(n, lambda: empty(next(empty_turns), need)),
    )
    names = ("remembered decision, one customer", f"the same, {MANY:,} customers")
    return [
        Cost(name=name, beside="an empty function", total=whole, without=bare)
        for name, whole, bare in zip(names, calls[::2], calls[1::2], strict=True)
    ]


def _customer(request: object) -> str:
    return CUSTOMER


def _view(request: object) -> str:
    return "hello"


async def _async_view(request: object) -> str:
    return "hello"


def _sync_guard(rounds: int) -> Cost:
    guard = Guard(target=NOWHERE, customer=_customer)
    _stand_in(guard, SyncSidecar(cast("Any", _Client())))

    def wrap(view: Any, specs: tuple[ViewSpec, ...]) -> Any:
        def guarded(request: object) -> object:
            scope = RequestScope(request=request)
            guard.admit(specs, scope)
            answer = view(request)
            guard.settle(scope, 200)
            return answer

        return guarded

    guarded = Decorators(wrap).requires_feature(FEATURE)(_view)
    calls = _compare(
        rounds,
        lambda n: _time(n, lambda: guarded(None)),
        lambda n: _time(n, lambda: _view(None)),
    )
    assert guard.counts["allowed"]
    assert not guard.counts.get("fallbacks")
    return Cost(
        name="guard itself, sync",
        beside="the view undecorated",
        total=calls[0],
        without=calls[1],
    )


async def _async_guard(rounds: int) -> Cost:
    guard = AsyncGuard(target=NOWHERE, customer=_customer)
    _stand_in(guard, AsyncSidecar(cast("Any", _AsyncClient())))

    def wrap(view: Any, specs: tuple[ViewSpec, ...]) -> Any:
        async def guarded(request: object) -> object:
            scope = RequestScope(request=request)
            await guard.admit(specs, scope)
            answer = await view(request)
            await guard.settle(scope, 200)
            return answer

        return guarded

    guarded = Decorators(wrap).requires_feature(FEATURE)(_async_view)
    calls = await _acompare(
        rounds,
        lambda n: _atime(n, lambda: guarded(None)),
        lambda n: _atime(n, lambda: _async_view(None)),
    )
    assert guard.counts["allowed"]
    assert not guard.counts.get("fallbacks")
    return Cost(
        name="guard itself, async",
        beside="the view undecorated",
        total=calls[0],
        without=calls[1],
    )


def _time(count: int, call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start


async def _atime(count: int, call: Callable[[], Awaitable[object]]) -> float:
    start = time.process_time()
    for _ in range(count):
        await call()
    return time.process_time() - start


def _compare(rounds: int, *contestants: Calls) -> list[float]:
    """Median microseconds of a call of each, in turn, slice by slice."""
    counts = [max(1, int(SLICE / (each(1000) / 1000))) for each in contestants]
    slices = [
        [each(count) / count for each, count in zip(contestants, counts, strict=True)]
        for _ in range(rounds)
    ]
    return [median(times) * 1e6 for times in zip(*slices, strict=True)]


async def _acompare(
    rounds: int, *contestants: Callable[[int], Awaitable[float]]
) -> list[float]:
    counts = [max(1, int(SLICE / (await each(1000) / 1000))) for each in contestants]
    slices = [
        [await each(n) / n for each, n in zip(contestants, counts, strict=True)]
        for _ in range(rounds)
    ]
    return [median(times) * 1e6 for times in zip(*slices, strict=True)]
