"""One client in a process of its own, told slice by slice what to do.

`python -m bench.client_worker NAME TARGET` reads "in_flight seconds" lines and answers
each with a JSON line; which slice comes when is decided in `one_check`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack

from bench.clients import ASYNC, SYNC, AsyncCheck, Check


def summary(latencies: list[float], seconds: float, cpu: float) -> dict[str, float]:
    """What a slice showed; times of a call are in microseconds."""
    ordered = sorted(latencies)
    count = len(ordered)
    return {
        "rate": count / seconds,
        "p50": ordered[count // 2] * 1e6,
        "p99": ordered[min(count - 1, int(count * 0.99))] * 1e6,
        "cpu": cpu / count * 1e6,
    }


async def _async_slice(
    check: AsyncCheck, in_flight: int, seconds: float
) -> dict[str, float]:
    latencies: list[float] = []
    start, cpu = time.perf_counter(), time.process_time()
    end = start + seconds

    async def keep_asking() -> None:
        now = time.perf_counter()
        while now < end:
            if not await check():
                raise RuntimeError("a check was denied")
            before, now = now, time.perf_counter()
            latencies.append(now - before)

    await asyncio.gather(*(keep_asking() for _ in range(in_flight)))
    spent = time.process_time() - cpu
    return summary(latencies, time.perf_counter() - start, spent)


def _sync_slice(check: Check, in_flight: int, seconds: float) -> dict[str, float]:
    latencies: list[float] = []
    start, cpu = time.perf_counter(), time.process_time()
    end = start + seconds

    def keep_asking() -> None:
        now = time.perf_counter()
        while now < end:
            if not check():
                raise RuntimeError("a check was denied")
            before, now = now, time.perf_counter()
            latencies.append(now - before)

    with ThreadPoolExecutor(in_flight) as threads:
        for asking in [threads.submit(keep_asking) for _ in range(in_flight)]:
            asking.result()
    spent = time.process_time() - cpu
    return summary(latencies, time.perf_counter() - start, spent)


def _orders() -> tuple[int, float] | None:
    line = sys.stdin.readline().split()
    return (int(line[0]), float(line[1])) if line else None


def _report(result: dict[str, float]) -> None:
    print(json.dumps(result), flush=True)


async def _run_async(name: str, target: str) -> None:
    async with AsyncExitStack() as until:
        check = ASYNC[name](target, until)
        while (order := _orders()) is not None:
            # The loop stands still while it waits here: nothing is in flight then.
            _report(await _async_slice(check, *order))


def _run_sync(name: str, target: str) -> None:
    with ExitStack() as until:
        check = SYNC[name](target, until)
        while (order := _orders()) is not None:
            _report(_sync_slice(check, *order))


def main(name: str, target: str) -> None:
    """Make the client, then follow orders until there are no more."""
    if name in ASYNC:
        asyncio.run(_run_async(name, target))
    else:
        _run_sync(name, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
