"""Promotional entitlements: granted, listed, revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar_client.local.management import promotions
from sidecar_client.local.management.pages import Turn
from sidecar_client.local.management.promotions import NewPromotion, PromotionStatus
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.periods import add_months
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.world import Announcement, World
from tests.local.wire import NOW, Clock


async def test_periods_end_when_their_name_says(world: World) -> None:
    new = [
        NewPromotion(feature_id="seats", terms=Terms(amount=5), period="one_week"),
        NewPromotion(feature_id="size", terms=Terms(amount=0), period="six_months"),
        NewPromotion(feature_id="sso", terms=Terms()),
        NewPromotion(
            feature_id="export",
            terms=Terms(values=("csv",)),
            period="custom",
            end=NOW + timedelta(days=2),
        ),
    ]
    given = await promotions.grant_promotions(world, "acme", new)
    ends = {item.promotion.value.feature: item.promotion.value.end for item in given}
    assert ends == {
        "seats": NOW + timedelta(weeks=1),
        "size": add_months(NOW, 6),
        "sso": None,
        "export": NOW + timedelta(days=2),
    }
    assert given[1].promotion.value.entitlement.value == 0


async def test_a_second_grant_of_a_feature_replaces_the_first(
    world: World, heard: list[Announcement]
) -> None:
    for amount in (1, 2):
        await promotions.grant_promotions(
            world,
            "acme",
            [NewPromotion(feature_id="seats", terms=Terms(amount=amount))],
        )
    page = await promotions.list_promotions(world, "acme", Turn())
    assert [item.promotion.value.entitlement.limit for item in page.items] == [2]
    assert [item.kind for item in heard] == [
        "promotionalEntitlement.granted",
        "promotionalEntitlement.updated",
    ]


async def test_lists_tell_which_have_expired(world: World, clock: Clock) -> None:
    new = [
        NewPromotion(feature_id="sso", terms=Terms()),
        NewPromotion(feature_id="seats", terms=Terms(amount=5), period="one_week"),
    ]
    await promotions.grant_promotions(world, "acme", new)
    clock.now = NOW + timedelta(weeks=1)
    page = await promotions.list_promotions(world, "acme", Turn())
    assert [(item.promotion.value.feature, item.status) for item in page.items] == [
        ("seats", "expired"),
        ("sso", "active"),
    ]
    expired: tuple[PromotionStatus, ...] = ("expired",)
    page = await promotions.list_promotions(world, "acme", Turn(), statuses=expired)
    assert [item.promotion.value.feature for item in page.items] == ["seats"]


async def test_a_revoked_one_is_gone(world: World) -> None:
    new = [NewPromotion(feature_id="sso", terms=Terms())]
    (given,) = await promotions.grant_promotions(world, "acme", new)
    gone = await promotions.revoke_promotion(world, "acme", "sso")
    assert gone.id == given.id
    with pytest.raises(Refusal, match="no promotional entitlement to 'sso'"):
        await promotions.revoke_promotion(world, "acme", "sso")


@pytest.mark.parametrize(
    "bad",
    [
        NewPromotion(feature_id="nothing", terms=Terms()),
        NewPromotion(feature_id="sso", terms=Terms(granted=False)),
        NewPromotion(feature_id="seats", terms=Terms()),
        NewPromotion(feature_id="seats", terms=Terms(amount=-1)),
        NewPromotion(feature_id="size", terms=Terms(amount=1.5)),
        NewPromotion(feature_id="sso", terms=Terms(), period="custom"),
        NewPromotion(feature_id="sso", terms=Terms(), period="custom", end=NOW),
    ],
)
async def test_what_does_not_fit_grants_nothing_of_the_whole(
    world: World, bad: NewPromotion
) -> None:
    good = NewPromotion(feature_id="sso", terms=Terms())
    with pytest.raises(Refusal):
        await promotions.grant_promotions(world, "acme", [good, bad])
    assert (await promotions.list_promotions(world, "acme", Turn())).items == []
