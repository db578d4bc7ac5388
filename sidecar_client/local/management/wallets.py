"""The wallets of customers as they are now, and what moved in them.

Who may change them lives in `credits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sidecar_client.local.credits import advanced
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.management.missing import customer_of
from sidecar_client.local.management.pages import records_of
from sidecar_client.local.records import About, LedgerEntry, Wallet, customer_key
from sidecar_client.local.refusal import checked_id
from sidecar_client.local.wallets import Pool, pools
from sidecar_client.local.world import Transaction, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A wallet with all that time has changed, and where it is."""

    pool: Pool
    wallet: Wallet
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A movement of credits, and of which wallet."""

    pool: Pool
    entry: LedgerEntry


async def held_wallets(
    world: World,
    customer_id: str,
    *,
    currency_id: str | None = None,
    resource_id: str | None = None,
) -> list[Held]:
    """The wallets of a customer; of one resource, or one currency, when it is named."""
    customer = await customer_of(world, customer_id)
    index, now = await world.index(), world.clock()
    places = (None, *customer.resources) if resource_id is None else (resource_id,)
    found = [
        pools(
            index,
            customer,
            Subject(customer_id=customer_id, resource_id=place),
            currency,
            now,
        )[0]
        for place in places
        for currency in index.currencies
        if currency_id in (None, currency)
    ]
    wallets = await world.read_all([pool.key for pool in found])
    return [
        Held(pool=pool, wallet=advanced(wallet or Wallet(), pool.sources, now), now=now)
        for pool, wallet in zip(found, wallets, strict=True)
        if wallet is not None or pool.sources
    ]


async def movements(
    world: World,
    customer_id: str,
    *,
    currency_id: str | None = None,
    resource_id: str | None = None,
) -> list[Movement]:
    """What moved in the wallets of a customer, the earliest first."""
    wallets = await held_wallets(
        world, customer_id, currency_id=currency_id, resource_id=resource_id
    )
    moved = [
        Movement(pool=item.pool, entry=entry)
        for item in wallets
        for entry in item.wallet.ledger
    ]
    return sorted(moved, key=lambda movement: movement.entry.at)


async def wallet_of_grant(
    world: World, transaction: Transaction, grant_id: str, about: About | None
) -> Held | None:
    """The wallet that has a grant; None where none has."""
    checked_id("grant", grant_id)
    owner = about.owner if about else None
    async for name, entry in records_of(
        world, f"wallet/{owner}/" if owner else "wallet/"
    ):
        wallet = cast("Wallet", entry.record)
        if any(held.grant.id == grant_id for held in wallet.grants):
            return await _held(transaction, name)
    return None


async def _held(transaction: Transaction, name: str) -> Held | None:
    """The wallet of a record's name, as the transaction reads it."""
    _, customer_id, resource_id, currency_id = name.split("/")
    customer = await transaction.read(customer_key(customer_id))
    if customer is None:
        return None
    subject = Subject(customer_id=customer_id, resource_id=resource_id or None)
    index, now = await transaction.index(), transaction.now
    pool = pools(index, customer, subject, currency_id, now)[0]
    wallet = await transaction.read(pool.key) or Wallet()
    return Held(pool=pool, wallet=advanced(wallet, pool.sources, now), now=now)
