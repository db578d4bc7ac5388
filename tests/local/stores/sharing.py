"""Sidecars in processes of their own on one Redis, and reporters that use them all.

Each customer is sent reports of 1, 4, 16, ... units, each together with one unit of a
counter that all share: in base 4 the digits of its total say how often each report was
counted, and the shared total must be their sum.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import grpc
from grpc import aio

from sidecar_client.protocol import sidecar_pb2 as pb
from sidecar_client.protocol import sidecar_pb2_grpc
from sidecar_client.protocol.sidecar_pb2 import ReportUsageRequest

MOST_DIGITS: Final = 26
"""Of base 4, that a float can tell apart."""
_ALL: Final = "everybody"


@dataclass
class Outcome:
    """What became of the reports of one customer, by the places of their digits."""

    acknowledged: set[int] = field(default_factory=set[int])
    unclear: set[int] = field(default_factory=set[int])


def write_catalog(path: Path, customers: Sequence[str]) -> None:
    """A catalog with one feature that is never used up."""
    lines = [
        "features: [{id: units, type: metered, meter: incremental}]",
        "plans: [{id: all, entitlements: {units: {unlimited: true}}}]",
        "customers:",
        *(
            f"  - {{id: {name}, subscriptions: [{{plan: all}}]}}"
            for name in (*customers, _ALL)
        ),
    ]
    path.write_text("\n".join(lines))


@contextmanager
def sidecars(number: int, *, store: str, catalog: Path) -> Generator[list[str]]:
    """The targets of so many sidecars; at their end nothing may be in their logs."""
    command = [sys.executable, "-m", "stigg_guard.cli", "sidecar", "run", "--no-http"]
    command += ["--port", "0", "--catalog", str(catalog), "--store", store]
    with ExitStack() as stack:
        running: list[subprocess.Popen[str]] = []
        for _ in range(number):
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "error"},
            )
            stack.enter_context(process)
            stack.callback(process.terminate)
            running.append(process)
        yield [_target(process) for process in running]


def _target(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"on (\S+:\d+) ", line)
    assert found is not None, line
    return found[1]


async def report_all(
    targets: Sequence[str],
    customer: str,
    digits: int,
    acknowledged: Callable[[], None],
) -> Outcome:
    """Send so many reports, each once, to one sidecar after the other."""
    outcome = Outcome()
    async with _stubs(targets) as stubs:
        for place in range(digits):
            both = [(customer, float(4**place)), (_ALL, 1.0)]
            usages = [
                ReportUsageRequest(customer_id=name, feature_id="units", value=value)
                for name, value in both
            ]
            request = pb.ReportUsageBulkRequest(usages=usages)
            stub = stubs[place % len(stubs)]
            try:
                await stub.ReportUsageBulk(request, timeout=15)
            except aio.AioRpcError as error:
                if error.code() not in _UNCLEAR:
                    raise
                outcome.unclear.add(place)
                await asyncio.sleep(0.05)
            else:
                outcome.acknowledged.add(place)
                acknowledged()
    return outcome


_UNCLEAR: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class _stubs:
    """Stubs of all targets, on channels of their own."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._channels = [aio.insecure_channel(target) for target in targets]

    async def __aenter__(self) -> list[Any]:
        make = cast("Any", sidecar_pb2_grpc.SidecarServiceStub)
        return [make(channel) for channel in self._channels]

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()


async def total(target: str, customer: str = _ALL) -> int:
    """What is counted of a customer, as a sidecar says."""
    request = pb.GetMeteredEntitlementRequest(customer_id=customer, feature_id="units")
    async with _stubs([target]) as (stub,):
        while True:
            answer = await stub.GetMeteredEntitlement(request, timeout=15)
            if not answer.is_fallback:
                return int(answer.entitlement.current_usage)
            # Redis was away.
            await asyncio.sleep(0.05)


def times_counted(counted: int) -> list[int]:
    """How often each report of a customer was counted, by the digits of its total."""
    return [counted // 4**place % 4 for place in range(MOST_DIGITS)]
