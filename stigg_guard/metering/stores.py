"""The stores of one application, made at first use: outbox, deliverer, and its holds.

What is stored and when is said in `metering.conversation`; what a step of the holds
does, in `holding`.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.deliverer import Deliverer
from stigg_guard.metering.farewell import send_directly
from stigg_guard.metering.holding import Holding
from stigg_guard.metering.holds.base import Holds, Keep, Place, Settle
from stigg_guard.metering.holds.elsewhere import HoldsAmongOthers, HoldsElsewhere
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import Outbox, OutboxUnavailable
from stigg_guard.metering.outbox.locations import open_outbox
from stigg_guard.metering.outbox.memory import MemoryOutbox
from stigg_guard.metering.outbox.row import NewRow, Row
from stigg_guard.metering.shutdown import end_orderly_on_sigterm
from stigg_guard.metering.siblings import siblings
from stigg_guard.metering.spill import Spill
from stigg_guard.metering.terms import Terms
from stigg_guard.metering.worker import Happened, Report, Worker, held_units, place_of

if TYPE_CHECKING:
    from stigg_guard.settings import Settings

_logger = logging.getLogger("stigg_guard")

_REDIS: Final = (
    *("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel"),
    *("redis+cluster", "rediss+cluster"),
)
_PAUSE: Final = 0.01
_FAREWELL: Final = 1.0


class Stores(Holding):
    """Holds, outbox and deliverer of one application; nothing is opened before use."""

    def __init__(
        self, settings: Settings, *, report: Callable[[], Report], happened: Happened
    ) -> None:
        super().__init__(settings)
        self._make_report = report
        self._happened = happened
        self.terms = Terms(
            wait=settings.holds_wait,
            lease=float("inf") if self.is_instant else settings.holds_lease,
            usage_young_for=settings.usage_seen_within,
            events_young_for=settings.events_seen_within,
            on_ambiguous=settings.on_ambiguous,
            is_durable=settings.outbox is not None,
        )
        self._begin_anew()
        _stores.add(self)

    def after_fork(self) -> None:
        """Begin anew in a child: threads, connections and holds are the parent's."""
        self.forget_holds()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._outbox: Outbox | None = None
        self._has_started = False
        self._has_begun = False
        self._has_restored = False
        self._kept: dict[str, tuple[Place, float, float | None]] = {}
        self._deliverer = Deliverer(self._begin_work, self._tidy)
        self._spill = Spill(self._put, self.wake, most=self._settings.queue_size)

    @property
    def outbox(self) -> Outbox:
        """The outbox; raises `ConfigurationError` for one that cannot be opened."""
        if self._outbox is None:
            with self._lock:
                if self._outbox is None:
                    self._outbox = self._open_outbox()
        return self._outbox

    def _open_outbox(self) -> Outbox:
        settings = self._settings
        if settings.outbox is None:
            return MemoryOutbox(most=settings.queue_size)
        options: dict[str, object] = {}
        if settings.outbox_synchronous != "full":
            options["synchronous"] = settings.outbox_synchronous
        if settings.outbox.partition(":")[0] in _REDIS:
            options["prefix"] = settings.redis_prefix
        return open_outbox(settings.outbox, **options)

    @property
    def follows_transactions(self) -> bool:
        """Whether the outbox stores in a transaction of its caller's thread."""
        return self._outbox is not None and self._outbox.in_callers_thread

    @property
    def has_started(self) -> bool:
        """Whether `start` has been called, or is not needed."""
        return self._has_started or self._settings.outbox is None

    def begin(self) -> None:
        """Deliver what waits from before, in the background; costs nothing again.

        What is wrong with the outbox is logged then; `start` raises it.
        """
        if self._has_begun:
            return
        self._has_begun = True
        if self._settings.outbox is not None and self._settings.outbox_worker:
            self._deliverer.wake()

    def start(self) -> None:
        """Open the outbox for requests that may store in it, and deliver it.

        Raises `ConfigurationError` for an outbox that only a person can mend.
        """
        self._open_for_use()
        if self._settings.outbox_worker:
            self._deliverer.wake()

    def _open_for_use(self) -> None:
        with self._lock:
            if self._has_started:
                return
            outbox = self.outbox
            outbox.check()
            self._listen(outbox)
            if self.is_instant:
                # They begin empty: nothing may be granted before.
                self.restore()
            self._has_started = True

    def _begin_work(self) -> Worker:
        if self._settings.outbox is not None:
            self._open_for_use()
            self.restore()
        return self.own_worker()

    def _listen(self, outbox: Outbox) -> None:
        """Have an outbox that stores with the caller's transaction tell of it."""
        listen = getattr(outbox, "on_stored", None)
        if listen is not None:
            listen(self._stored_by_commit)

    def _stored_by_commit(self, rows: list[NewRow]) -> None:
        for row in rows:
            # Another process may be sending it by now, or have delivered it.
            self.keep(row, units=None, only_if_open=True)
        self.wake()

    def restore(self) -> None:
        """Hold again what waits in the outbox and is held no more, once."""
        if self._has_restored:
            return
        self._has_restored = True
        try:
            for row in self.outbox.waiting():
                units = held_units(row.measurement)
                self.keep(row, units=units, only_if_lost=True)
        except OutboxUnavailable as error:
            _logger.warning("What waits in the outbox is not held again: %s", error)

    def keep(
        self,
        row: Row | NewRow,
        units: float | None,
        *,
        only_if_lost: bool = False,
        only_if_open: bool = False,
    ) -> None:
        """Hold the units of a stored row until it is acknowledged.

        With None, what it holds stays held.
        """
        place = place_of(row.measurement)
        if place is None or not row.is_held:
            return
        self.perform(
            Keep(
                place=place,
                key=row.measurement.key,
                units=units,
                mode="doubtful" if row.doubtful else "stored",
                period=row.period,
                only_if_lost=only_if_lost,
                only_if_open=only_if_open,
            )
        )
        self.note_kept(row)

    def note_kept(self, row: Row | NewRow) -> None:
        """Remember a hold of this process whose row another one may deliver."""
        place = place_of(row.measurement)
        if self.is_instant and self.outbox.is_durable and place is not None:
            value = row.measurement.value
            self._kept[row.measurement.key] = (place, value, row.period)

    def _tidy(self) -> None:
        """End holds in memory whose rows somebody else delivered or discarded."""
        keys = list(self._kept)[:500]
        if not keys:
            return
        found = self.outbox.find(keys)
        waiting = {r.measurement.key for r in found if r.state != "delivered"}
        for key in keys:
            kept = None if key in waiting else self._kept.pop(key, None)
            if kept is not None and self.memory.holds(kept[0], key):
                self._end(key, *kept)

    def _end(self, key: str, place: Place, value: float, period: float | None) -> None:
        young_for = self.terms.usage_young_for
        self.perform(
            Settle(
                place=place,
                key=key,
                units=value,
                young_for=young_for,
                total=None,
                period=period,
            )
        )

    def wake(self) -> None:
        """Deliver what was stored; with OUTBOX_WORKER off, that is a command's part."""
        is_queue = not self.outbox.is_durable
        if is_queue and not self._deliverer.is_running:
            end_orderly_on_sigterm()
        if self._settings.outbox_worker or is_queue:
            self._deliverer.wake()

    def settle(self, timeout: float) -> bool:
        """Deliver what waits, for so many seconds at most; whether nothing is left."""
        outbox = self._outbox
        return outbox is None or self._deliverer.drain(
            timeout, lambda: _is_empty(outbox)
        )

    def is_behind(self, measurement: Measurement) -> bool:
        """Whether a new total would overtake changes that wait in the outbox.

        Changes may overtake each other: they only add up.
        """
        if measurement.update != "set" or self._outbox is None:
            return False
        try:
            return not _is_empty(self._outbox)
        except OutboxUnavailable:
            return False

    def own_worker(self) -> Worker:
        """A worker of this process, which granted what it holds in memory."""
        return self._own_worker_of(self.outbox)

    def _own_worker_of(self, outbox: Outbox) -> Worker:
        if not self.is_instant:
            return self._worker_with(self.holds, outbox)
        return self._worker_with(HoldsAmongOthers(self.holds, _is_alone), outbox)

    def worker(self) -> Worker:
        """A worker for a command; holds in memory are other processes'."""
        holds = HoldsElsewhere() if self.is_instant else self.holds
        return self._worker_with(holds, self.outbox)

    def _worker_with(self, holds: Holds, outbox: Outbox) -> Worker:
        return Worker(
            outbox=outbox,
            report=self._make_report(),
            holds=holds,
            terms=self.terms,
            happened=self._happened,
        )

    def store(self, row: NewRow) -> None:
        """Store a row, from a thread; waits a while for an outbox that is out or full.

        In the end a row that a durable outbox does not take waits in memory for it.
        """
        give_up = time.monotonic() + self._settings.write_timeout
        while True:
            try:
                self._put([row])
            except OutboxUnavailable as error:
                if not self._may_wait(give_up):
                    self._spill_over(row, error)
                    return
                self.wake()
                time.sleep(_PAUSE)
            else:
                self._stored(row)
                return

    def _put(self, rows: Sequence[NewRow]) -> None:
        self.outbox.put(rows)

    def _spill_over(self, row: NewRow, error: OutboxUnavailable) -> None:
        is_lost = not self.outbox.is_durable or self.outbox.is_in_transaction()
        if is_lost or not self._spill.add(row, error):
            raise error

    async def astore(self, row: NewRow) -> None:
        """Store a row, from an event loop."""
        give_up = time.monotonic() + self._settings.write_timeout
        while True:
            try:
                if isinstance(self.outbox, MemoryOutbox):
                    self.outbox.put([row])
                else:
                    await asyncio.wrap_future(self.outbox.submit([row]))
            except OutboxUnavailable as error:
                if not self._may_wait(give_up):
                    self._spill_over(row, error)
                    return
                self.wake()
                await asyncio.sleep(_PAUSE)
            else:
                self._stored(row)
                return

    def submit(self, row: NewRow) -> None:
        """Hand a row over and wait for nothing: its caller is being cancelled."""
        if isinstance(self.outbox, MemoryOutbox):
            self.outbox.put([row])
        else:
            self.outbox.submit([row]).add_done_callback(
                lambda done: self._submitted(row, done)
            )
        self._stored(row)

    def _submitted(self, row: NewRow, done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, OutboxUnavailable):
            try:
                self._spill_over(row, error)
            except OutboxUnavailable:
                self._happened("dropped", row.measurement, str(error))

    def _stored(self, row: NewRow) -> None:
        if row.is_held and not self.follows_transactions:
            self.note_kept(row)
        if row.state == "pending":
            self.wake()

    def _may_wait(self, give_up: float) -> bool:
        """Whether to try again: what was stored all the same is not stored twice."""
        if self.outbox.is_durable:
            waits = not len(self._spill) and not self.outbox.is_in_transaction()
        else:
            waits = self._settings.on_queue_full == "wait"
        return waits and time.monotonic() < give_up

    # The end

    def close(self) -> None:
        """Deliver what is left, within DRAIN_TIMEOUT, and let go of everything."""
        if self._outbox is not None:
            self._drain(self._outbox)
            self._deliverer.stop()
            for row in self._unsent(self._outbox, self._spill.end()):
                cause = f"{row.error or 'not sent yet'}; the process ends"
                self._happened("dropped", row.measurement, cause)
            if self._outbox.is_durable:
                self._outbox.close()
                self._has_started = self._has_begun = self._has_restored = False
                self._outbox = None
        self.close_holds()

    def _unsent(self, outbox: Outbox, rows: list[NewRow]) -> Sequence[NewRow | Row]:
        """What neither the outbox nor, in the end, the sidecar takes."""
        return rows and send_directly(rows, outbox, self._own_worker_of, self._farewell)

    @property
    def _farewell(self) -> float:
        """The seconds of DRAIN_TIMEOUT that are kept for usage no outbox took."""
        return min(_FAREWELL, self._settings.drain_timeout / 2)

    async def aclose(self) -> None:
        """Close from an event loop, which goes on meanwhile."""
        if self._outbox is not None or self._renewals is not None:
            await asyncio.to_thread(self.close)
        if self._async_holds is not None:
            await self._async_holds.aclose()

    def _drain(self, outbox: Outbox) -> None:
        """Deliver; of a queue in memory, say what is lost with the process."""
        if not self._deliverer.is_running and outbox.is_durable:
            return
        timeout = self._settings.drain_timeout
        if not self._spill.flush():
            timeout -= self._farewell
        try:
            empty = self._deliverer.drain(timeout, lambda: _is_empty(outbox))
            if not empty and not outbox.is_durable:
                for row in outbox.waiting():
                    cause = f"{row.error or 'not sent yet'}; the process ends"
                    self._happened("dropped", row.measurement, cause)
                    outbox.discard([row.id])
        except (OutboxUnavailable, ConfigurationError) as error:
            _logger.warning("The outbox was not drained: %s", error)


def _is_alone() -> bool:
    return siblings() == 0


def _is_empty(outbox: Outbox) -> bool:
    status = outbox.status()
    return status.pending + status.in_flight == 0


_stores: weakref.WeakSet[Stores] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for stores in list(_stores):
        stores.close()
