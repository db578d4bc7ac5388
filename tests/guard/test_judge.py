"""How answers, and their absence, become decisions."""

from __future__ import annotations

from typing import Any

import pytest

from stigg_guard import Decision, Entitlement, Fallback, Reason, Subject, feature
from stigg_guard.decision import Answer
from stigg_guard.judge import fall_back, judge
from stigg_guard.requirement import Metering, Requirement

SUBJECT = Subject("c")
OVER = Reason.REQUESTED_USAGE_EXCEEDING_LIMIT


def entitled(kind: Any, **fields: Any) -> Answer:
    return Answer(has_access=True, entitlement=Entitlement(kind=kind, **fields))


@pytest.mark.parametrize(
    ("requirement", "answer", "reason"),
    [
        (feature("f"), entitled("boolean"), None),
        (feature("f"), Answer(has_access=True), None),
        (feature("f"), Answer(has_access=False), Reason.UNSPECIFIED),
        (feature("f", at_least=25), entitled("numeric", value=25), None),
        (
            feature("f", at_least=25),
            entitled("numeric", value=24),
            Reason.VALUE_BELOW_REQUIRED,
        ),
        (feature("f", at_least=25), entitled("numeric", is_unlimited=True), None),
        (feature("f", at_least=0), entitled("numeric"), Reason.VALUE_BELOW_REQUIRED),
        (feature("f", at_least=25), entitled("boolean"), Reason.FEATURE_TYPE_MISMATCH),
        (
            feature("f", at_least=25),
            Answer(has_access=True),
            Reason.FEATURE_TYPE_MISMATCH,
        ),
        (feature("f", usage=1), entitled("metered"), None),
        (feature("f", usage=1), entitled("credit"), None),
        (feature("f", usage=1), entitled("numeric"), Reason.FEATURE_TYPE_MISMATCH),
        (feature("f", values=["eu"]), entitled("enum"), None),
        (
            feature("f", values=["eu"]),
            entitled("metered"),
            Reason.FEATURE_TYPE_MISMATCH,
        ),
    ],
)
def test_answer_is_judged(
    requirement: Requirement, answer: Answer, reason: Reason | None
) -> None:
    decision = judge(SUBJECT, requirement, answer)
    assert decision.reason is reason
    assert bool(decision) is (reason is None)


@pytest.mark.parametrize(
    ("total", "answer", "reason"),
    [
        (6, entitled("metered", usage_limit=6, current_usage=3), None),
        (7, entitled("metered", usage_limit=6, current_usage=3), OVER),
        (7, entitled("metered", usage_limit=6, has_soft_limit=True), None),
        (7, entitled("metered", is_unlimited=True), None),
        (
            5,
            Answer(
                has_access=False,
                reason=OVER,
                entitlement=Entitlement(kind="metered", usage_limit=6, current_usage=6),
            ),
            None,
        ),
        (5, Answer(has_access=False, reason=Reason.REVOKED), Reason.REVOKED),
        (5, entitled("boolean"), Reason.FEATURE_TYPE_MISMATCH),
    ],
)
def test_new_total_is_compared_with_the_limit(
    total: float, answer: Answer, reason: Reason | None
) -> None:
    requirement = Requirement(
        feature_id="f", usage=total, metering=Metering(update="set")
    )
    assert judge(SUBJECT, requirement, answer).reason is reason


@pytest.mark.parametrize(
    ("requirement", "fallback", "allowed"),
    [
        (feature("f"), Fallback(has_access=True), True),
        (feature("f"), Fallback(has_access=False, is_unlimited=True), False),
        (feature("f", at_least=25), Fallback(has_access=True, value=10), False),
        (feature("f", at_least=25), Fallback(has_access=True, value=25), True),
        (feature("f", usage=5), Fallback(has_access=True, usage_limit=4), False),
        (feature("f", usage=5), Fallback(has_access=True, is_unlimited=True), True),
        (
            feature("f", values=["eu", "us"]),
            Fallback(has_access=True, enum_values=("eu",)),
            False,
        ),
    ],
)
def test_fallback_is_judged_like_an_answer(
    requirement: Requirement, fallback: Fallback, allowed: bool
) -> None:
    decision = fall_back(
        SUBJECT, requirement, last_known=None, fallback=fallback, policy="allow"
    )
    assert (decision.allowed, decision.source) == (allowed, "fallback")
    assert decision.is_fallback
    assert decision.reason is (None if allowed else Reason.NO_VERDICT)


def test_last_known_comes_before_fallback_and_fallback_before_policy() -> None:
    requirement = feature("f", fallback=True)
    last_known = Decision(
        allowed=False, requirement=requirement, subject=SUBJECT, reason=Reason.REVOKED
    )
    decision = fall_back(
        SUBJECT,
        requirement,
        last_known=last_known,
        fallback=requirement.fallback,
        policy="allow",
    )
    assert (decision.reason, decision.source) == (Reason.REVOKED, "last_known")
    assert decision.is_fallback
    by_policy = fall_back(
        SUBJECT, requirement, last_known=None, fallback=None, policy="deny"
    )
    assert (by_policy.allowed, by_policy.source) == (False, "policy")


@pytest.mark.parametrize(
    ("answer", "is_verdict"),
    [
        (Answer(has_access=False, is_fallback=True), False),
        (Answer(has_access=True, is_fallback=True), True),
        (Answer(has_access=False), True),
        (
            Answer(
                has_access=False,
                is_fallback=True,
                entitlement=Entitlement(kind="numeric", value=1),
            ),
            True,
        ),
    ],
)
def test_fallback_of_the_sidecar_that_rests_on_nothing_is_no_verdict(
    answer: Answer, is_verdict: bool
) -> None:
    assert answer.is_verdict is is_verdict
