"""Shadow mode: denied, counted, told and let through; and nothing waits for it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    Decision,
    Guard,
    Happening,
    Reason,
    Subject,
    feature,
)
from stigg_guard.requirement import AnyOf
from stigg_guard.shadow import SECONDS_BETWEEN, ShadowLog
from stigg_guard.specs import feature_spec, meter_spec
from stigg_guard.steps import RequestScope
from tests.redis_server import redis_server

TEMPLATES = "feature-01-templates"
DOMAIN = "feature-03-custom-domain"
ANALYTICS = "feature-04-analytics"
FILE_SIZE = "feature-06-max-file-size"
WITHIN = Subject("customer-demo-01")
"""Has used 3 of 6 templates."""
AT_LIMIT = Subject("customer-demo-02")


def guard_at(sidecar: LocalSidecar, **settings: Any) -> Guard:
    return Guard(target=sidecar.target, timeout=5, write_timeout=5, **settings)


def test_shadow_denial_is_denied_yet_true(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, shadow=True)
    decision = guard.check(AT_LIMIT, DOMAIN)
    assert (decision.allowed, decision.is_shadow) == (False, True)
    assert decision
    assert decision.reason is Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    assert guard.require(AT_LIMIT, DOMAIN) == decision
    assert guard.counts["shadow_denied"] == 2
    assert guard.counts.get("denied", 0) == 0


def test_allowed_decision_is_no_shadow(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, shadow=True)
    assert guard.check(WITHIN, DOMAIN).is_shadow is False
    assert "shadow_denied" not in guard.counts


def test_remembered_denial_is_let_through_too(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, shadow=True, remember=60)
    need = feature(FILE_SIZE, at_least=25)
    found = [guard.check(AT_LIMIT, need) for _ in range(3)]
    assert [decision.is_shadow for decision in found] == [True] * 3
    assert guard.counts["shadow_denied"] == 3
    assert sidecar.calls == {"GetEntitlement": 1}


async def test_asynchronous_guard_is_in_shadow_mode_too(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, shadow=True)
    assert (await guard.aio.require(AT_LIMIT, DOMAIN)).is_shadow
    assert guard.counts["shadow_denied"] == 1
    await guard.aio.aclose()


def test_one_of_several_that_is_allowed_makes_no_shadow(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, features={ANALYTICS: {"SHADOW": True}})
    need = AnyOf((feature(ANALYTICS), feature(FILE_SIZE)))
    assert guard.check(AT_LIMIT, need).allowed
    denied = AnyOf((feature(DOMAIN), feature(ANALYTICS)))
    assert guard.check(AT_LIMIT, denied).is_shadow
    with pytest.raises(AccessDenied):
        guard.require(AT_LIMIT, AnyOf((feature(DOMAIN), feature("feature-08-editors"))))


def test_hooks_are_told_who_would_have_been_denied(sidecar: LocalSidecar) -> None:
    told: list[Happening] = []
    guard = guard_at(sidecar, shadow=True, hooks={"shadow_denied": told.append})
    guard.check(AT_LIMIT, DOMAIN)
    assert [found.decision and found.decision.subject for found in told] == [AT_LIMIT]


def test_units_that_others_hold_are_not_waited_for(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, shadow=True, holds_wait=30)
    with guard.metered(WITHIN, TEMPLATES, value=3):
        began = time.monotonic()
        with guard.metered(WITHIN, TEMPLATES, value=2):
            pass
        assert time.monotonic() - began < 10
    assert guard.counts["shadow_denied"] == 1
    assert guard.counts["acknowledged"] == 2
    entitlement = guard.check(WITHIN, TEMPLATES).entitlement
    assert entitlement is not None
    assert entitlement.current_usage == 3 + 3 + 2


def test_units_let_through_count_against_others(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, holds_wait=0)
    scope = RequestScope(subject=WITHIN, subject_is_known=True)
    guard.admit((meter_spec(TEMPLATES, value=9, shadow=True),), scope)
    with pytest.raises(AccessDenied), guard.metered(WITHIN, TEMPLATES):
        raise AssertionError("there is no room")
    guard.settle(scope, None)
    with guard.metered(WITHIN, TEMPLATES):
        pass


def test_redis_holds_units_over_the_limit_too(sidecar: LocalSidecar) -> None:
    with redis_server() as server:
        guard = guard_at(sidecar, holds=server.url, holds_wait=0)
        scope = RequestScope(subject=WITHIN, subject_is_known=True)
        guard.admit((meter_spec(TEMPLATES, value=9, shadow=True),), scope)
        with pytest.raises(AccessDenied), guard.metered(WITHIN, TEMPLATES):
            raise AssertionError("there is no room")
        guard.settle(scope, 200)
        assert guard.counts["acknowledged"] == 1
        guard.close()


def test_refused_hold_is_a_shadow_denial_that_the_view_sees(
    sidecar: LocalSidecar,
) -> None:
    guard = guard_at(sidecar, holds_wait=0)
    specs = (feature_spec(DOMAIN), meter_spec(TEMPLATES, value=2, shadow=True))
    with guard.metered(WITHIN, TEMPLATES, value=3):
        scope = RequestScope(subject=WITHIN, subject_is_known=True)
        admission = guard.admit(specs, scope)
    assert [decision.is_shadow for decision in admission.decisions] == [False, True]
    seen = scope.decision()
    assert seen is not None
    assert (seen.requirement.name, seen.source) == (TEMPLATES, "holds")
    assert scope.decision(DOMAIN) == admission.decisions[0]
    guard.settle(scope, 200)
    assert guard.counts["acknowledged"] == 2


def test_two_meters_of_one_feature_are_one_denial_of_a_request(
    sidecar: LocalSidecar,
) -> None:
    guard = guard_at(sidecar, shadow=True)
    scope = RequestScope(subject=AT_LIMIT, subject_is_known=True)
    found = guard.admit((meter_spec(TEMPLATES), meter_spec(TEMPLATES)), scope)
    assert [decision.source for decision in found.decisions] == ["sidecar"] * 2
    guard.settle(scope, 200)
    assert guard.counts["shadow_denied"] == 1
    assert guard.counts["acknowledged"] == 2


def test_enforced_meter_beside_one_in_shadow_mode_still_denies(
    sidecar: LocalSidecar,
) -> None:
    guard = guard_at(sidecar, holds_wait=0)
    specs = (
        meter_spec("feature-02-campaigns", value=40, shadow=True),
        meter_spec(TEMPLATES, value=4),
    )
    scope = RequestScope(subject=WITHIN, subject_is_known=True)
    with pytest.raises(AccessDenied) as raised:
        guard.admit(specs, scope)
    assert raised.value.decision.requirement.name == TEMPLATES
    assert "held" not in guard.counts


def test_hold_store_that_is_gone_stops_nobody_in_shadow_mode(
    sidecar: LocalSidecar,
) -> None:
    nowhere = {"holds": "redis://127.0.0.1:1/0", "holds_on_unavailable": "deny"}
    enforced = guard_at(sidecar, holds_wait=0, **nowhere)
    with pytest.raises(AccessDenied), enforced.metered(WITHIN, TEMPLATES):
        raise AssertionError("nothing can be held")
    guard = guard_at(sidecar, shadow=True, **nowhere)
    with guard.metered(WITHIN, TEMPLATES):
        pass
    guard.close()  # it is delivered behind whatever holds the place
    assert guard.counts["delivered"] == 1
    entitlement = guard.check(WITHIN, TEMPLATES).entitlement
    assert entitlement is not None
    assert entitlement.current_usage == 4
    guard.close()


def test_units_over_the_limit_are_measured_by_what_was_really_used(
    sidecar: LocalSidecar,
) -> None:
    guard = guard_at(sidecar, shadow=True)
    with guard.metered(AT_LIMIT, TEMPLATES, value=10) as usage:
        usage.value = 2
    entitlement = guard.check(AT_LIMIT, TEMPLATES).entitlement
    assert entitlement is not None
    assert entitlement.current_usage == 6 + 2
    with pytest.raises(ZeroDivisionError), guard.metered(AT_LIMIT, TEMPLATES):
        raise ZeroDivisionError
    again = guard.check(AT_LIMIT, TEMPLATES).entitlement
    assert again is not None
    assert again.current_usage == 6 + 2


def test_guarded_function_runs_in_shadow_mode(sidecar: LocalSidecar) -> None:
    guard = guard_at(sidecar, features={DOMAIN: {"SHADOW": True}})

    @guard.requires_feature(DOMAIN, customer=lambda: AT_LIMIT)
    def enforced_later() -> str:
        return "ran"

    @guard.requires_feature(DOMAIN, customer=lambda: AT_LIMIT, shadow=False)
    def enforced() -> str:
        return "ran"

    assert enforced_later() == "ran"
    with pytest.raises(AccessDenied):
        enforced()


def denied(name: str = DOMAIN, reason: Reason = Reason.REVOKED) -> Decision:
    return Decision(
        allowed=False, requirement=feature(name), subject=AT_LIMIT, reason=reason
    )


def test_log_says_a_feature_and_reason_once_in_a_while_and_counts_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [1000.0]
    log = ShadowLog(clock=lambda: now[0])
    for _ in range(4):
        log.note(denied(), "403")
    log.note(denied(TEMPLATES), "402")
    log.note(denied(reason=Reason.UNKNOWN), "403")
    assert len(caplog.records) == 3
    now[0] += SECONDS_BETWEEN
    log.note(denied(), "403")
    assert "(3 more like it since the last such line)" in caplog.messages[-1]
    assert f"{DOMAIN}: denied, REVOKED" in caplog.messages[-1]
