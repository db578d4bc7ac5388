"""Credits of customers: granted, listed, voided, consumed, accounted for.

How a wallet is spent is `credits`; which wallets there are is `wallets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from pydantic import ValidationError

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.credits import (
    Balance,
    advanced,
    balance,
    granted,
    voided,
)
from sidecar_client.local.crossings import grant_facts
from sidecar_client.local.customers import CreditGrant, Customer
from sidecar_client.local.evaluation import Subject
from sidecar_client.local.management.about import (
    FROM_THE_BEGINNING,
    Kept,
    Told,
    note_archived,
    note_new,
)
from sidecar_client.local.management.currencies import currency_of
from sidecar_client.local.management.missing import live_customer, missing
from sidecar_client.local.management.wallets import Held, held_wallets, wallet_of_grant
from sidecar_client.local.records import HeldGrant, Wallet, about_key
from sidecar_client.local.refusal import Refusal, checked_number
from sidecar_client.local.repeats import is_first
from sidecar_client.local.shape import misshapen
from sidecar_client.local.wallets import Pool, chosen, consume, pools, tell_spent
from sidecar_client.local.world import Transaction, World

GrantStatus = Literal["active", "expired", "voided", "scheduled"]
MOST_CONSUMPTIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """Credits that a customer is to be given."""

    customer_id: str
    currency_id: str
    amount: float
    type: Literal["paid", "promotional"]
    name: str = ""
    priority: int = 0
    resource_id: str | None = None
    effective: datetime | None = None
    expires: datetime | None = None
    cost: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A grant of credits, and whose it is."""

    customer_id: str
    resource_id: str | None
    """The resource whose wallet has it; None for the one of the whole customer."""
    held: Told[HeldGrant]
    status: GrantStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """Credits that are to be consumed, once for its key."""

    subject: Subject
    currency_id: str
    amount: float
    key: str
    said: str
    """All that the request said of it; with its key, nothing else may be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What was left after a consumption."""

    at: datetime
    balance: Balance


async def grant_credits(world: World, new: NewGrant) -> Granted:
    """Give credits; they settle what was overdrawn."""
    grant_id = f"grant-{uuid4().hex}"

    async def work(transaction: Transaction) -> Granted:
        index = await transaction.index()
        customer = await live_customer(transaction, new.customer_id)
        _check_currency(index, new.currency_id)
        _check_resource(customer, new.resource_id)
        grant = _grant(new, grant_id, transaction.now)
        pool = _pool(index, customer, new, transaction.now)
        kept = await transaction.read(pool.key) or Wallet()
        before = advanced(kept, pool.sources, transaction.now)
        after = granted(before, grant, pool.sources, transaction.now)
        held = next(item for item in after.grants if item.grant.id == grant_id)
        transaction.write(pool.key, after)
        about = note_new(
            transaction, "grant", grant_id, owner=customer.id, kept=new.kept
        )
        transaction.announce(
            "credits.granted",
            customer_id=customer.id,
            resource_id=new.resource_id,
            **grant_facts(held),
        )
        tell_spent(transaction, pool, before, after)
        return Granted(
            customer_id=customer.id,
            resource_id=new.resource_id,
            held=Told(value=held, about=about),
            status=status_of(held),
        )

    return await world.transact(work)


async def list_grants(
    world: World,
    customer_id: str,
    *,
    currency_id: str | None = None,
    resource_id: str | None = None,
) -> list[Granted]:
    """Every grant, recurring ones and the overdraft included, the oldest first.

    Of a resource, or those of no resource.
    """
    wallets = await held_wallets(
        world, customer_id, currency_id=currency_id, resource_id=resource_id
    )
    found = [
        (item.pool.resource_id, held)
        for item in wallets
        if item.pool.resource_id == resource_id
        for held in _grants(item)
    ]
    abouts = await world.read_all(
        [about_key("grant", held.grant.id or "") for _, held in found]
    )
    listed = [
        Granted(
            customer_id=customer_id,
            resource_id=resource,
            held=Told(value=held, about=about or FROM_THE_BEGINNING),
            status=status_of(held),
        )
        for (resource, held), about in zip(found, abouts, strict=True)
    ]
    return sorted(
        listed,
        key=lambda item: (item.held.value.created, item.held.value.grant.id or ""),
    )


async def void_grant(world: World, grant_id: str) -> Granted:
    """Let nothing more be spent of a grant."""

    async def work(transaction: Transaction) -> Granted:
        about = await transaction.read(about_key("grant", grant_id))
        item = await wallet_of_grant(world, transaction, grant_id, about)
        if item is None:
            raise missing("grant", grant_id)
        held = next(h for h in item.wallet.grants if h.grant.id == grant_id)
        if held.over is not None or held.grant.type == "recurring":
            state = held.over or "recurring: its plan gives it again"
            raise Refusal(
                "FAILED_PRECONDITION",
                f"grant {grant_id!r} is {state}; it cannot be voided.",
            )
        after = voided(item.wallet, grant_id, transaction.now)
        transaction.write(item.pool.key, after)
        transaction.announce(
            "credits.grant.voided",
            customer_id=item.pool.customer_id,
            resource_id=item.pool.resource_id,
            **grant_facts(held),
        )
        tell_spent(transaction, item.pool, item.wallet, after)
        held = next(h for h in after.grants if h.grant.id == grant_id)
        about = await note_archived(transaction, "grant", grant_id, archived=True)
        return Granted(
            customer_id=item.pool.customer_id,
            resource_id=item.pool.resource_id,
            held=Told(value=held, about=about),
            status=status_of(held),
        )

    return await world.transact(work)


async def consume_credits(
    world: World, wanted: Sequence[Consumption]
) -> list[Consumed]:
    """Consume all of these, or none; what its key was consumed for is not again.

    Beyond the balance, it is overdrawn. A key of another consumption is refused.
    """
    if not 1 <= len(wanted) <= MOST_CONSUMPTIONS:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"consumptions has {len(wanted)} of them; send 1 to {MOST_CONSUMPTIONS} "
            "at a time.",
        )

    async def work(transaction: Transaction) -> list[Consumed]:
        return [
            await _consume(
                transaction, item, f"consumptions[{at}]." if len(wanted) > 1 else ""
            )
            for at, item in enumerate(wanted)
        ]

    return await world.transact(work)


def status_of(held: HeldGrant) -> GrantStatus:
    """Whether a grant can be spent, and why not."""
    if held.over is not None:
        return "expired" if held.over == "ended" else held.over
    return "active" if held.begun else "scheduled"


async def _consume(
    transaction: Transaction, wanted: Consumption, where: str
) -> Consumed:
    checked_number("amount", wanted.amount, least=0)
    index = await transaction.index()
    subject = wanted.subject
    customer = await live_customer(transaction, subject.customer_id)
    _check_currency(index, wanted.currency_id)
    _check_resource(customer, subject.resource_id)
    now = transaction.now
    options = pools(index, customer, subject, wanted.currency_id, now)
    wallets = await transaction.read_all([pool.key for pool in options])
    pool, wallet = chosen(options, wallets) or (options[-1], Wallet())
    if await is_first(
        *(transaction, "consumption", wanted.key), wanted.said.encode(), where=where
    ):
        left = consume(transaction, pool, wallet, wanted.amount)
    else:
        left = balance(wallet, pool.sources, now)
    return Consumed(at=now, balance=left)


def overdraft_id(pool: Pool) -> str:
    """What a wallet owes is called, among its grants and in its ledger."""
    place = pool.resource_id or pool.customer_id.replace("@", ".")
    return f"overdraft-{place[:200]}-{pool.currency_id}"[:255]


def _grants(item: Held) -> list[HeldGrant]:
    """The grants of a wallet, and what it owes as one more."""
    grants = list(item.wallet.grants)
    if item.wallet.debt > 0:
        last = item.wallet.ledger[-1].at if item.wallet.ledger else item.now
        overdraft = CreditGrant.model_construct(
            id=overdraft_id(item.pool),
            currency=item.pool.currency_id,
            amount=0.0,
            type="overdraft",
            name="Overdraft",
            effective=last,
            resource=item.pool.resource_id,
        )
        grants.append(
            HeldGrant.model_construct(
                grant=overdraft, created=last, consumed=item.wallet.debt, begun=True
            )
        )
    return grants


def _grant(new: NewGrant, grant_id: str, now: datetime) -> CreditGrant:
    if new.expires is not None and new.expires <= (new.effective or now):
        raise Refusal(
            "INVALID_ARGUMENT",
            f"expireAt is {new.expires.isoformat()}; use a time after the grant takes "
            "effect.",
        )
    try:
        return CreditGrant(
            id=grant_id,
            currency=new.currency_id,
            amount=new.amount,
            type=new.type,
            name=new.name,
            priority=new.priority,
            effective=new.effective or now,
            expires=new.expires,
            resource=new.resource_id,
            cost=new.cost,
            metadata=dict(new.metadata),
        )
    except ValidationError as error:
        problem = next(misshapen(error, new))
        raise Refusal(
            "INVALID_ARGUMENT", f"{problem.path[-1]} {problem.message}."
        ) from None


def _pool(
    index: CatalogIndex, customer: Customer, new: NewGrant, now: datetime
) -> Pool:
    subject = Subject(customer_id=customer.id, resource_id=new.resource_id)
    return pools(index, customer, subject, new.currency_id, now)[0]


def _check_currency(index: CatalogIndex, currency_id: str) -> None:
    if currency_of(index, currency_id).status == "archived":
        raise Refusal("FAILED_PRECONDITION", f"currency {currency_id!r} is archived.")


def _check_resource(customer: Customer, resource_id: str | None) -> None:
    if resource_id not in (None, *customer.resources):
        raise Refusal(
            "NOT_FOUND", f"customer {customer.id!r} has no resource {resource_id!r}."
        )
