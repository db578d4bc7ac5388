"""How the local sidecar starts and grows: with customers, features and events kept.

`python -m bench.sidecar_growth` measures it alone. How fast it answers is in `sidecar`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import grpc
import psutil

from bench.aims import Aim
from bench.processes import ROOT, Child, child, said
from bench.report import table
from bench.sidecar_load import batch
from sidecar_client.methods import (
    GET_ENTITLEMENT,
    GET_ENTITLEMENTS_STATE_V2,
    REPORT_EVENTS,
    REPORT_USAGE_BULK,
)
from sidecar_client.protocol import sidecar_pb2 as pb

MEGABYTE: Final = 1024 * 1024
SHAPES: Final = ((1, 200), (100, 200), (1000, 200), (10_000, 2), (10_000, 20))
LARGEST: Final = (10_000, 200)
UNIQUE: Final = 10_000
_BATCH: Final = 1000
_ASKED: Final = 200
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    starts: int
    used: int
    """By how many customers of the largest catalog each feature is used."""
    events: int


FULL: Final = Size(starts=10, used=10_000, events=1_000_000)
LONG: Final = Size(starts=10, used=10_000, events=10_000_000)
QUICK: Final = Size(starts=3, used=500, events=50_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A sidecar of one size, before and after every feature was used."""

    customers: int
    features: int
    loading: float
    starting: float
    megabytes: float
    check: float
    everything: float
    counters: int = 0
    used_megabytes: float = 0.0
    used_check: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment while events are taken in."""

    events: int
    megabytes: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Everything that was measured here."""

    starts: dict[str, list[float]]
    shapes: list[Shape]
    marks: list[Mark]


class Running:
    """A sidecar that serves a catalog of some size, and a channel to it."""

    def __init__(self, server: Child) -> None:
        self._process = psutil.Process(server.pid)
        self.told: dict[str, Any] = json.loads(said(server))
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.told['port']}")

    @property
    def megabytes(self) -> float:
        """The memory that its process has now."""
        return float(self._process.memory_info().rss) / MEGABYTE

    def call(self, path: str, payload: bytes) -> bytes:
        """One call of bytes."""
        method: Any = self._channel.unary_unary(path)
        answer: bytes = method(payload, timeout=60)
        return answer

    def microseconds(self, path: str, payload: bytes) -> float:
        """The middle of what some calls take, one after the other."""
        found: list[float] = []
        for _ in range(_ASKED):
            start = time.perf_counter()
            self.call(path, payload)
            found.append((time.perf_counter() - start) * 1e6)
        return median(found)

    def close(self) -> None:
        """Hang up."""
        self._channel.close()


@contextmanager
def running(customers: int, features: int) -> Generator[Running]:
    """A sidecar in memory, with a catalog of that size."""
    with child(
        "bench.sidecar_server", "memory", str(customers), str(features)
    ) as server:
        made = Running(server)
        try:
            yield made
        finally:
            made.close()


def measure(size: Size, progress: Progress) -> Growth:
    """Starts, sizes, then events."""
    progress("starts")
    starts = {
        "gRPC alone": [_start("--no-http") for _ in range(size.starts)],
        "with HTTP": [_start("--http-port", "0") for _ in range(size.starts)],
    }
    shapes: list[Shape] = []
    for customers, features in SHAPES:
        progress(f"{customers:,} customers by {features} features")
        shapes.append(_shape(customers, features, used=0))
    progress(f"{LARGEST[0]:,} customers by {LARGEST[1]} features, used")
    shapes.append(_shape(*LARGEST, used=size.used))
    return Growth(
        starts=starts, shapes=shapes, marks=list(_events(size.events, progress))
    )


def _start(*options: str) -> float:
    """Seconds from the start of the command to its first answer."""
    command = [sys.executable, "-m", "stigg_guard.cli", "sidecar", "run"]
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, "--port", "0", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found is not None
        question = pb.GetEntitlementRequest(customer_id="c", feature_id="f")
        with grpc.insecure_channel(f"127.0.0.1:{found[1]}") as channel:
            ask: Any = channel.unary_unary(GET_ENTITLEMENT.path)
            ask(question.SerializeToString(), timeout=10, wait_for_ready=True)
        taken = time.perf_counter() - start
        process.terminate()
    return taken


def _shape(customers: int, features: int, *, used: int) -> Shape:
    question = pb.GetEntitlementRequest(
        customer_id=f"customer-{customers - 1}", feature_id=f"feature-{features - 1}"
    ).SerializeToString()
    every = pb.GetEntitlementsStateV2Request(
        customer_id=f"customer-{customers - 1}"
    ).SerializeToString()
    with running(customers, features) as sidecar:
        megabytes = sidecar.megabytes
        check = sidecar.microseconds(GET_ENTITLEMENT.path, question)
        everything = sidecar.microseconds(GET_ENTITLEMENTS_STATE_V2.path, every)
        for number in range(used):
            _use(sidecar, f"customer-{number}", features)
        return Shape(
            customers=customers,
            features=features,
            loading=sidecar.told["loading"],
            starting=sidecar.told["starting"],
            megabytes=megabytes,
            check=check,
            everything=everything,
            counters=used * features,
            used_megabytes=sidecar.megabytes,
            used_check=sidecar.microseconds(GET_ENTITLEMENT.path, question),
        )


def _use(sidecar: Running, customer: str, features: int) -> None:
    """Report usage of every feature; the first two are counted from events."""
    for begin in range(2, features, 100):
        usages = [
            pb.ReportUsageRequest(
                customer_id=customer, feature_id=f"feature-{number}", value=1
            )
            for number in range(begin, min(features, begin + 100))
        ]
        request = pb.ReportUsageBulkRequest(usages=usages)
        sidecar.call(REPORT_USAGE_BULK.path, request.SerializeToString())


def _events(count: int, progress: Progress) -> Generator[Mark]:
    """Half of them are counted, half tell one of so many visitors."""
    with running(100, 2) as sidecar:
        start, before = time.perf_counter(), 0
        for number in range(count // _BATCH):
            customer = f"customer-{number % 100}"
            name = "call" if number % 2 else "visit"
            who = f"visitor-{number % UNIQUE}"
            payload = batch(name, str(number), size=_BATCH, customer=customer, who=who)
            sidecar.call(REPORT_EVENTS.path, payload)
            done = (number + 1) * _BATCH
            if done * 10 // count > before * 10 // count:
                now = time.perf_counter()
                yield Mark(
                    events=done,
                    megabytes=sidecar.megabytes,
                    rate=(done - before) / (now - start),
                )
                progress(f"{done:,} events")
                start, before = now, done


def growth_aims(found: Growth) -> list[Aim]:
    """What is aimed at, and whether it was met."""
    made: list[Aim] = []
    for name, seconds in found.starts.items():
        middle = median(seconds)
        made.append(
            Aim(
                what=f"from the command to the first answer, {name}, s",
                measured=middle,
                bound=1.0,
                direction="at most",
                shown=f"{middle:.2f} [{min(seconds):.2f}..{max(seconds):.2f}]",
            )
        )
    kept = [mark for mark in found.marks if mark.events * 2 >= found.marks[-1].events]
    more = kept[-1].megabytes - kept[0].megabytes
    made.append(
        Aim(
            what=f"memory that the last half of {found.marks[-1].events:,} events adds,"
            " MB",
            measured=more,
            bound=10.0,
            direction="at most",
            shown=f"{more:.1f}",
        )
    )
    return made


def growth_tables(found: Growth) -> str:
    """The figures as Markdown."""
    sizes = [
        [
            f"{shape.customers:,}",
            f"{shape.features:,}",
            f"{shape.loading:.2f}",
            f"{shape.starting:.2f}",
            f"{shape.megabytes:,.0f}",
            f"{shape.check:,.0f}",
            f"{shape.everything:,.0f}",
            f"{shape.counters:,}" if shape.counters else "",
            f"{shape.used_megabytes:,.0f}" if shape.counters else "",
            f"{shape.used_check:,.0f}" if shape.counters else "",
        ]
        for shape in found.shapes
    ]
    head = ["customers", "features", "loading s", "starting s", "MB", "a check µs"]
    head += ["all entitlements µs", "counters used", "MB then", "a check µs then"]
    marks = [
        [f"{mark.events:,}", f"{mark.megabytes:,.0f}", f"{mark.rate:,.0f}"]
        for mark in found.marks
    ]
    return "\n".join(
        (
            table(head, sizes),
            "Events, half of them counted, half counted once for each of"
            f" {UNIQUE:,} visitors:\n",
            table(["events", "MB", "events/s since the line before"], marks),
        )
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sidecar_growth")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--long", action="store_true", help="10 million events")
    options = parser.parse_args()
    size = QUICK if options.quick else LONG if options.long else FULL
    found = measure(size, print)
    print(f"\n{growth_tables(found)}")
    for aim in growth_aims(found):
        print(aim.what, aim.shown)


if __name__ == "__main__":
    main()
