"""How a request waits for units that others hold: again and again, ever less often.

Whether it waits at all is decided in `metering.conversation`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

_FIRST: Final = 0.004
_GROWTH: Final = 1.6
_LONGEST: Final = 0.2


class Patience:
    """One request's waiting time: `wait` seconds in all, however often it tries."""

    __slots__ = ("_clock", "_pause", "_until", "_wait")

    def __init__(
        self, wait: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wait = wait
        self._clock = clock
        self._until: float | None = None
        self._pause = _FIRST

    @property
    def has_waited(self) -> bool:
        """Whether a pause was taken."""
        return self._until is not None

    def pause(self) -> float | None:
        """The seconds until the next try, None when the waiting is over."""
        if self._wait <= 0:
            return None
        now = self._clock()
        if self._until is None:
            self._until = now + self._wait
        left = self._until - now
        if left <= 0:
            return None
        pause, self._pause = self._pause, min(_LONGEST, self._pause * _GROWTH)
        # Not in step with others who began to wait at the same moment.
        return min(left, pause * random.uniform(0.5, 1.5))  # noqa: S311
