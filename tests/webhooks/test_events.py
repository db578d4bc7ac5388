"""Which events of the vendor's follow from changes, and what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar_client.local import due
from sidecar_client.local.catalog import Addon, Plan
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.customers import AddonQuantity, CreditGrant
from sidecar_client.local.due import Due
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.management.credits import (
    NewGrant,
    grant_credits,
    void_grant,
)
from sidecar_client.local.management.currencies import NewCurrency, create_currency
from sidecar_client.local.management.customers import (
    NewCustomer,
    archive_customer,
    provision_customer,
    unarchive_customer,
    update_customer,
)
from sidecar_client.local.management.features import (
    NewFeature,
    archive_feature,
    create_feature,
    update_feature,
)
from sidecar_client.local.management.packages import ADDONS, PLANS
from sidecar_client.local.management.products import archive_product
from sidecar_client.local.management.promotions import (
    NewPromotion,
    grant_promotions,
    revoke_promotion,
)
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    provision_subscription,
)
from sidecar_client.local.management.publishing import publish_addon, publish_plan
from sidecar_client.local.management.subscriptions import (
    cancel_subscription,
    update_subscription,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.populate import populate
from sidecar_client.local.records import HeldGrant, Wallet, wallet_key
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.wallets import Pool, consume
from sidecar_client.local.webhook_events import entitlements_updated, messages_of
from sidecar_client.local.world import Announcement, Transaction, World
from tests.local.management.conftest import CATALOG
from tests.webhooks.telling import Move, Tells, types
from tests.webhooks.test_sending import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEATS = {"seats": {"limit": 3, "reset_period": "month"}}


@pytest.fixture
async def tells() -> Tells:
    clock = MovableClock(lambda: NOW)
    world = World(MemoryStore(), clock=clock)
    await world.store.open()
    await populate(world, load_catalog(CATALOG))
    return Tells(world)


def subscribe(world: World, plan: str = "team", **more: Any) -> Awaitable[Any]:
    new = NewSubscription(customer_id="acme", plan_id=plan, id="sub-1", **more)
    return provision_subscription(world, new)


async def test_customers(tells: Tells) -> None:
    world = tells.world
    new = NewCustomer(id="c", name="Cedar", email="c@x.example", metadata={"a": "b"})
    (created,) = await tells.of(provision_customer(world, new))
    assert created.type == "customer.created"
    assert created.at == NOW
    assert created.fields == {
        "id": "c",
        "name": "Cedar",
        "email": "c@x.example",
        "billingId": None,
        "crmId": None,
        "metadata": {"a": "b"},
    }
    updated = await tells.of(update_customer(world, "c", {"name": "D"}, {}))
    assert types(updated) == ["customer.updated", "entitlements.updated"]
    gone = await tells.of(archive_customer(world, "c"))
    assert types(gone) == ["customer.deleted", "entitlements.updated"]
    assert gone[1].fields["trigger"] == "customer_deleted"
    back = await tells.of(unarchive_customer(world, "c"))
    assert types(back) == ["customer.updated", "entitlements.updated"]


async def test_subscription_and_its_entitlements(tells: Tells) -> None:
    messages = await tells.of(subscribe(tells.world))
    assert types(messages) == ["subscription.created", "entitlements.updated"]
    subscription, entitlements = (message.fields for message in messages)
    assert subscription["id"] == "sub-1"
    assert subscription["status"] == "ACTIVE"
    assert subscription["startDate"] == "2026-03-01T12:00:00.000Z"
    assert subscription["customer"]["id"] == "acme"
    assert subscription["customer"]["name"] == "Acme"
    assert subscription["plan"]["id"] == "team"
    assert subscription["resource"] is None
    assert entitlements["trigger"] == "subscription_created"
    assert entitlements["customer"]["id"] == "acme"
    assert entitlements["resource"] is None
    (seats,) = entitlements["entitlements"]
    assert seats["feature"]["id"] == "seats"
    assert seats["feature"]["featureType"] == "NUMBER"
    assert seats["feature"]["meterType"] == "FLUCTUATING"
    assert seats["usageLimit"] == 50
    assert seats["currentUsage"] == 0
    assert seats["hasUnlimitedUsage"] is False


async def test_subscription_whose_place_another_takes_is_canceled(
    tells: Tells,
) -> None:
    await tells.of(subscribe(tells.world))
    new = NewSubscription(customer_id="acme", plan_id="free", id="sub-2")
    told = await tells.of(provision_subscription(tells.world, new))
    assert [(item.type, item.fields.get("id")) for item in told] == [
        ("subscription.canceled", "sub-1"),
        ("entitlements.updated", None),
        ("subscription.created", "sub-2"),
        ("entitlements.updated", None),
    ]
    assert told[0].fields["status"] == "CANCELED"
    later = NewSubscription(
        customer_id="acme", plan_id="team", id="sub-3", start=NOW + timedelta(days=1)
    )
    told = await tells.of(provision_subscription(tells.world, later))
    assert types(told) == ["subscription.created", "entitlements.updated"]


async def test_trial(tells: Tells) -> None:
    messages = await tells.of(subscribe(tells.world, "pro"))
    assert types(messages) == [
        "subscription.created",
        "subscription.trial_started",
        "entitlements.updated",
    ]
    assert messages[1].fields["status"] == "IN_TRIAL"
    assert messages[1].fields["trialEndDate"] == "2026-03-15T12:00:00.000Z"
    assert len({message.id for message in messages}) == 3


async def test_subscription_of_a_resource(tells: Tells) -> None:
    messages = await tells.of(subscribe(tells.world, "site", resource_id="s-1"))
    subscription, entitlements = (message.fields for message in messages)
    assert subscription["resource"] == entitlements["resource"] == {"id": "s-1"}
    assert entitlements["entitlements"][0]["usageLimit"] == 3


async def test_subscription_that_changes_and_ends(tells: Tells) -> None:
    world = tells.world
    await tells.of(subscribe(world))
    bought: dict[str, object] = {
        "addons": (AddonQuantity(id="more-seats", quantity=2),)
    }
    changed = await tells.of(update_subscription(world, "sub-1", bought, kept={}))
    assert types(changed) == ["subscription.updated", "entitlements.updated"]
    assert changed[0].fields["addons"] == [{"id": "more-seats", "quantity": 2}]
    assert changed[1].fields["entitlements"][0]["usageLimit"] == 70
    ended = await tells.of(cancel_subscription(world, "sub-1", time="immediate"))
    assert types(ended) == ["subscription.canceled", "entitlements.updated"]
    assert ended[0].fields["status"] == "CANCELED"
    assert ended[1].fields["entitlements"] == []


async def test_promotions(tells: Tells) -> None:
    world = tells.world
    wish = NewPromotion(feature_id="seats", terms=Terms(amount=7), period="one_month")
    granted = await tells.of(grant_promotions(world, "acme", [wish]))
    assert types(granted) == ["promotionalEntitlement.granted", "entitlements.updated"]
    fields = granted[0].fields
    assert fields["status"] == "ACTIVE"
    assert fields["feature"]["id"] == "seats"
    assert fields["customer"]["id"] == "acme"
    assert fields["usageLimit"] == 7
    assert fields["endDate"] == "2026-04-01T12:00:00.000Z"
    assert granted[1].fields["trigger"] == "promotional_entitlement_granted"
    assert granted[1].fields["entitlements"][0]["usageLimit"] == 7
    again = await tells.of(grant_promotions(world, "acme", [wish]))
    assert types(again)[0] == "promotionalEntitlement.updated"
    gone = await tells.of(revoke_promotion(world, "acme", "seats"))
    assert types(gone) == ["promotionalEntitlement.revoked", "entitlements.updated"]
    assert gone[0].fields["status"] == "REVOKED"


async def test_features_and_currencies(tells: Tells) -> None:
    world = tells.world
    new = NewFeature(id="colours", type="enum", name="Colours", values=("red",))
    (created,) = await tells.of(create_feature(world, new))
    assert created.type == "feature.created"
    assert created.fields["featureType"] == "ENUM"
    assert created.fields["enumConfiguration"] == [{"value": "red"}]
    changed = await tells.of(update_feature(world, "colours", {"name": "C"}, {}))
    assert types(changed) == ["feature.updated"]
    gone = await tells.of(archive_feature(world, "colours"))
    assert types(gone) == ["feature.deleted"]
    currency = NewCurrency(id="coins", name="Coins")
    (made,) = await tells.of(create_currency(world, currency))
    assert made.type == "credit_type.created"
    assert made.fields["id"] == "coins"


async def test_new_version_of_a_plan_is_told_to_whoever_has_it(tells: Tells) -> None:
    world = tells.world
    await tells.of(subscribe(world))
    assert await tells.of(PLANS.create_draft(world, "team")) == []
    limits = {"seats": Entitlement(limit=80)}
    changes: dict[str, object] = {"entitlements": limits}
    told = await tells.of(PLANS.update(world, "team", changes, kept={}))
    assert types(told) == []
    told = await tells.of(publish_plan(world, "team", "all_customers"))
    assert types(told) == [
        "plan.updated",
        "entitlements.updated",
        "subscription.updated",
        "entitlements.updated",
    ]
    plan = told[0].fields
    assert (plan["id"], plan["version"], plan["isLatest"]) == ("team", 2, True)
    assert plan["packageEntitlements"][0]["usageLimit"] == 80
    assert told[-1].fields["customer"]["id"] == "acme"
    assert told[-1].fields["entitlements"][0]["usageLimit"] == 80


async def test_plan_for_new_customers_changes_nothing_for_the_others(
    tells: Tells,
) -> None:
    world = tells.world
    await tells.of(subscribe(world))
    await tells.of(PLANS.create_draft(world, "team"))
    limits = {"seats": Entitlement(limit=80)}
    await tells.of(PLANS.update(world, "team", {"entitlements": limits}, kept={}))
    told = await tells.of(publish_plan(world, "team", "new_customers"))
    assert types(told) == ["plan.updated", "entitlements.updated"]
    assert told[-1].fields["entitlements"][0]["usageLimit"] == 50


async def test_plans_and_addons_are_archived_with_their_product(tells: Tells) -> None:
    told = await tells.of(archive_product(tells.world, "app"))
    assert types(told) == [*["plan.deleted"] * 3, "addon.deleted"]


async def test_plans_and_addons_that_are_made_and_archived(tells: Tells) -> None:
    world = tells.world
    plan = Plan(id="new", product="app", status="draft")
    assert types(await tells.of(PLANS.create(world, plan, kept={}))) == ["plan.created"]
    told = await tells.of(PLANS.archive(world, "new"))
    assert types(told) == ["plan.deleted"]
    assert told[0].fields["status"] == "ARCHIVED"
    addon = Addon(id="extra", product="app")
    told = await tells.of(ADDONS.create(world, addon, kept={}))
    assert types(told) == ["addon.created"]


async def test_new_version_of_an_addon_is_told_to_whoever_bought_it(
    tells: Tells,
) -> None:
    world = tells.world
    await tells.of(subscribe(world, addons=[AddonQuantity(id="more-seats")]))
    await tells.of(ADDONS.create_draft(world, "more-seats"))
    told = await tells.of(publish_addon(world, "more-seats"))
    assert types(told) == ["addon.updated", "entitlements.updated"]


async def test_catalog_that_is_edited(tells: Tells) -> None:
    world = tells.world
    catalog = load_catalog(CATALOG)
    plans = [
        plan.model_copy(update={"entitlements": {"seats": Entitlement(limit=2)}})
        if plan.id == "free"
        else plan
        for plan in catalog.plans
    ]
    acme, old = catalog.customers
    edited = catalog.model_copy(
        update={
            "plans": tuple(plans),
            "customers": (acme.model_copy(update={"name": "Acme Ltd"}), old),
        }
    )
    messages = await tells.of(populate(world, edited))
    told = {message.type: message.fields for message in messages}
    assert types(messages) == [
        "plan.updated",
        "entitlements.updated",
        "customer.updated",
        "entitlements.updated",
    ]
    assert told["plan.updated"]["id"] == "free"
    assert messages[1].fields["customer"]["id"] == "old"
    assert messages[1].fields["entitlements"][0]["usageLimit"] == 2
    assert told["customer.updated"]["name"] == "Acme Ltd"
    gone = edited.model_copy(update={"customers": (old,)})
    messages = await tells.of(populate(world, gone))
    assert types(messages) == ["customer.deleted", "entitlements.updated"]


async def test_versions_and_parts_that_come_and_go_with_an_edit(tells: Tells) -> None:
    catalog = load_catalog(CATALOG)
    (free,) = (plan for plan in catalog.plans if plan.id == "free")
    second = free.model_copy(update={"version": 2, "entitlements": {}})
    edited = catalog.model_copy(update={"plans": (*catalog.plans, second)})
    told = await tells.of(populate(tells.world, edited))
    assert types(told) == ["plan.updated", "entitlements.updated"]
    assert (told[0].fields["id"], told[0].fields["version"]) == ("free", 2)
    less = edited.model_copy(
        update={
            "plans": tuple(plan for plan in edited.plans if plan.id != "site"),
            "addons": (),
            "features": tuple(f for f in edited.features if f.id != "export"),
            "currencies": (),
        }
    )
    told = await tells.of(populate(tells.world, less))
    assert [(item.type, item.fields["id"]) for item in told] == [
        ("feature.deleted", "export"),
        ("credit_type.archived", "tokens"),
        ("plan.deleted", "site"),
        ("addon.deleted", "more-seats"),
    ]


async def test_credits_that_are_granted_and_voided(tells: Tells) -> None:
    world = tells.world
    new = NewGrant(
        customer_id="acme", currency_id="tokens", amount=9, type="paid", name="Nine"
    )
    granted = await tells.of(grant_credits(world, new))
    assert types(granted) == ["credits.granted", "entitlements.updated"]
    fields = granted[0].fields
    assert (fields["customerId"], fields["amount"]) == ("acme", 9)
    assert granted[1].fields["entitlements"][0]["creditBalance"]["totalGranted"] == 9
    voided = await tells.of(void_grant(world, fields["grantId"]))
    assert types(voided)[:2] == ["credits.grant.voided", "entitlements.updated"]


async def test_credits_that_run_out(tells: Tells) -> None:
    pool = Pool(
        key=wallet_key("acme", None, "tokens"),
        customer_id="acme",
        resource_id=None,
        currency_id="tokens",
        sources=(),
    )

    async def spend(transaction: Transaction) -> None:
        grant = CreditGrant(id="g", currency="tokens", amount=5)
        wallet = Wallet(grants=(HeldGrant(grant=grant, created=NOW),))
        consume(transaction, pool, wallet, 5)

    messages = await tells.of(tells.world.transact(spend))
    assert types(messages) == [
        "credits.grant.depleted",
        "credits.balance.depleted",
        "entitlements.updated",
    ]
    fields = messages[1].fields
    assert fields["customerId"] == "acme"
    assert fields["currencyId"] == "tokens"
    (balance,) = messages[2].fields["entitlements"]
    assert balance["creditBalance"]["creditCurrency"]["id"] == "tokens"
    assert balance["creditBalance"]["remainingBalance"] == 0


@pytest.mark.parametrize(
    "kind", ["subscription.updated", "feature.updated", "plan.updated", "moon.full"]
)
async def test_what_is_gone_by_now_is_not_told(tells: Tells, kind: str) -> None:
    facts = {f"{name}_id": "gone" for name in ("subscription", "feature", "plan")}
    told = Announcement(kind=kind, at=NOW, customer_id="gone", facts=facts)
    found = [m async for m in messages_of(tells.world, told)]
    assert [m.type for m in found if m.type != "entitlements.updated"] == []


async def test_trial_that_ends(tells: Tells, due: Move) -> None:
    await tells.of(subscribe(tells.world, "pro"))
    await due(timedelta(days=13))
    assert await tells.new() == []
    await due(timedelta(days=1))
    messages = await tells.new()
    assert types(messages) == ["subscription.trial_expired", "entitlements.updated"]
    assert messages[0].at == NOW + timedelta(days=14)
    assert messages[0].fields["status"] == "EXPIRED"
    assert messages[1].fields["entitlements"] == []
    await due(timedelta(days=100))
    assert await tells.new() == []


async def test_subscription_that_ends(tells: Tells, due: Move) -> None:
    end = NOW + timedelta(days=10)
    await tells.of(subscribe(tells.world, end=end))
    await due(timedelta(days=400))
    messages = await tells.new()
    assert types(messages) == ["subscription.expired", "entitlements.updated"]


async def test_subscription_that_was_canceled_for_later(
    tells: Tells, due: Move
) -> None:
    world = tells.world
    await tells.of(subscribe(world))
    end = NOW + timedelta(days=10)
    cancel = cancel_subscription(world, "sub-1", time="specific_date", end=end)
    assert types(await tells.of(cancel))[0] == "subscription.updated"
    await due(timedelta(days=10))
    assert types(await tells.new())[0] == "subscription.canceled"


async def test_subscription_that_begins_later(tells: Tells, due: Move) -> None:
    start = NOW + timedelta(days=3)
    await tells.of(subscribe(tells.world, start=start))
    await due(timedelta(days=3))
    messages = await tells.new()
    assert types(messages) == ["subscription.updated", "entitlements.updated"]
    assert messages[0].fields["status"] == "ACTIVE"


async def test_subscription_of_a_catalog_that_is_edited_ends(
    tells: Tells, due: Move
) -> None:
    end = (NOW + timedelta(days=5)).isoformat()
    subscription = {"plan": "free", "end": end}
    customers = [{"id": "acme"}, {"id": "old", "subscriptions": [subscription]}]
    edited = load_catalog({**CATALOG, "customers": customers})
    await tells.of(populate(tells.world, edited))
    await due(timedelta(days=5))
    assert "subscription.expired" in types(await tells.new())


async def test_promotion_that_ends(tells: Tells, due: Move) -> None:
    wish = NewPromotion(feature_id="seats", terms=Terms(amount=7), period="one_week")
    await tells.of(grant_promotions(tells.world, "acme", [wish]))
    await due(timedelta(days=7))
    messages = await tells.new()
    assert types(messages) == ["promotionalEntitlement.expired", "entitlements.updated"]
    assert messages[0].fields["status"] == "EXPIRED"


async def test_what_is_due_is_told_once_by_all_who_share_a_store(
    tells: Tells, due: Move
) -> None:
    other = World(tells.world.store, clock=tells.world.clock)
    announced: list[Announcement] = []
    other.listeners.append(announced.append)
    await tells.of(subscribe(tells.world, end=NOW + timedelta(days=1)))
    running = Due(other)
    task = asyncio.ensure_future(running.run())
    await due(timedelta(days=1))
    running.look()
    await until(lambda: tells.announced or announced)
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(tells.announced) + len(announced) == 1


class Shared(MemoryStore):
    """A store to which another sidecar writes as well."""

    shared = True


@pytest.mark.parametrize(
    ("starts", "told"),
    [
        (timedelta(hours=1), ["subscription.updated"]),
        # It may have been told as the change itself, by a clock that is ahead.
        (timedelta(seconds=5), []),
    ],
)
async def test_what_is_due_by_a_change_of_a_sidecar_that_is_gone_is_told(
    starts: timedelta, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else it rests as long as the machine was busy.
    monkeypatch.setattr(due, "_REST", 0)
    clock = MovableClock(lambda: NOW)
    gone, world = (World(Shared(), clock=clock) for _ in range(2))
    world.store = gone.store
    await populate(gone, load_catalog(CATALOG))
    announced: list[Announcement] = []
    world.listeners.append(announced.append)
    running = Due(world, again=0.0)
    task = asyncio.ensure_future(running.run())

    async def let_it_look() -> None:
        running.look()
        for _ in range(200):
            await asyncio.sleep(0)

    await let_it_look()
    await subscribe(gone, start=clock() + starts)
    await let_it_look()
    clock.advance(timedelta(hours=2))
    await let_it_look()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [item.kind for item in announced] == told


@pytest.mark.parametrize("turns", range(6))
async def test_looking_ends_though_something_happens_at_that_moment(
    tells: Tells, turns: int
) -> None:
    await tells.of(subscribe(tells.world, end=NOW + timedelta(days=1)))
    running = Due(tells.world)
    task = asyncio.ensure_future(running.run())
    for _ in range(50):
        await asyncio.sleep(0)
    running.look()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=20)
    task.cancel()
    assert ended == {task}


async def test_store_that_is_away_is_waited_for(
    tells: Tells, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sidecar_client.local.due._LOOK", 0.001)
    world, clock = tells.world, tells.world.clock
    await tells.of(subscribe(world, end=NOW + timedelta(days=1)))
    running = Due(world)
    task = asyncio.ensure_future(running.run())
    await asyncio.sleep(0)
    scan, read = world.store.scan, world.store.read

    async def away(*_: object, **__: object) -> Any:
        raise OSError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "read", away)
        patch.setattr(world.store, "scan", away)
        assert isinstance(clock, MovableClock)
        clock.advance(timedelta(days=1))
        running.look()
        await until(lambda: "looked at again" in caplog.text)
        assert not tells.announced
    assert (world.store.scan, world.store.read) == (scan, read)
    await until(lambda: tells.announced)
    assert [one.kind for one in tells.announced] == ["subscription.expired"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_subject_that_is_unknown_has_nothing(tells: Tells) -> None:
    subject = Subject(customer_id="nobody")
    message = await entitlements_updated(tells.world, subject, "x.y", NOW)
    assert message.fields["customer"] == {"id": "nobody"}
    assert message.fields["entitlements"] == []
