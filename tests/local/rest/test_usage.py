"""Usage, events and credits, by the vendor's client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
import stigg
from stigg.types.v1.usage_report_params import Usage
from stigg.types.v2.usage_report_params import Usage as Usage2

from sidecar_client.local import LocalSidecar
from tests.local.wire import NOW, Clock

# The vendor has deprecated the first version, and everybody uses it.
# pyright: reportDeprecated=false
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


def usage(value: int, **more: object) -> Usage:
    made = {"customer_id": "old", "feature_id": "seats", "value": value, **more}
    return cast("Usage", made)


def test_reported_usage_is_seen_by_the_next_check(client: stigg.Stigg) -> None:
    (first,) = client.v1.usage.report(usages=[usage(1)]).data
    assert (first.value, first.current_usage, first.timestamp) == (1, 1, NOW)
    two = cast("list[Usage2]", [usage(5, update_behavior="SET"), usage(-1)])
    answer = client.v2.usage.report(usages=two)
    assert [item.current_usage for item in answer.data.usages] == [5, 4]
    check = client.v1.customers.check_entitlement("old", feature_id="seats").data
    assert check.type == "FEATURE"
    assert (check.current_usage, check.access_denied_reason) == (
        4,
        "RequestedUsageExceedingLimit",
    )


def test_the_same_idempotency_key_counts_once(client: stigg.Stigg) -> None:
    once = [usage(2, idempotency_key="once")]
    answers = [client.v1.usage.report(usages=once) for _ in range(2)]
    assert [answer.data[0].current_usage for answer in answers] == [2, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"value": 3},
        {"update_behavior": "SET"},
        {"customer_id": "acme"},
        {"created_at": NOW},
        {"dimensions": {"region": "eu"}},
    ],
)
def test_another_measurement_may_not_use_the_idempotency_key(
    client: stigg.Stigg, other: dict[str, object]
) -> None:
    client.v1.subscriptions.provision(customer_id="acme", plan_id="free")
    client.v1.usage.report(usages=[usage(2, idempotency_key="once")])
    another = cast("Usage", usage(2, idempotency_key="once") | other)
    with pytest.raises(
        stigg.ConflictError, match=r"usages\[1\]\.idempotencyKey 'once' was used for"
    ):
        client.v1.usage.report(usages=[usage(1), another])
    check = client.v1.customers.check_entitlement("old", feature_id="seats").data
    assert check.type == "FEATURE"
    assert check.current_usage == 2, "nothing of what was refused counts"


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 31},
        {"customer_id": "old"},
        {"created_at": NOW},
        {"dimensions": {"region": "eu"}},
    ],
)
def test_another_consumption_may_not_use_the_idempotency_key(
    client: stigg.Stigg, other: dict[str, Any]
) -> None:
    once: dict[str, Any] = {
        "customer_id": "acme",
        "currency_id": "tokens",
        "amount": 30,
        "idempotency_key": "a",
    }
    consume = client.v1.credits.consumption.consume
    consume_async = client.v1.credits.consumption.consume_async
    consume(**once)
    with pytest.raises(stigg.ConflictError, match="idempotencyKey 'a' was used for"):
        consume(**(once | other))
    new = once | {"idempotency_key": "b"}
    with pytest.raises(stigg.ConflictError, match=r"consumptions\[1\]\.idemp"):
        consume_async(consumptions=cast("Any", [new, new | other]))
    used = [
        one.total_credits
        for name in ("acme", "old")
        for one in client.v1.credits.get_usage(customer_id=name).data.series
    ]
    assert used == [30], "nothing of what was refused counts"


def test_usage_is_refused_as_over_grpc(client: stigg.Stigg) -> None:
    report = client.v1.usage.report
    with pytest.raises(stigg.NotFoundError, match="no customer 'nobody'"):
        report(usages=[usage(1, customer_id="nobody")])
    with pytest.raises(stigg.BadRequestError, match="cannot be below 0"):
        report(usages=[usage(-1)])
    with pytest.raises(stigg.BadRequestError, match="usages"):
        report(usages=[])
    assert client.v1.customers.check_entitlement("old", feature_id="seats").data


def test_history_tells_what_was_used_when(client: stigg.Stigg, clock: Clock) -> None:
    client.v1.usage.report(usages=[usage(1)])
    clock.now = NOW + timedelta(days=1)
    client.v1.usage.report(usages=[usage(2)])
    data = client.v1.usage.history(
        "seats", customer_id="old", start_date=NOW - timedelta(days=1)
    ).data
    assert [point.value for point in data.series[0].points] == [1, 3]
    later = client.v1.usage.history("seats", customer_id="old", start_date=clock.now)
    assert [point.value for point in later.data.series[0].points] == [3]
    with pytest.raises(stigg.BadRequestError, match="only metered features"):
        client.v1.usage.history("sso", customer_id="old", start_date=NOW)


def test_history_marks_the_change_of_a_subscription(clock: Clock) -> None:
    monthly = {"calls": {"limit": 9, "reset_period": "month"}}
    catalog: dict[str, object] = {
        "features": [{"id": "calls", "type": "metered", "meter": "incremental"}],
        "plans": [{"id": "team", "entitlements": monthly}],
        "customers": [{"id": "acme"}],
    }
    with (
        LocalSidecar(catalog, clock=clock, http_port=0) as sidecar,
        stigg.Stigg(api_key="any", base_url=sidecar.http_url) as client,
    ):
        for day in (0, 3):
            clock.now = NOW + timedelta(days=day)
            client.v1.subscriptions.provision(customer_id="acme", plan_id="team")
            used = usage(1, customer_id="acme", feature_id="calls")
            client.v1.usage.report(usages=[used])
        found = client.v1.usage.history("calls", customer_id="acme", start_date=NOW)
    assert [(item.timestamp, item.type) for item in found.data.markers] == [
        (NOW, "PERIODIC_RESET"),
        (NOW + timedelta(days=3), "SUBSCRIPTION_CHANGE_RESET"),
    ]


def test_events_are_counted_by_the_meters_of_features(client: stigg.Stigg) -> None:
    client.v1.features.create_feature(
        id="calls",
        display_name="Calls",
        feature_type="NUMBER",
        meter_type="INCREMENTAL",
        meter={
            "aggregation": {"function": "SUM", "field": "units"},
            "filters": [
                {
                    "conditions": [
                        {
                            "field": "eventName",
                            "operation": "EQUALS",
                            "value": "called",
                        },
                        {"field": "region", "operation": "IN", "values": ["eu"]},
                    ]
                }
            ],
        },
    )
    client.v1.plans.create_draft("team")
    client.v1.plans.entitlements.create(
        "team",
        entitlements=[
            {
                "id": "calls",
                "type": "FEATURE",
                "usage_limit": 100,
                "reset_period": "MONTH",
            }
        ],
    )
    client.v1.plans.publish("team", migration_type="NEW_CUSTOMERS")
    client.v1.subscriptions.provision(customer_id="acme", plan_id="team")
    for region, key in (("eu", "1"), ("us", "2"), ("eu", "1")):
        client.v1.events.report(
            events=[
                {
                    "customer_id": "acme",
                    "event_name": "called",
                    "idempotency_key": key,
                    "dimensions": {"units": 30, "region": region},
                    "timestamp": NOW,
                }
            ]
        )
    check = client.v1.customers.check_entitlement("acme", feature_id="calls").data
    assert check.type == "FEATURE"
    assert (check.current_usage, check.reset_period) == (30, "MONTH")
    history = client.v1.usage.history("calls", customer_id="acme", start_date=NOW).data
    points = history.series[0].points
    assert [(p.value, p.is_reset_point) for p in points] == [(0, True), (30, False)]
    assert history.markers[0].timestamp == NOW


def test_credits_are_granted_consumed_and_accounted_for(
    client: stigg.Stigg, sidecar: LocalSidecar
) -> None:
    grants = client.v1.credits.grants
    grant = grants.create(
        customer_id="acme",
        currency_id="tokens",
        amount=100,
        display_name="First",
        grant_type="PAID",
        cost={"amount": 10, "currency": "eur"},
        comment="hello",
    ).data
    assert (grant.status, grant.amount, grant.consumed_amount) == ("ACTIVE", 100, 0)
    assert (grant.cost.currency, grant.comment) == ("eur", "hello")
    consume = client.v1.credits.consumption.consume
    for _ in range(2):
        left = consume(
            customer_id="acme", currency_id="tokens", amount=30, idempotency_key="a"
        ).data
        assert left.credit is not None
        assert (left.credit.current_usage, left.credit.usage_limit) == (30, 100)
    client.v1.credits.consumption.consume_async(
        consumptions=[
            {
                "customer_id": "acme",
                "currency_id": "tokens",
                "amount": 90,
                "idempotency_key": "b",
            }
        ]
    )
    listed = list(grants.list(customer_id="acme"))
    assert [(g.grant_type, g.consumed_amount) for g in listed] == [
        ("PAID", 100),
        ("OVERDRAFT", 20),
    ]
    check = client.v1.customers.check_entitlement("acme", currency_id="tokens").data
    assert check.type == "CREDIT"
    assert check.access_denied_reason == "InsufficientCredits"
    settling = grants.create(
        customer_id="acme",
        currency_id="tokens",
        amount=50,
        display_name="Second",
        grant_type="PROMOTIONAL",
    ).data
    assert settling.consumed_amount == 20
    ledger = list(client.v1.credits.list_ledger(customer_id="acme", limit=2))
    assert [(entry.event_type, entry.amount) for entry in ledger] == [
        ("CREDITS_CONSUMPTION_TRANSFER_TARGET", 20),
        ("CREDITS_GRANTED", 50),
        ("CREDITS_CONSUMED", 20),
        ("CREDITS_CONSUMED", 70),
        ("CREDITS_CONSUMED", 30),
        ("CREDITS_GRANTED", 100),
    ]
    assert ledger[2].credit_grant_id == listed[1].id
    used = client.v1.credits.get_usage(customer_id="acme", currency_id="tokens").data
    assert [(one.total_credits, one.event_count) for one in used.series] == [(120, 2)]
    assert [(p.value, p.event_count) for p in used.series[0].points] == [(120, 2)]
    with pytest.raises(stigg.APIStatusError, match="groupBy is 'region'"):
        client.v1.credits.get_usage(customer_id="acme", group_by="region")
    void = grants.void(settling.id).data
    assert (void.status, void.voided_at) == ("VOIDED", NOW)
    (listed_void,) = (g for g in grants.list(customer_id="acme") if g.id == void.id)
    assert listed_void.voided_at == NOW
    with pytest.raises(stigg.BadRequestError, match="it cannot be voided"):
        grants.void(settling.id)
    recharge = client.v1.credits.get_auto_recharge(
        customer_id="acme", currency_id="tokens"
    ).data
    assert recharge.is_enabled is False


def test_plans_give_credits_again_and_features_cost_them(
    client: stigg.Stigg,
) -> None:
    client.v1.plans.create_draft("team")
    client.v1.plans.entitlements.create(
        "team",
        entitlements=[
            {"id": "tokens", "type": "CREDIT", "amount": 40, "cadence": "MONTH"}
        ],
    )
    client.v1.plans.update(
        "team",
        charges={
            "pricing_type": "PAID",
            "pricing_models": [
                {
                    "feature_id": "seats",
                    "billing_model": "CREDIT_BASED",
                    "price_periods": [
                        {
                            "billing_period": "MONTHLY",
                            "credit_rate": {"amount": 4, "currency_id": "tokens"},
                        }
                    ],
                }
            ],
        },
    )
    client.v1.plans.publish("team", migration_type="ALL_CUSTOMERS")
    charges = list(client.v1.plans.list_charges("team"))
    assert [(c.feature_id, c.billing_model) for c in charges] == [
        ("seats", "CREDIT_BASED")
    ]
    client.v1.subscriptions.provision(customer_id="acme", plan_id="team")
    estimate = client.v1.usage.estimate(
        customer_id="acme", feature_id="seats", value=3
    ).data.estimates[0]
    assert (estimate.estimated_cost, estimate.balance_after_estimate) == (12, 28)
    client.v1.usage.report(
        usages=[{"customer_id": "acme", "feature_id": "seats", "value": 3}]
    )
    (grant,) = client.v1.credits.grants.list(customer_id="acme")
    assert (grant.grant_type, grant.consumed_amount) == ("RECURRING", 12)
    used = client.v1.credits.get_usage(customer_id="acme").data
    assert [(one.feature_id, one.event_count) for one in used.series] == [("seats", 1)]
    with pytest.raises(stigg.BadRequestError, match="recurring"):
        client.v1.credits.grants.void(grant.id)
    nothing = client.v1.usage.estimate(customer_id="acme", feature_id="sso", value=1)
    assert nothing.data.warnings == ["FEATURE_NOT_CREDIT_BASED"]


def test_grants_tell_the_resource_that_has_them(clock: Clock) -> None:
    catalog = {
        "currencies": [{"id": "tokens"}],
        "products": [{"id": "sites", "multiple_subscriptions": True}],
        "plans": [{"id": "site", "credits": {"tokens": {"amount": 10}}}],
        "customers": [
            {
                "id": "acme",
                "resources": ["acme", "shop"],
                "subscriptions": [{"plan": "site", "resource": "acme"}],
                "credits": [
                    {"id": "own", "currency": "tokens", "amount": 1},
                    {
                        "id": "given",
                        "resource": "shop",
                        "currency": "tokens",
                        "amount": 1,
                    },
                ],
            }
        ],
    }
    with LocalSidecar(catalog, clock=clock, http_port=0) as sidecar:
        client = stigg.Stigg(api_key="any", base_url=sidecar.http_url)
        places: list[str | stigg.Omit] = ["acme", "shop", stigg.omit]
        for key, resource in enumerate(places):
            client.v1.credits.consumption.consume(
                customer_id="acme",
                currency_id="tokens",
                amount=12,
                idempotency_key=str(key),
                resource_id=resource,
            )
        grants = [
            list(client.v1.credits.grants.list(customer_id="acme", resource_id=place))
            for place in places
        ]
        void = client.v1.credits.grants.void("given").data
    assert [{(g.grant_type, g.resource_id) for g in some} for some in grants] == [
        {("RECURRING", "acme"), ("OVERDRAFT", "acme")},
        {("PAID", "shop"), ("OVERDRAFT", "shop")},
        {("PAID", None), ("OVERDRAFT", None)},
    ]
    assert void.resource_id == "shop"


@pytest.mark.parametrize("at_once", [True, False])
def test_events_that_use_credits_are_counted_however_they_come(
    clock: Clock, at_once: bool
) -> None:
    used_up = {"currency": "tokens", "amount": 1}
    catalog = {
        "currencies": [{"id": "tokens"}],
        "features": [
            {
                "id": "words",
                "type": "metered",
                "meter": "incremental",
                "events": {"event": "said", "aggregation": "sum", "field": "n"},
            }
        ],
        "plans": [
            {
                "id": "pay",
                "entitlements": {"words": {"unlimited": True}},
                "credit_rates": {"words": {"currency": "tokens", "rate": 1}},
            }
        ],
        "customers": [
            {
                "id": "acme",
                "subscriptions": [{"plan": "pay"}],
                "credits": [used_up, used_up],
            }
        ],
    }
    events: list[dict[str, Any]] = [
        {
            "customer_id": "acme",
            "event_name": "said",
            "idempotency_key": str(number),
            "dimensions": {"n": words},
        }
        for number, words in enumerate((2, 0, 3, 1))
    ]
    with LocalSidecar(catalog, clock=clock, http_port=0) as sidecar:
        client = stigg.Stigg(api_key="any", base_url=sidecar.http_url)
        for some in [events] if at_once else [[event] for event in events]:
            client.v1.events.report(events=cast("Any", some))
        (words,) = client.v1.credits.get_usage(customer_id="acme").data.series
    # Two grants and what is owed are touched; an event of no words uses nothing.
    assert (words.total_credits, words.event_count) == (6, 3)
