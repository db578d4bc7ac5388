"""How many processes a server is told to run, as far as settings can be read.

Processes that run already are looked for in `siblings`.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

_OPTION: Final = re.compile(r"(?:^|\s)(?:-w\s*|--workers[=\s]\s*)(\d+)")
_FILES: Final = ("gunicorn.conf.py", "gunicorn_config.py", "gunicorn.py")


class Workers(NamedTuple):
    """A number of processes, and where it is written."""

    processes: int
    written_in: str


def configured_workers(
    environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Workers | None:
    """What GUNICORN_CMD_ARGS, gunicorn's file or WEB_CONCURRENCY say; None: nothing.

    WEB_CONCURRENCY is read by gunicorn and uvicorn, and set by hosting platforms. A
    number that the file computes is not known here.
    """
    environ = os.environ if environ is None else environ
    by_option = _OPTION.search(environ.get("GUNICORN_CMD_ARGS", ""))
    if by_option is not None:
        return Workers(int(by_option[1]), "GUNICORN_CMD_ARGS")
    for name in _FILES:
        count = _in_file((folder or Path.cwd()) / name)
        if count is not None:
            return Workers(count, name)
    text = environ.get("WEB_CONCURRENCY", "")
    return Workers(int(text), "WEB_CONCURRENCY") if text.isdigit() else None


def _in_file(path: Path) -> int | None:
    """The constant that a file of Python gives the name `workers`."""
    try:
        found = ast.parse(path.read_text())
    except (OSError, SyntaxError, ValueError):
        return None
    counts = [
        node.value.value
        for node in found.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and any(isinstance(to, ast.Name) and to.id == "workers" for to in node.targets)
    ]
    count = counts[-1] if counts else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None
