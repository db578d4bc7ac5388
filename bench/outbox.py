"""What the SQLite outbox costs beside bare sqlite3, and with a million stored rows.

`python -m bench.outbox [--quick]` prints it. Bare is what one would write by hand with
the same pragmas: a key that is unique and 160 bytes.
"""

from __future__ import annotations

import argparse
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.report import table
from bench.rounds import Figures, Rounds, run_rounds
from stigg_guard import Subject
from stigg_guard.metering.measurement import Measurement, new_key
from stigg_guard.metering.outbox.row import Delivered, NewRow
from stigg_guard.metering.outbox.sqlite import SqliteOutbox

AIM: Final = 0.6
FLAT: Final = 1.2
BATCH: Final = 100
PRODUCERS: Final = 64
PAYLOAD: Final = b"x" * 160
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
WAYS: Final = ("one by one", f"batches of {BATCH}", f"{PRODUCERS} producers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    singles: int
    batches: int
    each_producer: int
    sizes: Sequence[int]
    cost_rounds: int


FULL: Final = Size(
    rounds=8, singles=300, batches=60, each_producer=40, sizes=SIZES, cost_rounds=8
)
QUICK: Final = Size(
    rounds=3, singles=100, batches=20, each_producer=10, sizes=SIZES[:3], cost_rounds=3
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFigures:
    """Rates beside bare ones, by way, and costs by how many rows are stored."""

    rates: dict[str, Rounds]
    costs: dict[str, Rounds]


class Store(Protocol):
    """Ours or the bare one."""

    def put(self, rows: Sequence[NewRow]) -> None: ...

    def close(self) -> None: ...


class Bare:
    """A table, a transaction, and nothing else."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE event (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
            " payload BLOB NOT NULL)"
        )

    def put(self, rows: Sequence[NewRow]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO event (key, payload) VALUES (?, ?)",
            [(row.measurement.key, PAYLOAD) for row in rows],
        )
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class BareGroup:
    """One thread commits what the others left in a queue, and wakes them."""

    def __init__(self, path: str) -> None:
        self._bare = Bare(path)
        self._queue: queue.SimpleQueue[tuple[Sequence[NewRow], threading.Lock] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, rows: Sequence[NewRow]) -> None:
        latch = threading.Lock()
        latch.acquire()
        self._queue.put((rows, latch))
        latch.acquire()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            orders = [first]
            while not self._queue.empty():
                if (order := self._queue.get()) is not None:
                    orders.append(order)
            self._bare.put([row for rows, _ in orders for row in rows])
            for _, latch in orders:
                latch.release()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._bare.close()


def measure(size: Size, progress: Callable[[str], None]) -> OutboxFigures:
    """Measure everything, in files beside this one: a real disk, where it syncs."""
    return OutboxFigures(
        rates={way: _rates(way, size, progress) for way in WAYS},
        costs={name: _costs(kind, size, progress) for name, kind in KINDS.items()},
    )


def _event(make_key: Callable[[], str] = new_key) -> NewRow:
    return NewRow(
        measurement=Measurement(
            subject=Subject("customer-1234"),
            event="template.created",
            dimensions=(("region", "eu"),),
            key=make_key(),
        )
    )


def _ordered_key() -> str:
    return f"{time.time_ns():016x}{os.urandom(8).hex()}"


def _ordered_event() -> NewRow:
    return _event(_ordered_key)


def _usage() -> NewRow:
    customer = int.from_bytes(os.urandom(2)) % 1000
    return NewRow(
        measurement=Measurement(
            subject=Subject(f"customer-{customer}"),
            feature_id="feature-templates",
            key=_ordered_key(),
        )
    )


KINDS: Final[dict[str, Callable[[], NewRow]]] = {
    "events, random keys": _event,
    "events, keys in order of time": _ordered_event,
    "usage of 1,000 customers, keys in order of time": _usage,
}


@contextmanager
def _path() -> Generator[str]:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        yield os.path.join(folder, "outbox.db")


def _rates(way: str, size: Size, progress: Callable[[str], None]) -> Rounds:
    shared = way == WAYS[2]
    stores: dict[str, Callable[[str], Store]] = {
        "ours": SqliteOutbox,
        "bare": BareGroup if shared else Bare,
    }

    def run(name: str) -> Figures:
        with _path() as path:
            store = stores[name](path)
            try:
                store.put([_event()])
                if shared:
                    return {"rate": _shared(store, size.each_producer)}
                if way == WAYS[0]:
                    return {"rate": 1 / _cost(store, 1, size.singles, _event)}
                return {"rate": 1 / _cost(store, BATCH, size.batches, _event)}
            finally:
                store.close()

    progress(f"puts, {way}")
    return run_rounds(("ours", "bare"), size.rounds, run, lambda text: None)


def _cost(store: Store, batch: int, count: int, make: Callable[[], NewRow]) -> float:
    """Seconds for each event; they are made before, each batch when it is its turn."""
    spent = 0.0
    for _ in range(count):
        rows = [make() for _ in range(batch)]
        start = time.perf_counter()
        store.put(rows)
        spent += time.perf_counter() - start
    return spent / count / batch


def _shared(store: Store, each: int) -> float:
    start = threading.Barrier(PRODUCERS + 1)

    def produce() -> None:
        rows = [[_event()] for _ in range(each)]
        start.wait()
        for row in rows:
            store.put(row)

    threads = [threading.Thread(target=produce) for _ in range(PRODUCERS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return PRODUCERS * each / (time.perf_counter() - began)


def _costs(
    make: Callable[[], NewRow], size: Size, progress: Callable[[str], None]
) -> Rounds:
    """Costs of an event in outboxes that hold so many pending rows."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        outboxes: dict[str, SqliteOutbox] = {}
        for stored in size.sizes:
            progress(f"filling an outbox with {stored:,} rows")
            outbox = SqliteOutbox(os.path.join(folder, f"{stored}.db"))
            for _ in range(stored // 1000):
                outbox.put([make() for _ in range(1000)])
            outboxes[f"{stored:,}"] = outbox

        def run(name: str) -> Figures:
            return _events(outboxes[name], size, make)

        progress("costs")
        result = run_rounds(list(outboxes), size.cost_rounds, run, lambda text: None)
        for outbox in outboxes.values():
            outbox.close()
    return result


def _events(outbox: SqliteOutbox, size: Size, make: Callable[[], NewRow]) -> Figures:
    """Puts as many rows as it takes away."""
    singles, batches = BATCH, size.batches // 2
    single = _cost(outbox, 1, singles, make)
    batch = _cost(outbox, BATCH, batches, make)
    start, count = time.perf_counter(), 0
    for _ in range(batches + 1):
        rows = outbox.claim("bench", most=BATCH, lease=60)
        outbox.finish("bench", [Delivered(id=row.id) for row in rows])
        count += len(rows)
    delivery = (time.perf_counter() - start) / count
    return {
        "put": single * 1e6,
        f"put of {BATCH}": batch * 1e6,
        "claim and finish": delivery * 1e6,
    }


def rate_table(rates: dict[str, Rounds]) -> str:
    """Events a second beside bare ones, and whether the aim is met."""
    rows = [
        [
            way,
            f"{each.median('ours', 'rate'):,.0f}",
            f"{each.median('bare', 'rate'):,.0f}",
            str(ratio := each.ratio("ours", "bare", "rate")),
            f"{'met' if ratio.median >= AIM else 'MISSED'}: at least {AIM}",
        ]
        for way, each in rates.items()
    ]
    return table(["puts", "events/s", "bare", "ratio", "aim"], rows)


def cost_tables(costs: dict[str, Rounds]) -> str:
    """Microseconds for an event, and how they grow with what is stored."""
    return "\n".join(
        f"{kind}:\n\n{_cost_table(rounds)}" for kind, rounds in costs.items()
    )


def _cost_table(rounds: Rounds) -> str:
    least, *more = rounds.rounds[0]
    rows = [
        [
            figure,
            f"{rounds.median(least, figure):,.1f} us",
            *(str(rounds.ratio(size, least, figure)) for size in more),
            _flatness(rounds, more[-1], least, figure),
        ]
        for figure in rounds.rounds[0][least]
    ]
    return table(
        ["an event", f"at {least} rows", *(f"{size}, ratio" for size in more), "aim"],
        rows,
    )


def _flatness(rounds: Rounds, most: str, least: str, figure: str) -> str:
    ratio = rounds.ratio(most, least, figure)
    return f"{'met' if ratio.median <= FLAT else 'MISSED'}: at most {FLAT}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.outbox", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few, short slices")
    size = QUICK if parser.parse_args().quick else FULL
    began = time.monotonic()
    figures = measure(
        size,
        lambda text: print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True),
    )
    print(f"\n{rate_table(figures.rates)}\n{cost_tables(figures.costs)}")


if __name__ == "__main__":
    main()
