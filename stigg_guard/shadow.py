"""What is said of requests that only shadow mode let through: a line in a while.

Whose denials are shadows is decided in `core`, what then happens in `flow`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from stigg_guard.decision import Decision

logger = logging.getLogger("stigg_guard")

SECONDS_BETWEEN: Final = 60.0
"""How long a feature's denials for one reason are only counted after a line."""


class ShadowLog:
    """Logs the first denial of a feature for a reason, and how many came after it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, decision: Decision, answer: str) -> None:
        """Log a denial that is none, with what would have been answered; or count."""
        key = (decision.requirement.name, str(decision.reason))
        now = self._clock()
        said_at, more = self._said.get(key, (float("-inf"), 0))
        if now - said_at < SECONDS_BETWEEN:
            self._said[key] = (said_at, more + 1)
            return
        self._said[key] = (now, 0)
        logger.warning(
            "Shadow mode let a request through. %s; it would have been answered with"
            " %s. (%d more like it since the last such line)",
            decision.explanation,
            answer,
            more,
        )
