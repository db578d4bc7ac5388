"""Outages that a test makes: what guards do then is what they do in a real one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard, Subject, feature
from stigg_guard.testing import (
    metered,
    override_entitlements,
    recorded_usage,
    slow_sidecar,
    unavailable_sidecar,
)

ALICE = Subject("alice")
DEMO = Subject("customer-demo-01")
DOMAIN = "feature-03-custom-domain"
TEMPLATES = "feature-01-templates"


@pytest.fixture
def real() -> Iterator[tuple[LocalSidecar, Guard]]:
    """A real sidecar and its guard."""
    with LocalSidecar() as sidecar:
        guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
        yield sidecar, guard
        guard.close()


def overridden(**settings: Any) -> Guard:
    return Guard(target="127.0.0.1:1", **settings)


def test_policy_answers_and_nobody_is_asked(real: tuple[LocalSidecar, Guard]) -> None:
    sidecar, guard = real
    with unavailable_sidecar():
        decision = guard.check(DEMO, DOMAIN)
    assert (decision.allowed, decision.source) == (True, "policy")
    assert not sidecar.calls
    assert guard.check(DEMO, DOMAIN).source == "sidecar"


def test_last_known_decision_of_the_real_sidecar_stands_in(
    real: tuple[LocalSidecar, Guard],
) -> None:
    _, guard = real
    guard.check(DEMO, DOMAIN)
    with unavailable_sidecar():
        assert guard.check(DEMO, DOMAIN).source == "last_known"


def test_last_known_decision_of_an_override_stands_in() -> None:
    guard = overridden(on_unavailable="deny")
    with override_entitlements({"a": True, "b": True}):
        assert guard.check(ALICE, "a")
        with unavailable_sidecar():
            assert guard.check(ALICE, "a").source == "last_known"
            assert not guard.check(ALICE, "b")
            assert guard.entitlements(ALICE).is_fallback
        assert guard.check(ALICE, "b").source == "sidecar"


def test_fallback_of_the_need_comes_before_the_policy() -> None:
    guard = overridden(on_unavailable="deny")
    with unavailable_sidecar():
        assert guard.check(ALICE, feature("a", fallback=True)).source == "fallback"


def test_outage_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    guard = overridden()
    with caplog.at_level(logging.WARNING, logger="stigg_guard"), unavailable_sidecar():
        guard.check(ALICE, "a")
    assert "unavailable_sidecar(): nothing listens on 127.0.0.1:1" in caplog.text
    assert guard.counts["unanswered"] == 1


def test_usage_waits_for_the_end_of_the_outage_and_counts_meanwhile() -> None:
    guard = overridden(on_unavailable="deny")
    given = override_entitlements({"t": metered(limit=6, used=3)})
    with given, recorded_usage() as recorded:
        guard.check(ALICE, "t")
        with guard.metered(ALICE, "t"):
            pass
        with unavailable_sidecar():
            assert guard.report(ALICE, "t") == "stored"
            assert given.used("t", "alice") == 4
            recorded.assert_reported("t", times=1)
        assert given.used("t", "alice") == 5
        recorded.assert_reported("t", times=2)


def test_usage_waits_in_the_queue_of_a_guard_with_a_real_sidecar(
    real: tuple[LocalSidecar, Guard],
) -> None:
    sidecar, guard = real
    with recorded_usage() as recorded:
        with unavailable_sidecar():
            assert guard.report(DEMO, TEMPLATES) == "stored"
            recorded.assert_nothing_reported()
            assert not sidecar.calls
        recorded.assert_reported(TEMPLATES, value=1, customer="customer-demo-01")
    assert sidecar.calls["ReportUsage"] == 1


def test_slow_sidecar_misses_a_deadline_without_letting_it_pass() -> None:
    guard = overridden(timeout=30, on_unavailable="deny")
    started = time.perf_counter()
    with override_entitlements({"a": True}), slow_sidecar(31):
        assert guard.check(ALICE, "a").source == "policy"
    assert time.perf_counter() - started < 5


def test_slow_sidecar_that_meets_the_deadline_answers() -> None:
    guard = overridden(timeout=2)
    with override_entitlements({"a": True}), slow_sidecar(1):
        assert guard.check(ALICE, "a").source == "sidecar"


def test_report_that_misses_its_deadline_has_arrived_and_counts_once() -> None:
    guard = overridden(write_timeout=2)
    given = override_entitlements({"t": metered(limit=6, used=3)})
    with given, recorded_usage() as recorded:
        with guard.metered(ALICE, "t"):
            pass
        with slow_sidecar(3):
            with guard.metered(ALICE, "t"):
                pass
            assert given.used("t", "alice") == 5
            recorded.assert_reported("t", times=1)
        recorded.assert_reported("t", times=2)
        assert given.used("t", "alice") == 5


async def test_async_guard_is_in_the_outage() -> None:
    guard = overridden(on_unavailable="deny").aio
    async with override_entitlements({"a": True}):
        async with unavailable_sidecar():
            assert (await guard.check(ALICE, "a")).source == "policy"
            assert await guard.report(ALICE, "a") == "stored"
        assert await guard.check(ALICE, "a")


def test_outage_reaches_threads_without_a_context() -> None:
    guard = overridden(on_unavailable="deny")
    with unavailable_sidecar(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(guard.check, ALICE, "a").result().source == "policy"


def test_outages_stand_on_tests() -> None:
    guard = overridden(timeout=1, on_unavailable="deny")

    @unavailable_sidecar()
    def down() -> str:
        return guard.check(ALICE, "a").source

    @override_entitlements({"a": True})
    @slow_sidecar(2)
    def slow() -> str:
        return guard.check(ALICE, "a").source

    assert [down(), slow(), down(), slow()] == ["policy"] * 4


def test_seconds_are_a_number() -> None:
    with pytest.raises(ValueError, match="seconds"):
        slow_sidecar(-1)
