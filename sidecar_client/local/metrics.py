"""What the local sidecar counts, as Prometheus reads it.

The names are those of the real sidecar (service monitoring page) and our own. What is
counted comes from the feed and from the calls; the HTTP route does not live here.
"""

from __future__ import annotations

import platform
from functools import cache

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from sidecar_client.local.clock import MovableClock
from sidecar_client.local.faults import Faults
from sidecar_client.local.feed import Feed, Happening

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_UNKNOWN_CUSTOMER = ("CUSTOMER_NOT_FOUND", "CUSTOMER_RESOURCE_NOT_FOUND")


class Metrics:
    """The counters of one sidecar, in a registry of their own."""

    def __init__(
        self, *, feed: Feed, clock: MovableClock, faults: Faults, version: str
    ) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._count_like_the_real_one()
        self._count_ours()
        self._gauge("faults", "Simulated faults that are on").set_function(
            lambda: len(faults.active)
        )
        self._gauge("feed_subscribers", "Who follows the live feed").set_function(
            lambda: feed.subscribers
        )
        self._gauge("clock_moved_seconds", "How far the clock was moved").set_function(
            lambda: clock.moved.total_seconds()
        )
        Gauge(
            "local_sidecar_build_info",
            "What runs; always 1",
            ["version", "python", "grpc"],
            registry=self._registry,
        ).labels(version, platform.python_version(), _grpc_version()).set(1)
        feed.listen(self._heard)

    def rpc(self, method: str, code: str, seconds: float) -> None:
        """Count a call that was answered."""
        self._rpc(method, code).inc()
        self._duration(method).observe(seconds)

    def text(self) -> bytes:
        """Everything, in the text format 0.0.4."""
        return generate_latest(self._registry)

    def _count_like_the_real_one(self) -> None:
        self._initialization_errors = self._counter(
            "sidecar_initialization_errors", "Catalogs read again and not served"
        )
        self._counter(
            "sidecar_invalid_api_key_errors", "Keys refused; always 0, any key is taken"
        )
        self._counter(
            "sidecar_network_request_errors", "Always 0: nothing is asked of Stigg"
        )
        self._redis_errors = self._counter(
            "sidecar_redis_client_errors", "Commands that Redis did not carry out"
        )
        self._hits = self._counter(
            "sidecar_cache_hits", "Checks of customers that are known here"
        )
        self._misses = self._counter(
            "sidecar_cache_misses", "Checks of customers that are not"
        )

    def _count_ours(self) -> None:
        # Looked up for every call: prometheus_client takes long to find the same again.
        self._rpc = cache(
            self._counter(
                "local_sidecar_rpcs", "gRPC calls answered", "method", "code"
            ).labels
        )
        durations = Histogram(
            "local_sidecar_rpc_duration_seconds",
            "How long gRPC calls took",
            ["method"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._duration = cache(durations.labels)
        self._check = cache(
            self._counter(
                "local_sidecar_checks",
                "Features and currencies checked",
                "access",
                "reason",
            ).labels
        )
        self._reports = self._counter(
            "local_sidecar_reports", "Measurements of usage counted"
        )
        self._events = self._counter("local_sidecar_events", "Raw events taken")

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(name, help_, labels, registry=self._registry)

    def _gauge(self, name: str, help_: str) -> Gauge:
        return Gauge(f"local_sidecar_{name}", help_, registry=self._registry)

    def _heard(self, happening: Happening) -> None:
        facts = happening.facts
        match happening.kind:
            case "check":
                reason = str(facts.get("reason") or "")
                access = "granted" if facts.get("has_access") else "denied"
                self._check(access, reason).inc()
                unknown = reason in _UNKNOWN_CUSTOMER
                (self._misses if unknown else self._hits).inc()
            case "report":
                self._reports.inc()
            case "events":
                self._events.inc(_number(facts.get("count")))
            case "catalog":
                self._initialization_errors.inc(facts.get("state") == "refused")
            case "redis_error":
                self._redis_errors.inc()
            case _:
                pass


def _number(fact: object) -> float:
    return float(fact) if isinstance(fact, int | float) else 1.0


def _grpc_version() -> str:
    return str(getattr(grpc, "__version__", "unknown"))
