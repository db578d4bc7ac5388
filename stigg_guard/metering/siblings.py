"""Whether other processes serve the same application beside this one.

What follows from it is said in `stores`. Source: proc(5), `/proc/PID/task/TID`.
"""

from __future__ import annotations

import os
from pathlib import Path


def siblings() -> int:
    """How many children of our parent look like this one; 0 where it cannot be seen.

    That is how servers run their workers, forked or spawned.
    """
    parent = os.getppid()
    if parent <= 1 or "PYTEST_XDIST_WORKER" in os.environ:
        return 0  # tests in parallel are no servers of one application
    own = _command(os.getpid())
    others = _children(parent) - {os.getpid()}
    return sum(own is not None and _command(other) == own for other in others)


def _children(pid: int) -> set[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return set()
    return {int(child) for child in found.split()}


def _command(pid: int) -> bytes | None:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() or None
    except OSError:
        return None
