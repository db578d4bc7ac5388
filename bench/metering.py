"""What metering costs: one request metered in several ways, beside an unmetered one.

Everything is real: a local sidecar in a process of its own, a Redis server, one thread
that asks. `python -m bench.metering` measures it alone. The outboxes are in `outbox`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import median, quantiles
from typing import Any, Final

from bench.aims import Aim, aim_table
from bench.processes import server
from bench.report import table
from bench.rounds import Figures, Rounds, run_rounds
from sidecar_client import (
    GetEntitlementOptions,
    GetEntitlementRequest,
    ReportUsageRequest,
    SyncStigg,
)
from stigg_guard import AccessDenied, Guard, Subject, feature
from stigg_guard.metering import promise
from tests.redis_server import redis_server

CUSTOMER: Final = Subject("customer-demo-04")
LIMITED: Final = "feature-07-active-users"
"""A million of them: a limit that is never reached here."""

UNMETERED: Final = "unmetered: a check"
NAIVE: Final = "naive: check, then report"
NO_HOLD: Final = "metered, its hold left out"
MEMORY: Final = "metered, holds in memory"
PAIR: Final = "metered, holds in memory, an INCR where holds begin and end"
TOGETHER: Final = "metered, holds in memory, two INCR one after the other"
REDIS: Final = "metered, holds in Redis"
NAMES: Final = (UNMETERED, NAIVE, NO_HOLD, MEMORY, TOGETHER, PAIR, REDIS)
SLICE: Final = 0.02
"""Seconds: so short that whatever else the machine does hits all alike."""

Calls = Callable[[], object]


def measure(*, rounds: int, progress: Callable[[str], None]) -> tuple[Rounds, int]:
    """The rounds, and how many calls a request costs that is denied by holds."""
    with ExitStack() as stack:
        target = stack.enter_context(server("bench.local_server"))
        redis = stack.enter_context(redis_server("--appendfsync", "everysec"))
        options: dict[str, Any] = {"target": target, "timeout": 5, "write_timeout": 5}
        memory = Guard(**options, holds_wait=0)
        shared = Guard(**options, holds=redis.url)
        client = stack.enter_context(SyncStigg(**options))
        trip = _trip(redis.url, stack)
        stack.callback(memory.close)
        stack.callback(shared.close)
        calls = {
            UNMETERED: lambda: memory.check(CUSTOMER, feature(LIMITED, usage=1)),
            NAIVE: lambda: _naive(client),
            NO_HOLD: lambda: _without_a_hold(memory),
            MEMORY: lambda: _metered(memory),
            TOGETHER: lambda: _metered(memory, lambda: (trip(), trip())),
            PAIR: lambda: (_metered(memory, trip), trip()),
            REDIS: lambda: _metered(shared),
        }
        for call in calls.values():
            _slice(call, 0.2)
        progress(f"one request, {rounds} rounds")
        found = run_rounds(
            NAMES, rounds, lambda name: _slice(calls[name], SLICE), lambda text: None
        )
        return found, _calls_of_a_crowded_out(memory)


def _slice(call: Calls, seconds: float) -> Figures:
    start, cpu = time.perf_counter(), time.process_time()
    done = 0
    taken = 0.0
    # Once at least: a busy machine may take a whole slice away.
    while taken < seconds:
        call()
        done += 1
        taken = time.perf_counter() - start
    return {
        "us": taken / done * 1e6,
        "cpu": (time.process_time() - cpu) / done * 1e6,
        "rate": done / taken,
    }


def _naive(client: SyncStigg) -> None:
    question = GetEntitlementRequest(
        customer_id=CUSTOMER.customer_id,
        feature_id=LIMITED,
        options=GetEntitlementOptions(requested_usage=1),
    )
    if client.get_entitlement(question).has_access:
        client.report_usage(
            ReportUsageRequest(
                customer_id=CUSTOMER.customer_id, feature_id=LIMITED, value=1
            )
        )


def _metered(guard: Guard, view: Calls = lambda: None) -> None:
    with guard.metered(CUSTOMER, LIMITED):
        view()


def _without_a_hold(guard: Guard) -> None:
    """The same questions and answers, as if the limit were none to hold against."""
    module: Any = promise
    want, module._want = module._want, _nothing
    try:
        _metered(guard)
    finally:
        module._want = want


def _nothing(*_: object) -> None:
    """What is to be held of a request: nothing."""


def _trip(url: str, stack: ExitStack) -> Calls:
    """A round trip to Redis by its client, for nothing."""
    from redis import Redis

    client: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    stack.callback(client.close)
    return lambda: client.incr("bench")


def _calls_of_a_crowded_out(guard: Guard) -> int:
    """The questions that a hundred requests ask which only held units keep out."""
    asked = 0
    ask = guard.sidecar.ask

    def counting(*key: Any) -> Any:
        nonlocal asked
        asked += 1
        return ask(*key)

    with guard.metered(CUSTOMER, LIMITED, value=900_000):
        _denied(guard)
        sidecar: Any = guard.sidecar
        sidecar.ask = counting
        for _ in range(100):
            _denied(guard)
    return asked


def _denied(guard: Guard) -> None:
    try:
        with guard.metered(CUSTOMER, LIMITED, value=900_000):
            raise AssertionError("there was room")
    except AccessDenied:
        pass


def metering_aims(found: Rounds, crowded: int) -> list[Aim]:
    """What is aimed at, and whether it was met."""
    added, pair, together = (_added(found, name) for name in (REDIS, PAIR, TOGETHER))
    return [
        _aim(
            "holds in memory by the same request without a hold",
            _ratios(found, MEMORY, NO_HOLD),
            1.05,
        ),
        _aim(
            "metered with holds in memory by naive check, then report",
            _ratios(found, MEMORY, NAIVE),
            None,
        ),
        Aim(
            what="what holds in Redis add, by what a pair of round trips adds",
            measured=added / pair,
            bound=1.0,
            direction="at most",
            shown=f"{added / pair:.2f} ({added:.0f} by {pair:.0f} µs;"
            f" {together:.0f} one after the other)",
            reason="a thread tells the ends of holds, on the same cores",
        ),
        Aim(
            what="calls to the sidecar of 100 requests denied by held units",
            measured=crowded,
            bound=0,
            direction="at most",
            shown=str(crowded),
        ),
    ]


def _aim(what: str, values: list[float], bound: float | None) -> Aim:
    _, middle, _ = quantiles(values, n=4)
    return Aim(
        what=what,
        measured=middle,
        bound=bound,
        direction="at most",
        shown=_spread(values),
    )


def _added(found: Rounds, name: str) -> float:
    """Microseconds on top of the same request with holds in memory."""
    return median(each[name]["us"] - each[MEMORY]["us"] for each in found.rounds)


def _ratios(found: Rounds, name: str, to: str) -> list[float]:
    return [each[name]["us"] / each[to]["us"] for each in found.rounds]


def _spread(values: Iterable[float]) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.2f} [{low:.2f}..{high:.2f}]"


def metering_table(found: Rounds) -> str:
    """The costs of a request as Markdown."""
    rows = [
        [
            name,
            f"{found.median(name, 'us'):.0f}",
            f"{found.median(name, 'cpu'):.0f}",
            _spread(_ratios(found, name, NAIVE)),
        ]
        for name in NAMES
    ]
    return table(["one request", "µs", "µs of CPU", "by naive"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.metering")
    parser.add_argument("--quick", action="store_true", help="few, short slices")
    quick = parser.parse_args().quick
    found, crowded = measure(rounds=20 if quick else 200, progress=print)
    print(f"\n{metering_table(found)}\n{aim_table(metering_aims(found, crowded))}")


if __name__ == "__main__":
    main()
