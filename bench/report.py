"""Markdown tables, and what is said of the machine they were measured on.

What is in the tables comes from the parts of the bench.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Final

PACKAGES: Final = (
    *("grpcio", "protobuf", "grpclib", "betterproto", "h2", "uvloop", "uvicorn"),
    *("gunicorn", "starlette", "fastapi", "flask", "django"),
)

METHOD: Final = """\
How to read it: ratios are made between slices of the same round, in which every variant
runs there and back again; shown is the median over the rounds, and the least and most
in brackets. Absolute figures hold for this machine at that time only. Every client and
every application is a process of its own. `vendor` is grpclib with the code that
betterproto 2.0.0b6 generates from our own proto, without a deadline, as is its default;
`raw` is grpcio with our channel options, passing ready bytes and reading none. The fast
server is framed by hand and answers without thinking; h2load shows how far it is from
being the limit. The local sidecar is a Python server, and is the limit. In the hello
views each request is for another of 256 customers, so no two share a call; the sidecar
is the fast server. Flask's `vendor` runs an event loop for each request, as bridges do;
`vendor, own thread` keeps one loop and one channel in a thread, which no user gets
without writing it: it is shown and nothing is aimed at.
"""

METERING_METHOD: Final = """\
How to read it: ratios are made between slices of the same round, as in RESULTS.md. One
request is one thread's, through a guard, to a local sidecar in a process of its own; it
is measured in many slices of 20 ms, and what stands in brackets there are quartiles. A
pair of round trips is measured where holds make theirs: the first before the view, the
second after the report; one right after the other costs less, and is shown, too. Redis
is on loopback, where a round trip costs little beside the work at either end. The bare
stores are what one would write by hand with the same promises: every put survives a
power cut.
"""

SIDECAR_METHOD: Final = """\
How to read it: ratios are made between slices of the same round, as in RESULTS.md. Each
server, and the one client that asks it with raw grpc.aio, is a process of its own on
the same cores. The empty server is grpc.aio that reads a check and gives one answer:
what a server in Python can reach. With its store in memory, the sidecar remembers what
it answered while nothing changes it; a new check is decided each time. The server's CPU
is that of its process, by all calls of the slice. SQLite's file is on the machine's
disk, Redis on loopback, writing its append-only file each second. Starts are from the
command to the first answer over gRPC.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns are as wide as their cells."""
    lines = [head, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    rule = ["-" * width for width in widths]
    return "".join(
        "| "
        + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        + " |\n"
        for line in (head, rule, *rows)
    )


def versions() -> str:
    """The versions of what was measured."""
    return f"Python {python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in PACKAGES
    )


def processor() -> str:
    """The processor's own name, as far as the system tells."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "an unknown processor"


def stolen() -> tuple[int, int]:
    """Ticks that the host took from this machine, and all ticks, since it booted."""
    for line in _lines("/proc/stat"):
        if line.startswith("cpu "):
            ticks = [int(field) for field in line.split()[1:9]]
            return ticks[7], sum(ticks)
    return 0, 1


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
