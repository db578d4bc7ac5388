"""The conversation about a request, written once: look up, judge, fall back, report.

Generators yield a step and are sent its outcome; they do no I/O. Who carries the steps
out, sync or async, is `guard`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from stigg_guard.decision import Answer, Decision, NoAnswer, Reason
from stigg_guard.judge import fall_back, judge
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import (
    AllOf,
    Need,
    Requirement,
    as_dimensions,
    check_units,
    leaves,
)
from stigg_guard.steps import (
    Ask,
    Call,
    Denied,
    Ground,
    Proceed,
    Report,
    RequestScope,
    Step,
)
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec, completed

LONGEST_ID = 255
UNMETERED_METHODS = frozenset({"HEAD", "OPTIONS"})


def view_flow(
    specs: tuple[ViewSpec, ...], scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Denied | None]:
    """A guarded view: every spec is met, then the view runs, then usage is reported.

    HEAD and OPTIONS are checked and never metered. A preflight is answered without
    asking and without running the view, and so is OPTIONS to a metered view: it would
    have for nothing what others pay for.
    """
    if specs and _is_answered_at_once(specs, scope):
        return Denied(_preflight(specs[0]), HTTPStatus.OK.value)
    decisions: list[Decision] = []
    taken: list[tuple[ViewSpec, Decision]] = []
    for spec in specs:
        if spec.exempt_when is not None and (
            yield Call(spec.exempt_when, scope.request)
        ):
            continue
        decision = yield from _spec_flow(spec, scope, ground)
        if not decision.allowed:
            return Denied(decision, spec.on_denied)
        decisions.append(decision)
        if decision.requirement.metering is not None:
            taken.append((spec, decision))
    status: int | None = yield Proceed(tuple(decisions))
    if status is not None and scope.method not in UNMETERED_METHODS:
        for spec, decision in taken:
            if spec.when(status):
                yield from report_flow(decision, scope, ground)
    return None


def _is_answered_at_once(specs: tuple[ViewSpec, ...], scope: RequestScope) -> bool:
    if scope.method != "OPTIONS":
        return False
    needs = [leaf for spec in specs for leaf in leaves(spec.need)]
    return scope.is_preflight or any(need.metering is not None for need in needs)


def _preflight(spec: ViewSpec) -> Decision:
    return Decision(
        allowed=False,
        requirement=leaves(spec.need)[0],
        subject=None,
        reason=Reason.PREFLIGHT,
        source="guard",
    )


def _spec_flow(
    spec: ViewSpec, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Decision]:
    subject = yield from _subject_flow(spec, scope, ground)
    if subject is None:
        decision = Decision(
            allowed=False,
            requirement=leaves(spec.need)[0],
            subject=None,
            reason=Reason.NO_CUSTOMER,
            source="guard",
        )
        ground.decided(decision)
        return decision
    need = spec.need
    if spec.value is not None:
        units = yield Call(spec.value, scope.request)
        need = completed(need, usage=check_units("value", units))
    if spec.dimensions is not None:
        found = yield Call(spec.dimensions, scope.request)
        assert isinstance(need, Requirement)
        assert need.metering is not None
        metering = type(need.metering)(
            update=need.metering.update, dimensions=as_dimensions(found)
        )
        need = completed(need, metering=metering)
    if isinstance(need, Requirement) and need.metering is not None:
        return (yield from _units_flow(subject, need, scope, ground))
    return (yield from decide(subject, need, scope, ground))


def _units_flow(
    subject: Subject, requirement: Requirement, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Decision]:
    """Units of a metered view, on top of those that this request takes already."""
    place = (subject, requirement.name)
    taken = scope.taken.get(place, 0)
    asked = requirement
    if taken:
        asked = replace(requirement, usage=taken + (requirement.usage or 0))
    decision = yield from check_flow(subject, asked, scope, ground)
    if decision.allowed:
        scope.taken[place] = taken + (requirement.usage or 0)
    return replace(decision, requirement=requirement) if taken else decision


def _subject_flow(
    spec: ViewSpec, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Subject | None]:
    if spec.customer is not None:
        found = yield Call(spec.customer, scope.request)
        subject = as_subject(found)
    else:
        subject = yield from _request_subject_flow(scope, ground)
    if subject is None or spec.resource is None:
        return subject
    resource = spec.resource
    if not isinstance(resource, str):
        resource = yield Call(resource, scope.request)
    return Subject(subject.customer_id, resource or None)


def _request_subject_flow(
    scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Subject | None]:
    if not scope.subject_is_known:
        customer = scope.customer or ground.customer
        if customer is not None:
            found = yield Call(customer, scope.request)
            scope.subject = as_subject(found)
        scope.subject_is_known = True
    return scope.subject


# Most requests are for customers who were here before.
_subject = lru_cache(maxsize=4096)(Subject)


def as_subject(found: object) -> Subject | None:
    """What a customer resolver returned: an id, a Subject, or nobody.

    An empty string is nobody. Anything else raises `TypeError`.
    """
    if found is None or found == "":
        return None
    if isinstance(found, Subject):
        return found
    if isinstance(found, str):
        return _subject(found) if len(found) <= LONGEST_ID else Subject(found)
    raise TypeError(
        f"the customer resolver returned {found!r} ({type(found).__name__}); return"
        " the customer's id as a string, a Subject, or None."
    )


def decide(
    subject: Subject, need: Need, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Decision]:
    """Whether a subject meets a need; parts are asked in order, as far as needed."""
    if isinstance(need, Requirement):
        return (yield from check_flow(subject, need, scope, ground))
    wanted = not isinstance(need, AllOf)
    first: Decision | None = None
    decision: Decision | None = None
    for part in need.parts:
        decision = yield from decide(subject, part, scope, ground)
        if decision.allowed is wanted:
            return decision
        first = first or decision
    assert first is not None
    assert decision is not None
    return first if wanted else decision


def check_flow(
    subject: Subject, requirement: Requirement, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Decision]:
    """One requirement: at most one question, always one decision."""
    decision = ground.recall(subject, requirement)
    if decision is not None and requirement.metering is None:
        return decision
    question = requirement.question
    reply = scope.recall(subject, question)
    if reply is None:
        reply = yield Ask(subject, question)
        scope.answers[subject, question] = reply
    if isinstance(reply, Answer) and reply.is_verdict:
        decision = judge(subject, requirement, reply)
        ground.keep(decision)
    else:
        decision = _without_verdict(subject, requirement, reply, ground)
    ground.decided(decision)
    return decision


def _without_verdict(
    subject: Subject,
    requirement: Requirement,
    reply: Answer | NoAnswer,
    ground: Ground,
) -> Decision:
    if isinstance(reply, Answer):
        reply = NoAnswer(cause="the sidecar had neither data nor a fallback")
    ground.unanswered(reply)
    if reply.refused:
        return Decision(
            allowed=False,
            requirement=requirement,
            subject=subject,
            reason=Reason.UNKNOWN,
            source="sidecar",
        )
    return fall_back(
        subject,
        requirement,
        last_known=ground.last_known(subject, requirement),
        fallback=ground.fallback(requirement),
        policy=ground.policy(requirement),
    )


def report_flow(
    decision: Decision, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, None]:
    """Report what an allowed, metered requirement used."""
    requirement, subject = decision.requirement, decision.subject
    assert requirement.metering is not None
    assert requirement.feature_id is not None
    assert subject is not None
    value = requirement.usage or 0
    if scope.used is not None:
        value = check_units("usage", scope.used)
    if value == 0 and requirement.metering.update == "delta":
        return
    measurement = Measurement(
        subject=subject,
        feature_id=requirement.feature_id,
        value=value,
        update=requirement.metering.update,
        dimensions=requirement.metering.dimensions,
    )
    reply = yield Report(measurement)
    scope.answers.clear()
    scope.taken.clear()
    if reply is None:
        ground.reported(measurement)
    else:
        ground.unreported(measurement, reply)
