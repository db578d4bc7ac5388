"""Subscriptions: provisioned, changed, canceled, moved, imported, listed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar_client.local.catalog import Addon
from sidecar_client.local.customers import AddonQuantity, Budget
from sidecar_client.local.management import customers, moves, subscriptions
from sidecar_client.local.management.packages import ADDONS
from sidecar_client.local.management.pages import Turn
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    TrialWish,
    provision_subscription,
)
from sidecar_client.local.management.subscriptions import Wanted
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.periods import add_months
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import World
from tests.local.wire import NOW, Clock

DAY = timedelta(days=1)


def wish(plan_id: str = "team", **more: object) -> NewSubscription:
    return NewSubscription(customer_id="acme", plan_id=plan_id, **more)  # type: ignore[arg-type]


async def statuses(world: World, customer_id: str = "acme") -> dict[str, str]:
    customer = (await customers.get_customer(world, customer_id)).value
    return {sub.plan: sub.status_at(world.clock()) for sub in customer.subscriptions}


async def refused(world: World, new: NewSubscription) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await provision_subscription(world, new)
    return caught.value


async def test_a_subscription_holds_from_now_on_the_latest_version(
    world: World,
) -> None:
    made = await provision_subscription(
        world,
        wish(
            id="mine",
            addons=[AddonQuantity(id="more-seats", quantity=2)],
            entitlements={"size": Terms(amount=7)},
            budget=Budget(limit=10),
        ),
    )
    sub = made.subscription.value
    assert (sub.start, sub.end, sub.plan_version) == (NOW, None, 1)
    assert (sub.entitlements["size"].value, sub.budget) == (7, Budget(limit=10))
    assert not made.is_scheduled
    assert (await subscriptions.get_subscription(world, "mine")).customer_id == "acme"


async def test_another_plan_of_the_product_takes_the_place_of_the_first(
    world: World,
) -> None:
    await provision_subscription(world, wish("free"))
    later = await provision_subscription(world, wish("team", start=NOW + 3 * DAY))
    assert later.is_scheduled
    assert await statuses(world) == {"free": "active", "team": "not_started"}


async def test_at_its_start_the_one_before_has_ended(
    world: World, clock: Clock
) -> None:
    await provision_subscription(world, wish("free", start=NOW - DAY))
    await provision_subscription(world, wish("team", start=NOW + 3 * DAY))
    clock.now = NOW + 3 * DAY
    assert await statuses(world) == {"free": "canceled", "team": "active"}


async def test_a_plan_with_a_trial_begins_with_it_once(
    world: World, clock: Clock
) -> None:
    made = await provision_subscription(world, wish("pro"))
    assert made.subscription.value.trial_end == NOW + 14 * DAY
    paid = await provision_subscription(world, wish("pro"))
    assert paid.subscription.value.start == NOW + 14 * DAY
    assert paid.subscription.value.trial_end is None
    clock.now = NOW + 14 * DAY
    customer = (await customers.get_customer(world, "acme")).value
    assert [sub.status_at(clock.now) for sub in customer.subscriptions] == [
        "expired",
        "active",
    ]


async def test_a_trial_is_as_the_caller_says(world: World, clock: Clock) -> None:
    none = await provision_subscription(
        world, wish("pro", trial=TrialWish(is_trial=False))
    )
    assert none.subscription.value.status == "active"
    trial = TrialWish(is_trial=True, end=NOW + DAY, end_behavior="convert_to_paid")
    await provision_subscription(world, wish("team", trial=trial))
    assert await statuses(world) == {"pro": "active", "team": "in_trial"}
    clock.now = NOW + DAY
    assert (await statuses(world))["team"] == "active"
    message = (await refused(world, wish(trial=TrialWish(is_trial=True)))).message
    assert "plan 'team' has no trial of its own" in message


async def test_who_paid_for_the_product_before_has_no_trial_by_itself(
    world: World,
) -> None:
    await provision_subscription(world, wish("team"))
    made = await provision_subscription(world, wish("pro"))
    assert made.subscription.value.status == "active"


async def test_what_ends_earlier_than_its_successor_begins_still_does(
    world: World, clock: Clock
) -> None:
    await provision_subscription(world, wish("free", end=NOW + DAY))
    await provision_subscription(world, wish("team", start=NOW + 3 * DAY))
    clock.now = NOW + DAY
    assert (await statuses(world))["free"] != "active"


async def test_a_product_with_several_subscriptions_wants_a_resource(
    world: World,
) -> None:
    assert "name the resource" in (await refused(world, wish("site"))).message
    for resource in ("one", "two"):
        await provision_subscription(world, wish("site", resource_id=resource))
    customer = (await customers.get_customer(world, "acme")).value
    assert customer.resources == ("one", "two")
    assert all(sub.holds(NOW) for sub in customer.subscriptions)
    other = await refused(world, wish("team", resource_id="one"))
    assert "leave out the resource" in other.message


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewSubscription(customer_id="nobody", plan_id="team"), "NOT_FOUND"),
        (wish("nothing"), "NOT_FOUND"),
        (wish(addons=[AddonQuantity(id="nothing")]), "NOT_FOUND"),
        (wish(addons=[AddonQuantity(id="more-seats", quantity=6)]), "INVALID_ARGUMENT"),
        (wish(entitlements={"nothing": Terms()}), "NOT_FOUND"),
        (wish(entitlements={"sso": Terms(amount=1)}), "INVALID_ARGUMENT"),
        (wish(end=NOW - DAY), "INVALID_ARGUMENT"),
        (wish(id="no id"), "INVALID_ARGUMENT"),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_changes(
    world: World, new: NewSubscription, code: str
) -> None:
    assert (await refused(world, new)).code == code
    assert await statuses(world) == {}


async def test_an_id_is_nobody_elses(world: World) -> None:
    await provision_subscription(world, wish(id="mine"))
    assert (await refused(world, wish(id="mine"))).code == "ALREADY_EXISTS"


async def test_an_archived_customer_gets_none(world: World) -> None:
    await customers.archive_customer(world, "acme")
    assert (await refused(world, wish())).code == "FAILED_PRECONDITION"


async def test_a_paid_one_is_canceled_with_its_billing_period(
    world: World, clock: Clock
) -> None:
    await provision_subscription(world, wish(id="mine"))
    canceled = await subscriptions.cancel_subscription(world, "mine")
    assert canceled.subscription.value.cancel_reason == "scheduled_cancellation"
    assert await statuses(world) == {"team": "active"}
    clock.now = add_months(NOW, 1)
    assert await statuses(world) == {"team": "canceled"}


async def test_it_is_canceled_at_once_or_on_a_date_when_wanted(world: World) -> None:
    for name, plan in (("one", "site"), ("two", "site")):
        await provision_subscription(world, wish(plan, id=name, resource_id=name))
    cancel = subscriptions.cancel_subscription
    one = await cancel(world, "one", time="immediate")
    assert one.subscription.value.status_at(NOW) == "canceled"
    two = await cancel(world, "two", time="specific_date", end=NOW + DAY)
    assert two.subscription.value.end == NOW + DAY
    with pytest.raises(Refusal, match="canceled and cannot be changed"):
        await cancel(world, "one")
    with pytest.raises(Refusal, match="date to cancel on is missing"):
        await cancel(world, "two", time="specific_date")


async def test_a_trial_is_only_canceled_at_once(world: World) -> None:
    await provision_subscription(world, wish("pro", id="trial"))
    with pytest.raises(Refusal, match="is a trial"):
        await subscriptions.cancel_subscription(
            world, "trial", time="end_of_billing_period"
        )
    over = await subscriptions.cancel_subscription(world, "trial")
    assert over.subscription.value.status_at(NOW) == "canceled"


async def test_changes_replace_what_they_name(world: World) -> None:
    await provision_subscription(
        world, wish(id="mine", addons=[AddonQuantity(id="more-seats", quantity=2)])
    )
    changed = await subscriptions.update_subscription(
        world,
        "mine",
        {"addons": (), "metadata": {"a": "b"}},
        entitlements={"size": Terms(unlimited=True)},
        kept={},
    )
    sub = changed.subscription.value
    assert (sub.addons, sub.metadata) == ((), {"a": "b"})
    assert sub.entitlements["size"].unlimited
    with pytest.raises(Refusal, match="no subscription 'other'"):
        await subscriptions.update_subscription(world, "other", {}, kept={})


async def test_one_that_came_with_the_catalog_is_found_by_its_id(world: World) -> None:
    owned = await subscriptions.get_subscription(world, "old-subscription-1")
    assert owned.customer_id == "old"
    await subscriptions.cancel_subscription(world, "old-subscription-1")
    assert await statuses(world, "old") == {"free": "canceled"}


async def test_one_is_transferred_to_another_resource(world: World) -> None:
    new = wish("site", id="mine", resource_id="one")
    await provision_subscription(world, new)
    moved = await moves.transfer_subscription(world, "mine", "two")
    assert moved.subscription.value.resource == "two"
    await provision_subscription(world, wish("site", id="else", resource_id="one"))
    with pytest.raises(Refusal, match="has the subscription 'else' there already"):
        await moves.transfer_subscription(world, "mine", "one")
    await provision_subscription(world, wish(id="whole"))
    with pytest.raises(Refusal, match="cannot be transferred"):
        await moves.transfer_subscription(world, "whole", "one")


async def test_one_is_delegated_to_another_customer(world: World) -> None:
    await provision_subscription(world, wish("site", id="mine", resource_id="one"))
    moved = await moves.delegate_subscription(world, "mine", "old")
    assert moved.customer_id == "old"
    assert moved.subscription.value.paying_customer == "acme"
    assert await statuses(world) == {}
    assert (await subscriptions.get_subscription(world, "mine")).customer_id == "old"


async def test_imported_ones_are_as_they_were_elsewhere(world: World) -> None:
    start = NOW - 100 * DAY
    for plan in ("team", "free"):
        await moves.import_subscriptions(world, [wish(plan, id="mine", start=start)])
    owned = await subscriptions.get_subscription(world, "mine")
    assert (owned.subscription.value.plan, owned.subscription.value.start) == (
        "free",
        start,
    )
    assert await statuses(world) == {"free": "active"}


async def test_lists_are_narrowed_down(world: World) -> None:
    for number in range(3):
        name = f"s{number}"
        await provision_subscription(world, wish("site", id=name, resource_id=name))
    await subscriptions.cancel_subscription(world, "s1", time="immediate")

    async def listed(**wanted: object) -> list[str | None]:
        page = await subscriptions.list_subscriptions(
            world,
            Turn(),
            Wanted(**wanted),  # type: ignore[arg-type]
        )
        return [item.subscription.value.id for item in page.items]

    assert await listed() == ["s0", "s1", "s2", "old-subscription-1"]
    assert await listed(customer_id="acme", statuses=("active",)) == ["s0", "s2"]
    assert await listed(pricing=("free",)) == ["old-subscription-1"]
    assert await listed(resource_id="s1") == ["s1"]
    assert await listed(plan_id="team") == []


def bought(name: str, quantity: int = 1) -> AddonQuantity:
    return AddonQuantity(id=name, quantity=quantity)


async def test_an_addon_is_named_once_so_that_its_quantity_is_bounded(
    world: World,
) -> None:
    twice = [bought("more-seats", 3), bought("more-seats", 3)]
    refusal = await refused(world, wish(addons=twice))
    assert "add-on 'more-seats' is named twice; name it once" in str(refusal)


async def test_an_addon_is_of_the_product_of_its_plan(world: World) -> None:
    await ADDONS.create(world, Addon(id="pages", product="sites"), kept={})
    refusal = await refused(world, wish(addons=[bought("pages")]))
    assert "the add-on 'pages' is one of product 'sites'" in str(refusal)


async def test_an_archived_addon_is_kept_but_not_bought(world: World) -> None:
    await provision_subscription(world, wish(id="with", addons=[bought("more-seats")]))
    new = NewSubscription(customer_id="old", plan_id="team", id="without")
    await provision_subscription(world, new)
    await ADDONS.archive(world, "more-seats")
    more = {"addons": (bought("more-seats", 2),)}
    kept = await subscriptions.update_subscription(world, "with", {**more}, kept={})
    assert kept.subscription.value.addons == more["addons"]
    for change in (
        subscriptions.update_subscription(world, "without", {**more}, kept={}),
        provision_subscription(world, wish(addons=[bought("more-seats")])),
    ):
        with pytest.raises(Refusal, match="add-on 'more-seats' is archived; use"):
            await change
