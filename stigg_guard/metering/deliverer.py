"""The thread that delivers an outbox inside the application's process, and its end.

What one step of it does is `worker`'s.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.worker import Worker

logger = logging.getLogger("stigg_guard")

_POLL: Final = 0.5
"""Seconds between looks at an outbox that others, too, put rows into."""
_TIDY: Final = 5.0
_STEP: Final = 0.02


class Deliverer:
    """Runs a worker from the first `wake` on, in a daemon thread of this process.

    `make_worker` is called in that thread, `tidy` every few seconds. `drain` and `stop`
    are for the end of the process.
    """

    def __init__(
        self, make_worker: Callable[[], Worker], tidy: Callable[[], None]
    ) -> None:
        self._make_worker = make_worker
        self._tidy = tidy
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew: the parent's thread is not here."""
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        self._is_unavailable = False
        self._is_mistaken = False

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """There is something to deliver: start the thread, or have it look now."""
        self._called.set()
        if self.is_running or self._stopping.is_set():
            return
        with self._lock:
            if not self.is_running:
                self._is_mistaken = False
                self._thread = threading.Thread(
                    target=self._run, name="stigg-guard-delivery", daemon=True
                )
                self._thread.start()

    def drain(self, timeout: float, is_empty: Callable[[], bool]) -> bool:
        """Deliver until nothing is left, or for `timeout` seconds; whether it is."""
        give_up = time.monotonic() + timeout
        while not (empty := is_empty()) and time.monotonic() < give_up:
            if not self.step():
                time.sleep(min(_STEP, max(0.0, give_up - time.monotonic())))
        return empty

    def stop(self) -> None:
        """End the thread once its step is done; `wake` starts it again."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopping.set()
            self._called.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(10)
        self._worker = None
        self._stopping.clear()

    def _run(self) -> None:
        tidied = time.monotonic()
        while not self._stopping.is_set() and not self._is_mistaken:
            self._called.clear()
            if not self.step():
                self._called.wait(_POLL)
            if time.monotonic() - tidied >= _TIDY:
                tidied = time.monotonic()
                self._guarded(self._tidy)

    def step(self) -> int:
        """One step, by one thread at a time; 0 when there was nothing to do."""
        with self._turn:
            done = 0

            def step() -> None:
                nonlocal done
                if self._worker is None:
                    self._worker = self._make_worker()
                done = self._worker.step()

            self._guarded(step)
            return done

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do it; an outbox that is out is logged once and looked at again later."""
        try:
            work()
        except OutboxUnavailable as error:
            if not self._is_unavailable:
                logger.warning("Nothing is delivered from the outbox: %s", error)
            self._is_unavailable = True
        except ConfigurationError as error:
            # Only a person can mend it.
            logger.error("Nothing is delivered from the outbox: %s", error)
            self._is_mistaken = True
        except Exception:
            logger.exception("Delivery from the outbox failed; it is tried again.")
        else:
            if self._is_unavailable:
                logger.info("The outbox can be read again.")
            self._is_unavailable = False
