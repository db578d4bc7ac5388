"""How a command that runs on is told to end: by SIGINT or SIGTERM.

What it does until then is `run`'s.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

HEEDED: Final = (signal.SIGINT, signal.SIGTERM)
LONGEST_END = 10
"""Seconds that a step may go on after the signal, before it is broken off."""
_SLICE: Final = 0.05


class Overdue(BaseException):
    """The step that was under way at the signal did not end; it is broken off."""


class Stop:
    """Whether to end. A flag: a lock in a signal's handler may wait for itself."""

    def __init__(self) -> None:
        self.is_set = False

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """Heed signals meanwhile, where the thread may: it is the main one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[signal.Signals, Any] = dict.fromkeys(HEEDED, self._stop)
        handlers[signal.SIGALRM] = self._break_off
        before = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
        }
        try:
            yield
        finally:
            signal.alarm(0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the signal."""
        until = time.monotonic() + seconds
        while not self.is_set and (rest := until - time.monotonic()) > 0:
            time.sleep(min(_SLICE, rest))

    def _stop(self, *_: object) -> None:
        if not self.is_set:
            self.is_set = True
            signal.alarm(LONGEST_END)

    def _break_off(self, *_: object) -> None:
        raise Overdue
