"""`python -m bench`: run every part, print the tables, write `bench/RESULTS.md`.

What is measured, and how, is in the parts themselves.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import http_load, in_process, one_check, vendor_code, web
from bench.aims import aim_table, aims, cost_table
from bench.report import METHOD, processor, stolen, versions

RESULTS: Final = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float
    web_rounds: int
    in_process_rounds: int


FULL: Final = Size(rounds=6, seconds=0.5, web_rounds=6, in_process_rounds=25)
QUICK: Final = Size(rounds=2, seconds=0.15, web_rounds=1, in_process_rounds=9)


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few, short slices")
    parser.add_argument(
        "--output", type=Path, help=f"where to write; {RESULTS.name}, unless --quick"
    )
    options = parser.parse_args()
    output: Path | None = options.output or (None if options.quick else RESULTS)
    text = _run(QUICK if options.quick else FULL, quick=options.quick)
    print(f"\n{text}")
    if output is not None:
        output.write_text(text)
        print(f"Written to {output}.")


def _run(size: Size, *, quick: bool) -> str:
    start, load, taken = time.monotonic(), os.getloadavg()[0], stolen()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - start:5.0f} s  {text}", flush=True)

    vendor_code.generate()
    checks = one_check.measure(
        rounds=size.rounds, seconds=size.seconds, progress=progress
    )
    views = web.measure(
        rounds=size.web_rounds, progress=progress, there_and_back=not quick
    )
    costs = in_process.measure(rounds=size.in_process_rounds, progress=progress)
    now = stolen()
    steal = (now[0] - taken[0]) / max(1, now[1] - taken[1])
    form = "The quick form: too few slices to rely on. " if quick else ""
    return "\n".join(
        (
            "# Results\n",
            f"{form}Measured on {datetime.now(UTC):%Y-%m-%d} in"
            f" {(time.monotonic() - start) / 60:.0f} minutes on {os.cpu_count()} cores"
            f" of {processor()}; load {load:.1f} when it began, {steal:.1%} of the time"
            f" taken by the host. {versions()}. Requests made by {http_load.tool()}.\n",
            METHOD,
            "## Aims\n",
            aim_table(aims(checks, views, costs)),
            "## One check\n",
            one_check.tables(checks),
            "## A hello view\n",
            web.tables(views),
            "## In process\n",
            cost_table(costs),
        )
    )


if __name__ == "__main__":
    main()
