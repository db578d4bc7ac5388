"""Whether the sidecar gives verdicts now: an outage is logged once, not per request.

What is answered meanwhile is decided in `flow` and `judge`.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from stigg_guard.decision import NoAnswer

logger = logging.getLogger("stigg_guard")

SECONDS_BETWEEN_REFUSALS: Final = 10.0


class Outage:
    """The state between the first missing verdict and the next one."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._unanswered = 0
        self._refused_at = float("-inf")
        self._refusals = 0

    def unanswered(self, reply: NoAnswer) -> None:
        """Note a missing verdict; only the first of an outage is logged."""
        if reply.refused:
            self._refused(reply)
            return
        self._unanswered += 1
        if self._since is None:
            self._since = time.monotonic()
            logger.warning(
                "No verdict from the sidecar: %s. Fallbacks answer until it is back.",
                reply.cause,
            )

    def answered(self) -> None:
        """Note a verdict; it ends an outage."""
        since = self._since
        if since is None:
            return
        self._since = None
        count, self._unanswered = self._unanswered, 0
        logger.info(
            "The sidecar gives verdicts again, after %.1f s without %d of them.",
            time.monotonic() - since,
            count,
        )

    def _refused(self, reply: NoAnswer) -> None:
        """Log a refusal, at most one in a while: anybody may send bad ids."""
        self._refusals += 1
        now = time.monotonic()
        if now - self._refused_at < SECONDS_BETWEEN_REFUSALS:
            return
        more, self._refusals, self._refused_at = self._refusals - 1, 0, now
        logger.error(
            "The sidecar refused a question: %.500s (%d more since the last such line)",
            reply.cause,
            more,
        )
