"""Credits over REST: granted, consumed, looked back on.

Bodies and answers are in `wallet_models`; what is done is in `management.credits`.
"""

from __future__ import annotations

from datetime import datetime

from sidecar_client.local.catalog import Currency
from sidecar_client.local.credits import OVERDRAFT
from sidecar_client.local.customers import GrantType
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.usage import Nothing
from sidecar_client.local.http.rest.wallet_models import (
    BalanceData,
    Consume,
    ConsumeAsync,
    ConsumedData,
    CostData,
    CreateGrant,
    CreditsUsed,
    GrantData,
    GrantStatusName,
    GrantTypeName,
    LedgerEvent,
    ListGrants,
    ListLedger,
    MovementData,
    Recharge,
    RechargeData,
    UsedCurrencyData,
    UsedData,
    UsedPointData,
    UsedSeriesData,
)
from sidecar_client.local.http.rest.wire import (
    Cursors,
    Data,
    Listed,
    NoBody,
    NoQuery,
    kept,
    listed,
    within,
)
from sidecar_client.local.management import credits as management
from sidecar_client.local.management.credits import (
    Granted,
    GrantStatus,
    NewGrant,
    overdraft_id,
)
from sidecar_client.local.management.currencies import currency_of
from sidecar_client.local.management.missing import customer_of
from sidecar_client.local.management.pages import page_of
from sidecar_client.local.management.wallets import Movement, movements
from sidecar_client.local.records import LedgerEntry, LedgerKind
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shown import shown

endpoints = Endpoints()
_EVENTS: dict[LedgerKind, LedgerEvent] = {
    "granted": "CREDITS_GRANTED",
    "consumed": "CREDITS_CONSUMED",
    "overdrawn": "CREDITS_CONSUMED",
    "settled": "CREDITS_CONSUMPTION_TRANSFER_TARGET",
    "returned": "CREDITS_UPDATED",
    "expired": "CREDITS_EXPIRED",
    "voided": "CREDITS_VOIDED",
}
_TYPES: dict[GrantType, GrantTypeName] = {
    "paid": "PAID",
    "promotional": "PROMOTIONAL",
    "recurring": "RECURRING",
    "overdraft": "OVERDRAFT",
}
_STATUSES: dict[GrantStatus, GrantStatusName] = {
    "active": "ACTIVE",
    "expired": "EXPIRED",
    "voided": "VOIDED",
    "scheduled": "SCHEDULED",
}


@endpoints.post("/v1/credits/grants", status=201)
async def create_credit_grant(asked: Asked[CreateGrant, NoQuery]) -> Data[GrantData]:
    """Give credits; they settle what was overdrawn."""
    body = asked.body
    new = NewGrant(
        customer_id=body.customer_id,
        currency_id=body.currency_id,
        amount=body.amount,
        type="paid" if body.grant_type == "PAID" else "promotional",
        name=body.display_name,
        priority=body.priority,
        resource_id=body.resource_id,
        effective=body.effective_at,
        expires=body.expire_at,
        cost=body.cost.amount if body.cost else None,
        metadata=body.metadata,
        kept=kept(body, "comment", "cost", "payment_collection_method"),
    )
    return Data(data=_grant(await management.grant_credits(asked.parts.world, new)))


@endpoints.get("/v1/credits/grants")
async def list_credit_grants(asked: Asked[NoBody, ListGrants]) -> Listed[GrantData]:
    """List the grants of a customer, or of one of its resources, the oldest first."""
    query = asked.query
    created = within(query.created_at)
    grants = await management.list_grants(
        asked.parts.world,
        query.customer_id,
        currency_id=query.currency_id,
        resource_id=query.resource_id,
    )
    named = [
        (f"{item.held.value.created.isoformat()} {item.held.value.grant.id}", item)
        for item in grants
        if created is None or created(item.held.value.created)
    ]
    page = await page_of(sorted(named, key=lambda pair: pair[0]), query.turn)
    return listed(page.mapped(lambda items: [_grant(item) for _, item in items]))


@endpoints.post("/v1/credits/grants/{id}/void")
async def void_credit_grant(asked: Asked[NoBody, NoQuery]) -> Data[GrantData]:
    """Let nothing more be spent of a grant."""
    voided = await management.void_grant(asked.parts.world, asked.path["id"])
    return Data(data=_grant(voided))


@endpoints.post("/v1/credits/consumption", status=201)
async def consume_credits(asked: Asked[Consume, NoQuery]) -> Data[ConsumedData]:
    """Consume credits; what the balance does not cover is overdrawn."""
    body = asked.body
    (left,) = await management.consume_credits(asked.parts.world, [body.wanted()])
    balance = BalanceData(
        currency_id=body.currency_id,
        current_usage=left.balance.consumed,
        usage_limit=left.balance.granted,
        timestamp=left.at,
        usage_period_end=left.balance.period_end,
    )
    return Data(
        data=ConsumedData(
            customer_id=body.customer_id,
            currency_id=body.currency_id,
            resource_id=body.resource_id,
            amount=body.amount,
            timestamp=body.created_at or left.at,
            credit=balance,
        )
    )


@endpoints.post("/v1/credits/consumption/async", status=201)
async def consume_credits_async(asked: Asked[ConsumeAsync, NoQuery]) -> Data[Nothing]:
    """Consume credits in many places, all of them or none."""
    wanted = [item.wanted() for item in asked.body.consumptions]
    await management.consume_credits(asked.parts.world, wanted)
    return Data(data=Nothing())


@endpoints.get("/v1/credits/ledger")
async def list_credit_ledger(
    asked: Asked[NoBody, ListLedger],
) -> Listed[MovementData]:
    """List what moved in the wallets of a customer, the latest first."""
    query = asked.query
    moved = await movements(
        asked.parts.world,
        query.customer_id,
        currency_id=query.currency_id,
        resource_id=query.resource_id,
    )
    shown = [
        (f"{len(moved) - at:09}", _movement(movement))
        for at, movement in enumerate(moved)
        if query.reservation_id is None
    ]
    fitting = [pair for pair in shown if query.event_type in (None, pair[1].event_type)]
    page = await page_of(reversed(fitting), query.turn)
    return listed(page.mapped(lambda items: [item for _, item in items]))


@endpoints.get("/v1/credits/usage")
async def get_credit_usage(asked: Asked[NoBody, CreditsUsed]) -> Data[UsedData]:
    """Look back on the credits that a customer used, by feature and day."""
    query, world = asked.query, asked.parts.world
    if query.group_by not in (None, "featureId"):
        raise Refusal(
            "UNIMPLEMENTED",
            f"groupBy is {shown(query.group_by)}: the local sidecar keeps no use of "
            "credits by dimensions; leave it out, or use featureId.",
        )
    index = await world.index()
    currency = currency_of(index, query.currency_id) if query.currency_id else None
    start, end = query.span(world.clock())
    moved = await movements(
        world,
        query.customer_id,
        currency_id=query.currency_id,
        resource_id=query.resource_id,
    )
    by_feature: dict[str | None, list[Movement]] = {}
    for movement in moved:
        used = movement.entry.kind in ("consumed", "overdrawn")
        if used and start <= movement.entry.at <= end:
            by_feature.setdefault(movement.entry.feature_id, []).append(movement)
    names = {name: feature.name for name, feature in index.features.items()}
    series = [_series(name, names, found) for name, found in by_feature.items()]
    pagination = Cursors(next=None, prev=None)
    named = _currency(currency) if currency else None
    return Data(data=UsedData(currency=named, series=series, pagination=pagination))


@endpoints.get("/v1/credits/auto-recharge")
async def get_auto_recharge(asked: Asked[NoBody, Recharge]) -> Data[RechargeData]:
    """Tell that nothing is bought by itself."""
    query, world = asked.query, asked.parts.world
    await customer_of(world, query.customer_id)
    currency_of(await world.index(), query.currency_id)
    return Data(
        data=RechargeData(customer_id=query.customer_id, currency_id=query.currency_id)
    )


def _grant(granted: Granted) -> GrantData:
    held, about = granted.held.value, granted.held.about
    grant = held.grant
    cost = about.kept.get("cost")
    comment = about.kept.get("comment")
    created = held.created
    return GrantData(
        id=grant.id or "",
        customer_id=granted.customer_id,
        currency_id=grant.currency,
        resource_id=granted.resource_id,
        display_name=grant.name or grant.type.capitalize(),
        grant_type=_TYPES[grant.type],
        status=_STATUSES[granted.status],
        amount=grant.amount,
        consumed_amount=held.consumed,
        priority=grant.priority,
        cost=(
            CostData.model_validate(cost)
            if cost
            else CostData(amount=grant.cost or 0.0, currency="usd")
        ),
        comment=comment if isinstance(comment, str) else None,
        effective_at=grant.effective,
        expire_at=grant.expires,
        voided_at=about.archived,
        source_type="PLAN_ENTITLEMENT" if grant.type == "recurring" else None,
        metadata=grant.metadata,
        created_at=created,
        updated_at=max(created, about.updated),
    )


def _currency(currency: Currency) -> UsedCurrencyData:
    return UsedCurrencyData(
        currency_id=currency.id,
        display_name=currency.name or currency.id,
        singular=currency.unit_singular,
        plural=currency.unit_plural,
    )


def _movement(movement: Movement) -> MovementData:
    pool, entry = movement.pool, movement.entry
    is_owed = entry.grant_id == OVERDRAFT
    return MovementData(
        amount=entry.amount,
        credit_currency_id=pool.currency_id,
        credit_grant_id=overdraft_id(pool) if is_owed else entry.grant_id,
        customer_id=pool.customer_id,
        resource_id=pool.resource_id,
        event_type=_EVENTS[entry.kind],
        feature_id=entry.feature_id,
        timestamp=entry.at,
    )


def _series(
    feature_id: str | None, names: dict[str, str], moved: list[Movement]
) -> UsedSeriesData:
    by_day: dict[datetime, list[LedgerEntry]] = {}
    for movement in moved:
        day = movement.entry.at.replace(hour=0, minute=0, second=0, microsecond=0)
        by_day.setdefault(day, []).append(movement.entry)
    return UsedSeriesData(
        feature_id=feature_id,
        feature_name=names.get(feature_id or "") or feature_id,
        total_credits=sum(movement.entry.amount for movement in moved),
        event_count=sum(movement.entry.events for movement in moved),
        points=[
            UsedPointData(
                timestamp=day,
                value=sum(entry.amount for entry in entries),
                event_count=sum(entry.events for entry in entries),
            )
            for day, entries in sorted(by_day.items())
        ],
    )
