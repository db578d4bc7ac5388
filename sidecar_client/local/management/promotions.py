"""Promotional entitlements: granted, listed, revoked.

What they are worth among everything that a customer has is for `evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import NAMESPACE_OID, uuid5

from sidecar_client.local.customers import Customer, Promotion, PromotionPeriod
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.management.about import (
    Told,
    note_change,
    note_new,
    part_name,
    told,
)
from sidecar_client.local.management.missing import (
    customer_of,
    feature_of,
    live_customer,
)
from sidecar_client.local.management.pages import Page, Turn, page_of
from sidecar_client.local.management.terms import Terms, entitlement
from sidecar_client.local.periods import add_months
from sidecar_client.local.records import about_key, customer_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

PromotionStatus = Literal["active", "expired", "paused"]
_MONTHS = {"one_month": 1, "six_months": 6, "one_year": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPromotion:
    """What a customer is to be given."""

    feature_id: str
    terms: Terms
    period: PromotionPeriod = "lifetime"
    end: datetime | None = None
    """For the period `custom` alone."""
    visible: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A promotion that a customer has, or had."""

    id: str
    promotion: Told[Promotion]
    status: PromotionStatus


async def grant_promotions(
    world: World, customer_id: str, new: Sequence[NewPromotion]
) -> list[Given]:
    """Give a customer all of these; what it was given of a feature is replaced."""

    async def work(transaction: Transaction) -> list[Given]:
        customer = await live_customer(transaction, customer_id)
        given: list[Given] = []
        for at, wish in enumerate(new):
            where = f"promotionalEntitlements[{at}]"
            promotion = await _made(transaction, wish, where)
            customer = _with(customer, promotion)
            given.append(await _kept(transaction, customer, promotion))
        transaction.write(customer_key(customer_id), customer)
        return given

    return await world.transact(work)


async def list_promotions(
    world: World,
    customer_id: str,
    turn: Turn,
    *,
    statuses: Collection[PromotionStatus] | None = None,
    created: Callable[[datetime], bool] | None = None,
) -> Page[Given]:
    """What a customer was given, by feature."""
    customer = await customer_of(world, customer_id)
    now = world.clock()
    by_name = {
        part_name(customer_id, promotion.feature): promotion
        for promotion in sorted(customer.promotions, key=lambda item: item.feature)
    }
    given = [
        _given(customer_id, item, now)
        for item in await told(world, "promotion", by_name)
        if created is None or created(item.about.created)
    ]
    fitting = [
        (item.promotion.value.feature, item)
        for item in given
        if statuses is None or item.status in statuses
    ]
    page = await page_of(fitting, turn)
    return page.mapped(lambda items: [item for _, item in items])


async def revoke_promotion(world: World, customer_id: str, feature_id: str) -> Given:
    """Take a promotion of a feature away; what it was."""
    checked_id("feature", feature_id)

    async def work(transaction: Transaction) -> Given:
        customer = await customer_of(transaction, customer_id)
        gone = [item for item in customer.promotions if item.feature == feature_id]
        if not gone:
            raise Refusal(
                "NOT_FOUND",
                f"customer {customer_id!r} has no promotional entitlement to "
                f"{feature_id!r}.",
            )
        left = tuple(item for item in customer.promotions if item not in gone)
        changed = customer.model_copy(update={"promotions": left})
        transaction.write(customer_key(customer_id), changed)
        name = part_name(customer_id, feature_id)
        before = await told(transaction, "promotion", {name: gone[-1]})
        transaction.remove(about_key("promotion", name))
        transaction.announce(
            "promotionalEntitlement.revoked",
            customer_id=customer_id,
            feature_id=feature_id,
        )
        return _given(customer_id, before[0], transaction.now)

    return await world.transact(work)


async def _made(transaction: Transaction, wish: NewPromotion, where: str) -> Promotion:
    feature = feature_of(await transaction.index(), wish.feature_id)
    if not wish.terms.granted:
        raise Refusal(
            "INVALID_ARGUMENT", f"{where}: a promotion cannot revoke a feature."
        )
    return Promotion(
        feature=feature.id,
        entitlement=entitlement(Entitlement, feature, wish.terms, where=where),
        start=transaction.now,
        end=_end(wish, transaction.now, where),
        period=wish.period,
        visible=wish.visible,
    )


def _end(wish: NewPromotion, now: datetime, where: str) -> datetime | None:
    if wish.period == "custom":
        if wish.end is None or wish.end <= now:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"{where}: a custom period needs an end date in the future; "
                f"it is {wish.end}.",
            )
        return wish.end
    if wish.period == "lifetime":
        return None
    if wish.period == "one_week":
        return now + timedelta(weeks=1)
    return add_months(now, _MONTHS[wish.period])


def _with(customer: Customer, promotion: Promotion) -> Customer:
    others = tuple(p for p in customer.promotions if p.feature != promotion.feature)
    return customer.model_copy(update={"promotions": (*others, promotion)})


async def _kept(
    transaction: Transaction, customer: Customer, promotion: Promotion
) -> Given:
    name = part_name(customer.id, promotion.feature)
    is_new = await transaction.read(about_key("promotion", name)) is None
    if is_new:
        about = note_new(transaction, "promotion", name, owner=customer.id)
    else:
        about = await note_change(transaction, "promotion", name)
    transaction.announce(
        f"promotionalEntitlement.{'granted' if is_new else 'updated'}",
        customer_id=customer.id,
        feature_id=promotion.feature,
    )
    told_of_it = Told(value=promotion, about=about)
    return _given(customer.id, told_of_it, transaction.now)


def _given(customer_id: str, promotion: Told[Promotion], now: datetime) -> Given:
    name = part_name(customer_id, promotion.value.feature)
    return Given(
        id=str(uuid5(NAMESPACE_OID, name)),
        promotion=promotion,
        status=_status(promotion.value, now),
    )


def _status(promotion: Promotion, now: datetime) -> PromotionStatus:
    if promotion.end is not None and promotion.end <= now:
        return "expired"
    return promotion.status
