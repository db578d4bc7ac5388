"""The words of the conversation in `flow`: its steps, what it stands on, what it knows.

What is said in which order lives there.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from stigg_guard.decision import Answer, Decision, NoAnswer
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Fallback, Policy, Question, Requirement
from stigg_guard.subject import Subject
from stigg_guard.view import CustomerResolver, OnDenied

# The steps live for one turn of a request; freezing them would cost it a microsecond.


@dataclass(slots=True)
class Ask:
    """Ask the sidecar; the outcome is an `Answer` or `NoAnswer`."""

    subject: Subject
    question: Question


@dataclass(slots=True)
class Call:
    """Call a user's function with the request; the outcome is what it returned."""

    function: Any
    request: object


@dataclass(slots=True)
class Report:
    """Report usage; the outcome is None when acknowledged, else `NoAnswer`."""

    measurement: Measurement


@dataclass(slots=True)
class Proceed:
    """Let the view run; the outcome is its status, None when it did not finish."""

    decisions: tuple[Decision, ...]


@dataclass(slots=True)
class Denied:
    """The end of a request that may not go on."""

    decision: Decision
    on_denied: OnDenied | None = None


Step: TypeAlias = Ask | Call | Report | Proceed
Flow: TypeAlias = Generator[Step, Any, Any]


class Ground(Protocol):
    """What the conversation stands on: the application's memory and policy."""

    customer: CustomerResolver | None

    def recall(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to be used again without asking."""
        ...

    def last_known(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to stand in when the sidecar gives no verdict."""
        ...

    def keep(self, decision: Decision) -> None:
        """Take note of a verdict."""
        ...

    def fallback(self, requirement: Requirement) -> Fallback | None:
        """The requirement's own answer, or that of its feature's settings."""
        ...

    def policy(self, requirement: Requirement) -> Policy:
        """What to do when nothing else is known."""
        ...

    def unanswered(self, reply: NoAnswer) -> None:
        """Take note that the sidecar gave no verdict."""
        ...

    def reported(self, measurement: Measurement) -> None:
        """Take note that usage was acknowledged: what was asked before is old."""
        ...

    def unreported(self, measurement: Measurement, reply: NoAnswer) -> None:
        """Take note that usage could not be reported."""
        ...

    def decided(self, decision: Decision) -> None:
        """Take note of what was decided."""
        ...


@dataclass(slots=True)
class Admission:
    """A view that may run: why, and the rest of its conversation, still to be had."""

    decisions: tuple[Decision, ...]
    flow: Flow


@dataclass(slots=True)
class RequestScope:
    """What one request already knows: its subject, its answers, what is still open.

    `request` is what the user's functions are called with. `customer` stands in for the
    guard's resolver. `used` replaces the units that are reported, when the view found
    out that it used less or more.
    """

    request: object = None
    customer: CustomerResolver | None = None
    method: str = "GET"
    is_preflight: bool = False
    subject: Subject | None = None
    subject_is_known: bool = False
    used: float | None = None
    admissions: list[Admission] = field(default_factory=list[Admission])
    taken: dict[tuple[Subject, str], float] = field(
        default_factory=dict[tuple[Subject, str], float]
    )
    answers: dict[tuple[Subject, Question], Answer | NoAnswer] = field(
        default_factory=dict[tuple[Subject, Question], Answer | NoAnswer]
    )

    def recall(self, subject: Subject, question: Question) -> Answer | NoAnswer | None:
        """The answer to this question, or to a granted one that asked for more."""
        if not self.answers:
            return None
        known = self.answers.get((subject, question))
        if known is not None or question.usage is not None or question.values:
            return known
        for (asked_for, asked), answer in self.answers.items():
            if asked_for == subject and asked[:2] == question[:2] and _granted(answer):
                return answer
        return None


def _granted(answer: Answer | NoAnswer) -> bool:
    return isinstance(answer, Answer) and answer.has_access
