"""What was reported, asserted: and what a failed assertion shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard, Subject
from stigg_guard.testing import (
    metered,
    override_entitlements,
    recorded_usage,
    unavailable_sidecar,
)

ALICE = Subject("alice")


@pytest.fixture
def guard() -> Guard:
    return Guard(target="127.0.0.1:1")


@pytest.fixture
def recorded() -> Iterator[recorded_usage]:
    """A recorder, with everything overridden."""
    with override_entitlements({"t": metered(limit=60)}, unknown="allow"):
        with recorded_usage() as recording:
            yield recording


def failure(assertion: object) -> str:
    assert callable(assertion)
    with pytest.raises(AssertionError) as failed:
        assertion()
    return str(failed.value)


def test_usage_is_asserted_by_everything_that_it_is(
    guard: Guard, recorded: recorded_usage
) -> None:
    site = Subject("alice", "site-1")
    guard.report(site, "t", 2, dimensions={"kind": "pdf"})
    recorded.assert_reported("t")
    recorded.assert_reported(
        "t",
        value=2,
        customer="alice",
        resource="site-1",
        update="delta",
        dimensions={"kind": "pdf"},
        times=1,
    )
    assert recorded.total("t") == recorded.total("t", "alice") == 2
    assert recorded.total("t", "bob") == 0
    assert [each.feature_id for each in recorded.measurements] == ["t"]


def test_each_difference_is_shown_and_the_nearest_comes_first(
    guard: Guard, recorded: recorded_usage
) -> None:
    guard.report(Subject("bob"), "t", 3)
    guard.report(ALICE, "t", 3, dimensions={"kind": "pdf"})
    guard.report(ALICE, "other")
    said = failure(lambda: recorded.assert_reported("t", value=1, customer="alice"))
    assert said.splitlines() == [
        "feature \"t\" with value 1, customer 'alice' was reported never, not at least"
        " once. What was used:",
        "  feature \"t\" with value 3, customer 'alice', dimension 'kind' 'pdf':"
        " acknowledged  <- value is 3, not 1",
        "  feature \"t\" with value 3, customer 'bob': acknowledged  <- value is 3, not"
        " 1; customer is 'bob', not 'alice'",
        "  feature \"other\" with value 1, customer 'alice': acknowledged",
    ]


def test_number_of_times_is_asserted(guard: Guard, recorded: recorded_usage) -> None:
    for _ in range(2):
        guard.report(ALICE, "t")
    recorded.assert_reported("t", times=2)
    said = failure(lambda: recorded.assert_reported("t", times=1))
    assert 'feature "t" was reported 2 times, not once.' in said
    recorded.assert_reported("other", times=0)


def test_event_is_delivered_before_it_is_looked_for(
    guard: Guard, recorded: recorded_usage
) -> None:
    guard.report_event(ALICE, "email.sent", dimensions={"kind": "welcome", "size": 2})
    recorded.assert_event("email.sent", customer="alice", dimensions={"size": 2})
    said = failure(
        lambda: recorded.assert_event("email.sent", dimensions={"kind": "x", "to": 1})
    )
    assert "dimension 'kind' is 'welcome', not 'x'" in said
    assert "dimension 'to' is not there, not 1" in said


def test_event_and_usage_of_a_feature_are_told_apart(
    guard: Guard, recorded: recorded_usage
) -> None:
    guard.report_event(ALICE, "email.sent", feature_id="t", value=2)
    recorded.assert_event("email.sent", feature="t", value=2)
    assert "never" in failure(lambda: recorded.assert_reported("t"))


def test_nothing_was_reported(guard: Guard, recorded: recorded_usage) -> None:
    recorded.assert_nothing_reported()
    assert "Nothing was used at all" in failure(lambda: recorded.assert_reported("t"))
    guard.report(ALICE, "t")
    recorded.assert_nothing_reported("other")
    said = failure(recorded.assert_nothing_reported)
    assert "expected that nothing is reported. What was used:" in said
    assert "feature \"t\" with value 1, customer 'alice'" in said
    assert 'nothing of "t"' in failure(lambda: recorded.assert_nothing_reported("t"))


def test_usage_that_waits_is_not_reported_and_the_cause_is_shown(
    guard: Guard, recorded: recorded_usage
) -> None:
    with unavailable_sidecar():
        guard.report(ALICE, "t")
        recorded.assert_nothing_reported()
        said = failure(lambda: recorded.assert_reported("t"))
    assert "stored (unavailable_sidecar(): nothing listens on" in said
    recorded.assert_reported("t")


def test_usage_before_and_after_is_none_of_it(guard: Guard) -> None:
    with override_entitlements({"t": metered()}):
        guard.report(ALICE, "t", 1)
        with recorded_usage() as recorded:
            guard.report(ALICE, "t", 2)
        guard.report(ALICE, "t", 3)
    assert [each.value for each in recorded.measurements] == [2]


def test_recorders_may_be_nested(guard: Guard, recorded: recorded_usage) -> None:
    with recorded_usage() as inner:
        guard.report(ALICE, "t")
    inner.assert_reported("t", times=1)
    recorded.assert_reported("t", times=1)


def test_what_a_real_sidecar_took_is_recorded_whatever_the_delivery() -> None:
    with LocalSidecar() as sidecar, recorded_usage() as recorded:
        guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
        customer = Subject("customer-demo-01")
        guard.report(customer, "feature-01-templates", delivery="background")
        guard.report_event(customer, "email.sent")
        recorded.assert_reported("feature-01-templates", value=1)
        recorded.assert_event("email.sent")
        assert sidecar.calls == {"ReportUsage": 1, "ReportEvents": 1}
        guard.close()


async def test_async_usage_is_recorded(guard: Guard) -> None:
    async with override_entitlements({"t": metered()}), recorded_usage() as recorded:
        async with guard.aio.metered(ALICE, "t", value=2):
            pass
        await guard.aio.report_event(ALICE, "email.sent")
        recorded.assert_reported("t", value=2)
        recorded.assert_event("email.sent")
