"""Delivers an outbox until that is over: all is sent, time is up, or a signal came.

What one step does is `stigg_guard.metering.worker`'s; the command itself is `run`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stigg_guard.commands.progress import Progress, Trouble
from stigg_guard.commands.stopping import Stop
from stigg_guard.commands.words import age, counted
from stigg_guard.decision import NoAnswer
from stigg_guard.guard import Guard
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.row import Status
from stigg_guard.metering.worker import Reply, Report

_RATE_OVER: Final = 5.0
_TOLD_TO_END = NoAnswer(
    cause="the command was told to end before it was sent",
    refused=False,
    may_have_arrived=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When it is over: after one step, when nothing is left, or at a signal only."""

    once: bool
    drain: bool
    poll: float
    """Seconds between looks when there was nothing to do."""
    timeout: float
    """Seconds that `drain` may take."""


class Delivery:
    """A guard's worker at work; what it does is told to `progress`."""

    def __init__(
        self, guard: Guard, plan: Plan, *, progress: Progress, stop: Stop
    ) -> None:
        self._guard = guard
        self._outbox = guard.outbox
        self._plan = plan
        self._progress = progress
        self._stop = stop
        self._sidecar = Trouble(
            progress, "The sidecar takes nothing", "The sidecar takes usage again"
        )
        self._store = Trouble(
            progress, "Nothing can be delivered", "The outbox can be used again"
        )
        self._worker = guard.stores.worker()
        self._worker.report = _watched(self._worker.report, self._sidecar, stop)
        self._before = dict(guard.counts)
        self._rate = _Rate()
        self._began = time.monotonic()

    def run(self) -> str | None:
        """Deliver until it is over; then what is not well, None when all is."""
        plan = self._plan
        while not self._stop.is_set:
            claimed = self._step()
            self._show()
            if plan.once:
                return self._sidecar.cause or self._store.cause
            if plan.drain and not claimed and self._left() == 0:
                break
            if plan.drain and time.monotonic() - self._began >= plan.timeout:
                break
            if not claimed:
                self._release()
                self._stop.pause(plan.poll)
        return self._undone() if plan.drain else None

    def summary(self) -> str:
        """What was done in all, and what is left."""
        lasted = age(time.monotonic() - self._began)
        status = self._status()
        left = "" if status is None else f"; {_waiting(status)}"
        return f"{self._count('delivered'):,} delivered in {lasted}{left}."

    def _step(self) -> int:
        """One step; 0, too, when the outbox cannot be used."""
        try:
            claimed = self._worker.step()
        except OutboxUnavailable as error:
            self._store.is_there(str(error))
            return 0
        self._store.is_over()
        return claimed

    def _undone(self) -> str | None:
        left, parked = self._left(), self._count("parked")
        cause = self._sidecar.cause or self._store.cause
        if left is None:
            return cause
        if left:
            why = f": {cause}" if cause else ""
            return f"{counted(left, 'row')} could not be delivered{why}"
        if parked:
            return (
                f"{counted(parked, 'row')} parked until a person decides; see"
                " `outbox list --state parked`."
            )
        return None

    def _left(self) -> int | None:
        """How many rows are to be sent; None when nobody can tell."""
        status = self._status()
        return None if status is None else status.pending + status.in_flight

    def _status(self) -> Status | None:
        try:
            return self._outbox.status()
        except OutboxUnavailable as error:
            self._store.is_there(str(error))
            return None

    def _count(self, outcome: str) -> int:
        return self._guard.counts.get(outcome, 0) - self._before.get(outcome, 0)

    def _show(self) -> None:
        if not self._progress.is_due:
            return
        status = self._status()
        if status is None:
            return
        delivered = self._count("delivered")
        figures = [f"{delivered:,} delivered", _waiting(status)]
        if rate := self._rate.of(delivered):
            figures.append(f"{rate:,.0f}/s")
        if status.oldest_at is not None:
            figures.append(f"the oldest waits {age(time.time() - status.oldest_at)}")
        self._progress.show(", ".join(figures))

    def _release(self) -> None:
        """Let go of a database's connection as its outbox asks of such threads."""
        release: Callable[[], Any] | None = getattr(self._outbox, "release", None)
        if release is not None:
            release()


def _waiting(status: Status) -> str:
    return f"{status.pending + status.in_flight:,} pending, {status.parked:,} parked"


def _watched(report: Report, sidecar: Trouble, stop: Stop) -> Report:
    """Tell outages, and send nothing more once the command was told to end."""

    def watched(batch: Sequence[Measurement]) -> Reply:
        if stop.is_set:
            return _TOLD_TO_END
        reply = report(batch)
        if isinstance(reply, NoAnswer) and not reply.refused:
            sidecar.is_there(reply.cause)
        else:
            sidecar.is_over()
        return reply

    return watched


class _Rate:
    """Deliveries a second, over the last few."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._points: deque[tuple[float, int]] = deque([(clock(), 0)])

    def of(self, delivered: int) -> float:
        """The rate, now that so many were delivered in all."""
        now, points = self._clock(), self._points
        points.append((now, delivered))
        while len(points) > 2 and points[1][0] <= now - _RATE_OVER:
            points.popleft()
        lasted = now - points[0][0]
        return (delivered - points[0][1]) / lasted if lasted > 0 else 0.0
