"""Concurrent identical questions share one call: the first asks, the others wait.

What is asked, and how, is the caller's; the shared outcome lives only while in flight.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Key: TypeAlias = tuple[Hashable, Hashable]
"""Whom a call is about, and what it asks."""


class _Flight(Generic[T]):
    """One call under way in a thread, and the place where its outcome appears.

    `under_way` is held until then: a bare lock, as an event costs more than the rest.
    """

    __slots__ = ("error", "outcome", "under_way")

    def __init__(self) -> None:
        self.under_way = threading.Lock()
        self.under_way.acquire()
        self.outcome: T | None = None
        self.error: BaseException | None = None


class Flights(Generic[T]):
    """Calls of threads. A leader's error is raised in every thread that waited."""

    def __init__(self) -> None:
        self._flights: dict[Key, _Flight[T]] = {}

    def share(self, key: Key, call: Callable[[], T]) -> T:
        """The outcome of `call`, or that of an equal call which is under way."""
        mine: _Flight[T] = _Flight()
        flight = self._flights.setdefault(key, mine)  # atomic
        if flight is mine:
            return self._lead(key, mine, call)
        with flight.under_way:
            pass
        if flight.error is not None:
            raise flight.error
        return flight.outcome  # type: ignore[return-value]  # set before the release

    def _lead(self, key: Key, flight: _Flight[T], call: Callable[[], T]) -> T:
        try:
            outcome = flight.outcome = call()
        except BaseException as error:
            flight.error = error
            raise
        finally:
            if self._flights.get(key) is flight:
                self._flights.pop(key, None)
            flight.under_way.release()
        return outcome

    def part(self, is_about: Callable[[Any], bool]) -> None:
        """Share no call about these that began before now: things have changed."""
        for key in list(self._flights):
            if is_about(key[0]):
                self._flights.pop(key, None)

    def forget(self) -> None:
        """Forget calls under way: after a fork their threads are not there."""
        self._flights = {}


class AsyncFlights(Generic[T]):
    """Calls of tasks, per event loop. A cancelled leader hands over to a follower."""

    def __init__(self) -> None:
        self._flights: dict[
            tuple[asyncio.AbstractEventLoop, Key], asyncio.Future[T]
        ] = {}

    async def share(self, key: Key, call: Callable[[], Awaitable[T]]) -> T:
        """The outcome of `call`, or that of an equal call which is under way."""
        loop = asyncio.get_running_loop()
        place = (loop, key)
        while (flight := self._flights.get(place)) is not None:
            try:
                return await asyncio.shield(flight)
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise
        flight = self._flights[place] = loop.create_future()
        return await self._lead(place, flight, call)

    async def _lead(
        self,
        place: tuple[asyncio.AbstractEventLoop, Key],
        flight: asyncio.Future[T],
        call: Callable[[], Awaitable[T]],
    ) -> T:
        try:
            outcome = await call()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # seen: there may be no follower to see it
            raise
        else:
            flight.set_result(outcome)
            return outcome
        finally:
            if self._flights.get(place) is flight:
                self._flights.pop(place, None)

    def part(self, is_about: Callable[[Any], bool]) -> None:
        """Share no call about these that began before now: things have changed."""
        for place in list(self._flights):
            if is_about(place[1][0]):
                self._flights.pop(place, None)

    def forget(self) -> None:
        """Forget calls under way: after a fork their loop is not there."""
        self._flights = {}
