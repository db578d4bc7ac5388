"""SIGTERM in a program that has no server around it: drain, then end as it would have.

Servers turn SIGTERM into an orderly end by themselves; there `atexit` drains.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType


def end_orderly_on_sigterm() -> None:
    """Have SIGTERM run `atexit`, where nobody has decided about it otherwise.

    Only Python's main thread may do so, and only where SIGTERM would kill at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # As the shell reports a program that SIGTERM ended.
    sys.exit(128 + signal.SIGTERM)
