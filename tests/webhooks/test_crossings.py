"""What goes beyond its limit or runs low is told, once each time that it does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from sidecar_client.local import LocalSidecar, Webhook
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.due import Due
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.event_intake import EventIntake
from sidecar_client.local.events import EventLog
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.management.credits import (
    Consumption,
    NewGrant,
    consume_credits,
    grant_credits,
    void_grant,
)
from sidecar_client.local.metering import Reporter
from sidecar_client.local.populate import populate
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.webhooks import Message
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb
from stigg_guard import WebhookEvent
from tests.redis_server import redis_server
from tests.webhooks.receiver import receiver
from tests.webhooks.samples import SECRET
from tests.webhooks.telling import Move, Tells, types
from tests.webhooks.test_sending import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EXCEEDED = "entitlement.usage_exceeded"
CATALOG: dict[str, Any] = {
    "features": [
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
        {"id": "soft", "type": "metered", "meter": "incremental"},
        {"id": "any", "type": "metered", "meter": "incremental"},
        {
            "id": "jobs",
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "job"},
        },
    ],
    "currencies": [{"id": "tokens", "name": "Tokens"}],
    "plans": [
        {
            "id": "pro",
            "entitlements": {
                "calls": {"limit": 10, "reset_period": "month"},
                "seats": {"limit": 10},
                "soft": {"limit": 10, "soft_limit": True},
                "any": {"unlimited": True},
                "jobs": {"limit": 2},
            },
        },
        {"id": "monthly", "credits": {"tokens": {"amount": 100}}},
    ],
    "customers": [
        {"id": "c", "name": "Cedar", "subscriptions": [{"id": "s", "plan": "pro"}]},
        {
            "id": "promoted",
            "subscriptions": [{"plan": "pro"}],
            "promotions": [
                {
                    "feature": "seats",
                    "entitlement": {"limit": 20},
                    "end": (NOW + 7 * DAY).isoformat(),
                }
            ],
        },
        {
            "id": "fed",
            "resources": ["site"],
            "subscriptions": [
                {
                    "plan": "monthly",
                    "resource": "site",
                    "start": "2026-02-20T00:00:00Z",
                }
            ],
        },
    ],
}


@pytest.fixture
async def tells() -> Tells:
    world = World(MemoryStore(), clock=MovableClock(lambda: NOW))
    await world.store.open()
    await populate(world, load_catalog(CATALOG))
    return Tells(world)


async def report(
    world: World, feature: str, value: float, *, customer: str = "c", **more: Any
) -> None:
    keys = more.pop("keys", ())
    request = pb.ReportUsageRequest(
        customer_id=customer, feature_id=feature, value=value, **more
    )
    await Reporter(world).report([request], keys=keys)


async def grant(world: World, amount: float = 100, **more: Any) -> str:
    new: dict[str, Any] = {
        "customer_id": "c",
        "currency_id": "tokens",
        "type": "paid",
        "name": "Hundred",
        **more,
    }
    made = await grant_credits(world, NewGrant(amount=amount, **new))
    return made.held.value.grant.id or ""


async def consume(
    world: World, amount: float, *, subject: Subject | None = None
) -> None:
    wanted = Consumption(
        subject=subject or Subject(customer_id="c"),
        currency_id="tokens",
        amount=amount,
        key=str(uuid4()),
        said="",
    )
    await consume_credits(world, [wanted])


def about(customer: str, messages: list[Message]) -> list[Message]:
    return [
        message
        for message in messages
        if WebhookEvent.parse(message.body("flat")).customer_id == customer
    ]


@pytest.mark.parametrize("feature", ["calls", "seats", "soft"])
async def test_usage_that_goes_beyond_its_limit_is_told_once(
    tells: Tells, feature: str
) -> None:
    world = tells.world
    assert types(await tells.of(report(world, feature, 10))) == []
    (message,) = await tells.of(report(world, feature, 2))
    assert message.type == EXCEEDED
    assert message.fields["currentUsage"] == 12
    assert message.fields["usageLimit"] == 10
    assert message.fields["hasSoftLimit"] is (feature == "soft")
    assert types(await tells.of(report(world, feature, 1))) == []


async def test_what_is_told_of_a_limit(tells: Tells) -> None:
    (message,) = await tells.of(report(tells.world, "calls", 15))
    fields = message.fields
    assert (fields["thresholdPercentage"], fields["usageUsedPercentage"]) == (100, 150)
    assert fields["feature"]["id"] == "calls"
    assert fields["customer"]["name"] == "Cedar"
    assert fields["resource"] is None
    assert fields["resetPeriod"] == "MONTH"
    assert fields["usagePeriodEnd"] == "2026-04-01T00:00:00.000Z"
    (subscription,) = fields["activeSubscriptions"]
    assert (subscription["id"], subscription["plan"]["id"]) == ("s", "pro")


async def test_what_has_no_limit_is_never_beyond_it(tells: Tells) -> None:
    assert types(await tells.of(report(tells.world, "any", 1e9))) == []


async def test_usage_that_went_back_and_beyond_again_is_told_again(
    tells: Tells,
) -> None:
    world = tells.world
    assert types(await tells.of(report(world, "seats", 11))) == [EXCEEDED]
    assert types(await tells.of(report(world, "seats", -1))) == []
    assert types(await tells.of(report(world, "seats", 1))) == [EXCEEDED]


async def test_usage_of_an_earlier_period_is_not_told(tells: Tells) -> None:
    request = pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=99)
    request.timestamp.FromDatetime(NOW - 40 * DAY)
    assert types(await tells.of(Reporter(tells.world).report([request]))) == []


async def test_usage_that_is_sent_again_is_not_told_again(tells: Tells) -> None:
    world = tells.world
    set_to: dict[str, Any] = {
        "update_behavior": pb.USAGE_UPDATE_BEHAVIOR_SET,
        "keys": ["k"],
    }
    assert types(await tells.of(report(world, "seats", 11, **set_to))) == [EXCEEDED]
    await report(world, "seats", -5)
    await tells.new()
    assert types(await tells.of(report(world, "seats", 11, **set_to))) == []


async def test_events_that_go_beyond_a_limit_are_told_at_once(tells: Tells) -> None:
    # Also those that are not shown in checks yet.
    intake = EventIntake(tells.world, events=EventLog(), delay=timedelta(hours=1))

    def events(*keys: str) -> list[pb.Event]:
        return [
            pb.Event(customer_id="c", event_name="job", idempotency_key=key)
            for key in keys
        ]

    assert types(await tells.of(intake.take(events("1", "2")))) == []
    (message,) = await tells.of(intake.take(events("3")))
    assert (message.type, message.fields["currentUsage"]) == (EXCEEDED, 3)
    assert types(await tells.of(intake.take(events("3", "4")))) == []


async def test_promotion_that_ends_leaves_usage_beyond_the_limit(
    tells: Tells, due: Move
) -> None:
    world = tells.world
    assert types(await tells.of(report(world, "seats", 15, customer="promoted"))) == []
    await due(7 * DAY)
    messages = await tells.new()
    assert types(messages) == [
        "promotionalEntitlement.expired",
        "entitlements.updated",
        EXCEEDED,
    ]
    assert messages[2].at == NOW + 7 * DAY
    assert messages[2].fields["customer"]["id"] == "promoted"
    assert messages[2].fields["usageLimit"] == 10
    assert messages[2].fields["currentUsage"] == 15
    assert types(await tells.of(report(world, "seats", 1, customer="promoted"))) == []


async def test_usage_that_was_beyond_a_promotion_is_not_told_again_at_its_end(
    tells: Tells, due: Move
) -> None:
    exceeded = await tells.of(report(tells.world, "seats", 25, customer="promoted"))
    assert types(exceeded) == [EXCEEDED]
    await due(7 * DAY)
    assert EXCEEDED not in types(await tells.new())


async def test_promotion_that_ends_above_the_usage_crosses_nothing(
    tells: Tells, due: Move
) -> None:
    await report(tells.world, "seats", 10, customer="promoted")
    await due(7 * DAY)
    assert EXCEEDED not in types(await tells.new())


async def test_credits_that_run_low_and_out_are_told_once(tells: Tells) -> None:
    world = tells.world
    grant_id = await grant(world, cost=5, priority=3)
    await tells.new()
    assert types(await tells.of(consume(world, 80))) == []
    low, balance = await tells.of(consume(world, 5))
    assert low.type == "credits.grant.usage_low"
    assert low.fields == {
        "currencyId": "tokens",
        "grantId": grant_id,
        "displayName": "Hundred",
        "amount": 100,
        "consumedAmount": 85,
        "consumedPercentage": 85,
        "cost": {"amount": 5},
        "effectiveAt": "2026-03-01T12:00:00.000Z",
        "expireAt": None,
        "grantType": "PAID",
        "priority": 3,
        "thresholdPercentage": 80,
        "customerId": "c",
        "resourceId": None,
    }
    assert balance.type == "credits.balance.usage_low"
    assert balance.fields["customer"]["id"] == balance.fields["customerId"] == "c"
    assert balance.fields["creditCurrency"]["name"] == "Tokens"
    assert balance.fields["totalGranted"] == 100
    assert balance.fields["remainingBalance"] == 15
    assert balance.fields["remainingBalancePercentage"] == 15
    assert balance.fields["thresholdPercentage"] == 20
    assert types(await tells.of(consume(world, 5))) == []
    assert types(await tells.of(consume(world, 10))) == [
        "credits.grant.depleted",
        "credits.balance.depleted",
        "entitlements.updated",
    ]
    assert types(await tells.of(consume(world, 10))) == []


async def test_credits_that_run_out_at_once_are_not_told_to_be_low(
    tells: Tells,
) -> None:
    await grant(tells.world)
    await tells.new()
    found = types(await tells.of(consume(tells.world, 100)))
    assert not [name for name in found if name.endswith("usage_low")]


async def test_one_grant_may_be_low_while_the_balance_is_not(tells: Tells) -> None:
    await grant(tells.world, priority=1, type="promotional")
    await grant(tells.world, priority=2, amount=900)
    await tells.new()
    messages = await tells.of(consume(tells.world, 90))
    assert types(messages) == ["credits.grant.usage_low"]
    assert messages[0].fields["grantType"] == "PROMO"


async def test_credits_that_come_back_may_run_low_again(tells: Tells) -> None:
    world = tells.world
    await grant(world)
    await consume(world, 90)
    await grant(world)
    await tells.new()
    assert types(await tells.of(consume(world, 75))) == [
        "credits.grant.depleted",
        "credits.balance.usage_low",
    ]


async def test_grant_that_settles_what_was_overdrawn_may_be_low_at_once(
    tells: Tells,
) -> None:
    await grant(tells.world)
    await consume(tells.world, 195)
    await tells.new()
    assert types(await tells.of(grant(tells.world))) == [
        "credits.granted",
        "entitlements.updated",
        "credits.grant.usage_low",
    ]


async def test_grant_that_is_voided_leaves_little_or_nothing(tells: Tells) -> None:
    world = tells.world
    first, second = await grant(world), await grant(world, priority=1)
    await consume(world, 85)
    await tells.new()
    assert "credits.balance.usage_low" not in types(await tells.new())
    told = types(await tells.of(void_grant(world, second)))
    assert "credits.balance.usage_low" in told
    told = types(await tells.of(void_grant(world, first)))
    assert "credits.balance.depleted" in told


async def test_grant_that_expires_is_told(tells: Tells, due: Move) -> None:
    grant_id = await grant(tells.world, expires=NOW + 3 * DAY)
    await consume(tells.world, 40)
    await due(3 * DAY - timedelta(seconds=1))
    await tells.new()
    await due(timedelta(seconds=1))
    messages = await tells.new()
    assert types(messages) == [
        "credits.expired",
        "entitlements.updated",
        "credits.balance.depleted",
        "entitlements.updated",
    ]
    expired = messages[0]
    assert expired.at == NOW + 3 * DAY
    assert expired.fields["grantId"] == grant_id
    assert expired.fields["customerId"] == "c"
    assert expired.fields["consumedAmount"] == 40
    assert expired.fields["expireAt"] == "2026-03-04T12:00:00.000Z"
    assert messages[1].fields["trigger"] == "credits_expired"
    await due(400 * DAY)
    assert about("c", await tells.new()) == []


async def test_grant_that_expires_may_leave_little(tells: Tells, due: Move) -> None:
    await grant(tells.world, expires=NOW + DAY, priority=2)
    await grant(tells.world, priority=1)
    await consume(tells.world, 90)
    await tells.new()
    await due(DAY)
    assert types(await tells.new()) == [
        "credits.expired",
        "entitlements.updated",
        "credits.balance.usage_low",
    ]


async def test_grant_that_was_voided_does_not_expire(tells: Tells, due: Move) -> None:
    first = await grant(tells.world, expires=NOW + DAY)
    await void_grant(tells.world, await grant(tells.world, expires=NOW + DAY))
    await due(timedelta())
    await tells.new()
    await due(2 * DAY)
    expired = [m for m in await tells.new() if m.type == "credits.expired"]
    assert [message.fields["grantId"] for message in expired] == [first]


async def test_recurring_credits_expire_each_month_and_come_again(
    tells: Tells, due: Move
) -> None:
    subject = Subject(customer_id="fed", resource_id="site")
    await due(60 * DAY)
    messages = about("fed", await tells.new())
    assert types(messages) == ["credits.expired", "entitlements.updated"] * 2
    assert [m.fields["expireAt"] for m in messages[::2]] == [
        "2026-03-20T00:00:00.000Z",
        "2026-04-20T00:00:00.000Z",
    ]
    fields = messages[0].fields
    assert (fields["customerId"], fields["resourceId"]) == ("fed", "site")
    assert (fields["grantType"], fields["amount"]) == ("RECURRING", 100)
    assert types(await tells.of(consume(tells.world, 81, subject=subject))) == [
        "credits.grant.usage_low",
        "credits.balance.usage_low",
    ]


async def test_grants_of_before_the_start_are_told_when_they_expire(
    tells: Tells,
) -> None:
    world = tells.world
    assert isinstance(world.clock, MovableClock)
    await grant(world, expires=NOW + DAY)
    await tells.new()
    running = Due(world)
    task = asyncio.ensure_future(running.run())
    for _ in range(50):
        await asyncio.sleep(0)
    world.clock.advance(DAY)
    running.look()
    await until(lambda: len(tells.announced) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert types(await tells.new())[0] == "credits.expired"


@pytest.fixture
async def everything(tells: Tells, due: Move) -> list[Message]:
    """One message of each kind, about a customer and a resource of another."""
    world, site = tells.world, Subject(customer_id="fed", resource_id="site")
    found = await tells.of(report(world, "calls", 11))
    for amount in (85, 15):
        found += await tells.of(consume(world, amount, subject=site))
    await due(30 * DAY)
    return [*found, *about("fed", await tells.new())]


async def test_receivers_know_whom_they_are_about(everything: list[Message]) -> None:
    events: dict[tuple[str, str | None, str | None], WebhookEvent] = {}
    for message in everything:
        for shape in ("flat", "envelope"):
            event = WebhookEvent.parse(message.body(shape))
            events[event.type, event.customer_id, event.resource_id] = event
            assert event.created_at == message.at
    assert {name for name, _, _ in events if name != "entitlements.updated"} == {
        EXCEEDED,
        "credits.expired",
        "credits.grant.usage_low",
        "credits.grant.depleted",
        "credits.balance.usage_low",
        "credits.balance.depleted",
    }
    assert {(who, what) for _, who, what in events} == {("c", None), ("fed", "site")}


async def test_sidecars_that_share_a_redis_tell_each_crossing_once() -> None:
    with redis_server() as redis, receiver() as other_side:
        hook = Webhook(url=other_side.url, secret=SECRET)
        options: dict[str, Any] = {
            "store": redis.url,
            "webhooks": [hook],
            "clock": lambda: NOW,
        }
        async with AsyncExitStack() as running:
            one = await running.enter_async_context(LocalSidecar(CATALOG, **options))
            for days in (1, 2):
                await grant(one.world, expires=NOW + days * DAY)
            other = await running.enter_async_context(LocalSidecar(CATALOG, **options))
            both = [one, other]
            await asyncio.gather(
                *(report(both[n % 2].world, "calls", 1) for n in range(20)),
                *(consume(both[n % 2].world, 5 + n / 100) for n in range(18)),
            )
            one.clock.advance(DAY)
            await until(lambda: other_side.types.count("credits.expired") == 1)
            # It comes past the moment that the first has told of.
            other.clock.advance(2 * DAY)
            await until(lambda: "credits.balance.depleted" in other_side.types)
            await until(lambda: all(s.webhooks.is_idle for s in both))
    told = [name for name in other_side.types if name != "entitlements.updated"]
    assert sorted(told) == [
        "credits.balance.depleted",
        *["credits.expired"] * 2,
        "credits.grant.usage_low",
        *["credits.granted"] * 2,
        EXCEEDED,
    ]
