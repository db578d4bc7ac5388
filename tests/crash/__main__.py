"""`python -m tests.crash`: run rounds with each outbox, and print the sums.

Exits with 1 when a unit was granted over the limit, lost or doubled.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.crash.cast import Cast, Setup
from tests.crash.rounds import Round, Sums

OUTBOXES = ("sqlite", "redis", "django")


def rounds(setup: Setup, count: int, *, seed: int) -> Iterator[Sums]:
    """Rounds in one set of processes, one after the other."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        cast = Cast(setup, Path(folder), seed=seed)
        try:
            for number in range(count):
                yield Round(cast, number, seed=seed).run()
        finally:
            cast.close()


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of each outbox")
    parser.add_argument("--outbox", choices=OUTBOXES, action="append")
    parser.add_argument("--proxy", action="store_true", help="through a bad network")
    parser.add_argument("--on-ambiguous", default="reconcile")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000))
    options = parser.parse_args()
    print(f"seed {options.seed}; 110 requests a round against a limit of 6")
    heads = ("outbox", "round", "granted", "counted", "finished", "over", "lost")
    print(
        "".join(f"{head:>9}" for head in (*heads, "doubled", "parked", "left")), "  s"
    )
    wrong = 0
    for outbox in options.outbox or OUTBOXES:
        setup = Setup(
            outbox=outbox,
            through_proxy=options.proxy,
            on_ambiguous=options.on_ambiguous,
        )
        start = time.monotonic()
        for number, sums in enumerate(rounds(setup, options.rounds, seed=options.seed)):
            numbers = (
                *(sums.confirmed, sums.counted, sums.finished, sums.over, sums.lost),
                *(sums.doubled, sums.parked, sums.left),
            )
            row = "".join(f"{value!s:>9}" for value in (outbox, number, *numbers))
            answers = " ".join(f"{k}:{v}" for k, v in sorted(sums.answers.items()))
            print(
                f"{row} {time.monotonic() - start:4.0f}  {answers}; killed"
                f" {len(sums.done)}",
                flush=True,
            )
            wrong += sums.over + sums.lost + sums.doubled + sums.left
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
