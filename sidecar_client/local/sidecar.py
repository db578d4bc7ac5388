"""`LocalSidecar`: a sidecar that a program or a test runs for itself.

Its lifetime, on the running loop or in a thread, lives here; the server does not.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.about import About
from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_files import FilePath, seen
from sidecar_client.local.catalog_words import changes_in_words
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.events import EventLog
from sidecar_client.local.fallbacks import FallbackSource, load_fallbacks
from sidecar_client.local.fault_block import FaultBlock
from sidecar_client.local.faults import Fault, Faults, Refuse
from sidecar_client.local.feed import Feed
from sidecar_client.local.http.options import HttpOptions
from sidecar_client.local.loading import CatalogSource, load
from sidecar_client.local.loop_thread import LoopThread
from sidecar_client.local.populate import populate
from sidecar_client.local.ports import address
from sidecar_client.local.pruning import keep_pruning
from sidecar_client.local.remembered import Remembered
from sidecar_client.local.server import SidecarServer
from sidecar_client.local.service import SidecarService
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.stores.location import StoreSource, store_of
from sidecar_client.local.stores.redis import RedisStore
from sidecar_client.local.tasks import ended
from sidecar_client.local.watch import Watch
from sidecar_client.local.webhook_sender import WebhookSender
from sidecar_client.local.webhooks import Webhook
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb

if TYPE_CHECKING:
    from sidecar_client.local.http.side import HttpSide

MOST_DELAY = 3600.0


def _delay(seconds: float) -> timedelta:
    if not 0 <= seconds <= MOST_DELAY:
        raise ConfigurationError(
            f"events_delay is {seconds:g}; use 0 to {MOST_DELAY:g} seconds"
        )
    return timedelta(seconds=seconds)


class LocalSidecar:
    """A real gRPC sidecar for development and tests.

    `async with LocalSidecar() as sidecar:` serves on the running loop, `with` serves
    from a thread of its own. The catalog is a path, a mapping or a `Catalog`; without
    one it is the demo catalog. Port 0 takes a free port and keeps it over restarts;
    usage and events are kept as well, for as long as the object lives, or beyond it
    with a `store`: the path of a file, the URL of a Redis, or a `Store`. `clock`
    returns the time, aware of its zone; by default it is the system's. Raw events show
    in checks `events_delay` seconds after they were reported. `webhooks` are
    told of changes as the vendor's are.

    `fallbacks`, as in `ENTITLEMENTS_FALLBACK`, answer checks when the store does not;
    `offline` nothing else answers, and what is reported is not counted.

    With an `http_port` (0: a free one) it serves HTTP as well, on loopback unless
    `http_host` says otherwise, which needs a `token` that callers have to show.
    """

    def __init__(
        self,
        catalog: CatalogSource = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        store: StoreSource = None,
        clock: Callable[[], datetime] | None = None,
        events_delay: float = 0.0,
        fallbacks: FallbackSource = None,
        offline: bool = False,
        webhooks: Sequence[Webhook] = (),
        http_port: int | None = None,
        http_host: str = "127.0.0.1",
        token: str | None = None,
        health_path: str = "/livez",
        ready_path: str = "/readyz",
    ) -> None:
        self._source = catalog
        self.catalog_seen = seen(self.catalog_paths)
        """How its files were when they were first read."""
        loaded = load(catalog)
        self.catalog = loaded.catalog
        """As it was last loaded; what changed in the world otherwise is not in it."""
        self.origin = loaded.origin
        """Where the catalog came from: an absolute path, `demo` or `memory`."""
        self.host = host
        self.port = port
        """The port to listen on; after the start, the one listened on."""
        self.calls: Counter[str] = Counter()
        """How often each RPC was called, by its name, such as `GetEntitlement`."""
        self.http_port = http_port
        """The port of the HTTP side; None without one."""
        self._http_options = HttpOptions(
            host=http_host, token=token, health_path=health_path, ready_path=ready_path
        )
        self._clock = clock if isinstance(clock, MovableClock) else MovableClock(clock)
        self.feed = Feed(self._clock)
        """What happens in the sidecar, as it happens."""
        self.faults = Faults(self.feed)
        self._clock.listen(self._tell_clock)
        self._watch = Watch(self.feed)
        self._events = EventLog()
        self.world = World(store_of(store), clock=self._clock)
        """What it serves, for tests that look inside."""
        self.world.listeners.append(self._watch.announced)
        if isinstance(self.world.store, RedisStore):
            self.world.store.failures.append(self._tell_redis)
        self.webhooks = WebhookSender(self.world, webhooks)
        """Tells webhooks of changes, and keeps a list of what became of it."""
        self.service = SidecarService(
            self.world,
            events=self._events,
            events_delay=_delay(events_delay),
            fallbacks=load_fallbacks(fallbacks),
            offline=offline,
        )
        self._offline = offline
        self._pruning: asyncio.Task[None] | None = None
        self._catalog_problem: str | None = None
        self._server: SidecarServer | None = None
        self._http: HttpSide | None = None
        self._thread: LoopThread | None = None

    @property
    def target(self) -> str:
        """Where to reach it, such as `127.0.0.1:50123`."""
        return address(self.host, self.port)

    @property
    def events(self) -> tuple[pb.Event, ...]:
        """The raw events reported and kept, oldest first."""
        return self._events.all()

    @property
    def clock(self) -> MovableClock:
        """The time that the sidecar tells; it can be moved."""
        return self._clock

    @property
    def http_url(self) -> str | None:
        """Where its HTTP side is, such as `http://127.0.0.1:8080`; None without one."""
        if self.http_port is None:
            return None
        return self._http_options.url(self.http_port)

    def fault(
        self,
        *,
        refuse: Refuse | None = None,
        code: str | None = None,
        delay: float = 0.0,
        methods: Sequence[str] = (),
        share: float = 1.0,
    ) -> FaultBlock:
        """An outage for the length of a `with` or `async with` block.

        `refuse="unavailable"` answers UNAVAILABLE at once, `refuse="closed"` stops
        listening, `code` answers another gRPC code, `delay` waits so many seconds
        first; `methods` and `share` (0.25: every fourth call) say which calls meet it.
        """
        fault = Fault(
            refuse=refuse,
            code=code,
            delay=delay,
            methods=tuple(methods),
            share=share,
        )
        return FaultBlock(self, fault)

    async def astart(self) -> None:
        """Serve on the running loop; `ConfigurationError` if a port is taken."""
        if self._server is not None:
            raise ConfigurationError(
                f"the local sidecar on {self.target} is already running; stop it first"
            )
        server = SidecarServer(
            self.service,
            calls=self.calls,
            faults=self.faults,
            watch=self._watch,
            remembered=Remembered(self.world, self.service),
        )
        try:
            await self._fill()
            self.port = await server.start(self.host, self.port)
            self._server = server
            await self._start_http()
            await self.follow_faults()
            if not self._offline:
                await self.webhooks.start()
        except BaseException:
            await self.astop()
            raise

    @property
    def catalog_paths(self) -> tuple[FilePath, ...]:
        """The files and folders that the catalog is read from; empty if it is none."""
        source = self._source
        if source is None or isinstance(source, Catalog | Mapping):
            return ()
        return (source,) if isinstance(source, str | os.PathLike) else tuple(source)

    async def areload(self) -> list[str]:
        """Read the catalog again and serve it; what changed, in words.

        Usage is kept, and so is what was changed otherwise, such as by the API. Raises
        `ConfigurationError` for a catalog that cannot be served: then the one before
        still is.
        """
        try:
            loaded = await asyncio.to_thread(load, self._source)
            changes = await populate(self.world, loaded.catalog)
        except ConfigurationError as error:
            self._catalog_problem = str(error)
            self.feed.publish("catalog", state="refused", problem=str(error))
            raise
        self.catalog, self._catalog_problem = loaded.catalog, None
        lines = changes_in_words(changes)
        self.feed.publish(
            "catalog", state="read", count=len(lines), changes=tuple(lines)
        )
        return lines

    def reload(self) -> list[str]:
        """The same, for a sidecar that serves from a thread."""
        if self._thread is None:
            raise ConfigurationError(
                "the local sidecar serves from no thread; start it with `with`, or "
                "await `areload()`"
            )
        return self._thread.run(self.areload())

    async def astop(self) -> None:
        """Answer what is running, then stop. Does nothing when stopped."""
        http, self._http = self._http, None
        server, self._server = self._server, None
        self.feed.close_subscriptions()
        if http is not None:
            await http.stop()
        await self.webhooks.stop()
        if server is not None:
            await server.stop()
        pruning, self._pruning = self._pruning, None
        await ended(pruning)
        await self.world.store.close()

    async def _fill(self) -> None:
        """Open the store, and put in what the catalog has and it has not."""
        if self._offline:
            return
        try:
            await self.world.store.open()
            await populate(self.world, self.catalog)
        except StoreError as error:
            raise ConfigurationError(str(error)) from error
        self._pruning = asyncio.create_task(keep_pruning(self.world))

    async def follow_faults(self) -> None:
        """Listen for gRPC, or stop to, as the faults say; does nothing when stopped."""
        server = self._server
        if server is None:
            return
        if self.faults.closes:
            await server.stop()
        elif not server.is_listening:
            await server.start(self.host, self.port)

    def follow_faults_in_thread(self) -> None:
        """The same from the thread of a `with` block."""
        if self._thread is not None:
            self._thread.run(self.follow_faults())
        elif self._server is not None:
            raise ConfigurationError(
                "a sidecar on the running loop stops to listen only while that loop "
                "runs; use `async with sidecar.fault(...)`"
            )

    async def _start_http(self) -> None:
        if self.http_port is None:
            return
        # Imported here: a sidecar without HTTP loads nothing of it.
        from sidecar_client.local.http.side import HttpSide

        http = HttpSide(
            self._http_options,
            world=self.world,
            service=self.service,
            clock=self._clock,
            feed=self.feed,
            faults=self.faults,
            watch=self._watch,
            webhooks=self.webhooks,
            is_ready=self._is_ready,
            has_store=self._has_store,
            about=self._about,
            follow_faults=self.follow_faults,
        )
        self.http_port = await http.start(self.http_port)
        self._http = http

    def _is_ready(self) -> bool:
        server = self._server
        return (
            server is not None and server.is_listening and not self.faults.refuses_all
        )

    async def _has_store(self) -> bool:
        try:
            if not self._offline:
                await self.world.index()
        except StoreError:
            return False
        return True

    def _about(self) -> About:
        return About(
            target=self.target,
            catalog=self.origin,
            catalog_problem=self._catalog_problem,
        )

    def _tell_clock(self) -> None:
        self.feed.publish("clock", moved_seconds=self._clock.moved.total_seconds())
        self.webhooks.look_at_clock()

    def _tell_redis(self, error: Exception) -> None:
        self.feed.publish("redis_error", cause=str(error))

    def start(self) -> None:
        """Serve from a thread; it has the port when this returns."""
        thread = LoopThread()
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
