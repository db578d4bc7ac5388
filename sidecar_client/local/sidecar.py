"""`LocalSidecar`: a sidecar that a program or a test runs for itself.

Its lifetime, on the running loop or in a thread, lives here; the server does not.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.events import EventLog
from sidecar_client.local.loading import CatalogSource, load
from sidecar_client.local.populate import populate
from sidecar_client.local.server import SidecarServer, address
from sidecar_client.local.service import SidecarService
from sidecar_client.local.shown import shown
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.values import EARLIEST, LATEST, TIME_RANGE
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb

MOST_DELAY = 3600.0
_CLOCK = "use a function that returns an aware datetime, such as datetime.now(UTC)"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _delay(seconds: float) -> timedelta:
    if not 0 <= seconds <= MOST_DELAY:
        raise ConfigurationError(
            f"events_delay is {seconds:g}; use 0 to {MOST_DELAY:g} seconds"
        )
    return timedelta(seconds=seconds)


def _in_utc(clock: Callable[[], object]) -> Callable[[], datetime]:
    """The clock in UTC; an error of whoever wrote it where it tells no time."""
    if not callable(clock):
        raise TypeError(f"clock is {shown(clock)}; {_CLOCK}")

    def now() -> datetime:
        told = clock()
        if not isinstance(told, datetime):
            raise TypeError(f"clock returned {shown(told)}; {_CLOCK}")
        if told.utcoffset() is None:
            raise ValueError(f"clock returned {told}, which has no zone; {_CLOCK}")
        if not EARLIEST <= told < LATEST:
            raise ValueError(f"clock returned {told}; {TIME_RANGE}")
        return told.astimezone(UTC)

    return now


class LocalSidecar:
    """A real gRPC sidecar for development and tests.

    `async with LocalSidecar() as sidecar:` serves on the running loop, `with` serves
    from a thread of its own. The catalog is a path, a mapping or a `Catalog`; without
    one it is the demo catalog. Port 0 takes a free port and keeps it over restarts;
    usage and events are kept as well, for as long as the object lives. `clock` returns
    the time, aware of its zone; by default it is the system's. Raw events show in
    checks `events_delay` seconds after they were reported.
    """

    def __init__(
        self,
        catalog: CatalogSource = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], datetime] | None = None,
        events_delay: float = 0.0,
    ) -> None:
        loaded = load(catalog)
        self.catalog = loaded.catalog
        self.origin = loaded.origin
        """Where the catalog came from: an absolute path, `demo` or `memory`."""
        self.host = host
        self.port = port
        """The port to listen on; after the start, the one listened on."""
        self.calls: Counter[str] = Counter()
        """How often each RPC was called, by its name, such as `GetEntitlement`."""
        self._events = EventLog()
        self.world = World(
            MemoryStore(), clock=_in_utc(clock) if clock is not None else _utc_now
        )
        """What it serves, for tests that look inside."""
        self.service = SidecarService(
            self.world, events=self._events, events_delay=_delay(events_delay)
        )
        self._server: SidecarServer | None = None
        self._thread: _LoopThread | None = None

    @property
    def target(self) -> str:
        """Where to reach it, such as `127.0.0.1:50123`."""
        return address(self.host, self.port)

    @property
    def events(self) -> tuple[pb.Event, ...]:
        """The raw events reported and kept, oldest first."""
        return self._events.all()

    async def astart(self) -> None:
        """Serve on the running loop; `ConfigurationError` if the port is taken."""
        if self._server is not None:
            raise ConfigurationError(
                f"the local sidecar on {self.target} is already running; stop it first"
            )
        server = SidecarServer(self.service, calls=self.calls)
        await self.world.store.open()
        await populate(self.world, self.catalog)
        self.port = await server.start(self.host, self.port)
        self._server = server

    async def astop(self) -> None:
        """Answer what is running, then stop. Does nothing when stopped."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def start(self) -> None:
        """Serve from a thread; it has the port when this returns."""
        thread = _LoopThread()
        try:
            thread.run(self.astart())
        except BaseException:
            thread.close()
            raise
        self._thread = thread

    def stop(self) -> None:
        """Stop what `start` started. Does nothing when stopped."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.run(self.astop())
            thread.close()

    async def __aenter__(self) -> Self:
        await self.astart()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.astop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="local-sidecar", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Run the coroutine there and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
