"""What is asked of a sidecar that is measured, and the process that asks it.

`python -m bench.sidecar_load TARGET` reads JSON lines and answers each with one; which
slice comes when is decided in `sidecar`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import grpc

from bench.client_worker import summary
from bench.question import CUSTOMER, DEADLINE, REQUEST
from sidecar_client.methods import (
    GET_ENTITLEMENT,
    GET_ENTITLEMENTS_STATE_V2,
    REPORT_EVENTS,
    REPORT_USAGE,
    Method,
)
from sidecar_client.protocol import sidecar_pb2 as pb

METERED: Final = "feature-07-active-users"
_numbers = count()
_run = time.time_ns()


def _metered() -> bytes:
    return pb.GetEntitlementRequest(
        customer_id=CUSTOMER,
        feature_id=METERED,
        options=pb.GetEntitlementOptions(requested_usage=1),
    ).SerializeToString()


def _new() -> bytes:
    """A check that was not asked lately: of more usage than the one before."""
    return pb.GetEntitlementRequest(
        customer_id=CUSTOMER,
        feature_id=METERED,
        options=pb.GetEntitlementOptions(requested_usage=next(_numbers) % 20_000),
    ).SerializeToString()


def _state() -> bytes:
    return pb.GetEntitlementsStateV2Request(customer_id=CUSTOMER).SerializeToString()


def _report() -> bytes:
    return pb.ReportUsageRequest(
        customer_id=f"customer-demo-0{next(_numbers) % 2 + 1}",
        feature_id=METERED,
        value=1,
    ).SerializeToString()


def _events() -> bytes:
    return batch("visit", f"{_run}-{next(_numbers)}", size=100)


def batch(
    name: str, key: str, *, size: int, customer: str = CUSTOMER, who: str = ""
) -> bytes:
    """A report of events that differ in their keys."""
    dimensions = {"who": pb.EventDimensionValue(string_value=who)} if who else {}
    events = [
        pb.Event(
            event_name=name,
            customer_id=customer,
            idempotency_key=f"{key}-{number}",
            dimensions=dimensions,
        )
        for number in range(size)
    ]
    return pb.ReportEventsRequest(events=events).SerializeToString()


WORK: Final[dict[str, tuple[Method[Any, Any], Callable[[], bytes]]]] = {
    "a check": (GET_ENTITLEMENT, lambda: REQUEST),
    "a check of usage": (GET_ENTITLEMENT, _metered),
    "a new check of usage": (GET_ENTITLEMENT, _new),
    "all entitlements": (GET_ENTITLEMENTS_STATE_V2, _state),
    "a report of usage": (REPORT_USAGE, _report),
    "a report of 100 events": (REPORT_EVENTS, _events),
}


async def _slice(
    channel: grpc.aio.Channel, work: str, in_flight: int, seconds: float
) -> dict[str, float]:
    method, payload = WORK[work]
    call: Any = channel.unary_unary(method.path)
    latencies: list[float] = []
    start, cpu = time.perf_counter(), time.process_time()
    end = start + seconds

    async def keep_asking() -> None:
        now = time.perf_counter()
        while now < end:
            sent = payload()
            now = time.perf_counter()
            await call(sent, timeout=DEADLINE)
            before, now = now, time.perf_counter()
            latencies.append(now - before)

    await asyncio.gather(*(keep_asking() for _ in range(in_flight)))
    spent = time.process_time() - cpu
    return summary(latencies, time.perf_counter() - start, spent)


async def main(target: str) -> None:
    """Follow orders until there are no more."""
    async with grpc.aio.insecure_channel(target) as channel:
        for line in iter(sys.stdin.readline, ""):
            print(json.dumps(await _slice(channel, **json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
