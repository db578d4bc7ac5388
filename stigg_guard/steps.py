"""The words of the conversation in `flow`: its steps, what it stands on, what it knows.

What is said in which order lives there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from stigg_guard.decision import Answer, Decision, Entitlement, NoAnswer
from stigg_guard.entitlements import Entitlements
from stigg_guard.metering.holds.base import Op, Place
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.row import NewRow
from stigg_guard.metering.terms import Terms
from stigg_guard.requirement import (
    Fallback,
    Policy,
    Question,
    Requirement,
    check_change,
    check_units,
)
from stigg_guard.subject import Subject
from stigg_guard.view import CustomerResolver, Message, OnDenied, RequestCallable

# The steps live for one turn of a request; freezing them would cost it a microsecond.


@dataclass(slots=True)
class Ask:
    """Ask the sidecar; the outcome is an `Answer` or `NoAnswer`."""

    subject: Subject
    question: Question


@dataclass(slots=True)
class AskAll:
    """Ask for all that a subject has; the outcome is an `Answers` or `NoAnswer`."""

    subject: Subject


@dataclass(slots=True)
class Call:
    """Call a user's function with the request; the outcome is what it returned.

    `named` are what it also wants by name: arguments, result, response.
    """

    function: Any
    request: object
    named: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(slots=True)
class Report:
    """Report one measurement; the outcome is an `Acknowledged` or `NoAnswer`."""

    measurement: Measurement


@dataclass(slots=True)
class Hold:
    """Carry out a step of the hold store; the outcome is its reply.

    `HoldsUnavailable` is an outcome here, not an error. Without `waits` nobody waits
    for the step where that takes a while, and the outcome says nothing.
    """

    op: Op
    waits: bool = True


@dataclass(slots=True)
class Store:
    """Store a row in the outbox; None once it is durable, else why it is not.

    Without `waits` it is handed over, and nobody waits for it.
    """

    row: NewRow
    waits: bool = True


@dataclass(slots=True)
class InTransaction:
    """Ask whether the outbox would store in a transaction of the caller's."""


@dataclass(slots=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(slots=True)
class Reload:
    """Have the sidecar load a subject's entitlements anew; None, or a `NoAnswer`."""

    subject: Subject


@dataclass(slots=True)
class Tell:
    """Call a handler of webhooks, which may take its time; the outcome is nothing."""

    handler: Any
    event: object


@dataclass(slots=True)
class Aside:
    """Call a function of ours that may wait for a store; the outcome is its reply."""

    function: Callable[[], object]


@dataclass(slots=True)
class Proceed:
    """Let the view run; the outcome is an `Outcome`."""

    decisions: tuple[Decision, ...]


@dataclass(slots=True)
class Stream:
    """Let the body be sent; the outcome is whether all of it was.

    `meters` are told of every chunk.
    """

    meters: tuple[StreamMeter, ...]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a view: its status, None when it did not finish.

    `response` is the framework's; `is_streamed` when its body is still to be made.
    """

    status: int | None
    response: object = None
    is_streamed: bool = False


UNFINISHED = Outcome(status=None)


@dataclass(slots=True)
class StreamMeter:
    """Units of a streamed response, counted as its chunks are sent."""

    units_of: Callable[[Any], float] | None
    units: float = 0
    error: Exception | None = None

    def sent(self, chunk: Any) -> None:
        """Count a chunk: bytes, or the text that was sent.

        A function that fails is not called again; it cannot undo what is being sent.
        """
        if self.units_of is None or self.error is not None:
            return
        try:
            self.units += check_units("streamed", self.units_of(chunk))
        except Exception as error:
            self.error = error


@dataclass(slots=True)
class Denied:
    """The end of a request that may not go on."""

    decision: Decision
    on_denied: OnDenied | None = None
    message: Message | None = None


Step: TypeAlias = (
    Ask
    | AskAll
    | Call
    | Report
    | Hold
    | Store
    | InTransaction
    | Pause
    | Reload
    | Tell
    | Aside
    | Proceed
    | Stream
)
Flow: TypeAlias = Generator[Step, Any, Any]
OutcomeName: TypeAlias = Literal[
    "held",
    "granted",
    "denied",
    "waited",
    "measured",
    "acknowledged",
    "stored",
    "delivered",
    "parked",
    "dropped",
    "shadow_denied",
]
"""What hooks are told of: outcomes of metering, and denials that shadow mode undid."""


class Ground(Protocol):
    """What the conversation stands on: the application's memory and policy."""

    customer: CustomerResolver | None
    exempt_when: RequestCallable | None

    def bypasses(self) -> bool:
        """Whether the guard is switched off now; what it then lets pass is counted."""
        ...

    def is_shadow(self, requirement: Requirement, shadow: bool | None) -> bool:
        """Whether a denial is only noted: the view's word, the feature's, or ours."""
        ...

    def shadowed(self, decision: Decision, on_denied: OnDenied | None = None) -> None:
        """Take note of a denial that is only noted: count it, tell hooks, log it."""
        ...

    def recall(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to be used again without asking."""
        ...

    def last_known(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision young enough to stand in when the sidecar gives no verdict."""
        ...

    def last_entitlement(
        self, subject: Subject, requirement: Requirement
    ) -> Entitlement | None:
        """The last known entitlement of a metered feature, if it is young enough."""
        ...

    @property
    def epoch(self) -> int:
        """A number that changes when anything is forgotten."""
        ...

    def keep(self, decision: Decision, epoch: int) -> None:
        """Take note of a verdict that was asked for in an epoch."""
        ...

    def last_entitlements(self, subject: Subject) -> Entitlements | None:
        """All that a subject had, if that is young enough to stand in."""
        ...

    def keep_entitlements(self, entitlements: Entitlements, epoch: int) -> None:
        """Take note of what the sidecar said of all that a subject has."""
        ...

    def unknown_entitlements(self, subject: Subject) -> Entitlements:
        """What stands in for them when nothing is known."""
        ...

    def reports_of(self, subject: Subject) -> int:
        """A number that changes when what the subject has may have changed."""
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

    @property
    def terms(self) -> Terms:
        """How metering works in this application."""
        ...

    @property
    def follows_transactions(self) -> bool:
        """Whether the outbox stores in a transaction of the caller's, if one is open.

        What is used then is stored with it, and never reported before: a rollback
        could not take that back.
        """
        ...

    def happened(
        self, outcome: OutcomeName, subject: Measurement | Decision, cause: str = ""
    ) -> None:
        """Take note of an outcome: count it, tell the hooks, log what is lost."""
        ...

    def reported(self, measurement: Measurement) -> None:
        """Take note that usage was acknowledged: what was asked before is old."""
        ...

    def crowd(self, place: Place) -> float | None:
        """The limit of a place whose units were all held a moment ago, else None."""
        ...

    def crowded(self, place: Place, limit: float | None) -> None:
        """Take note that a place is crowded, or with None that it is no more."""
        ...

    def decided(self, decision: Decision) -> None:
        """Take note of what was decided."""
        ...


@dataclass(slots=True)
class Admission:
    """A view that may run: why, and the rest of its conversation, still to be had."""

    decisions: tuple[Decision, ...]
    flow: Flow


class Usage:
    """What a request or a `metered` block uses; set `value` to what was really used.

    None is what was promised before. Raises `ValueError` for what is no number.
    """

    __slots__ = ("_value",)

    def __init__(self, value: float | None = None) -> None:
        self._value = value

    @property
    def value(self) -> float | None:
        """The units, None while nothing was said."""
        return self._value

    @value.setter
    def value(self, value: float) -> None:
        self._value = check_change("usage.value", value)


@dataclass(slots=True)
class RequestScope:
    """What one request already knows: its subject, its answers, what is still open.

    `request` is what the user's functions are called with, `arguments` and `result`
    what the view was called with and returned. `customer` stands in for the guard's
    resolver. `decisions` and `measurements` are what was decided and used so far.
    `is_personal` says that the response depends on who asks. `core` is the ground that
    its last conversation began on.
    """

    request: object = None
    customer: CustomerResolver | None = None
    method: str = "GET"
    is_preflight: bool = False
    subject: Subject | None = None
    subject_is_known: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    result: object = None
    admissions: list[Admission] = field(default_factory=list[Admission])
    decisions: list[Decision] = field(default_factory=list[Decision])
    measurements: list[Measurement] = field(default_factory=list[Measurement])
    is_personal: bool = False
    is_exempt: bool | None = None
    streams: list[tuple[Admission, Stream]] = field(
        default_factory=list[tuple[Admission, Stream]]
    )
    usages: dict[str, Usage] = field(default_factory=dict[str, Usage])
    taken: dict[tuple[Subject, str], float] = field(
        default_factory=dict[tuple[Subject, str], float]
    )
    answers: dict[tuple[Subject, Question], Answer | NoAnswer] = field(
        default_factory=dict[tuple[Subject, Question], Answer | NoAnswer]
    )
    entitlements: tuple[int, Entitlements] | None = None
    epoch: int = 0
    core: object = None

    def usage(self, name: str = "") -> Usage:
        """The usage of a feature or event; without a name, of all that is metered."""
        return self.usages.setdefault(name, Usage())

    def decision(self, name: str | None = None) -> Decision | None:
        """The last decision of a feature or currency, or of all; None without one.

        Of all, a denial in shadow mode comes first.
        """
        found = [
            decision
            for decision in reversed(self.decisions)
            if name is None or decision.requirement.name == name
        ]
        return next(
            (one for one in found if one.is_shadow), found[0] if found else None
        )

    def used(self, name: str) -> float | None:
        """The units that the view said it used, None when it said nothing."""
        for usage in (self.usages.get(name), self.usages.get("")):
            if usage is not None and usage.value is not None:
                return usage.value
        return None

    def sent(self, chunk: Any) -> None:
        """Count a chunk of a streamed response."""
        for _, stream in self.streams:
            for meter in stream.meters:
                meter.sent(chunk)

    def recall(
        self, subject: Subject, question: Question, epoch: int
    ) -> Answer | NoAnswer | None:
        """The answer to this question, or to a granted one that asked for more.

        Those of another epoch are forgotten.
        """
        if epoch != self.epoch:
            self.epoch = epoch
            self.answers.clear()
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
