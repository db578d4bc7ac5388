"""Everything that a guard remembers of a customer is forgotten when it is told to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar_client import BooleanEntitlement, GetEntitlementResponse
from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Guard, Settings, Subject
from stigg_guard.memory import DecisionMemory
from stigg_guard.specs import feature_spec
from stigg_guard.steps import RequestScope
from stigg_guard.webhooks.incoming import Incoming
from tests.counting_sidecar import CountingSidecar, counting_sidecar
from tests.guard.test_memory import decided
from tests.scripted_sidecar import ScriptedSidecar
from tests.webhooks.samples import SECRET, encoded, updated


def made(target: str, **settings: object) -> Guard:
    options = {"target": target, "timeout": 5, "write_timeout": 5}
    options = {**options, "webhook_secret": SECRET, **settings}
    return Guard(Settings.from_options(options, owner="Guard"))


def tell(guard: Guard, customer: str) -> None:
    body = encoded(updated(customer))
    request = Incoming(
        method="POST", secret=SECRET, length=None, read=lambda most: body
    )
    assert guard.receive_webhook(request).status == 200


@pytest.fixture
def counting() -> Iterator[CountingSidecar]:
    with counting_sidecar(limit=1) as running:
        yield running


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_limit_that_was_reached_a_moment_ago_is_forgotten(
    counting: CountingSidecar, kind: str, request: pytest.FixtureRequest
) -> None:
    holds = request.getfixturevalue("redis_url") if kind == "redis" else "memory"
    guard = made(counting.target, holds=holds, holds_wait=0)
    with guard.metered("customer-1", "f"):
        for _ in range(2):
            with pytest.raises(AccessDenied), guard.metered("customer-1", "f"):
                pass
        counting.limit = 10
        tell(guard, "customer-1")
        with guard.metered("customer-1", "f"):
            pass
    guard.close()
    assert counting.total() == 2


@pytest.fixture
def redis_url() -> Iterator[str]:
    from tests.redis_server import redis_server

    with redis_server("--appendfsync", "no") as server:
        yield server.url


def test_limit_of_others_stays_known(counting: CountingSidecar) -> None:
    guard = made(counting.target, holds_wait=0)
    with guard.metered("customer-1", "f"):
        with pytest.raises(AccessDenied), guard.metered("customer-1", "f"):
            pass
        asked = counting.calls["GetEntitlement"]
        tell(guard, "customer-2")
        with pytest.raises(AccessDenied), guard.metered("customer-1", "f"):
            pass
        assert counting.calls["GetEntitlement"] == asked
    guard.close()


def test_answers_that_a_request_has_had_are_asked_for_again(
    scripted: ScriptedSidecar,
) -> None:
    scripted.answer = GetEntitlementResponse(
        has_access=True, boolean=BooleanEntitlement()
    )
    guard = made(scripted.target)
    scope = RequestScope(subject=Subject("customer-1"), subject_is_known=True)
    spec = feature_spec("f")
    for _ in range(2):
        guard.admit((spec,), scope)
    assert scripted.calls["GetEntitlement"] == 1
    tell(guard, "customer-1")
    guard.admit((spec,), scope)
    assert scripted.calls["GetEntitlement"] == 2
    guard.settle(scope, 200)
    guard.close()


def test_entitlements_that_a_request_has_had_are_asked_for_again() -> None:
    with LocalSidecar() as sidecar:
        guard = made(sidecar.target)
        scope = RequestScope(subject=Subject("customer-demo-01"), subject_is_known=True)
        first = guard.entitlements_of(scope)
        assert guard.entitlements_of(scope) is first
        tell(guard, "customer-demo-01")
        assert guard.entitlements_of(scope) is not first
        guard.close()


def test_decision_of_an_earlier_epoch_is_not_kept() -> None:
    memory = DecisionMemory(remember_for=60, last_known_for=60, max_customers=10)
    epoch, decision = memory.epoch, decided()
    memory.forget("somebody else")
    memory.keep(decision, epoch)
    assert decision.subject is not None
    assert memory.recall(decision.subject, decision.requirement) is None
    assert memory.last_known(decision.subject, decision.requirement) is None
    memory.keep(decision, memory.epoch)
    assert memory.recall(decision.subject, decision.requirement) is decision


def test_expired_decisions_are_not_used_again_and_still_stand_in() -> None:
    now = [0.0]
    memory = DecisionMemory(
        remember_for=60, last_known_for=60, max_customers=10, clock=lambda: now[0]
    )
    decision = decided()
    assert decision.subject is not None
    memory.keep(decision)
    memory.expire()
    assert memory.recall(decision.subject, decision.requirement) is None
    assert memory.last_known(decision.subject, decision.requirement) is decision
    now[0] = 1
    memory.keep(decision)
    assert memory.recall(decision.subject, decision.requirement) is decision
