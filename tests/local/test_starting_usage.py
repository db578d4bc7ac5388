"""Starting usage: counted once, with all that is of the same counter, or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.conftest import Serve
from tests.local.wire import Clock, ask

CALLS: list[dict[str, object]] = [
    {"id": "calls", "type": "metered", "meter": "incremental"}
]
TEAM: dict[str, dict[str, object]] = {
    "team": {"calls": {"limit": 5}},
    "none": {},
    "monthly": {"calls": {"limit": 5, "reset_period": "month"}},
}


def used(sidecar: LocalSidecar, resource: str | None = None) -> float:
    answer: pb.GetMeteredEntitlementResponse = ask(
        sidecar,
        pb.GetMeteredEntitlementRequest(
            customer_id="c", feature_id="calls", resource_id=resource
        ),
    )
    return answer.entitlement.current_usage


def refused(serve: Serve, **customer: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        serve(CALLS, TEAM, resources=["r", "s"], **customer)
    return str(caught.value).removeprefix("the catalog: customers[0].")


def test_customers_subscription_counts_the_starting_usage_of_all(serve: Serve) -> None:
    sidecar = serve(
        CALLS,
        TEAM,
        resources=["r"],
        subscriptions=[{"plan": "team"}],
        usage=[
            {"feature": "calls", "value": 3},
            {"feature": "calls", "resource": "r", "value": 1},
        ],
    )
    assert used(sidecar) == used(sidecar, "r") == 4


def test_starting_usage_at_several_times_of_a_period_adds_up(serve: Serve) -> None:
    sidecar = serve(
        CALLS,
        TEAM,
        subscriptions=[{"plan": "monthly"}],
        usage=[
            {"feature": "calls", "value": 1},
            {"feature": "calls", "value": 2, "at": "2023-12-01T00:00:00Z"},
            {"feature": "calls", "value": 4, "at": "2023-11-30T00:00:00Z"},
        ],
    )
    assert used(sidecar) == 3


def test_restart_does_not_count_starting_usage_again(serve: Serve) -> None:
    sidecar = serve(
        CALLS,
        TEAM,
        resources=["r"],
        subscriptions=[{"plan": "team"}],
        usage=[
            {"feature": "calls", "value": 3},
            {"feature": "calls", "resource": "r", "value": 1},
        ],
    )
    sidecar.stop()
    sidecar.start()
    assert used(sidecar) == 4


@pytest.mark.parametrize("resource", [None, "s"])
def test_usage_that_only_another_resource_could_count_is_refused(
    serve: Serve, resource: str | None
) -> None:
    whose = " by resource 's'" if resource else ""
    assert refused(
        serve,
        subscriptions=[
            {"plan": "team", "resource": "r"},
            {"plan": "team", "status": "canceled"},
        ],
        usage=[{"feature": "calls", "resource": resource, "value": 5}],
    ) == (
        f"usage[0]: nothing counts this usage of 'calls'{whose}: only a subscription "
        "of resource 'r' could; name that resource with `resource`"
    )


def test_usage_that_no_subscription_grants_is_refused(serve: Serve) -> None:
    assert refused(
        serve,
        subscriptions=[{"plan": "none"}],
        usage=[{"feature": "calls", "value": 5}],
    ) == (
        "usage[0]: no subscription of 'c' grants 'calls', so nothing counts this "
        "usage; subscribe to a plan that does, or remove the usage"
    )


def test_usage_of_a_subscription_that_ended_is_allowed(serve: Serve) -> None:
    serve(
        CALLS,
        TEAM,
        subscriptions=[{"plan": "team", "status": "expired"}],
        usage=[{"feature": "calls", "value": 5}],
    )


@pytest.mark.parametrize("plan", ["team", "monthly"])
def test_usage_of_a_subscription_to_come_is_there_when_it_begins(
    serve: Serve, clock: Clock, plan: str
) -> None:
    sidecar = serve(
        CALLS,
        TEAM,
        subscriptions=[
            {"plan": "none"},
            {"plan": plan, "start": "2024-02-10T00:00:00Z"},
        ],
        usage=[{"feature": "calls", "value": 3}],
    )
    clock.now = datetime(2024, 2, 11, tzinfo=UTC)
    assert used(sidecar) == 3


def test_usage_told_twice_is_refused(serve: Serve) -> None:
    at = {"at": "2023-12-01T00:00:00Z"}
    told = {"feature": "calls", "value": 1}
    assert refused(
        serve, subscriptions=[{"plan": "team"}], usage=[told, told | at, told]
    ) == (
        "usage[2]: the usage of 'calls' is already told by usage[0]; "
        "keep one of the two, or give them different times with `at`"
    )
    same = {"at": "2023-12-01T01:00:00+01:00"}
    assert "usage[1]: the usage of 'calls' by resource 'r' is already told" in refused(
        serve,
        subscriptions=[{"plan": "team"}],
        usage=[told | at | {"resource": "r"}, told | same | {"resource": "r"}],
    )


def test_usage_beyond_what_a_number_holds_is_refused(serve: Serve) -> None:
    most = {"feature": "calls", "value": 1.7e308}
    assert refused(
        serve,
        subscriptions=[{"plan": "team"}],
        usage=[most, most | {"resource": "r"}],
    ) == (
        "usage[1].value: the usage of 'calls' adds up to more than a number can hold; "
        "use less"
    )


def test_unknown_plan_is_told_without_guesses_about_usage(serve: Serve) -> None:
    (line,) = refused(
        serve,
        subscriptions=[{"plan": "pro"}],
        usage=[{"feature": "calls", "value": 1}],
    ).splitlines()
    assert "there is no plan 'pro'" in line


def test_usage_that_is_refused_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(
        "features: [{id: f, type: metered, meter: incremental}]\n"
        "plans: [{id: p, entitlements: {f: {limit: 5}}}]\n"
        "customers:\n"
        "  - id: c\n"
        "    subscriptions: [{plan: p}]\n"
        "    usage:\n"
        "      - {feature: f, value: 4}\n"
        "      - {feature: f, value: 1}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(path)
    assert str(caught.value).startswith(f"{path}:8: customers[0].usage[1]: the usage")
