"""The pytest plugin: its fixtures and markers, in test files that pytest runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stigg_guard import Guard, Subject
from stigg_guard.testing import override_entitlements as override
from stigg_guard.testing import recorded_usage as recording
from stigg_guard.testing.clocked_sidecar import ClockedSidecar

pytest_plugins = ["pytester"]

Override = Callable[..., override]

ALICE = Subject("alice")
GUARD = Guard(target="127.0.0.1:1", timeout=0.2, on_unavailable="deny")
MONTHLY = {
    "features": [{"id": "t", "type": "metered", "meter": "incremental"}],
    "plans": [
        {"id": "p", "entitlements": {"t": {"limit": 2, "reset_period": "month"}}}
    ],
    "customers": [{"id": "alice", "subscriptions": [{"plan": "p"}]}],
}


@pytest.mark.entitlements({"a": True}, b=False)
def test_marker_overrides_features_by_mapping_and_by_name() -> None:
    assert GUARD.check(ALICE, "a")
    assert not GUARD.check(ALICE, "b")


@pytest.fixture
def asked() -> bool:
    return GUARD.check(ALICE, "a").allowed


@pytest.mark.entitlements({"a": True}, customer="alice", unknown="deny")
class TestMarkedClass:
    def test_fixtures_are_in_it(self, asked: bool) -> None:
        assert asked
        assert not GUARD.check(Subject("bob"), "a")

    @pytest.mark.entitlements({"a": False})
    async def test_nearer_marker_wins(self, asked: bool) -> None:
        assert not asked
        assert not await GUARD.aio.check(ALICE, "a")


def test_fixture_overrides_until_the_test_ends(override_entitlements: Override) -> None:
    made = override_entitlements({"a": True})
    assert isinstance(made, override)
    assert GUARD.check(ALICE, "a")
    override_entitlements({"a": False}, customer="alice")
    assert not GUARD.check(ALICE, "a")


def test_test_after_that_is_under_no_override() -> None:
    assert GUARD.check(ALICE, "a").source == "policy"


def test_fixture_may_be_used_as_a_block(override_entitlements: Override) -> None:
    with override_entitlements({"a": True}):
        assert GUARD.check(ALICE, "a")
    assert GUARD.check(ALICE, "a").source == "policy"


@pytest.mark.entitlements({"a": True})
def test_fixture_wins_over_the_marker_and_a_block_over_both(
    override_entitlements: Override,
) -> None:
    override_entitlements({"a": False})
    assert not GUARD.check(ALICE, "a")
    with override({"a": True}):
        assert GUARD.check(ALICE, "a")
        override_entitlements({"a": False})
        assert not GUARD.check(ALICE, "a")


@pytest.mark.entitlements({"t": 0}, unknown="allow")
def test_recorded_usage_is_a_fixture(recorded_usage: recording) -> None:
    GUARD.report(ALICE, "other", 2)
    recorded_usage.assert_reported("other", value=2, customer="alice")


# A real sidecar


def guard_of(sidecar: ClockedSidecar) -> Guard:
    return Guard(target=sidecar.target, timeout=5, write_timeout=5)


def test_local_sidecar_serves_the_demo_catalog(local_sidecar: ClockedSidecar) -> None:
    guard = guard_of(local_sidecar)
    assert guard.check(Subject("customer-demo-01"), "feature-03-custom-domain")
    assert local_sidecar.calls["GetEntitlement"] == 1
    guard.close()


@pytest.mark.catalog(MONTHLY)
def test_usage_begins_anew_when_the_clock_moves_into_the_next_period(
    local_sidecar: ClockedSidecar,
) -> None:
    guard = guard_of(local_sidecar)
    for _ in range(2):
        with guard.metered(ALICE, "t"):
            pass
    decision = guard.check(ALICE, "t")
    assert not decision.allowed
    assert decision.entitlement
    assert decision.entitlement.resets_at
    local_sidecar.clock.move_to(decision.entitlement.resets_at)
    with guard.metered(ALICE, "t"):
        pass
    found = guard.check(ALICE, "t").entitlement
    assert found
    assert found.current_usage == 1
    local_sidecar.clock.move(days=-40)
    local_sidecar.clock.move(timedelta(days=80), hours=1)
    assert guard.entitlements(ALICE).remaining("t") == 2
    guard.close()


def test_clock_is_moved_to_a_moment_with_a_zone(local_sidecar: ClockedSidecar) -> None:
    local_sidecar.clock.move_to(datetime(2030, 1, 1, tzinfo=UTC))
    assert local_sidecar.clock().year == 2030
    with pytest.raises(ValueError, match=r"clock\.move_to"):
        local_sidecar.clock.move_to("2030")  # type: ignore[arg-type]


# Test files of somebody else's


@pytest.fixture
def other_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """Runs them with this plugin alone: it is found by its entry point elsewhere."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = "-p stigg_guard.testing.pytest_plugin -p no:cacheprovider"
    monkeypatch.setenv("PYTEST_ADDOPTS", plugins)
    return pytester


HEAD = """
import pytest
from stigg_guard import Guard, Subject
GUARD = Guard(target="127.0.0.1:1", timeout=0.2)
ALICE = Subject("alice")
"""


def test_swallowed_error_fails_the_test_at_its_end(
    other_tests: pytest.Pytester,
) -> None:
    other_tests.makepyfile(
        HEAD
        + """
@pytest.mark.entitlements({"a": True})
def test_marked():
    with pytest.raises(AssertionError):
        GUARD.check(ALICE, "b")

def test_fixture(override_entitlements):
    override_entitlements({"a": True})
    with pytest.raises(AssertionError):
        GUARD.check(ALICE, "b")

def test_after():
    pass
"""
    )
    result = other_tests.runpytest_subprocess()
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(['*asks for "b" of customer "alice"*'])


def test_tests_run_in_several_processes(other_tests: pytest.Pytester) -> None:
    other_tests.makepyfile(
        HEAD
        + """
from stigg_guard.testing import metered

@pytest.mark.entitlements(t=metered(limit=6, used=3))
@pytest.mark.parametrize("number", range(8))
def test_marked(number):
    used = 0
    while GUARD.check(ALICE, "t"):
        GUARD.report(ALICE, "t")
        used += 1
    assert used == 3
"""
    )
    result = other_tests.runpytest_subprocess("-p", "xdist", "-n", "2")
    result.assert_outcomes(passed=8)


def test_plugin_works_with_importlib_strict_markers_and_warnings_as_errors(
    other_tests: pytest.Pytester,
) -> None:
    other_tests.makefile(".yaml", plans="features: [{id: x, type: boolean}]")
    other_tests.makepyfile(
        HEAD
        + """
@pytest.mark.catalog("plans.yaml")
def test_catalog(local_sidecar):
    assert [f.id for f in local_sidecar.catalog.features] == ["x"]

@pytest.mark.entitlements({"a": True})
def test_marked(recorded_usage):
    assert GUARD.check(ALICE, "a")
    recorded_usage.assert_nothing_reported()
"""
    )
    result = other_tests.runpytest_subprocess(
        "--strict-markers", "-W", "error", "--import-mode=importlib"
    )
    result.assert_outcomes(passed=2)


def test_bad_markers_are_told_what_to_do(other_tests: pytest.Pytester) -> None:
    other_tests.makepyfile(
        """
import pytest

@pytest.mark.catalog("missing.yaml")
def test_missing(local_sidecar): ...

@pytest.mark.catalog()
def test_nothing(local_sidecar): ...

@pytest.mark.entitlements
def test_empty(): ...

@pytest.mark.entitlements("a", "b")
def test_two(): ...
"""
    )
    result = other_tests.runpytest_subprocess()
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(
        [
            '*@pytest.mark.catalog("missing.yaml") is neither*',
            "*@pytest.mark.catalog was given () and {}; give one path or mapping*",
            "*@pytest.mark.entitlements was given (); give one mapping*",
            "*@pytest.mark.entitlements was given ('a', 'b'); give one mapping*",
        ]
    )
