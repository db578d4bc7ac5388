"""Rows that the outbox could not take: kept in memory until it can.

What they are and who is told when they are lost is the caller's to say.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.row import NewRow

logger = logging.getLogger("stigg_guard")

_PAUSE: Final = 0.5
_BATCH: Final = 100


class Spill:
    """Up to `most` rows, put by `put` from a daemon thread; `stored` is told of them.

    What is in it is lost with the process. Safe for threads.
    """

    def __init__(
        self,
        put: Callable[[Sequence[NewRow]], None],
        stored: Callable[[], None],
        *,
        most: int,
        pause: float = _PAUSE,
    ) -> None:
        self._put = put
        self._stored = stored
        self._most = most
        self._pause = pause
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._rows: list[NewRow] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: NewRow, error: OutboxUnavailable) -> bool:
        """Keep a row for later; False when there is no room."""
        with self._lock:
            if len(self._rows) >= self._most:
                return False
            if not self._rows:
                logger.warning("Usage waits in memory and is at risk: %s", error)
            self._rows.append(row)
            if self._thread is None:
                self._start()
        return True

    def flush(self) -> bool:
        """Put what is in it now; whether nothing is left."""
        with self._turn:
            while rows := self._rows[:_BATCH]:
                try:
                    self._put(rows)
                except OutboxUnavailable:
                    return False
                with self._lock:
                    del self._rows[: len(rows)]
                self._stored()
            return True

    def end(self) -> list[NewRow]:
        """Try a last time; what is lost with the process."""
        self._ended.set()
        self.flush()
        with self._lock:
            lost, self._rows = self._rows, []
        return lost

    def _start(self) -> None:
        self._ended.clear()
        thread = threading.Thread(
            target=self._run, name="stigg-guard-spill", daemon=True
        )
        # At the interpreter's end no thread can be started: `end` is near.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            if not self.flush():
                continue
            with self._lock:
                if not self._rows:
                    self._thread = None
                    logger.info("What waited in memory is in the outbox now.")
                    return
        with self._lock:
            self._thread = None
