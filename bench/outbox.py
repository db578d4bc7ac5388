"""What each outbox costs beside a bare store, and with up to a million stored rows.

`python -m bench.outbox [--quick]` prints it. The bare stores are in `stores`.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from bench.report import table
from bench.rounds import Figures, Ratio, Rounds, run_rounds
from bench.stores import KINDS, BareGroup, Kind, Store
from stigg_guard import Subject
from stigg_guard.metering.measurement import Measurement, new_key
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import Delivered, NewRow

AIM: Final = 0.6
FLAT: Final = 1.2
BATCH: Final = 100
PRODUCERS: Final = 64
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
    """Rates by outbox and way, beside bare ones; costs by what is stored, how much."""

    rates: dict[tuple[str, str], Rounds]
    costs: dict[str, Rounds]


def measure(size: Size, progress: Callable[[str], None]) -> OutboxFigures:
    """Measure everything, in files beside this one: a real disk, where it syncs."""
    rates: dict[tuple[str, str], Rounds] = {}
    costs: dict[str, Rounds] = {}
    for name, kind in KINDS.items():
        for way in WAYS if kind.is_shared else WAYS[:2]:
            progress(f"{name}: puts, {way}")
            rates[name, way] = _rates(kind, way, size)
        for what, make in (ROWS if name == "SQLite" else _ORDERED).items():
            costs[f"{name}, {what}"] = _costs(kind, make, size, progress)
    return OutboxFigures(rates=rates, costs=costs)


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


_ORDERED: Final[dict[str, Callable[[], NewRow]]] = {
    "events, keys in order of time": _ordered_event,
}
ROWS: Final[dict[str, Callable[[], NewRow]]] = {
    "events, random keys": _event,
    **_ORDERED,
    "usage of 1,000 customers, keys in order of time": _usage,
}


def _rates(kind: Kind, way: str, size: Size) -> Rounds:
    shared = way == WAYS[2]

    def bare(place: str) -> Store:
        return BareGroup(kind.bare(place)) if shared else kind.bare(place)

    stores: dict[str, Callable[[str], Store]] = {"ours": kind.ours, "bare": bare}

    def run(name: str) -> Figures:
        with kind.place() as place:
            store = stores[name](place)
            try:
                store.put([_event()])
                if shared:
                    return {"rate": _shared(store, size.each_producer)}
                if way == WAYS[0]:
                    return {"rate": 1 / _cost(store, 1, size.singles, _event)}
                return {"rate": 1 / _cost(store, BATCH, size.batches, _event)}
            finally:
                store.close()

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
    kind: Kind,
    make: Callable[[], NewRow],
    size: Size,
    progress: Callable[[str], None],
) -> Rounds:
    """Costs of an event in outboxes that hold so many pending rows."""
    sizes = [stored for stored in size.sizes if stored <= kind.most]
    with ExitStack() as stack:
        outboxes: dict[str, Outbox] = {}
        for stored in sizes:
            progress(f"filling an outbox with {stored:,} rows")
            outboxes[f"{stored:,}"] = _filled(kind, stored, make, stack)

        def run(name: str) -> Figures:
            return _events(outboxes[name], size, make)

        progress("costs")
        return run_rounds(list(outboxes), size.cost_rounds, run, lambda text: None)


def _filled(
    kind: Kind, stored: int, make: Callable[[], NewRow], stack: ExitStack
) -> Outbox:
    outbox = kind.ours(stack.enter_context(kind.place()))
    stack.callback(outbox.close)
    for _ in range(stored // 1000):
        outbox.put([make() for _ in range(1000)])
    return outbox


def _events(outbox: Outbox, size: Size, make: Callable[[], NewRow]) -> Figures:
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


def rate_table(rates: dict[tuple[str, str], Rounds]) -> str:
    """Events a second beside bare ones, and whether the aim is met."""
    rows = [
        [
            outbox,
            way,
            f"{each.median('ours', 'rate'):,.0f}",
            f"{each.median('bare', 'rate'):,.0f}",
            str(ratio := each.ratio("ours", "bare", "rate")),
            _aim(outbox, ratio),
        ]
        for (outbox, way), each in rates.items()
    ]
    return table(["outbox", "puts", "events/s", "bare", "ratio", "aim"], rows)


def _aim(outbox: str, ratio: Ratio) -> str:
    if outbox != "SQLite":
        return ""
    return f"{'met' if ratio.median >= AIM else '**not met**'}: at least {AIM}"


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
    return f"{'met' if ratio.median <= FLAT else '**not met**'}: at most {FLAT}"


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
