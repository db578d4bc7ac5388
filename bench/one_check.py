"""One check: our clients beside the vendor's stack and beside raw grpcio.

The clients are in `clients`; what the figures should be is in `aims`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bench import h2load
from bench.clients import NAMES
from bench.processes import Child, order, server, workers
from bench.report import table
from bench.rounds import Figures, Rounds, run_rounds

IN_FLIGHT: Final = (1, 16, 64)
FAST: Final = "fast server"
LOCAL: Final = "local sidecar"
SERVERS: Final = {FAST: "bench.fast_server", LOCAL: "bench.local_server"}


@dataclass(slots=True)
class Checks:
    """What was measured against each server, by calls in flight."""

    rounds: dict[tuple[str, int], Rounds] = field(
        default_factory=dict[tuple[str, int], Rounds]
    )
    ceilings: dict[tuple[str, int], float | None] = field(
        default_factory=dict[tuple[str, int], "float | None"]
    )


def measure(*, rounds: int, seconds: float, progress: Callable[[str], None]) -> Checks:
    """Measure every client against every server."""
    checks = Checks()
    for name, module in SERVERS.items():
        with server(module) as target, workers(NAMES, target) as running:
            for worker in running.values():
                # The connection, imports and caches of the first calls count for none.
                order(worker, 16, 0.3)
            for in_flight in IN_FLIGHT:
                where = f"one check, {name}, {in_flight} in flight: "
                checks.ceilings[name, in_flight] = h2load.rate(target, in_flight)
                checks.rounds[name, in_flight] = run_rounds(
                    NAMES,
                    rounds,
                    partial(_slice, running, in_flight, seconds),
                    partial(_said, progress, where),
                )
    return checks


def _slice(
    running: Mapping[str, Child], in_flight: int, seconds: float, client: str
) -> Figures:
    return order(running[client], in_flight, seconds)


def _said(progress: Callable[[str], None], where: str, text: str) -> None:
    progress(where + text)


def tables(checks: Checks) -> str:
    """The figures of every server as Markdown."""
    parts: list[str] = []
    for name in SERVERS:
        parts += [f"### Against the {name}\n", _table(checks, name)]
    return "\n".join(parts)


def _table(checks: Checks, server: str) -> str:
    rows: list[list[str]] = []
    for in_flight in IN_FLIGHT:
        found = checks.rounds[server, in_flight]
        rows += [_row(found, in_flight, client) for client in NAMES]
        ceiling = checks.ceilings[server, in_flight]
        shown = "h2load is missing" if ceiling is None else f"{ceiling:,.0f}"
        rows.append([str(in_flight), "h2load (the ceiling)", "", "", shown, *[""] * 4])
    head = ["in flight", "client", "p50 µs", "p99 µs", "calls/s", "CPU µs/call"]
    return table([*head, "p50 / vendor", "calls/s / vendor", "calls/s / raw"], rows)


def _row(found: Rounds, in_flight: int, client: str) -> list[str]:
    raw = {"Stigg": "raw aio", "SyncStigg": "raw sync"}.get(client)
    return [
        str(in_flight),
        client,
        *(f"{found.median(client, it):,.0f}" for it in ("p50", "p99", "rate", "cpu")),
        str(found.ratio(client, "vendor", "p50")),
        str(found.ratio(client, "vendor", "rate")),
        "" if raw is None else str(found.ratio(client, raw, "rate")),
    ]
