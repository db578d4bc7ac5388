"""How fast the local sidecar answers, with each store, beside a server that thinks not.

Everything is a process of its own. `python -m bench.sidecar` measures it alone. How it
starts and grows is in `sidecar_growth`.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.aims import Aim
from bench.processes import Child, child, said
from bench.report import table
from bench.rounds import Figures, Rounds, run_rounds
from bench.sidecar_load import WORK
from tests.redis_server import redis_server

EMPTY: Final = "empty server"
MEMORY: Final = "memory"
FILE: Final = "SQLite file"
REDIS: Final = "Redis"
STORES: Final = (MEMORY, FILE, REDIS)
NAMES: Final = (EMPTY, *STORES)
CHECK: Final = "a check"
NEW_CHECK: Final = "a new check of usage"
CHECKS: Final = (CHECK, "a check of usage", NEW_CHECK)
"""What the empty server can be asked as well."""
IN_FLIGHT: Final = (1, 16, 64)
Contest = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A server and the one client that asks it."""

    server: Child
    client: Child

    def slice(self, work: str, in_flight: int, seconds: float) -> Figures:
        """One slice, with the processor time that the server took for a call."""
        before = _cpu(self.server)
        figures = ask(self.client, work=work, in_flight=in_flight, seconds=seconds)
        spent = _cpu(self.server) - before
        calls = figures["rate"] * seconds
        return {**figures, "server": spent / calls * 1e6}


def _cpu(process: Child) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system)


def ask(client: Child, **order: object) -> dict[str, Any]:
    """Give an order to a client and wait for what it found."""
    assert client.stdin is not None
    client.stdin.write(f"{json.dumps(order)}\n")
    found: dict[str, Any] = json.loads(said(client))
    return found


@contextmanager
def pairs() -> Generator[dict[str, Pair]]:
    """The empty server, and a sidecar for each store; each with its client."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server("--appendfsync", "everysec"))
        stores = {MEMORY: "memory", FILE: str(folder / "bench.db")}
        stores[REDIS] = f"{redis.url}?prefix=bench"
        made: dict[str, Pair] = {}
        for name in NAMES:
            if name == EMPTY:
                server = stack.enter_context(child("bench.empty_server"))
                port = int(said(server))
            else:
                command = ("sidecar", "run", "--port", "0", "--no-http")
                server = stack.enter_context(
                    child("stigg_guard.cli", *command, "--store", stores[name])
                )
                stack.callback(server.terminate)
                found = re.search(r":(\d+) ", said(server))
                assert found is not None
                port = int(found[1])
            client = stack.enter_context(
                child("bench.sidecar_load", f"127.0.0.1:{port}")
            )
            made[name] = Pair(server, client)
        yield made


def measure(
    *, rounds: int, seconds: float, progress: Callable[[str], None]
) -> dict[Contest, Rounds]:
    """Every work at 64 in flight, a check at fewer as well."""
    contests = [(CHECK, many) for many in IN_FLIGHT]
    contests += [(work, IN_FLIGHT[-1]) for work in WORK if work != CHECK]
    found: dict[Contest, Rounds] = {}
    with pairs() as running:
        for work, many in contests:
            progress(f"{work}, {many} in flight")
            names = NAMES if work in CHECKS else STORES
            for name in names:
                running[name].slice(work, many, 0.3)
            found[work, many] = _rounds(running, names, work, many, rounds, seconds)
    return found


def _rounds(
    running: dict[str, Pair],
    names: Sequence[str],
    work: str,
    many: int,
    rounds: int,
    seconds: float,
) -> Rounds:
    return run_rounds(
        names,
        rounds,
        lambda name: running[name].slice(work, many, seconds),
        lambda _: None,
    )


def rate_aims(found: dict[Contest, Rounds]) -> list[Aim]:
    """What is aimed at, and whether it was met."""
    made: list[Aim] = []
    contests = [(CHECK, many) for many in IN_FLIGHT]
    for work, many in [*contests, (NEW_CHECK, IN_FLIGHT[-1])]:
        rounds = found[work, many]
        ratio = rounds.ratio(MEMORY, EMPTY, "rate")
        own, bare = (rounds.median(name, "server") for name in (MEMORY, EMPTY))
        made.append(
            Aim(
                what=f"memory: {work}, by the empty server's rate, {many} in flight",
                measured=ratio.median,
                bound=0.7,
                direction="at least",
                shown=str(ratio),
                reason=f"{own:.0f} µs of CPU each, {own - bare:+.0f} to the other's"
                f" {bare:.0f}",
            )
        )
    return made


def rate_tables(found: dict[Contest, Rounds]) -> str:
    """The figures as Markdown."""
    rows: list[list[str]] = []
    for (work, many), rounds in found.items():
        names = NAMES if work in CHECKS else STORES
        to = EMPTY if work in CHECKS else MEMORY
        for name in names:
            rows.append(
                [
                    work,
                    str(many),
                    name,
                    f"{rounds.median(name, 'rate'):,.0f}",
                    f"{rounds.median(name, 'p50'):,.0f}",
                    f"{rounds.median(name, 'p99'):,.0f}",
                    f"{rounds.median(name, 'server'):,.0f}",
                    f"{rounds.ratio(name, to, 'rate')} of {to}",
                ]
            )
    head = ["work", "in flight", "store", "calls/s", "p50 µs", "p99 µs"]
    return table([*head, "server's CPU µs/call", "calls/s, ratio"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sidecar")
    parser.add_argument("--quick", action="store_true", help="few, short slices")
    quick = parser.parse_args().quick
    found = measure(
        rounds=2 if quick else 6, seconds=0.2 if quick else 0.5, progress=print
    )
    print(f"\n{rate_tables(found)}")
    for aim in rate_aims(found):
        print(aim.what, aim.shown, aim.reason)


if __name__ == "__main__":
    main()
