"""Steps of the holds that nobody waits for: a thread carries them out, in their order.

Which those are is said in `metering.conversation`; what a step does, in `base`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from stigg_guard.metering.holds.base import Op

logger = logging.getLogger("stigg_guard")

MOST_WAITING: Final = 100
"""Steps that may wait; whoever comes then carries out its own."""
_PAUSE: Final = 0.01
"""Seconds between two looks: to wake a thread costs a request more than the step."""
_LOOKS: Final = 20
"""Looks in vain after which the thread sleeps until it is woken."""
_IDLE: Final = 10.0
"""Seconds of sleep after which it ends; the next step starts another."""


class Settling:
    """Carries steps out in the background, some at a time, within 10 ms or little more.

    A process that is killed meanwhile leaves holds that run out by themselves. It
    belongs to one process: a child makes its own.
    """

    def __init__(self, perform: Callable[[Sequence[Op]], object]) -> None:
        self._perform = perform
        self._lock = threading.Lock()
        self._steps: deque[Op | threading.Event] = deque()
        self._thread: threading.Thread | None = None
        self._sleeps = False
        self._woken = threading.Event()
        self._is_over = False

    def add(self, op: Op) -> bool:
        """Take a step over; False where it cannot be: its caller carries it out."""
        if len(self._steps) >= MOST_WAITING:
            return False
        with self._lock:
            if self._thread is None and not self._start():
                return False
            self._put(op)
        return True

    def flush(self, timeout: float) -> bool:
        """Wait for what was added before; whether all of it is carried out."""
        done = threading.Event()
        with self._lock:
            if self._thread is None:
                return True
            self._put(done)
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Wait as `flush` does, and end the thread; the next step starts another."""
        self.flush(timeout)
        with self._lock:
            self._is_over = True
            self._wake()

    def _put(self, step: Op | threading.Event) -> None:
        self._steps.append(step)
        if self._sleeps:
            self._wake()

    def _wake(self) -> None:
        self._sleeps = False
        self._woken.set()

    def _start(self) -> bool:
        thread = threading.Thread(
            target=self._run, name="stigg-guard-settling", daemon=True
        )
        self._is_over = False
        try:
            thread.start()
        except RuntimeError:
            # At the interpreter's end there are no more threads.
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        in_vain = 0
        while True:
            while self._steps:
                self._carry_out()
                in_vain = 0
            if self._is_over or in_vain >= _LOOKS:
                if not self._sleep():
                    return
                in_vain = 0
            else:
                in_vain += 1
                time.sleep(_PAUSE)

    def _sleep(self) -> bool:
        """Wait for a step; False when it is time to end."""
        with self._lock:
            if self._steps:
                return True
            self._woken.clear()
            self._sleeps = not self._is_over
        if self._sleeps and self._woken.wait(_IDLE) and not self._is_over:
            return True
        with self._lock:
            self._sleeps = False
            if self._steps:
                return True
            self._thread = None
            return False

    def _carry_out(self) -> None:
        """Carry out what waits, up to who waits for it."""
        ops = list[Op]()
        waiting: threading.Event | None = None
        while self._steps and waiting is None:
            step = self._steps.popleft()
            if isinstance(step, threading.Event):
                waiting = step
            else:
                ops.append(step)
        try:
            if ops:
                self._perform(ops)
        except Exception:
            logger.exception("Holds were not ended, which is a defect: %r", ops)
        finally:
            if waiting is not None:
                waiting.set()
