"""Which decisions are kept, for how long, and how many."""

from __future__ import annotations

import pytest

from stigg_guard import Decision, Entitlement, Reason, Subject, feature
from stigg_guard.decision import Kind
from stigg_guard.memory import ENTRIES_PER_CUSTOMER, DecisionMemory


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> DecisionMemory:
    return DecisionMemory(
        remember_for=10, last_known_for=60, max_customers=3, clock=clock
    )


def decided(
    customer: str = "c",
    *,
    kind: Kind | None = "boolean",
    is_fallback: bool = False,
    usage: float | None = None,
    feature_id: str = "f",
) -> Decision:
    return Decision(
        allowed=True,
        requirement=feature(feature_id, usage=usage),
        subject=Subject(customer),
        is_fallback=is_fallback,
        entitlement=Entitlement(kind=kind) if kind else None,
    )


def _recall(memory: DecisionMemory, decision: Decision) -> Decision | None:
    assert decision.subject is not None
    return memory.recall(decision.subject, decision.requirement)


def _last_known(memory: DecisionMemory, decision: Decision) -> Decision | None:
    assert decision.subject is not None
    return memory.last_known(decision.subject, decision.requirement)


@pytest.mark.parametrize("kind", ["boolean", "numeric", "enum"])
def test_decision_is_used_again_until_it_is_too_old(
    memory: DecisionMemory, clock: Clock, kind: Kind
) -> None:
    decision = decided(kind=kind)
    memory.keep(decision)
    clock.now += 9.9
    assert _recall(memory, decision) is decision
    clock.now += 0.1
    assert _recall(memory, decision) is None


@pytest.mark.parametrize("kind", ["metered", "credit", None])
def test_decision_about_usage_or_about_nothing_is_never_used_again(
    memory: DecisionMemory, kind: Kind | None
) -> None:
    decision = decided(kind=kind)
    memory.keep(decision)
    assert _recall(memory, decision) is None
    assert _last_known(memory, decision) is decision


def test_any_verdict_may_stand_in_until_it_is_too_old(
    memory: DecisionMemory, clock: Clock
) -> None:
    decision = decided(kind="metered", usage=2)
    memory.keep(decision)
    clock.now += 59.9
    assert _last_known(memory, decision) is decision
    clock.now += 0.1
    assert _last_known(memory, decision) is None


def test_fallback_is_never_kept(memory: DecisionMemory) -> None:
    decision = decided(is_fallback=True)
    memory.keep(decision)
    assert _recall(memory, decision) is None
    assert _last_known(memory, decision) is None


def test_different_questions_do_not_answer_each_other(memory: DecisionMemory) -> None:
    memory.keep(decided())
    subject = Subject("c")
    assert memory.recall(subject, feature("f", at_least=5)) is None
    assert memory.recall(subject, feature("f", values=["eu"])) is None
    assert memory.recall(Subject("c", "site"), feature("f")) is None
    assert memory.recall(Subject("d"), feature("f")) is None


def test_one_customer_is_forgotten_and_the_others_are_not(
    memory: DecisionMemory,
) -> None:
    one, other = decided("one"), decided("other")
    memory.keep(one)
    memory.keep(other)
    memory.forget("one")
    assert _recall(memory, one) is None
    assert _recall(memory, other) is other
    memory.forget()
    assert _recall(memory, other) is None


def test_memory_is_bounded_by_customers_and_by_questions(
    memory: DecisionMemory,
) -> None:
    for number in range(10):
        memory.keep(decided(f"customer-{number}"))
    assert len(memory) == 3
    assert _recall(memory, decided("customer-9")) is not None
    assert _recall(memory, decided("customer-0")) is None
    for number in range(ENTRIES_PER_CUSTOMER + 5):
        memory.keep(decided("customer-9", feature_id=f"feature-{number}"))
    assert _recall(memory, decided("customer-9")) is None


def test_nothing_is_remembered_unless_asked_for(clock: Clock) -> None:
    memory = DecisionMemory(
        remember_for=0, last_known_for=0, max_customers=3, clock=clock
    )
    decision = decided()
    memory.keep(decision)
    assert _recall(memory, decision) is None
    assert _last_known(memory, decision) is None
    assert len(memory) == 0


def test_denial_is_remembered_with_its_reason(memory: DecisionMemory) -> None:
    denied = Decision(
        allowed=False,
        requirement=feature("f", at_least=25),
        subject=Subject("c"),
        reason=Reason.VALUE_BELOW_REQUIRED,
        entitlement=Entitlement(kind="numeric", value=10),
    )
    memory.keep(denied)
    assert _recall(memory, denied) is denied
