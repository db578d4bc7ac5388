"""Budgets: money spent on charges stops what limits would let through."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.budgets import spending_of
from sidecar_client.local.evaluation import Subject, judge, standings
from sidecar_client.local.management.usage import usage_history
from sidecar_client.local.values import EARLIEST
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.core import NOW, Core
from tests.local.wire import Clock, ask, check

STOPPED = "BUDGET_EXCEEDED"


def core(budget: dict[str, object] | None, *, charges: Any = None, **more: Any) -> Core:
    """A plan of calls (1 each beyond 10), seats (2.5 each) and sso."""
    default = {"calls": {"price": 1, "included": 10}, "seats": {"price": 2.5}}
    return Core(
        [
            {
                "id": "p",
                "entitlements": {
                    "calls": {"limit": 10, "reset_period": "month"},
                    "seats": {"limit": 0},
                    "sso": True,
                },
                "charges": default if charges is None else charges,
            }
        ],
        subscriptions=[
            {"plan": "p", "start": "2023-11-15", "budget": budget, **more},
        ],
    )


def reason(of: Core, feature: str = "calls", usage: float | None = None) -> object:
    return of.verdict(feature, usage=usage).reason


def test_charged_usage_goes_on_beyond_the_limit_without_a_budget() -> None:
    world = core(None)
    world.use("calls", 1e9)
    assert reason(world) is None


@pytest.mark.parametrize(
    ("calls", "seats", "requested", "stops"),
    [
        pytest.param(0, 0, None, None, id="nothing spent"),
        pytest.param(29.5, 0, None, None, id="half a unit left"),
        pytest.param(30, 0, None, STOPPED, id="all spent on calls"),
        pytest.param(25, 2, None, STOPPED, id="all spent, on both"),
        pytest.param(25, 1, None, None, id="some left of both"),
        pytest.param(10, 8, None, STOPPED, id="all spent on seats"),
        pytest.param(9, 8, None, None, id="all spent, but this call is included"),
        pytest.param(9, 8.4, None, STOPPED, id="more than all spent"),
        pytest.param(20, 0, 10, None, id="the request is paid with the rest"),
        pytest.param(20, 0, 10.5, STOPPED, id="the request costs more than the rest"),
        pytest.param(4, 8, 6, None, id="the request costs nothing"),
        pytest.param(4, 8, 7, STOPPED, id="a part of the request costs something"),
        pytest.param(30, 0, 0, None, id="nothing requested, all spent"),
        pytest.param(31, 0, 0, STOPPED, id="nothing requested, more than all spent"),
    ],
)
def test_budget_stops_what_it_cannot_pay(
    calls: float, seats: float, requested: float | None, stops: str | None
) -> None:
    world = core({"limit": 20})
    world.use("calls", calls)
    world.use("seats", seats)
    assert reason(world, usage=requested) == stops


def test_budget_stops_only_what_costs_something() -> None:
    world = core({"limit": 0}, charges={"seats": {"price": 1}})
    world.use("seats", 5)
    assert reason(world, "seats") == STOPPED
    assert reason(world, "sso") is None
    assert reason(world, "calls") is None


def test_soft_budget_stops_nothing() -> None:
    world = core({"limit": 1, "soft_limit": True})
    world.use("calls", 1000)
    assert reason(world) is None


def test_limit_is_told_before_the_budget() -> None:
    world = core({"limit": 1}, charges={"seats": {"price": 1}})
    world.use("seats", 5)
    world.use("calls", 10)
    assert reason(world, "calls") == "REQUESTED_USAGE_EXCEEDING_LIMIT"


def test_money_is_added_up_as_people_do() -> None:
    world = core({"limit": 0.3}, charges={"calls": {"price": 0.1}})
    world.use("calls", 2)
    assert reason(world, usage=1) is None
    world.use("calls", 3)
    assert (reason(world), reason(world, usage=0)) == (STOPPED, None)


def test_promotion_that_wins_is_not_stopped() -> None:
    promoted = {"unlimited": True, "reset_period": "month"}
    world = core({"limit": 1})
    world.use("calls", 1000)
    assert reason(world) == STOPPED
    (plan,), (customer,) = world.catalog.plans, world.catalog.customers
    given = Core(
        [plan.model_dump(exclude_unset=True)],
        subscriptions=[customer.subscriptions[0].model_dump(exclude_unset=True)],
        promotions=[{"feature": "calls", "entitlement": promoted}],
    )
    given.use("calls", 1000)
    assert reason(given) is None


@pytest.mark.parametrize(
    "revoked",
    [
        pytest.param({"entitlements": {"seats": False}}, id="by agreement"),
        pytest.param({"addons": [{"id": "a"}]}, id="by an add-on"),
    ],
)
def test_what_the_subscription_revokes_is_not_paid_from_its_budget(
    revoked: dict[str, object],
) -> None:
    # A promotion lets it be used; it is in the price list of the plan all the same.
    world = Core(
        [
            {
                "id": "p",
                "entitlements": {
                    "calls": {"limit": 10, "reset_period": "month"},
                    "seats": {"limit": 5},
                },
                "charges": {"calls": {"price": 1}, "seats": {"price": 1}},
            }
        ],
        addons=[{"id": "a", "entitlements": {"seats": False}}],
        subscriptions=[{"plan": "p", "budget": {"limit": 20}, **revoked}],
        promotions=[{"feature": "seats", "entitlement": {"unlimited": True}}],
    )
    world.use("calls", 15)
    world.use("seats", 1000)
    assert reason(world, "seats") is None
    assert reason(world, "calls") is None
    world.use("calls", 20)
    assert reason(world, "calls") == STOPPED
    assert reason(world, "seats") is None


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"plan": "child"}, id="inherited"),
        pytest.param(
            {"plan": "child", "entitlements": {"seats": {"limit": 1}}}, id="agreed"
        ),
        pytest.param({"plan": "bare", "addons": [{"id": "a"}]}, id="of an add-on"),
    ],
)
def test_budget_stops_what_is_charged_wherever_it_comes_from(
    more: dict[str, object],
) -> None:
    seats: dict[str, object] = {"seats": {"limit": 1}}
    charges = {"seats": {"price": 1}}
    world = Core(
        [
            {"id": "base", "entitlements": seats},
            {"id": "child", "parent": "base", "charges": charges},
            {"id": "bare", "charges": charges},
        ],
        addons=[{"id": "a", "entitlements": seats}],
        subscriptions=[{"budget": {"limit": 5}, **more}],
    )
    world.use("seats", 5)
    assert reason(world, "seats") == STOPPED
    world.use("seats", 4)
    assert reason(world, "seats") is None


def test_price_is_the_plans_else_the_first_addons() -> None:
    world = Core(
        [
            {
                "id": "p",
                "entitlements": {
                    "calls": {"limit": 0, "reset_period": "month"},
                    "seats": {"limit": 0},
                },
                "charges": {"calls": {"price": 1}},
            }
        ],
        addons=[
            {"id": "a", "charges": {"calls": {"price": 9}, "seats": {"price": 2}}},
            {"id": "b", "charges": {"seats": {"price": 3}}},
        ],
        subscriptions=[
            {"plan": "p", "budget": {"limit": 5}, "addons": [{"id": "a"}, {"id": "b"}]}
        ],
    )
    world.use("calls", 1)
    world.use("seats", 1)
    (sub,) = world.catalog.customers[0].subscriptions
    spending = spending_of(world.index, "c", sub, NOW)
    assert spending is not None
    assert spending.spent(world.records) == Decimal(3)


CATALOG: dict[str, object] = {
    "features": [
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "jobs", "type": "metered", "meter": "incremental"},
        {
            "id": "mails",
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "mail"},
        },
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
    ],
    "plans": [
        {
            "id": "p",
            "entitlements": {
                "calls": {"limit": 0, "reset_period": "day"},
                "jobs": {"limit": 0},
                "mails": {"limit": 0, "reset_period": "day"},
                "seats": {"limit": 0},
            },
            "charges": {
                name: {"price": 1} for name in ("calls", "jobs", "mails", "seats")
            },
        }
    ],
    "customers": [
        {
            "id": "c",
            "subscriptions": [
                {"plan": "p", "start": "2023-10-15", "budget": {"limit": 10}}
            ],
            "usage": [{"feature": "calls", "value": 1}],
        }
    ],
}


def report(sidecar: LocalSidecar, feature: str, value: float, *, total: bool) -> None:
    """A change, or the new total."""
    ask(
        sidecar,
        pb.ReportUsageRequest(
            customer_id="c",
            feature_id=feature,
            value=value,
            update_behavior=(
                pb.USAGE_UPDATE_BEHAVIOR_SET
                if total
                else pb.USAGE_UPDATE_BEHAVIOR_DELTA
            ),
        ),
    )


def test_budget_counts_by_billing_period_whatever_the_reset_period_is(
    clock: Clock,
) -> None:
    with LocalSidecar(CATALOG, clock=clock) as sidecar:
        report(sidecar, "calls", 4, total=True)  # 3 more than at the start.
        report(sidecar, "jobs", 2, total=False)
        clock.now = datetime(2023, 12, 2, tzinfo=UTC)
        report(sidecar, "calls", 1, total=False)
        event = pb.Event(event_name="mail", customer_id="c", idempotency_key="1")
        ask(sidecar, pb.ReportEventsRequest(events=[event]))
        report(sidecar, "seats", 2, total=True)
        # 4 calls of yesterday, 1 of today, 2 jobs, 1 mail, 2 seats.
        assert check(sidecar, "mails", usage=0) is None
        assert check(sidecar, "calls") == STOPPED
        clock.now = datetime(2023, 12, 15, tzinfo=UTC)
        # A new billing period: the jobs are paid, the seats are still held.
        assert check(sidecar, "jobs", usage=8) is None
        assert check(sidecar, "jobs", usage=8.5) == STOPPED


def test_first_month_counts_in_the_billing_period_of_a_year(clock: Clock) -> None:
    plan = {
        "id": "p",
        "entitlements": {"calls": {"limit": 0, "reset_period": "month"}},
        "charges": {"calls": {"price": 1}},
    }
    subscription = {
        "plan": "p",
        "start": "2023-11-20",
        "billing_period": "annually",
        "budget": {"limit": 10},
    }
    catalog: dict[str, object] = {
        "features": [{"id": "calls", "type": "metered", "meter": "incremental"}],
        "plans": [plan],
        "customers": [{"id": "c", "subscriptions": [subscription]}],
    }
    with LocalSidecar(catalog, clock=clock) as sidecar:
        report(sidecar, "calls", 6, total=False)
        clock.now = datetime(2024, 1, 1, tzinfo=UTC)
        report(sidecar, "calls", 4, total=False)
        assert check(sidecar, "calls") == STOPPED


def test_what_is_charged_is_counted_for_a_budget_to_come() -> None:
    charge = core(None).standing("calls").charge
    assert charge is not None
    assert charge.price == 1


def test_list_of_many_charged_features_is_answered_without_adding_up_for_each(
    clock: Clock,
) -> None:
    names = [f"f{number}" for number in range(100)]
    world = Core(
        [
            {
                "id": "p",
                "entitlements": {name: {"limit": 0} for name in names},
                "charges": {name: {"price": 1} for name in names},
            }
        ],
        features=[
            {"id": name, "type": "metered", "meter": "fluctuating"} for name in names
        ],
        now=clock.now,
        subscriptions=[{"plan": "p", "budget": {"limit": 99}}],
    )
    for name in names[:-1]:
        world.use(name, 1)
    (customer,) = world.catalog.customers
    _, found = standings(world.index, customer, Subject(customer_id="c"), clock.now)
    assert len({id(item.spending) for item in found}) == 1
    assert {judge(item, world.records).reason for item in found} == {STOPPED}


async def test_counters_of_billing_are_no_part_of_the_history_of_usage(
    clock: Clock,
) -> None:
    async with LocalSidecar(CATALOG, clock=clock) as sidecar:
        used = pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=2)
        await sidecar.service.report_usage(used)
        event = pb.Event(event_name="mail", customer_id="c", idempotency_key="1")
        await sidecar.service.report_events(pb.ReportEventsRequest(events=[event]))
        for feature, total in (("calls", 3), ("mails", 1)):
            points = await usage_history(
                sidecar.world, "c", feature, start=EARLIEST, end=clock.now
            )
            assert [point.value for point in points] == [0, total]
            assert [point.is_reset for point in points] == [True, False]


def test_what_costs_nothing_is_not_stopped_when_nothing_is_left() -> None:
    world = core({"limit": 0}, charges={"calls": {"price": 0}})
    world.use("calls", 100)
    assert (reason(world), reason(world, usage=5)) == (None, None)


@pytest.mark.parametrize(
    ("billing", "stops"), [("monthly", None), ("annually", STOPPED)]
)
def test_budget_is_for_a_billing_period(
    clock: Clock, billing: str, stops: str | None
) -> None:
    subscription = {
        "plan": "p",
        "start": "2023-10-15",
        "billing_period": billing,
        "budget": {"limit": 5},
    }
    customer = {"id": "c", "subscriptions": [subscription]}
    with LocalSidecar(CATALOG | {"customers": [customer]}, clock=clock) as sidecar:
        report(sidecar, "calls", 5, total=False)
        clock.now = datetime(2023, 12, 15, tzinfo=UTC)
        assert check(sidecar, "calls") == stops
