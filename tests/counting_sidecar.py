"""A real gRPC server that counts one metered feature, lags, and fails as it is told.

It stands for what no local sidecar does: usage that answers show late, and reports
whose acknowledgement is lost. Everything it counted can be looked at.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import grpc
from google.protobuf.empty_pb2 import Empty

from sidecar_client import (
    AccessDeniedReason,
    EntitlementFeature,
    GetEntitlementRequest,
    GetEntitlementResponse,
    MeteredEntitlement,
    ReportEventsRequest,
    ReportUsageBulkRequest,
    ReportUsageBulkResponse,
    ReportUsageRequest,
    ReportUsageResponse,
    UsageUpdateBehavior,
)
from sidecar_client.protocol import sidecar_pb2_grpc

_OVER_LIMIT = AccessDeniedReason.ACCESS_DENIED_REASON_REQUESTED_USAGE_EXCEEDING_LIMIT

Fault = Literal["before", "after", "reject"]
"""`before`: UNAVAILABLE, nothing counted. `after`: counted, then UNAVAILABLE; a client
cannot tell them apart. `reject`: INVALID_ARGUMENT, nothing counted."""


@dataclass
class _Change:
    at: float
    total: float


@dataclass
class _Counter:
    """One customer's usage: all of it, and as answers may show it."""

    total: float = 0
    changes: deque[_Change] = field(default_factory=deque[_Change])

    def put(self, total: float, now: float) -> None:
        self.total = total
        self.changes.append(_Change(now, total))

    def shown(self, until: float) -> float:
        """The usage as of a moment; changes since then are not seen yet."""
        seen = 0.0
        for change in self.changes:
            if change.at <= until:
                seen = change.total
        return seen


class CountingSidecar(sidecar_pb2_grpc.SidecarServiceServicer):
    """Counts usage by customer and period, with one hard `limit` for everybody.

    Answers show usage as it was `lag` seconds ago; acknowledgements do not lag.
    `faults` are those of the next reports, one each. With `period` there is a usage
    period of a month that began then, and reports count in the month of their time.
    """

    def __init__(
        self,
        *,
        limit: float | None = 6,
        lag: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.lag = lag
        self.clock = clock
        self.has_soft_limit = False
        self.faults: deque[Fault] = deque()
        self.calls: Counter[str] = Counter()
        self.reports: list[ReportUsageRequest] = []
        self.events: dict[str, ReportEventsRequest] = {}
        self.event_repeats = 0
        self.period: datetime | None = None
        self.on_applied: Callable[[], None] = lambda: None
        """Called when a report was counted and is not acknowledged yet."""
        self.target = ""
        self._port = 0
        self._counters: dict[tuple[str, datetime | None], _Counter] = {}
        self._lock = threading.RLock()
        self._server: grpc.Server | None = None

    # What a test looks at

    def total(
        self, customer_id: str = "customer-1", period: datetime | None = None
    ) -> float:
        """The usage that was counted, in the current period or in another."""
        return self._counter(customer_id, period or self.period).total

    def put(self, total: float, customer_id: str = "customer-1") -> None:
        """Usage that somebody else reported."""
        self._counter(customer_id, self.period).put(total, self.clock())

    # The service

    def GetEntitlement(
        self, request: GetEntitlementRequest, context: grpc.ServicerContext
    ) -> GetEntitlementResponse:
        with self._lock:
            self.calls["GetEntitlement"] += 1
            counter = self._counter(request.customer_id, self.period)
            used = counter.shown(self.clock() - self.lag)
            asked = request.options.requested_usage
            metered = MeteredEntitlement(
                feature=EntitlementFeature(id=request.feature_id, is_metered=True),
                usage_limit=self.limit,
                is_unlimited=self.limit is None,
                current_usage=used,
                has_soft_limit=self.has_soft_limit,
            )
            if self.period is not None:
                metered.usage_period_start.FromDatetime(self.period)
                metered.usage_period_end.FromDatetime(after(self.period))
            limit = float("inf") if self.limit is None else self.limit
            fits = used < limit if asked == 0 else used + asked <= limit
            has_access = fits or self.has_soft_limit
            reason = (
                AccessDeniedReason.ACCESS_DENIED_REASON_REQUESTED_USAGE_EXCEEDING_LIMIT
            )
            return GetEntitlementResponse(
                has_access=has_access,
                access_denied_reason=None if has_access else reason,
                metered=metered,
            )

    def ReportUsage(
        self, request: ReportUsageRequest, context: grpc.ServicerContext
    ) -> ReportUsageResponse:
        self.calls["ReportUsage"] += 1
        return self._apply([request], context)[0]

    def ReportUsageBulk(
        self, request: ReportUsageBulkRequest, context: grpc.ServicerContext
    ) -> ReportUsageBulkResponse:
        self.calls["ReportUsageBulk"] += 1
        return ReportUsageBulkResponse(
            usages=self._apply(list(request.usages), context)
        )

    def ReportEvents(
        self, request: ReportEventsRequest, context: grpc.ServicerContext
    ) -> Empty:
        self.calls["ReportEvents"] += 1
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            self._fail_before(fault, context)
            for event in request.events:
                if event.idempotency_key in self.events:
                    self.event_repeats += 1
                self.events[event.idempotency_key] = request
            self.on_applied()
            self._fail_after(fault, context)
        return Empty()

    def _apply(
        self, requests: list[ReportUsageRequest], context: grpc.ServicerContext
    ) -> list[ReportUsageResponse]:
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            self._fail_before(fault, context)
            found = [self._count(request) for request in requests]
            self.on_applied()
        self._fail_after(fault, context)
        return found

    def _count(self, request: ReportUsageRequest) -> ReportUsageResponse:
        self.reports.append(request)
        period = self.period
        if period is not None:
            moment = request.timestamp.ToDatetime(tzinfo=UTC)
            period = month(moment.month)
        counter = self._counter(request.customer_id, period)
        is_set = (
            request.update_behavior == UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_SET
        )
        total = request.value if is_set else counter.total + request.value
        if request.value or is_set:
            counter.put(total, self.clock())
        response = ReportUsageResponse(measurement_id="1", current_usage=total)
        if period is not None:
            response.usage_period_start.FromDatetime(period)
        return response

    def _fail_before(self, fault: Fault | None, context: grpc.ServicerContext) -> None:
        if fault == "before":
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone before it was counted")
        if fault == "reject":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "value: not wanted here")

    def _fail_after(self, fault: Fault | None, context: grpc.ServicerContext) -> None:
        if fault == "after":
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone before it was answered")

    def _counter(self, customer_id: str, period: datetime | None) -> _Counter:
        key = (customer_id, period)
        with self._lock:
            if key not in self._counters:
                self._counters[key] = _Counter()
            return self._counters[key]

    # Its life

    def start(self, port: int = 0) -> None:
        """Listen; on the same port as before, if it was there already."""
        self._port = port or self._port
        server = grpc.server(
            ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)]
        )
        register: Any = sidecar_pb2_grpc.add_SidecarServiceServicer_to_server  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # generated
        register(self, server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        self.target = f"127.0.0.1:{self._port}"
        server.start()
        self._server = server

    def stop(self) -> None:
        """Cut every connection; what was counted stays counted."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(None).wait()

    @property
    def is_running(self) -> bool:
        return self._server is not None


@contextmanager
def counting_sidecar(
    *,
    limit: float | None = 6,
    lag: float = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[CountingSidecar]:
    """A running one on a free port of loopback."""
    sidecar = CountingSidecar(limit=limit, lag=lag, clock=clock)
    sidecar.start()
    try:
        yield sidecar
    finally:
        sidecar.stop()


def month(number: int) -> datetime:
    """The start of a usage period, later than any clock here says."""
    return datetime(2100, number, 1, tzinfo=UTC)


def after(period: datetime) -> datetime:
    """The start of the next one."""
    return month(period.month + 1)
