"""`python -m bench [guarding | metering | sidecar]`: run all parts or some, write them.

What is measured, and how, is in the parts themselves.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import (
    http_load,
    in_process,
    metering,
    one_check,
    outbox,
    sidecar,
    sidecar_growth,
    vendor_code,
    web,
)
from bench.aims import aim_table, aims, cost_table
from bench.report import (
    METERING_METHOD,
    METHOD,
    SIDECAR_METHOD,
    processor,
    stolen,
    versions,
)

HERE: Final = Path(__file__).parent
RESULTS: Final = {
    "guarding": HERE / "RESULTS.md",
    "metering": HERE / "METERING.md",
    "sidecar": HERE / "SIDECAR.md",
}
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float
    web_rounds: int
    in_process_rounds: int
    metering_rounds: int
    outbox: outbox.Size
    growth: sidecar_growth.Size
    is_quick: bool = False


FULL: Final = Size(
    rounds=6,
    seconds=0.5,
    web_rounds=6,
    in_process_rounds=25,
    metering_rounds=200,
    outbox=outbox.FULL,
    growth=sidecar_growth.FULL,
)
QUICK: Final = Size(
    rounds=2,
    seconds=0.15,
    web_rounds=1,
    in_process_rounds=9,
    metering_rounds=20,
    outbox=outbox.QUICK,
    growth=sidecar_growth.QUICK,
    is_quick=True,
)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *RESULTS], default=[])
    parser.add_argument("--quick", action="store_true", help="few, short slices")
    parser.add_argument(
        "--long", action="store_true", help="10 million events for the sidecar"
    )
    parser.add_argument(
        "--output", type=Path, help="folder to write to; this one, unless --quick"
    )
    options = parser.parse_args()
    folder: Path | None = options.output or (None if options.quick else HERE)
    size = QUICK if options.quick else FULL
    if options.long:
        size = replace(size, growth=sidecar_growth.LONG)
    for part in options.parts or RESULTS:
        text = _run(part, size)
        print(f"\n{text}")
        if folder is not None:
            (folder / RESULTS[part].name).write_text(text)
            print(f"Written to {folder / RESULTS[part].name}.")


def _run(part: str, size: Size) -> str:
    start, load, taken = time.monotonic(), os.getloadavg()[0], stolen()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {text}", flush=True)

    made = {"guarding": _guarding, "metering": _metering, "sidecar": _sidecar}[part]
    sections = made(size, progress)
    now = stolen()
    steal = (now[0] - taken[0]) / max(1, now[1] - taken[1])
    form = "The quick form: too few slices to rely on. " if size.is_quick else ""
    return "\n".join(
        (
            f"# Results: {part}\n",
            f"{form}Measured on {datetime.now(UTC):%Y-%m-%d} in"
            f" {(time.monotonic() - start) / 60:.0f} minutes on {os.cpu_count()} cores"
            f" of {processor()}; load {load:.1f} when it began, {steal:.1%} of the time"
            f" taken by the host. {versions()}. Made by"
            f" `make bench ARGS={part}`.\n",
            *sections,
        )
    )


def _guarding(size: Size, progress: Progress) -> tuple[str, ...]:
    vendor_code.generate()
    checks = one_check.measure(
        rounds=size.rounds, seconds=size.seconds, progress=progress
    )
    views = web.measure(
        rounds=size.web_rounds, progress=progress, there_and_back=not size.is_quick
    )
    costs = in_process.measure(rounds=size.in_process_rounds, progress=progress)
    return (
        f"{METHOD}\nRequests were made by {http_load.tool()}.\n",
        "## Aims\n",
        aim_table(aims(checks, views, costs)),
        "## One check\n",
        one_check.tables(checks),
        "## A hello view\n",
        web.tables(views),
        "## In process\n",
        cost_table(costs),
    )


def _metering(size: Size, progress: Progress) -> tuple[str, ...]:
    found, crowded = metering.measure(rounds=size.metering_rounds, progress=progress)
    figures = outbox.measure(size.outbox, progress)
    return (
        METERING_METHOD,
        "## Aims\n",
        aim_table(metering.metering_aims(found, crowded)),
        "## One request\n",
        metering.metering_table(found),
        "## Putting events into an outbox\n",
        outbox.rate_table(figures.rates),
        "## An event, with so many rows stored\n",
        outbox.cost_tables(figures.costs),
    )


def _sidecar(size: Size, progress: Progress) -> tuple[str, ...]:
    rates = sidecar.measure(rounds=size.rounds, seconds=size.seconds, progress=progress)
    growth = sidecar_growth.measure(size.growth, progress)
    return (
        SIDECAR_METHOD,
        "## Aims\n",
        aim_table([*sidecar.rate_aims(rates), *sidecar_growth.growth_aims(growth)]),
        "## Calls\n",
        sidecar.rate_tables(rates),
        "## Growth\n",
        sidecar_growth.growth_tables(growth),
    )


if __name__ == "__main__":
    main()
