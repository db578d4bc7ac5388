"""Meters over raw events: what counts, what it comes to, when it shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.catalog import Condition, EventMeter
from sidecar_client.local.meters import Dimension, counts, visible_at
from sidecar_client.local.populate import populate
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, Clock, ask, check, refusal

Numbers = list[Dimension | None]


def catalog(meter: dict[str, Any], **entitlement: Any) -> dict[str, Any]:
    feature = {"id": "f", "type": "metered", "meter": "incremental", "events": meter}
    return {
        "features": [feature],
        "plans": [{"id": "p", "entitlements": {"f": {"limit": 100, **entitlement}}}],
        "customers": [
            {
                "id": "c",
                "resources": ["r"],
                "subscriptions": [{"plan": "p"}, {"plan": "p", "resource": "r"}],
            }
        ],
    }


def event(key: str, dimensions: dict[str, Dimension], **fields: Any) -> pb.Event:
    kinds = {str: "string_value", float: "number_value", bool: "boolean_value"}
    values: dict[str, pb.EventDimensionValue] = {}
    for name, value in dimensions.items():
        one: Any = {kinds[type(value)]: value}
        values[name] = pb.EventDimensionValue(**one)
    told: dict[str, Any] = {"event_name": "e", "customer_id": "c"}
    told |= {"dimensions": values} | fields
    return pb.Event(idempotency_key=key, **told)


def report(sidecar: LocalSidecar, *events: pb.Event) -> None:
    ask(sidecar, pb.ReportEventsRequest(events=events))


def used(sidecar: LocalSidecar, resource: str | None = None) -> float:
    answer: pb.GetMeteredEntitlementResponse = ask(
        sidecar,
        pb.GetMeteredEntitlementRequest(
            customer_id="c", feature_id="f", resource_id=resource
        ),
    )
    return answer.entitlement.current_usage


def number(value: float) -> dict[str, Dimension]:
    return {"n": float(value)}


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("count", 5),
        ("sum", 12),
        ("min", -1),
        ("max", 7),
        ("average", 3),
        ("unique", 4),
    ],
)
def test_events_come_to_what_the_aggregation_says(
    clock: Clock, aggregation: str, expected: float
) -> None:
    meter = {"event": "e", "aggregation": aggregation}
    if aggregation != "count":
        meter["field"] = "n"
    with LocalSidecar(catalog(meter), clock=clock) as sidecar:
        assert used(sidecar) == 0
        report(sidecar, event("1", number(3)), event("2", number(7)))
        report(sidecar, event("3", number(-1)), event("4", number(3)))
        if aggregation in ("count", "unique"):
            report(sidecar, event("5", {"n": "3"}))
        report(sidecar, event("4", number(3)))
        assert used(sidecar) == expected


def test_event_without_the_field_or_with_another_name_does_not_count(
    clock: Clock,
) -> None:
    meter = {"event": "e", "aggregation": "sum", "field": "n"}
    with LocalSidecar(catalog(meter), clock=clock) as sidecar:
        report(
            sidecar,
            event("1", {}),
            event("2", {"n": "no number"}),
            event("3", {"n": True}),
            event("4", {"n": "2.5"}),
            event("5", number(4), event_name="other"),
            event("6", {"n": "1_000"}),
            event("7", {"n": "٣"}),
            event("8", number(2.0**53)),
        )
        assert used(sidecar) == 2.5
        assert len(sidecar.events) == 8


CONDITIONS: list[tuple[dict[str, Any], Numbers, Numbers]] = [
    ({"operator": "equals", "value": "eu"}, ["eu"], ["EU", "e", None]),
    ({"operator": "equals", "value": 5}, [5.0, "5"], ["5.0", 50.0, None]),
    ({"operator": "equals", "value": True}, [True, "true"], [False, 1.0]),
    ({"operator": "not_equals", "value": "eu"}, ["us", 1.0, None], ["eu"]),
    ({"operator": "greater_than", "value": 2}, [2.5, "3"], [2.0, "x", True, None]),
    ({"operator": "greater_than_or_equal", "value": 2}, [2.0, 3.0], [1.5, None]),
    ({"operator": "less_than", "value": 2}, [1.5, "-1"], [2.0, "", None]),
    ({"operator": "less_than_or_equal", "value": 2}, [2.0], [2.5, None]),
    ({"operator": "contains", "value": "b"}, ["abc", "b"], ["a", None]),
    ({"operator": "starts_with", "value": "a"}, ["abc"], ["ba", None]),
    ({"operator": "ends_with", "value": "c"}, ["abc"], ["cb", None]),
    ({"operator": "in", "values": ["a", 2]}, ["a", 2.0, "2"], ["b", None]),
    ({"operator": "is_null"}, [None], ["", 0.0, False]),
    ({"operator": "is_not_null"}, ["", 0.0, False], [None]),
]


@pytest.mark.parametrize(("condition", "meeting", "failing"), CONDITIONS)
def test_condition_is_met_by_what_its_operator_says(
    condition: dict[str, Any], meeting: Numbers, failing: Numbers
) -> None:
    conditions = [Condition.model_validate({"field": "x", **condition})]
    meter = EventMeter.model_validate(
        {"event": "e", "filters": [{"conditions": conditions}]}
    )

    def dimensions(value: Dimension | None) -> dict[str, Dimension]:
        return {} if value is None else {"x": value}

    assert [value for value in meeting if not counts(meter, dimensions(value))] == []
    assert [value for value in failing if counts(meter, dimensions(value))] == []


def test_event_meets_all_conditions_of_one_filter(clock: Clock) -> None:
    eu = {"field": "region", "operator": "equals", "value": "eu"}
    big = {"field": "n", "operator": "greater_than", "value": 10}
    vip = {"field": "vip", "operator": "equals", "value": True}
    meter = {
        "event": "e",
        "filters": [{"conditions": [eu, big]}, {"conditions": [vip]}],
    }
    with LocalSidecar(catalog(meter), clock=clock) as sidecar:
        report(
            sidecar,
            event("both", {"region": "eu", "n": 11.0}),
            event("one", {"region": "eu", "n": 10.0}),
            event("other filter", {"region": "us", "vip": True}),
            event("none", {"vip": False}),
        )
        assert used(sidecar) == 2


def test_events_of_a_resource_count_for_its_own_subscription(clock: Clock) -> None:
    with LocalSidecar(catalog({"event": "e"}), clock=clock) as sidecar:
        report(sidecar, event("1", {}, resource_id="r"), event("2", {}))
        report(sidecar, event("3", {}, resource_id="r"))
        assert (used(sidecar), used(sidecar, "r")) == (1, 2)


def test_late_event_counts_in_the_window_of_its_time(clock: Clock) -> None:
    meter, period = {"event": "e"}, {"reset_period": "month"}
    with LocalSidecar(catalog(meter, **period), clock=clock) as sidecar:
        before = Timestamp(seconds=int((NOW - timedelta(days=3)).timestamp()))
        report(sidecar, event("late", {}, timestamp=before), event("now", {}))
        assert used(sidecar) == 1
        clock.now = NOW - timedelta(days=1)
        assert used(sidecar) == 1


def test_future_event_shows_when_its_time_has_come(clock: Clock) -> None:
    with LocalSidecar(catalog({"event": "e"}), clock=clock) as sidecar:
        soon = Timestamp(seconds=int(NOW.timestamp()) + 30)
        report(sidecar, event("1", {}, timestamp=soon))
        assert used(sidecar) == 0
        clock.now = NOW + timedelta(seconds=29)
        assert used(sidecar) == 0
        clock.now = NOW + timedelta(seconds=30)
        assert used(sidecar) == 1


def test_events_show_after_the_delay(clock: Clock) -> None:
    made = catalog({"event": "e", "aggregation": "max", "field": "n"})
    with LocalSidecar(made, clock=clock, events_delay=10) as sidecar:
        report(sidecar, event("1", number(4)))
        clock.now = NOW + timedelta(seconds=5)
        report(sidecar, event("2", number(9)))
        assert used(sidecar) == 0
        clock.now = NOW + timedelta(seconds=10)
        assert used(sidecar) == 4
        report(sidecar, event("3", number(1)))
        assert used(sidecar) == 4
        clock.now = NOW + timedelta(seconds=15)
        assert used(sidecar) == 9


@pytest.mark.parametrize("delay", [-1, 3601, float("nan")])
def test_delay_out_of_range_is_refused(delay: float) -> None:
    with pytest.raises(ConfigurationError, match=r"events_delay is .*; use 0 to 3600"):
        LocalSidecar(events_delay=delay)


def test_limit_holds_for_events(clock: Clock) -> None:
    with LocalSidecar(catalog({"event": "e"}, limit=2), clock=clock) as sidecar:
        report(sidecar, event("1", {}))
        assert check(sidecar, "f", usage=1) is None
        report(sidecar, event("2", {}))
        assert check(sidecar, "f") == "REQUESTED_USAGE_EXCEEDING_LIMIT"


def test_calculated_usage_of_what_events_count_is_refused(clock: Clock) -> None:
    with LocalSidecar(catalog({"event": "e"}), clock=clock) as sidecar:
        code, message = refusal(
            sidecar, pb.ReportUsageRequest(customer_id="c", feature_id="f", value=1)
        )
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert message == (
        "feature_id: 'f' is counted from the events 'e'; report those instead."
    )


@pytest.mark.parametrize(
    "aggregation", ["count", "sum", "min", "max", "average", "unique"]
)
def test_starting_usage_shows_whatever_the_aggregation(
    clock: Clock, aggregation: str
) -> None:
    meter = {"event": "e", "aggregation": aggregation}
    if aggregation != "count":
        meter["field"] = "n"
    made = catalog(meter)
    made["customers"][0]["usage"] = [{"feature": "f", "value": 7}]
    with LocalSidecar(made, clock=clock) as sidecar:
        assert used(sidecar) == 7


def test_events_before_a_subscription_are_there_when_it_comes(clock: Clock) -> None:
    made = catalog({"event": "e"})
    made["customers"][0]["subscriptions"] = [{"plan": "p", "start": "2023-12-02"}]
    with LocalSidecar(made, clock=clock) as sidecar:
        report(sidecar, event("1", {}))
        assert check(sidecar, "f") == "NO_ACTIVE_SUBSCRIPTION"
        clock.now = NOW + timedelta(days=1)
        assert used(sidecar) == 1


@given(
    ahead=st.timedeltas(timedelta(days=-400), timedelta(days=365 * 5000)),
    delay=st.timedeltas(timedelta(0), timedelta(hours=1)),
    now=st.datetimes(
        datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)
    ),
)
def test_event_never_shows_before_its_time_and_soon_after(
    ahead: timedelta, delay: timedelta, now: datetime
) -> None:
    due = max(now + delay, now + ahead)
    visible = visible_at(now + ahead, now, delay)
    assert visible >= due
    assert visible - due <= max(timedelta(seconds=1), (due - now) / 20)


def test_number_of_waiting_shares_is_bounded() -> None:
    moments: set[datetime] = set()
    ahead = timedelta(0)
    while NOW + ahead < datetime(9000, 1, 1, tzinfo=UTC):
        moments.add(visible_at(NOW + ahead, NOW, timedelta(0)))
        # Finer than what is told apart, at every distance.
        ahead += max(timedelta(seconds=1), ahead / 50)
    assert len(moments) < 20_000


AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "count": len,
    "sum": sum,
    "min": min,
    "max": max,
    "average": lambda values: sum(values) / len(values),
    "unique": lambda values: len(set(values)),
}


@settings(max_examples=15)
@given(
    batches=st.lists(
        st.lists(st.integers(-5, 5), min_size=1, max_size=5), min_size=1, max_size=5
    ),
    delay=st.sampled_from([0, 7]),
)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_aggregates_are_what_all_events_together_come_to(
    aggregation: str, batches: list[list[int]], delay: float
) -> None:
    meter = {"event": "e", "aggregation": aggregation}
    if aggregation != "count":
        meter["field"] = "n"
    clock = Clock()
    sidecar = LocalSidecar(catalog(meter), clock=clock, events_delay=delay)
    await sidecar.world.store.open()
    await populate(sidecar.world, sidecar.catalog)
    for at, batch in enumerate(batches):
        events = [event(f"{at}-{n}", number(v)) for n, v in enumerate(batch)]
        await sidecar.service.report_events(pb.ReportEventsRequest(events=events))
        clock.now += timedelta(seconds=1)
    clock.now += timedelta(seconds=delay)
    answer = await sidecar.service.get_metered_entitlement(
        pb.GetMeteredEntitlementRequest(customer_id="c", feature_id="f")
    )
    values = [float(value) for batch in batches for value in batch]
    assert answer.entitlement.current_usage == pytest.approx(
        AGGREGATIONS[aggregation](values)
    )
