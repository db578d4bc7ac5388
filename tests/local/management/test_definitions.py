"""Features, products, plans, add-ons and currencies: defined and changed."""

from __future__ import annotations

import pytest

from sidecar_client.local.catalog import Addon, Plan
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.management import (
    currencies,
    features,
    package_entitlements,
    products,
    publishing,
    subscriptions,
)
from sidecar_client.local.management.currencies import NewCurrency
from sidecar_client.local.management.features import NewFeature, WantedFeatures
from sidecar_client.local.management.package_entitlements import (
    New,
    NewCreditEntitlement,
    NewFeatureEntitlement,
)
from sidecar_client.local.management.packages import ADDONS, PLANS, PackageStatus
from sidecar_client.local.management.pages import Turn
from sidecar_client.local.management.products import NewProduct
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    provision_subscription,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.populate import populate
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Announcement, World
from tests.local.wire import NOW, Clock

DRAFT: tuple[PackageStatus, ...] = ("draft",)
PUBLISHED: tuple[PackageStatus, ...] = ("published",)


def seats(amount: float) -> NewFeatureEntitlement:
    return NewFeatureEntitlement(id="seats", terms=Terms(amount=amount))


async def version_of(world: World, name: str) -> int | None:
    owned = await subscriptions.get_subscription(world, name)
    return owned.subscription.value.plan_version


async def test_a_feature_is_defined_changed_and_archived(world: World) -> None:
    new = NewFeature(
        id="calls", type="metered", name="Calls", meter="incremental", kept={"x": 1}
    )
    made = await features.create_feature(world, new)
    assert (made.value.meter, made.about.created) == ("incremental", NOW)
    changed = await features.update_feature(world, "calls", {"units": "call"}, {})
    assert (changed.value.units, changed.about.kept) == ("call", {"x": 1})
    archived = await features.archive_feature(world, "calls")
    assert archived.value.status == "archived"
    with pytest.raises(Refusal, match="archived already"):
        await features.archive_feature(world, "calls")
    page = await features.list_features(
        world,
        Turn(),
        WantedFeatures(fits=lambda feature: feature.status == "archived"),
    )
    assert [item.value.id for item in page.items] == ["calls"]


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewFeature(id="sso", type="boolean", name=""), "ALREADY_EXISTS"),
        (NewFeature(id="a b", type="boolean", name=""), "INVALID_ARGUMENT"),
        (NewFeature(id="x", type="metered", name=""), "INVALID_ARGUMENT"),
        (NewFeature(id="x", type="enum", name=""), "INVALID_ARGUMENT"),
    ],
)
async def test_a_feature_that_does_not_fit_is_refused(
    world: World, new: NewFeature, code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        await features.create_feature(world, new)
    assert caught.value.code == code


async def test_a_draft_is_published_for_new_subscriptions(world: World) -> None:
    await provision_subscription(
        world, NewSubscription(customer_id="acme", plan_id="team", id="before")
    )
    await PLANS.create_draft(world, "team")
    await package_entitlements.replace_entitlement(world, PLANS, "team", seats(99))
    assert (await PLANS.get(world, "team")).value.version == 1
    await publishing.publish_plan(world, "team", "new_customers")
    latest = (await PLANS.get(world, "team")).value
    assert (latest.version, latest.entitlements["seats"].limit) == (2, 99)
    assert await version_of(world, "before") == 1
    await subscriptions.migrate_subscription(world, "before")
    assert await version_of(world, "before") == 2


async def test_a_draft_is_published_for_all_subscriptions(world: World) -> None:
    await provision_subscription(
        world, NewSubscription(customer_id="acme", plan_id="team", id="before")
    )
    await PLANS.create_draft(world, "team")
    await publishing.publish_plan(world, "team", "all_customers")
    assert await version_of(world, "before") == 2


async def test_what_follows_the_latest_version_stays_unless_all_go(
    world: World,
) -> None:
    assert await version_of(world, "old-subscription-1") is None
    await PLANS.create_draft(world, "free")
    await publishing.publish_plan(world, "free", "new_customers")
    assert await version_of(world, "old-subscription-1") == 1


async def test_only_drafts_are_edited_and_published(world: World) -> None:
    with pytest.raises(Refusal, match="has no draft; create one first"):
        await package_entitlements.add_entitlements(world, PLANS, "team", [seats(1)])
    with pytest.raises(Refusal, match="has no draft"):
        await publishing.publish_plan(world, "team", "all_customers")
    await PLANS.create_draft(world, "team")
    with pytest.raises(Refusal, match="has a draft already"):
        await PLANS.create_draft(world, "team")
    assert await PLANS.remove_draft(world, "team") == "team"
    with pytest.raises(Refusal, match="has no draft"):
        await PLANS.remove_draft(world, "team")


async def test_entitlements_of_a_draft_come_and_go(world: World) -> None:
    await ADDONS.create_draft(world, "more-seats")
    new: list[New] = [
        NewFeatureEntitlement(id="sso", terms=Terms()),
        NewCreditEntitlement(id="tokens", amount=100, cadence="year"),
    ]
    added = await package_entitlements.add_entitlements(
        world, ADDONS, "more-seats", new
    )
    assert {item.id for item in added} == {"sso", "tokens"}
    with pytest.raises(Refusal, match="an entitlement 'sso' already"):
        await package_entitlements.add_entitlements(
            world, ADDONS, "more-seats", new[:1]
        )
    await package_entitlements.remove_entitlement(world, ADDONS, "more-seats", "tokens")
    await publishing.publish_addon(world, "more-seats")
    left = await package_entitlements.list_entitlements(world, ADDONS, "more-seats")
    assert [item.id for item in left] == ["seats", "sso"]


async def test_an_archived_plan_takes_no_subscriptions(world: World) -> None:
    await PLANS.archive(world, "team")
    with pytest.raises(Refusal, match="plan 'team' is archived"):
        await provision_subscription(
            world, NewSubscription(customer_id="acme", plan_id="team")
        )
    page = await PLANS.list(world, Turn(), product_id="app", statuses=PUBLISHED)
    assert [item.value.id for item in page.items] == ["free", "pro"]


async def test_a_new_plan_is_a_draft_until_it_is_published(world: World) -> None:
    plan = Plan(id="big", name="Big", product="app", status="draft")
    await PLANS.create(world, plan, kept={})
    drafts = await PLANS.list(world, Turn(), statuses=DRAFT)
    assert [item.value.id for item in drafts.items] == ["big"]
    with pytest.raises(Refusal, match="plan 'big' is draft; publish it"):
        await provision_subscription(
            world, NewSubscription(customer_id="acme", plan_id="big")
        )
    await publishing.publish_plan(world, "big", "new_customers")
    assert (await PLANS.get(world, "big")).value.status == "published"
    with pytest.raises(Refusal, match="there is no product 'none'"):
        await PLANS.create(world, Plan(id="bad", product="none"), kept={})


async def test_a_product_is_copied_with_what_belongs_to_it(world: World) -> None:
    await products.duplicate_product(world, "app", "copy", name="Copy")
    index = await world.index()
    assert index.plans["copy-pro"].product == "copy"
    assert index.plans["copy-pro"].entitlements == index.plans["pro"].entitlements
    assert index.addons["copy-more-seats"].product == "copy"


async def test_archiving_a_product_archives_what_belongs_to_it(world: World) -> None:
    archived = await products.archive_product(world, "app")
    assert archived.value.status == "archived"
    index = await world.index()
    assert {
        name for name, plan in index.plans.items() if plan.status == "archived"
    } == {
        "free",
        "pro",
        "team",
    }
    back = await products.archive_product(world, "app", archived=False)
    assert back.value.status == "published"


async def test_an_archived_product_takes_nothing_new(world: World) -> None:
    await PLANS.create_draft(world, "team")
    await products.archive_product(world, "app")
    archived = "product 'app' of '.*' is archived; unarchive it first"
    with pytest.raises(Refusal, match=archived):
        await PLANS.create(world, Plan(id="new", product="app"), kept={})
    with pytest.raises(Refusal, match=archived):
        await ADDONS.create(world, Addon(id="new", product="app"), kept={})
    with pytest.raises(Refusal, match=archived):
        await PLANS.unarchive(world, "team")
    with pytest.raises(Refusal, match=archived):
        await PLANS.create_draft(world, "pro")
    with pytest.raises(Refusal, match=archived):
        await ADDONS.create_draft(world, "more-seats")
    await PLANS.create(world, Plan(id="other", product="sites"), kept={})


async def test_a_draft_of_an_archived_product_is_not_published() -> None:
    world = World(MemoryStore(), clock=Clock())
    catalog: dict[str, object] = {
        "products": [{"id": "app", "status": "archived"}],
        "plans": [{"id": "free", "status": "draft"}],
    }
    await populate(world, load_catalog(catalog))
    with pytest.raises(Refusal, match="product 'app' of 'free' is archived"):
        await publishing.publish_plan(world, "free", "all_customers")


async def test_a_plan_of_an_archived_product_takes_no_subscriptions() -> None:
    world = World(MemoryStore(), clock=Clock())
    catalog: dict[str, object] = {
        "products": [{"id": "app", "status": "archived"}],
        "plans": [{"id": "free"}],
        "customers": [{"id": "acme"}],
    }
    await populate(world, load_catalog(catalog))
    new = NewSubscription(customer_id="acme", plan_id="free")
    with pytest.raises(Refusal, match="product 'app' of 'free' is archived"):
        await provision_subscription(world, new)
    await products.archive_product(world, "app", archived=False)
    await provision_subscription(world, new)


@pytest.mark.parametrize("with_product", [True, False])
async def test_an_archived_plan_is_taken_back_as_it_was(
    world: World, with_product: bool
) -> None:
    await PLANS.create_draft(world, "team")
    await PLANS.create(world, Plan(id="new", product="app", status="draft"), kept={})
    if with_product:
        await products.archive_product(world, "app")
        await products.archive_product(world, "app", archived=False)
    else:
        await PLANS.archive(world, "team")
        await PLANS.archive(world, "new")
    back = await PLANS.unarchive(world, "team")
    assert (back.value.status, back.value.version) == ("published", 1)
    assert (await PLANS.unarchive(world, "new")).value.status == "draft"
    await provision_subscription(
        world, NewSubscription(customer_id="acme", plan_id="team")
    )
    await publishing.publish_plan(world, "team", "all_customers")
    with pytest.raises(Refusal, match="plan 'team' is not archived"):
        await PLANS.unarchive(world, "team")


@pytest.mark.parametrize("with_product", [True, False])
async def test_archiving_a_plan_leaves_its_draft_to_nobody(
    world: World, with_product: bool
) -> None:
    before = (await world.index()).plans["free"].entitlements
    await PLANS.create_draft(world, "free")
    await PLANS.update(world, "free", {"entitlements": {}}, kept={})
    if with_product:
        await products.archive_product(world, "app")
    else:
        await PLANS.archive(world, "free")
    archived = (await world.index()).plans["free"]
    assert (archived.status, archived.version) == ("archived", 1)
    assert archived.entitlements == before
    if with_product:
        await products.archive_product(world, "app", archived=False)
    with pytest.raises(Refusal, match="plan 'free' is archived; unarchive it first"):
        await publishing.publish_plan(world, "free", "all_customers")


async def test_plans_and_addons_archived_with_their_product_are_told_of(
    world: World, heard: list[Announcement]
) -> None:
    await PLANS.archive(world, "free")
    heard.clear()
    await products.archive_product(world, "app")
    assert [item.kind for item in heard] == [
        *("product.archived", "plan.archived", "plan.archived", "addon.archived")
    ]
    names = [next(iter(item.facts.values())) for item in heard]
    assert names == ["app", "pro", "team", "more-seats"]
    assert (await PLANS.get(world, "team")).about.updated == NOW


async def test_whether_it_has_several_subscriptions_is_fixed_with_the_first(
    world: World,
) -> None:
    several = {"multiple_subscriptions": False}
    await products.update_product(world, "sites", several, {})
    with pytest.raises(Refusal, match="has subscriptions, such as"):
        await products.update_product(
            world, "app", {"multiple_subscriptions": True}, {}
        )


async def test_a_second_product_leaves_the_plans_of_the_first_to_it() -> None:
    world = World(MemoryStore(), clock=Clock())
    catalog = {"products": [{"id": "app"}], "plans": [{"id": "free"}]}
    await populate(world, load_catalog(catalog))
    await products.create_product(world, NewProduct(id="new", name="New"))
    assert (await PLANS.get(world, "free")).value.product == "app"


async def test_a_product_needs_an_id_of_its_own(world: World) -> None:
    await products.create_product(world, NewProduct(id="new", name="New"))
    with pytest.raises(Refusal, match="product 'new' already"):
        await products.create_product(world, NewProduct(id="new", name="New"))
    page = await products.list_products(world, Turn())
    assert [item.value.id for item in page.items] == ["app", "new", "sites"]


async def test_a_currency_that_is_used_is_not_archived(world: World) -> None:
    await PLANS.create_draft(world, "pro")
    await package_entitlements.add_entitlements(
        world, PLANS, "pro", [NewCreditEntitlement(id="tokens", amount=5)]
    )
    await publishing.publish_plan(world, "pro", "all_customers")
    with pytest.raises(Refusal, match="is used, as by 'pro'"):
        await currencies.archive_currency(world, "tokens")
    new = await currencies.create_currency(world, NewCurrency(id="coins", name="C"))
    assert new.value.name == "C"
    await currencies.update_currency(world, "coins", {"unit_plural": "coins"}, {})
    await currencies.archive_currency(world, "coins")
    listed = await currencies.list_currencies(world, Turn())
    assert [item.value.id for item in listed.items] == ["tokens"]
    back = await currencies.archive_currency(world, "coins", archived=False)
    assert back.value.unit_plural == "coins"
