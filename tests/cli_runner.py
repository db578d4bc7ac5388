"""Running a command of click in a test, whatever click's version is.

Click tells errors from output by itself since 8.2; before, it had to be asked to.
"""

from __future__ import annotations

import inspect
from typing import Any

from click.testing import CliRunner


def telling_runner() -> CliRunner:
    """One whose results have `stdout` and `stderr` apart."""
    options: dict[str, Any] = {}
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        options["mix_stderr"] = False
    return CliRunner(**options)
