"""`Guard` and `AsyncGuard` against real sidecars."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from sidecar_client import GetEntitlementResponse, UsageUpdateBehavior
from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    AsyncGuard,
    Guard,
    Reason,
    Settings,
    Subject,
    feature,
)
from tests.scripted_sidecar import ScriptedSidecar

SUBJECT = Subject("customer-demo-01", "site-01")
TEMPLATES = "feature-01-templates"


def guard_of(target: str, **options: Any) -> Guard:
    return Guard(target=target, timeout=5, write_timeout=5, **options)


def test_check_answers_with_the_entitlement_it_rests_on(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target)
    decision = guard.check(SUBJECT, feature(TEMPLATES, usage=3))
    assert decision.allowed
    assert decision.source == "sidecar"
    assert decision.entitlement is not None
    assert decision.entitlement.usage_limit == 6
    assert decision.entitlement.current_usage == 3
    assert not guard.check(SUBJECT, feature(TEMPLATES, usage=4))
    guard.close()


def test_require_raises_with_the_decision(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target)
    assert guard.require(SUBJECT, TEMPLATES).allowed
    with pytest.raises(AccessDenied) as raised:
        guard.require(SUBJECT, feature(TEMPLATES, usage=10))
    assert raised.value.decision.reason is Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert "customer-demo-01" not in str(raised.value)
    guard.close()


def test_denial_tells_how_the_application_answers_it(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target, statuses={"REQUESTED_USAGE_EXCEEDING_LIMIT": 429})
    with pytest.raises(AccessDenied) as required:
        guard.require(SUBJECT, feature(TEMPLATES, usage=10))
    with (
        pytest.raises(AccessDenied) as metered,
        guard.metered(SUBJECT, TEMPLATES, value=9),
    ):
        pytest.fail("entered")
    for raised in (required, metered):
        assert raised.value.extensions["status"] == 429
        assert raised.value.extensions["usage_limit"] == 6
    guard.close()


def test_metered_block_reports_what_was_really_used(scripted: ScriptedSidecar) -> None:
    scripted.answer = _metered()
    guard = guard_of(scripted.target)
    dimensions: dict[str, str | float] = {"kind": "mail", "size": 2, "urgent": True}
    with guard.metered(SUBJECT, TEMPLATES, value=3, dimensions=dimensions) as usage:
        usage.value = 2
    (report,) = scripted.reports
    assert scripted.requests[0].options.requested_usage == 3
    assert (report.customer_id, report.resource_id) == ("customer-demo-01", "site-01")
    assert report.value == 2
    assert report.update_behavior == UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_DELTA
    assert report.dimensions["kind"].string_value == "mail"
    assert report.dimensions["size"].number_value == 2
    assert report.dimensions["urgent"].boolean_value is True
    guard.close()


def test_metered_block_that_raises_reports_nothing(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target)
    with pytest.raises(ZeroDivisionError), guard.metered(SUBJECT, TEMPLATES):
        raise ZeroDivisionError
    assert sidecar.calls["ReportUsage"] == 0
    guard.close()


def test_metered_block_is_not_entered_without_the_units(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target)
    with pytest.raises(AccessDenied), guard.metered(SUBJECT, TEMPLATES, value=4):
        pytest.fail("entered")
    guard.close()


@pytest.mark.parametrize("value", [2**60, float("nan"), True, "2"])
def test_wrong_usage_is_refused_before_anything_is_asked(
    sidecar: LocalSidecar, value: Any
) -> None:
    guard = guard_of(sidecar.target)
    with pytest.raises(ValueError), guard.metered(SUBJECT, TEMPLATES, value=value):
        pytest.fail("entered")
    assert not sidecar.calls


async def test_customer_may_be_said_by_its_id_alone(sidecar: LocalSidecar) -> None:
    guard, whom = guard_of(sidecar.target), "customer-demo-01"
    assert guard.check(whom, TEMPLATES).subject == Subject(whom)
    assert guard.require(whom, feature(TEMPLATES, usage=3))
    with guard.metered(whom, TEMPLATES) as usage:
        usage.value = 2
    assert guard.report(whom, TEMPLATES, -1) == "acknowledged"
    assert await guard.aio.check(whom, feature(TEMPLATES, usage=2))
    async with guard.aio.metered(whom, TEMPLATES):
        assert not await guard.aio.check(whom, feature(TEMPLATES, usage=3))
    assert await guard.aio.report_event(whom, "made", delivery="acknowledged")
    await guard.aio.aclose()


@pytest.mark.parametrize("wrong", [None, "", 5, b"customer", ("customer", "site")])
async def test_what_is_no_subject_is_one_clear_error(wrong: Any) -> None:
    guard, message = Guard(), "the subject is .*; give a Subject or a customer's id"
    with pytest.raises(ValueError, match=message):
        guard.check(wrong, TEMPLATES)
    with pytest.raises(ValueError, match=message):
        guard.require(wrong, TEMPLATES)
    with pytest.raises(ValueError, match=message):
        guard.entitlements(wrong)
    with pytest.raises(ValueError, match=message), guard.metered(wrong, TEMPLATES):
        pass
    with pytest.raises(ValueError, match=message):
        guard.report(wrong, TEMPLATES)
    with pytest.raises(ValueError, match=message):
        guard.report_event(wrong, "made")
    with pytest.raises(ValueError, match=message):
        await guard.aio.check(wrong, TEMPLATES)


async def test_async_guard_says_the_same(sidecar: LocalSidecar) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5, write_timeout=5)
    assert await guard.check(SUBJECT, TEMPLATES)
    async with guard.metered(SUBJECT, TEMPLATES, value=3) as usage:
        usage.value = 1
    decision = await guard.check(SUBJECT, feature(TEMPLATES, usage=3))
    assert decision.entitlement is not None
    assert decision.entitlement.current_usage == 4
    with pytest.raises(AccessDenied):
        await guard.require(SUBJECT, feature(TEMPLATES, usage=3))
    with pytest.raises(AccessDenied):
        async with guard.metered(SUBJECT, TEMPLATES, value=3):
            pytest.fail("entered")
    await guard.aclose()


def test_both_kinds_share_memory(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target, remember=60)
    assert guard.aio.sync is guard
    assert guard.check(SUBJECT, "feature-03-custom-domain")

    async def ask() -> None:
        assert await guard.aio.check(SUBJECT, "feature-03-custom-domain")
        await guard.aio.aclose()

    asyncio.run(ask())
    assert sidecar.calls == {"GetEntitlement": 1}
    guard.forget(SUBJECT.customer_id)
    guard.check(SUBJECT, "feature-03-custom-domain")
    assert sidecar.calls == {"GetEntitlement": 2}
    guard.close()


def test_identical_questions_of_many_threads_share_one_call(
    scripted: ScriptedSidecar,
) -> None:
    guard = guard_of(scripted.target)
    scripted.gate.clear()
    asked = threading.Barrier(17)

    def ask() -> bool:
        asked.wait(10)
        return bool(guard.check(SUBJECT, "f"))

    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(ask) for _ in range(16)]
        asked.wait(10)
        _until(lambda: scripted.calls["GetEntitlement"] == 1)
        _until(lambda: _waiting(pool, answers) == 16)
        scripted.gate.set()
        assert all(answer.result(10) for answer in answers)
    assert scripted.calls["GetEntitlement"] <= 2  # a late thread may ask again
    guard.close()


async def test_identical_questions_of_many_tasks_share_one_call(
    sidecar: LocalSidecar,
) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5)
    asked = [guard.check(SUBJECT, "feature-03-custom-domain") for _ in range(256)]
    assert all(await asyncio.gather(*asked))
    assert sidecar.calls == {"GetEntitlement": 1}
    await guard.aclose()


async def test_cancelled_leader_leaves_the_followers_alive(
    scripted: ScriptedSidecar,
) -> None:
    guard = AsyncGuard(target=scripted.target, timeout=5)
    scripted.gate.clear()
    leader = asyncio.create_task(guard.check(SUBJECT, "f"))
    followers = [asyncio.create_task(guard.check(SUBJECT, "f")) for _ in range(3)]
    await asyncio.to_thread(_until, lambda: scripted.calls)
    leader.cancel()
    scripted.gate.set()
    assert all(await asyncio.gather(*followers))
    with pytest.raises(asyncio.CancelledError):
        await leader
    await guard.aclose()


async def test_cancelled_follower_leaves_the_leader_alive(
    scripted: ScriptedSidecar,
) -> None:
    guard = AsyncGuard(target=scripted.target, timeout=5)
    scripted.gate.clear()
    leader = asyncio.create_task(guard.check(SUBJECT, "f"))
    follower = asyncio.create_task(guard.check(SUBJECT, "f"))
    await asyncio.to_thread(_until, lambda: scripted.calls)
    follower.cancel()
    scripted.gate.set()
    assert await leader
    assert scripted.calls == {"GetEntitlement": 1}
    await guard.aclose()


def test_question_that_the_sidecar_refuses_is_denied_and_logged_once(
    scripted: ScriptedSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "customer_id is bad")
    guard = guard_of(scripted.target)
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        for _ in range(3):
            assert guard.check(SUBJECT, "f").reason is Reason.UNKNOWN
    assert caplog.text.count("customer_id is bad") == 1
    guard.close()


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.INTERNAL,
    ],
)
def test_sidecar_that_cannot_answer_is_an_outage(
    scripted: ScriptedSidecar, code: grpc.StatusCode
) -> None:
    scripted.refusal = (code, "no")
    guard = Guard(target=scripted.target, timeout=2, on_unavailable="deny")
    decision = guard.check(SUBJECT, "f")
    assert (decision.reason, decision.is_fallback) == (Reason.NO_VERDICT, True)
    assert guard.counts["unanswered"] == 1
    guard.close()


def test_fallback_of_the_sidecar_is_flagged_and_not_kept(
    scripted: ScriptedSidecar,
) -> None:
    scripted.answer = GetEntitlementResponse(has_access=True, is_fallback=True)
    guard = guard_of(scripted.target, remember=60)
    decision = guard.check(SUBJECT, "f")
    assert (decision.allowed, decision.source) == (True, "sidecar_fallback")
    guard.check(SUBJECT, "f")
    assert scripted.calls["GetEntitlement"] == 2
    guard.close()


def test_fallback_of_the_sidecar_without_a_verdict_is_an_outage(
    scripted: ScriptedSidecar,
) -> None:
    scripted.answer = GetEntitlementResponse(has_access=False, is_fallback=True)
    guard = guard_of(scripted.target, on_unavailable="allow")
    decision = guard.check(SUBJECT, "f")
    assert (decision.allowed, decision.source) == (True, "policy")
    guard.close()


def test_counts_tell_what_happened(sidecar: LocalSidecar) -> None:
    guard = guard_of(sidecar.target)
    guard.check(SUBJECT, TEMPLATES)
    guard.check(SUBJECT, "feature-99")
    sidecar.stop()
    guard.check(SUBJECT, "feature-03-custom-domain")
    assert guard.counts == {"allowed": 2, "denied": 1, "unanswered": 1, "fallbacks": 1}
    guard.close()


def test_guard_takes_settings_or_options_but_not_both() -> None:
    with pytest.raises(TypeError, match="put everything into the settings"):
        Guard(Settings(), target="127.0.0.1:80")


def test_guard_from_the_environment(sidecar: LocalSidecar) -> None:
    environ = {"STIGG_GUARD_TARGET": sidecar.target, "STIGG_GUARD_TIMEOUT": "5"}
    guard = Guard.from_env(environ)
    assert guard.check(SUBJECT, TEMPLATES)
    assert AsyncGuard.from_env(environ).settings.timeout == 5
    guard.close()


def test_importing_and_building_a_guard_imports_no_grpc_and_connects_to_nothing() -> (
    None
):
    program = (
        "import sys, stigg_guard; g = stigg_guard.Guard(target='127.0.0.1:1');"
        "g.aio; assert 'grpc' not in sys.modules and 'django' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_child_of_a_fork_asks_for_itself(sidecar: LocalSidecar) -> None:
    program = f"""
import os
from stigg_guard import Guard, Subject
guard = Guard(target={sidecar.target!r}, timeout=5)
subject = Subject("customer-demo-01")
assert guard.check(subject, "feature-04-analytics").source == "sidecar"
pid = os.fork()
if pid == 0:
    decision = guard.check(subject, "feature-03-custom-domain")
    os._exit(0 if decision.source == "sidecar" else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert guard.check(subject, "feature-04-analytics").source == "sidecar"
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60
    )


def _metered() -> GetEntitlementResponse:
    answer = GetEntitlementResponse(has_access=True)
    answer.metered.usage_limit = 6
    return answer


def _waiting(pool: ThreadPoolExecutor, answers: list[Any]) -> int:
    return sum(answer.running() for answer in answers)


def _until(condition: Any) -> None:
    waited = threading.Event()
    for _ in range(2000):
        if condition():
            return
        waited.wait(0.005)
    raise AssertionError("did not happen within 10 seconds")


@pytest.mark.parametrize("customer", ["\ud800", "c" * 300, "c" * 5_000_000])
def test_id_that_is_none_is_denied_and_never_let_through(
    sidecar: LocalSidecar, customer: str
) -> None:
    guard = guard_of(sidecar.target, on_unavailable="allow")
    for subject in (Subject(customer), Subject("customer-demo-01", customer)):
        decision = guard.check(subject, "feature-03-custom-domain")
        assert (decision.reason, decision.source) == (Reason.UNKNOWN, "sidecar")
    guard.close()


async def test_usage_that_cannot_be_written_is_no_error_of_the_server(
    sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5)
    async with guard.metered(SUBJECT, TEMPLATES) as usage:
        usage.value = 2
    with pytest.raises(ValueError, match="cannot be sent"):
        async with guard.metered(SUBJECT, TEMPLATES, dimensions={"a": "\ud800"}):
            pytest.fail("entered")
    await guard.aclose()


def test_answer_from_before_a_report_is_not_shared_after_it(
    scripted: ScriptedSidecar,
) -> None:
    scripted.answer = _metered()
    guard = guard_of(scripted.target)
    question = feature(TEMPLATES, usage=1)
    with ThreadPoolExecutor(2) as pool:
        with guard.metered(SUBJECT, TEMPLATES, value=2):
            scripted.held = {"GetEntitlement"}
            scripted.gate.clear()
            early = pool.submit(guard.check, SUBJECT, question)
            _until(lambda: scripted.calls["GetEntitlement"] == 2)
        late = pool.submit(guard.check, SUBJECT, question)
        _until(lambda: scripted.calls["GetEntitlement"] == 3)
        scripted.gate.set()
        assert early.result(10)
        assert late.result(10)
    guard.close()
