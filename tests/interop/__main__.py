"""`python -m tests.interop [PEER ...]`: run the comparisons and print them as a table.

A peer that is named must run; without names, one that cannot be installed is skipped.
Exits with 1 when something differed or a named peer did not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.interop import ours, rounds
from tests.interop.installing import Missing
from tests.interop.peers import PEERS, Peer

_SHOWN = 20
_Round = tuple[str, Callable[[], rounds.Outcome]]
_NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    peer: str
    versions: str
    what: str
    said: str
    seconds: float = 0


def main() -> None:
    """Read the names and run."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.interop", description=__doc__
    )
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(names))
    named = parser.parse_args().peers
    for name in named:
        if name not in names:
            parser.error(f"there is no peer {name!r}; use one of {', '.join(names)}")
    rows: list[_Row] = []
    wrong = 0
    for peer in PEERS:
        if named and peer.name not in named:
            continue
        try:
            versions = peer.prepare()
        except Missing as missing:
            wrong += bool(named)
            rows.append(
                _Row(peer=peer.name, versions="", what="", said=f"skipped: {missing}")
            )
            continue
        for what, compared in _rounds(peer):
            row, failed = _run(peer.name, versions, what, compared)
            rows.append(row)
            wrong += failed
    _print(rows)
    sys.exit(wrong > 0)


def _rounds(peer: Peer) -> list[_Round]:
    found: list[_Round] = [
        (
            "calls the local sidecar",
            partial(rounds.against_local_sidecar, peer.results),
        ),
        ("reads and writes every field", partial(rounds.on_the_wire, peer.results)),
    ]
    if peer.name == _NODE:
        for name, caller in (
            ("SyncStigg", ours.sync_results),
            ("Stigg", ours.async_results),
        ):
            found.append(
                (
                    f"is the sidecar of {name}",
                    partial(rounds.with_node_as_sidecar, caller),
                )
            )
    return found


def _run(
    peer: str, versions: str, what: str, compared: Callable[[], rounds.Outcome]
) -> tuple[_Row, bool]:
    began = time.perf_counter()
    outcome = compared()
    took = time.perf_counter() - began
    for line in outcome.differences[:_SHOWN]:
        print(f"{peer} {what}: {line}", file=sys.stderr)
    count = len(outcome.differences)
    said = f"{count} differences" if count else "the same"
    row = _Row(
        peer=peer,
        versions=versions,
        what=what,
        said=f"{outcome.calls} calls, {said}",
        seconds=took,
    )
    return row, bool(count)


def _print(rows: list[_Row]) -> None:
    print("| peer | what it does | compared | seconds | versions |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.peer} | {row.what} | {row.said} | {row.seconds:.1f} "
            f"| {row.versions} |"
        )


if __name__ == "__main__":
    main()
