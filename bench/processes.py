"""Child processes of a run: servers that say their port, clients that take orders.

Every one ends when its input does, so that none outlives the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parent.parent
Child: TypeAlias = subprocess.Popen[str]


@contextmanager
def child(module: str, *arguments: str) -> Generator[Child]:
    """A Python process that runs a module of the bench."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def said(process: Child) -> str:
    """The next line that a child prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended early; its errors are above")
    return line.strip()


@contextmanager
def server(module: str) -> Generator[str]:
    """A server's target, such as `127.0.0.1:40123`."""
    with child(module) as process:
        yield f"127.0.0.1:{said(process)}"


@contextmanager
def workers(names: tuple[str, ...], target: str) -> Generator[dict[str, Child]]:
    """A `client_worker` for each name, idle until it is told what to do."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(child("bench.client_worker", name, target))
            for name in names
        }


def order(worker: Child, in_flight: int, seconds: float) -> dict[str, Any]:
    """Run one slice and return its figures."""
    assert worker.stdin is not None
    worker.stdin.write(f"{in_flight} {seconds}\n")
    figures: dict[str, Any] = json.loads(said(worker))
    return figures
