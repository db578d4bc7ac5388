"""What a decision says of itself, and what comes back of it from its words."""

from __future__ import annotations

import math
import pickle

import pytest

from stigg_guard import AccessDenied, Decision, Entitlement, Reason, Subject, feature


def denied(reason: Reason, number: int | None = None) -> Decision:
    return Decision(
        allowed=False,
        requirement=feature("feature-1", usage=2),
        subject=Subject("c"),
        reason=reason,
        reason_number=number,
    )


@pytest.mark.parametrize("reason", Reason)
def test_denial_comes_back_from_its_explanation(reason: Reason) -> None:
    error = AccessDenied(denied(reason).explanation)
    assert error.decision.reason is reason
    assert error.decision.requirement.feature_id == "feature-1"
    assert error.decision.subject is None
    assert not error.decision.is_fallback
    assert str(error) == denied(reason).explanation


def test_unknown_number_and_source_come_back_too() -> None:
    explanation = "a: b (c): denied, UNKNOWN 17 (last_known)"
    decision = Decision.from_explanation(explanation)
    assert decision.requirement.feature_id == "a: b (c)"
    assert decision.reason_number == 17
    assert decision.is_fallback
    assert decision.explanation == explanation


@pytest.mark.parametrize(
    "text", ["", "f: allowed (sidecar)", "f: denied", "f: denied, WHY (x)"]
)
def test_other_words_are_no_denial(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Decision.from_explanation(text)


def test_denial_survives_pickling() -> None:
    decision = denied(Reason.REVOKED)
    assert pickle.loads(pickle.dumps(AccessDenied(decision))).decision == decision


def test_message_of_a_denial_is_a_sentence_for_people() -> None:
    decision = denied(Reason.BUDGET_EXCEEDED)
    assert AccessDenied(decision, message="Ask us.").message == "Ask us."
    usual = AccessDenied(decision)
    assert usual.message == usual.extensions["detail"]


def test_extensions_tell_status_and_reason_and_not_the_customer() -> None:
    extensions = AccessDenied(denied(Reason.REVOKED), message="Ask us.").extensions
    assert extensions["status"] == 403
    assert extensions["reason"] == "REVOKED"
    assert extensions["feature_id"] == "feature-1"
    assert extensions["requested_usage"] == 2
    assert AccessDenied(denied(Reason.REVOKED), 418).extensions["status"] == 418


@pytest.mark.parametrize(
    ("entitlement", "amount", "remaining"),
    [
        (Entitlement(kind="boolean"), 0, 0),
        (Entitlement(kind="enum", enum_values=("eu",)), 0, 0),
        (Entitlement(kind="numeric", value=25), 25, 0),
        (Entitlement(kind="numeric", is_unlimited=True), math.inf, 0),
        (Entitlement(kind="metered", usage_limit=6, current_usage=4), 6, 2),
        (Entitlement(kind="metered", usage_limit=6, current_usage=9), 6, 0),
        (Entitlement(kind="metered", current_usage=9), math.inf, math.inf),
        (Entitlement(kind="credit", usage_limit=6, has_soft_limit=True), 6, math.inf),
    ],
)
def test_amount_and_what_remains_of_it(
    entitlement: Entitlement, amount: float, remaining: float
) -> None:
    assert (entitlement.amount, entitlement.remaining) == (amount, remaining)
