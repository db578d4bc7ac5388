"""What plans, add-ons, agreements and promotions grant together, and which one won."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.local.core import NOW, Core

REVOKED = "REVOKED"
MISSING = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
MOST = 2**31 - 1


def plan(name: str, parent: str | None = None, **more: Any) -> dict[str, object]:
    entitlements = more.pop("entitlements", {})
    return {"id": name, "parent": parent, "entitlements": entitlements, **more}


def addon(name: str, **entitlements: object) -> dict[str, object]:
    return {"id": name, "entitlements": entitlements}


def on(plan: str, **more: object) -> list[dict[str, object]]:
    return [{"plan": plan, **more}]


def bought(**quantities: int) -> list[dict[str, object]]:
    return [{"id": name, "quantity": count} for name, count in quantities.items()]


def test_plan_inherits_what_it_has_none_of_its_own_over_any_depth() -> None:
    core = Core(
        [
            plan("a", entitlements={"calls": {"limit": 1}, "sso": True}),
            plan("b", "a", entitlements={"seats": {"limit": 2}}),
            plan("c", "b"),
            plan("d", "c", entitlements={"calls": {"limit": 4}}),
        ],
        subscriptions=on("d"),
    )
    assert (core.said("calls"), core.won("calls")) == (4, ["plan d"])
    assert (core.said("seats"), core.won("seats")) == (2, ["base_plan b"])
    assert (core.said("sso"), core.won("sso")) == (True, ["base_plan a"])
    assert core.said("size") == MISSING


def test_own_entitlement_counts_even_if_the_inherited_one_is_larger() -> None:
    core = Core(
        [
            plan("base", entitlements={"calls": {"limit": 9}}),
            plan("child", "base", entitlements={"calls": {"limit": 3}}),
        ],
        subscriptions=on("child"),
    )
    assert core.said("calls") == 3


def test_revocation_in_the_child_overrides_what_is_inherited() -> None:
    core = Core(
        [
            plan("base", entitlements={"sso": True}),
            plan("child", "base", entitlements={"sso": False}),
            plan("grandchild", "child"),
        ],
        subscriptions=on("grandchild"),
    )
    found = core.standing("sso")
    assert (found.reason, found.feature and found.feature.id) == (REVOKED, "sso")
    assert [item.sources[0].id for item in found.others] == ["child"]


def test_parent_is_followed_in_its_latest_version() -> None:
    core = Core(
        [
            plan("base", entitlements={"calls": {"limit": 1}}),
            plan("base", version=2, entitlements={"calls": {"limit": 2}}),
            plan("base", version=3, status="draft"),
            plan("child", "base"),
        ],
        subscriptions=on("child"),
    )
    assert core.said("calls") == 2


@pytest.mark.parametrize(
    ("version", "limit"), [(None, 2), (1, 1), (2, 2), (3, 3)], ids=str
)
def test_subscription_keeps_its_version_or_follows_the_latest(
    version: int | None, limit: int
) -> None:
    core = Core(
        [
            plan("p", version=2, entitlements={"calls": {"limit": 2}}),
            plan("p", version=1, entitlements={"calls": {"limit": 1}}),
            plan("p", version=3, entitlements={"calls": {"limit": 3}}, status="draft"),
        ],
        subscriptions=on("p", plan_version=version),
    )
    assert core.said("calls") == limit


def test_addon_adds_its_amount_as_often_as_it_was_bought() -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 10}, "size": {"value": 5}})],
        addons=[
            addon("more", calls={"limit": 20}, size={"value": 2}),
            addon("extra", calls={"limit": 0.5}),
        ],
        subscriptions=on("p", addons=bought(more=3, extra=1)),
    )
    assert core.said("calls") == 70.5
    assert core.said("size") == 11
    assert core.won("calls") == ["plan p", "addon more", "addon extra"]
    grant = core.standing("calls").grant
    assert grant is not None
    amounts = [(source.amount, source.quantity) for source in grant.sources]
    assert amounts == [(10, 1), (20, 3), (0.5, 1)]


@pytest.mark.parametrize(
    ("feature", "planned", "added", "together"),
    [
        ("sso", None, True, True),
        ("sso", True, True, True),
        ("export", {"values": ["csv"]}, {"values": ["pdf", "csv"]}, ("csv", "pdf")),
        ("calls", {"limit": 1}, {"unlimited": True}, "unlimited"),
        ("calls", {"unlimited": True}, {"limit": 1}, "unlimited"),
        ("size", {"unlimited": True}, {"value": 1}, "unlimited"),
        ("calls", None, {"limit": 7}, 14),
        ("calls", {"granted": False}, {"limit": 7}, 14),
        ("calls", {"limit": 7}, {"granted": False}, REVOKED),
        ("size", {"value": MOST - 1}, {"value": 1}, MOST),
        ("size", {"value": -MOST}, {"value": -1}, -MOST - 1),
        ("calls", {"limit": 1.7e308}, {"limit": 1.7e308}, 1.7976931348623157e308),
    ],
)
def test_addon_bought_twice_beside_a_plan(
    feature: str, planned: object, added: object, together: object
) -> None:
    core = Core(
        [plan("p", entitlements={} if planned is None else {feature: planned})],
        addons=[addon("more", **{feature: added})],
        subscriptions=on("p", addons=bought(more=2)),
    )
    assert core.said(feature) == together


def test_quantity_beyond_every_number_stays_within_what_answers_hold() -> None:
    core = Core(
        [plan("p")],
        addons=[addon("a", size={"value": 2}, calls={"limit": 2}, seats={"limit": 0})],
        subscriptions=on("p", addons=bought(a=10**400)),
    )
    assert core.said("size") == MOST
    assert core.said("calls") == 1.7976931348623157e308
    assert core.said("seats") == 0


def test_override_replaces_the_plan_and_increments_even_if_it_is_less() -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 10, "reset_period": "month"}})],
        addons=[
            addon("more", calls={"limit": 20}),
            addon("small", calls={"limit": 2, "behavior": "override"}),
            addon("large", calls={"limit": 4, "behavior": "override"}),
            addon("none", calls={"granted": False}),
        ],
        subscriptions=on("p", addons=bought(more=1, small=1, large=1, none=1)),
    )
    assert (core.said("calls"), core.won("calls")) == (4, ["addon large"])
    found = core.standing("calls")
    assert found.grant is not None
    overruled = [source.id for source in found.grant.overruled]
    assert overruled == ["p", "more", "small", "none"]
    assert found.window is not None
    assert found.window.period == "month"  # The plan's: the add-on says none.


def test_override_bought_several_times_counts_so_often() -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 100}})],
        addons=[
            addon("a", calls={"limit": 2, "behavior": "override"}),
            addon("b", calls={"limit": 5, "behavior": "override"}),
        ],
        subscriptions=on("p", addons=bought(a=4, b=1)),
    )
    assert (core.said("calls"), core.won("calls")) == (8, ["addon a"])


def test_enum_values_of_all_overrides_replace_the_plans() -> None:
    core = Core(
        [plan("p", entitlements={"export": {"values": ["csv"]}})],
        addons=[
            addon("a", export={"values": ["pdf"], "behavior": "override"}),
            addon("b", export={"values": ["xlsx"], "behavior": "override"}),
        ],
        subscriptions=on("p", addons=bought(a=1, b=1)),
    )
    assert core.said("export") == ("pdf", "xlsx")


def test_agreement_replaces_the_plan_and_addons_add_to_it() -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 10}, "sso": True})],
        addons=[addon("more", calls={"limit": 5})],
        subscriptions=on(
            "p",
            id="s",
            entitlements={"calls": {"limit": 3}, "sso": False, "size": {"value": 1}},
            addons=bought(more=1),
        ),
    )
    assert core.said("calls") == 8
    assert core.won("calls") == ["agreement s", "addon more"]
    grant = core.standing("calls").grant
    assert grant is not None
    assert [source.id for source in grant.overruled] == ["p"]
    assert core.said("sso") == REVOKED
    assert core.said("size") == 1


def test_trial_of_a_higher_plan_counts_beside_the_subscription_until_it_is_over() -> (
    None
):
    core = Core(
        [
            plan("low", entitlements={"calls": {"limit": 1}}),
            plan("high", entitlements={"calls": {"limit": 9}, "sso": True}),
        ],
        subscriptions=[
            {"plan": "low"},
            {
                "plan": "high",
                "status": "in_trial",
                "start": "2023-11-20",
                "trial_end": "2023-12-04",
            },
        ],
    )
    assert (core.said("calls"), core.won("calls")) == (9, ["plan high"])
    others = core.standing("calls").others
    assert [(item.sources[0].id, item.entitlement.limit) for item in others] == [
        ("low", 1)
    ]
    core.now = datetime(2023, 12, 4, tzinfo=UTC)
    assert (core.said("calls"), core.said("sso")) == (1, MISSING)


@pytest.mark.parametrize(
    ("promotion", "limit"),
    [
        ({"limit": 9}, 9),
        ({"limit": 2}, 5),
        ({"limit": 5, "soft_limit": True}, 5),
        ({"unlimited": True}, "unlimited"),
    ],
)
def test_the_most_generous_of_subscription_and_promotion_wins(
    promotion: dict[str, object], limit: object
) -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 5}})],
        subscriptions=on("p"),
        promotions=[{"feature": "calls", "entitlement": promotion}],
    )
    assert core.said("calls") == limit
    assert len(core.standing("calls").others) == 1
    soft = core.standing("calls").grant
    assert soft is not None
    assert soft.entitlement.soft_limit == ("soft_limit" in promotion)


def test_promotion_needs_no_subscription_and_wins_over_a_revocation() -> None:
    promotions = [{"feature": "sso", "entitlement": True}]
    core = Core([], promotions=promotions)
    assert core.won("sso") == ["promotion sso"]
    assert core.said("calls") == "NO_ACTIVE_SUBSCRIPTION"
    revoking = Core(
        [plan("p", entitlements={"sso": False})],
        subscriptions=on("p"),
        promotions=promotions,
    )
    assert revoking.said("sso") is True


@pytest.mark.parametrize(
    ("when", "granted"),
    [
        ({"start": "2023-12-01"}, True),
        ({"start": "2023-12-02"}, False),
        ({"end": "2023-12-02"}, True),
        ({"end": "2023-12-01"}, False),
        ({"status": "paused"}, False),
    ],
)
def test_promotion_grants_in_its_period_unless_it_is_paused(
    when: dict[str, object], granted: bool
) -> None:
    core = Core([], promotions=[{"feature": "sso", "entitlement": True, **when}])
    assert core.said("sso") == (True if granted else "NO_ACTIVE_SUBSCRIPTION")


def test_promotion_counts_for_resources_and_goes_on_with_their_usage() -> None:
    core = Core(
        [plan("p", entitlements={"seats": {"limit": 5}})],
        resources=["r", "s"],
        subscriptions=on("p", resource="r"),
        promotions=[{"feature": "seats", "entitlement": {"limit": 6}, "end": NOW}],
    )
    core.use("seats", 5, "r")
    assert core.verdict("seats", "r").reason == "REQUESTED_USAGE_EXCEEDING_LIMIT"
    core.now = datetime(2023, 11, 30, tzinfo=UTC)
    verdict = core.verdict("seats", "r")
    assert (verdict.reason, verdict.usage) == (None, 5)
    assert core.verdict("seats", "s").usage == core.verdict("seats").usage == 0


def test_promotion_alone_resets_from_its_own_start() -> None:
    core = Core(
        [],
        promotions=[
            {
                "feature": "calls",
                "entitlement": {"limit": 6, "reset_period": "month"},
                "start": "2023-11-17",
            }
        ],
    )
    window = core.standing("calls").window
    assert window is not None
    assert (window.start.day, window.end.day) == (17, 17)


def test_charge_makes_the_limit_soft_where_it_is_charged() -> None:
    core = Core(
        [
            plan(
                "base",
                entitlements={"seats": {"limit": 1}, "calls": {"limit": 1}},
                charges={"seats": {"price": 2}},
            ),
            plan("child", "base", charges={"calls": {"price": 1}}),
        ],
        addons=[
            {"id": "a", "charges": {"seats": {"price": 1}}},
        ],
        resources=["r"],
        subscriptions=[
            *on("child"),
            *on("child", resource="r", addons=bought(a=1)),
        ],
    )
    soft = {
        (feature, resource): grant.entitlement.soft_limit
        for feature in ("seats", "calls")
        for resource in (None, "r")
        if (grant := core.standing(feature, resource).grant)
    }
    assert soft == {
        ("seats", None): False,  # What it costs is not inherited.
        ("calls", None): True,
        ("seats", "r"): True,
        ("calls", "r"): True,
    }


def test_chain_of_plans_that_inherit_from_each_other_ends() -> None:
    core = Core(
        [plan("a", entitlements={"sso": True}), plan("b", "a")],
        subscriptions=on("b"),
    )
    looped = core.index.plans["a"].model_copy(update={"parent": "b"})
    core.index.plans["a"] = looped
    assert core.said("sso") is True


@pytest.mark.parametrize("anchor", ["subscription_start", "start_of_month"])
def test_change_of_plan_resets_what_resets_and_keeps_the_rest(anchor: str) -> None:
    monthly = {"limit": 9, "reset_period": "month", "reset_anchor": anchor}
    entitlements = {"calls": monthly, "seats": {"limit": 9}}
    core = Core(
        [plan("low", entitlements=entitlements), plan("high", "low")],
        subscriptions=[
            {"plan": "low", "start": "2023-10-10", "end": "2023-12-20T10:00:00Z"},
            {"plan": "high", "start": "2023-12-20T10:00:00Z"},
        ],
    )
    core.now = datetime(2023, 12, 20, 9, tzinfo=UTC)
    core.use("calls", 5)
    core.use("seats", 5)
    core.now = datetime(2023, 12, 20, 10, tzinfo=UTC)
    assert core.won("calls") == ["base_plan low"]
    assert (core.verdict("calls").usage, core.verdict("seats").usage) == (0, 5)


def test_of_equals_the_resources_own_subscription_wins() -> None:
    core = Core(
        [plan("p", entitlements={"seats": {"limit": 5}})],
        resources=["r"],
        subscriptions=[*on("p"), *on("p", resource="r")],
    )
    grant = core.standing("seats", "r").grant
    assert grant is not None
    assert grant.resource_id == "r"


def test_soft_limit_of_an_addon_softens_the_whole() -> None:
    core = Core(
        [plan("p", entitlements={"calls": {"limit": 1}})],
        addons=[addon("more", calls={"limit": 1, "soft_limit": True})],
        subscriptions=on("p", addons=bought(more=1)),
    )
    core.use("calls", 9)
    assert core.verdict("calls").reason is None


def test_promotion_beside_a_subscription_resets_with_it() -> None:
    monthly = {"limit": 5, "reset_period": "month"}
    core = Core(
        [plan("p", entitlements={"calls": monthly})],
        subscriptions=on("p", start="2023-10-10"),
        promotions=[
            {
                "feature": "calls",
                "entitlement": {**monthly, "limit": 9},
                "start": "2023-11-17",
            }
        ],
    )
    window = core.standing("calls").window
    assert core.won("calls") == ["promotion calls"]
    assert window is not None
    assert window.start == datetime(2023, 11, 10, tzinfo=UTC)
