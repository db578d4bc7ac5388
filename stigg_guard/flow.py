"""The conversation about a request, written once: look up, judge, fall back, admit.

Generators yield a step and are sent its outcome; they do no I/O. Who carries the steps
out, sync or async, is `guard`; what is said about usage is in `metering.conversation`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from stigg_guard.decision import (
    WITHIN_ENTITLEMENT,
    Answer,
    Decision,
    Entitlement,
    NoAnswer,
    Reason,
)
from stigg_guard.functions import is_for_afterwards
from stigg_guard.judge import fall_back, judge
from stigg_guard.metering.conversation import (
    UNMETERED_METHODS,
    call,
    give_back,
    hold_flow,
    room_flow,
    settle_flow,
)
from stigg_guard.metering.moment import as_moment
from stigg_guard.metering.patience import Patience
from stigg_guard.metering.promise import Promise, promise
from stigg_guard.requirement import (
    AllOf,
    Metering,
    Need,
    Requirement,
    as_dimensions,
    check_change,
    check_units,
    leaves,
)
from stigg_guard.steps import (
    Ask,
    Call,
    Denied,
    Ground,
    Proceed,
    RequestScope,
    Step,
)
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec

LONGEST_ID = 255


def view_flow(
    specs: tuple[ViewSpec, ...], scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Denied | None]:
    """A guarded view: every spec is met, units are held, the view runs, usage is told.

    HEAD and OPTIONS are checked and never metered. A preflight is answered without
    asking and without running the view, and so is OPTIONS to a metered view: it would
    have for nothing what others pay for. A denial in shadow mode is noted, and all goes
    on as if it were allowed.
    """
    if ground.bypasses():
        yield Proceed(())
        return None
    if specs and _is_answered_at_once(specs, scope):
        return Denied(_preflight(specs[0]), HTTPStatus.OK.value)
    if (
        ground.exempt_when is not None
        and scope.request is not None  # there is one
        and (yield from _is_exempt(scope, ground))
    ):
        yield Proceed(())
        return None
    decisions: list[Decision] = []
    promises: list[Promise] = []
    patience = Patience(ground.terms.wait)
    for spec in specs:
        if spec.exempt_when is not None and (
            yield Call(spec.exempt_when, scope.request)
        ):
            continue
        decision = yield from _spec_flow(spec, promises, scope, ground, patience)
        if not decision.allowed:
            if not decision.is_shadow:
                return Denied(decision, spec.on_denied, spec.message)
            _note_shadow(decision, spec, decisions, ground)
        decisions.append(decision)
    if promises and scope.method not in UNMETERED_METHODS:
        before = [item.decision for item in promises]
        refused = yield from hold_flow(promises, patience, ground)
        if refused is not None:
            ground.happened("denied", refused)
            ground.decided(refused)
            spec = _refused_spec(refused, promises)
            return Denied(refused, spec.on_denied, spec.message)
        for item, decision in zip(promises, before, strict=True):
            if item.decision is not decision:
                _note_shadow(item.decision, item.spec, decisions, ground)
                decisions[_index(decisions, decision)] = item.decision
        ground.happened("granted", promises[0].decision)
    outcome = yield Proceed(tuple(decisions))
    try:
        yield from settle_flow(promises, outcome, scope, ground)
    except BaseException:
        for item in promises:
            yield from give_back(item)
        raise
    return None


def _is_exempt(scope: RequestScope, ground: Ground) -> Generator[Step, Any, bool]:
    """Whether the application exempts the request; asked once."""
    if scope.is_exempt is None:
        scope.is_exempt = bool((yield Call(ground.exempt_when, scope.request)))
    return scope.is_exempt


def _note_shadow(
    decision: Decision, spec: ViewSpec, so_far: list[Decision], ground: Ground
) -> None:
    """Take note of a denial in shadow mode; a request has one for each feature."""
    name = decision.requirement.name
    if not any(known.is_shadow and known.requirement.name == name for known in so_far):
        ground.shadowed(decision, spec.on_denied)


def _index(decisions: list[Decision], decision: Decision) -> int:
    return next(n for n, found in enumerate(decisions) if found is decision)


def _refused_spec(refused: Decision, promises: list[Promise]) -> ViewSpec:
    requirement = refused.requirement
    return next(
        item.spec for item in promises if item.decision.requirement is requirement
    )


def _is_answered_at_once(specs: tuple[ViewSpec, ...], scope: RequestScope) -> bool:
    if scope.method != "OPTIONS":
        return False
    needs = [leaf for spec in specs for leaf in leaves(spec.need)]
    return scope.is_preflight or any(need.metering is not None for need in needs)


def _preflight(spec: ViewSpec) -> Decision:
    return _unasked(spec, Reason.PREFLIGHT)


def _spec_flow(
    spec: ViewSpec,
    promises: list[Promise],
    scope: RequestScope,
    ground: Ground,
    patience: Patience,
) -> Generator[Step, Any, Decision]:
    """What one spec says of the request; what it promises joins `promises`."""
    subject = yield from _subject_flow(spec, scope, ground)
    need = spec.need
    if subject is None:
        decision = _unasked(spec, Reason.NO_CUSTOMER)
        if _is_all_shadow(need, spec.shadow, ground):
            decision = replace(decision, is_shadow=True)
        ground.decided(decision)
        return decision
    if not isinstance(need, Requirement) or need.metering is None:
        return (yield from decide(subject, need, scope, ground, spec.shadow))
    terms = yield from _metered(spec, need, need.metering, scope)
    need, units = terms.requirement, terms.units
    is_shadow = ground.is_shadow(need, spec.shadow)
    if units < 0 or need.is_only_metered:
        decision = _admitted_unasked(subject, need)
    else:
        decision = yield from _units_flow(
            subject, need, scope, ground, None if is_shadow else patience
        )
    if decision.allowed or (decision.is_shadow and _can_be_reported(decision)):
        moment = terms.moment
        promises.append(promise(spec, decision, units, moment, is_shadow=is_shadow))
    return decision


def _can_be_reported(denied: Decision) -> bool:
    """Whether the sidecar takes a report of what a denied customer uses.

    It takes raw events of everybody.
    """
    metering = denied.requirement.metering
    is_event = metering is not None and metering.event is not None
    return is_event or denied.reason in WITHIN_ENTITLEMENT


def _is_all_shadow(need: Need, shadow: bool | None, ground: Ground) -> bool:
    """Whether nobody is stopped by a need, whatever its parts come to."""
    if isinstance(need, Requirement):
        return ground.is_shadow(need, shadow)
    found = (_is_all_shadow(part, shadow, ground) for part in need.parts)
    return all(found) if isinstance(need, AllOf) else any(found)


class _Metered(NamedTuple):
    """A metered requirement with what this request's functions said of it."""

    requirement: Requirement
    units: float
    moment: datetime | None


def _metered(
    spec: ViewSpec, need: Requirement, metering: Metering, scope: RequestScope
) -> Generator[Step, Any, _Metered]:
    """Call the functions that need not wait for the view: they may still fail."""
    units, moment = spec.units, None
    if spec.value is not None and not is_for_afterwards(spec.value):
        found = yield from call(spec.value, scope, None)
        is_total = metering.update == "set"
        units = (check_units if is_total else check_change)("value", found)
        need = replace(need, usage=units if units >= 0 else None)
    if spec.dimensions is not None and not is_for_afterwards(spec.dimensions):
        found = yield from call(spec.dimensions, scope, None)
        need = replace(
            need, metering=replace(metering, dimensions=as_dimensions(found))
        )
    if spec.timestamp is not None and not is_for_afterwards(spec.timestamp):
        found = yield from call(spec.timestamp, scope, None)
        moment = as_moment("timestamp", found)
    return _Metered(need, units, moment)


def _unasked(spec: ViewSpec, reason: Reason) -> Decision:
    return Decision(
        allowed=False,
        requirement=_first(spec),
        subject=None,
        reason=reason,
        source="guard",
    )


def _admitted_unasked(subject: Subject, requirement: Requirement) -> Decision:
    """Units that are given back are taken from everybody, whatever they may."""
    return Decision(
        allowed=True, requirement=requirement, subject=subject, source="guard"
    )


def _first(spec: ViewSpec) -> Requirement:
    return leaves(spec.need)[0]


def _units_flow(
    subject: Subject,
    requirement: Requirement,
    scope: RequestScope,
    ground: Ground,
    patience: Patience | None,
) -> Generator[Step, Any, Decision]:
    """Units of a metered view, on top of those that this request takes already.

    Without patience it is in shadow mode, which stops nobody and waits for nothing.
    """
    if patience is not None:
        crowded_out = yield from room_flow(subject, requirement, patience, ground)
        if crowded_out is not None:
            ground.happened("denied", crowded_out)
            ground.decided(crowded_out)
            return crowded_out
    place = (subject, requirement.name)
    taken = scope.taken.get(place, 0)
    asked = requirement
    if taken:
        asked = replace(requirement, usage=taken + (requirement.usage or 0))
    decision = yield from check_flow(subject, asked, scope, ground, patience is None)
    if decision.allowed:
        scope.taken[place] = taken + (requirement.usage or 0)
    elif not decision.is_shadow:
        ground.happened("denied", decision)
    return replace(decision, requirement=requirement) if taken else decision


def _subject_flow(
    spec: ViewSpec, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Subject | None]:
    if spec.customer is not None:
        found = yield Call(spec.customer, scope.request)
        subject = as_subject(found)
    else:
        subject = yield from request_subject_flow(scope, ground)
    if subject is None or spec.resource is None:
        return subject
    resource = spec.resource
    if not isinstance(resource, str):
        resource = yield Call(resource, scope.request)
    return Subject(subject.customer_id, resource or None)


def request_subject_flow(
    scope: RequestScope, ground: Ground
) -> Generator[Step, Any, Subject | None]:
    """Who a request acts for; its customer resolver is called once."""
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
    subject: Subject,
    need: Need,
    scope: RequestScope,
    ground: Ground,
    shadow: bool | None = None,
) -> Generator[Step, Any, Decision]:
    """Whether a subject meets a need; parts are asked in order, as far as needed.

    A part that is denied in shadow mode stops nobody: what comes of the others counts,
    and if they stop nobody either, that part.
    """
    if isinstance(need, Requirement):
        return (yield from check_flow(subject, need, scope, ground, shadow))
    wanted = not isinstance(need, AllOf)
    first: Decision | None = None
    decision: Decision | None = None
    in_shadow: Decision | None = None
    for part in need.parts:
        decision = yield from decide(subject, part, scope, ground, shadow)
        if decision.is_shadow:
            in_shadow = in_shadow or decision
        elif decision.allowed is wanted:
            return decision
        first = first or decision
    assert first is not None
    assert decision is not None
    if in_shadow is not None:
        return in_shadow
    return first if wanted else decision


def check_flow(
    subject: Subject,
    requirement: Requirement,
    scope: RequestScope,
    ground: Ground,
    shadow: bool | None = None,
) -> Generator[Step, Any, Decision]:
    """One requirement: at most one question, always one decision."""
    decision = ground.recall(subject, requirement)
    if decision is not None and requirement.metering is None:
        if not decision.allowed and ground.is_shadow(requirement, shadow):
            decision = replace(decision, is_shadow=True)
        return decision
    question, epoch = requirement.question, ground.epoch
    reply = scope.recall(subject, question, epoch)
    if reply is None:
        reply = yield Ask(subject, question)
        scope.answers[subject, question] = reply
    if isinstance(reply, Answer) and reply.is_verdict:
        decision = judge(subject, requirement, reply)
        ground.keep(decision, epoch)
    else:
        decision = _without_verdict(subject, requirement, reply, ground)
    if not decision.allowed and ground.is_shadow(requirement, shadow):
        decision = replace(decision, is_shadow=True)
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
    fallback = ground.fallback(requirement)
    decision = fall_back(
        subject,
        requirement,
        last_known=ground.last_known(subject, requirement),
        fallback=fallback,
        policy=ground.policy(requirement),
    )
    if requirement.metering is None or decision.entitlement is not None:
        return decision
    entitlement: Entitlement | None
    if decision.source == "fallback" and fallback and fallback.usage_limit is not None:
        entitlement = Entitlement(
            kind="metered",
            usage_limit=fallback.usage_limit,
            current_usage=0,
            is_unlimited=fallback.is_unlimited,
        )
    else:
        # The last known limit still holds, and what we granted since is known.
        entitlement = ground.last_entitlement(subject, requirement)
    return replace(decision, entitlement=entitlement)
