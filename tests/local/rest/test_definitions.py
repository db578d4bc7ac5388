"""Features, products, plans, add-ons and currencies, by the vendor's client."""

from __future__ import annotations

import pytest
import stigg

from tests.local.wire import NOW


def test_features_are_defined_changed_and_archived(client: stigg.Stigg) -> None:
    features = client.v1.features
    made = features.create_feature(
        id="formats",
        display_name="Formats",
        feature_type="ENUM",
        enum_configuration=[{"value": "a", "display_name": "The A"}],
        metadata={"x": "y"},
    ).data
    assert made.enum_configuration is not None
    assert made.enum_configuration[0].display_name == "The A"
    assert (made.feature_status, made.meter_type) == ("ACTIVE", "None")
    assert features.retrieve_feature("formats").data == made
    changed = features.update_feature("formats", display_name="All formats").data
    assert (changed.display_name, changed.metadata) == ("All formats", {"x": "y"})
    assert features.archive_feature("formats").data.feature_status == "SUSPENDED"
    listed = features.list_features(status=["SUSPENDED"])
    assert [feature.id for feature in listed] == ["formats"]
    assert features.unarchive_feature("formats").data.feature_status == "ACTIVE"
    metered = features.list_features(meter_type=["FLUCTUATING"])
    assert [feature.id for feature in metered] == ["seats"]
    divided = features.create_feature(
        id="traffic",
        display_name="Traffic",
        feature_type="NUMBER",
        meter_type="INCREMENTAL",
        unit_transformation={"divide": 1000, "round": "DOWN"},
    ).data
    assert divided.unit_transformation is not None
    assert divided.unit_transformation.round == "DOWN"
    with pytest.raises(stigg.BadRequestError, match="meter names 0 events"):
        features.create_feature(
            id="bad",
            display_name="Bad",
            feature_type="NUMBER",
            meter_type="INCREMENTAL",
            meter={
                "aggregation": {"function": "COUNT"},
                "filters": [{"conditions": [{"field": "a", "operation": "IS_NULL"}]}],
            },
        )


def test_products_are_defined_changed_and_copied(client: stigg.Stigg) -> None:
    products = client.v1.products
    made = products.create_product(
        id="new", display_name="New", multiple_subscriptions=True
    ).data
    assert (made.status, made.created_at) == ("PUBLISHED", NOW)
    changed = products.update_product("new", description="Newer").data
    assert (changed.display_name, changed.description) == ("New", "Newer")
    copy = products.duplicate_product("app", target_id="copy").data
    assert copy.id == "copy"
    copies = client.v1.plans.list(product_id="copy")
    assert [plan.id for plan in copies] == ["copy-free", "copy-pro", "copy-team"]
    assert products.archive_product("copy").data.status == "ARCHIVED"
    assert [p.id for p in products.list_products(status=["ARCHIVED"])] == ["copy"]
    assert products.unarchive_product("copy").data.status == "PUBLISHED"


def test_plans_are_drafted_and_published(client: stigg.Stigg) -> None:
    plans = client.v1.plans
    made = plans.create(
        id="big",
        display_name="Big",
        product_id="app",
        parent_plan_id="pro",
        pricing_type="PAID",
        default_trial_config={"duration": 7, "units": "DAY"},
    ).data
    assert (made.status, made.version_number) == ("DRAFT", 1)
    entitlements = plans.entitlements
    added = entitlements.create(
        "big",
        entitlements=[
            {"id": "size", "type": "FEATURE", "usage_limit": 5, "description": "d"},
            {"id": "seats", "type": "FEATURE", "has_unlimited_usage": True},
            {"id": "tokens", "type": "CREDIT", "amount": 9, "cadence": "YEAR"},
        ],
    ).data
    assert [item.id for item in added] == ["seats", "size", "tokens"] or len(added) == 3
    limited = entitlements.update(
        "seats", plan_id="big", type="FEATURE", usage_limit=3, reset_period="WEEK"
    ).data
    assert limited.type == "FEATURE"
    assert (limited.usage_limit, limited.has_unlimited_usage) == (3, False)
    kept = entitlements.update("size", plan_id="big", type="FEATURE", order=2).data
    assert kept.type == "FEATURE"
    assert (kept.usage_limit, kept.description, kept.order) == (5, "d", 2)
    more = entitlements.update("tokens", plan_id="big", type="CREDIT", amount=10).data
    assert more.type == "CREDIT"
    assert (more.amount, more.cadence) == (10, "YEAR")
    entitlements.delete("size", plan_id="big")
    assert plans.publish("big", migration_type="NEW_CUSTOMERS").data.task_id is None
    published = plans.retrieve("big").data
    assert (published.status, published.is_latest) == ("PUBLISHED", True)
    assert {(e.id, e.type) for e in published.entitlements} == {
        ("seats", "FEATURE"),
        ("tokens", "CREDIT"),
    }
    assert [e.id for e in entitlements.list("big").data] == ["seats", "tokens"]
    draft = plans.create_draft("big").data
    assert (draft.status, draft.version_number) == ("DRAFT", 2)
    assert [plan.id for plan in plans.list(status=["DRAFT"])] == ["big"]
    assert plans.remove_draft("big").data.id == "big"
    with pytest.raises(stigg.BadRequestError, match="has no draft"):
        plans.publish("big", migration_type="NEW_CUSTOMERS")
    assert plans.archive("big").data.status == "ARCHIVED"
    with pytest.raises(stigg.NotFoundError, match="no plan 'nothing'"):
        plans.retrieve("nothing")
    assert list(plans.list_overage_charges("team")) == []


def test_addons_are_drafted_and_published(client: stigg.Stigg) -> None:
    addons = client.v1.addons
    made = addons.create(id="extra", display_name="Extra", product_id="app").data
    assert made.status == "DRAFT"
    changed = addons.update("extra", max_quantity=3, dependencies=["more-seats"]).data
    assert (changed.max_quantity, changed.dependencies) == (3, ["more-seats"])
    (added,) = addons.entitlements.create(
        "extra",
        entitlements=[
            {
                "id": "seats",
                "type": "FEATURE",
                "usage_limit": 5,
                "behavior": "Override",
            }
        ],
    ).data
    assert added.behavior == "Override"
    addons.publish("extra", migration_type="ALL_CUSTOMERS")
    assert [a.id for a in addons.list(limit=1)] == ["extra", "more-seats"]
    assert addons.create_draft("extra").data.version_number == 2
    assert addons.remove_draft("extra").data.id == "extra"
    assert addons.archive("extra").data.status == "ARCHIVED"
    assert addons.retrieve("extra").data.status == "ARCHIVED"
    assert list(addons.list_charges("extra")) == []


async def test_currencies_are_defined_changed_and_archived(
    async_client: stigg.AsyncStigg,
) -> None:
    currencies = async_client.v1.credits.custom_currencies
    made = await currencies.create(
        id="coins",
        display_name="Coins",
        symbol="C",
        units={"singular": "coin", "plural": "coins"},
    )
    assert made.data.units is not None
    assert (made.data.symbol, made.data.units.plural) == ("C", "coins")
    changed = await currencies.update("coins", description="Shiny")
    assert (changed.data.description, changed.data.symbol) == ("Shiny", "C")
    assert (await currencies.list_associated_entities("coins")).data == []
    archived = await currencies.archive("coins")
    assert archived.data.archived_at == NOW
    assert [c.id async for c in currencies.list()] == ["tokens"]
    everything = currencies.list(status=["ACTIVE", "ARCHIVED"])
    assert [c.id async for c in everything] == ["coins", "tokens"]
    assert (await currencies.unarchive("coins")).data.archived_at is None
