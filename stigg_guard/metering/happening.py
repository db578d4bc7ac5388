"""What metering tells: its outcomes, to the hooks of the application and to the log.

When something happened is said in `metering.conversation` and `metering.worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, get_args

from stigg_guard.decision import Decision
from stigg_guard.metering.measurement import Measurement
from stigg_guard.steps import OutcomeName

logger = logging.getLogger("stigg_guard")

OUTCOMES: Final[tuple[str, ...]] = get_args(OutcomeName)
LOGGED: Final = frozenset({"dropped", "parked", "stored"})

_WORDS: Final = {
    "dropped": "Usage was lost",
    "parked": "Usage is parked in the outbox until a person decides",
    "stored": "Usage was not acknowledged",
}

_AT_RISK: Final = {
    "dropped": ("Usage was lost", ""),
    "parked": (
        "Usage is parked in this process's memory",
        "; report it by hand, as it is not sent again (OUTBOX keeps it)",
    ),
    "stored": (
        "Usage was not acknowledged",
        "; it is in this process's memory and sent again (OUTBOX keeps it safe)",
    ),
}
"""What is said before and after where no outbox keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One outcome: of a decision before the view, of a measurement after it.

    `cause` says why, where something went wrong.
    """

    outcome: OutcomeName
    decision: Decision | None = None
    measurement: Measurement | None = None
    cause: str = ""

    @classmethod
    def of(
        cls, outcome: OutcomeName, subject: Measurement | Decision, cause: str
    ) -> Self:
        """The outcome of either."""
        if isinstance(subject, Decision):
            return cls(outcome=outcome, decision=subject, cause=cause)
        return cls(outcome=outcome, measurement=subject, cause=cause)


Hook: TypeAlias = Callable[[Happening], object]
"""Called in the thread, or on the event loop, where it happened: keep it short."""


def tell(hooks: Iterable[Hook], happening: Happening) -> None:
    """Call hooks; one that fails is logged and disturbs nobody."""
    for hook in hooks:
        try:
            hook(happening)
        except Exception:
            logger.exception("The hook %r for %r failed.", hook, happening.outcome)


def log_outcome(
    outcome: OutcomeName, subject: Measurement | Decision, cause: str, *, is_safe: bool
) -> None:
    """Log all that is needed to report it by hand; `is_safe`: an outbox keeps it."""
    if isinstance(subject, Measurement):
        described = subject.described
    else:
        who = subject.subject
        described = (
            f"feature {subject.requirement.name}, customer"
            f" {who and who.customer_id!r}, resource {who and who.resource_id!r}"
        )
    words, then = (_WORDS[outcome], "") if is_safe else _AT_RISK[outcome]
    logger.error("%s: %s: %s%s", words, described, cause, then)
