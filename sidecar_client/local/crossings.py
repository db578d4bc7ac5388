"""What goes beyond its limit or runs low, told each time that it does.

When that is lives here; what time alone does is `lapses`. Source: the vendor's
reference pages of webhook events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from sidecar_client.local.credits import Balance
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.evaluation import Standing
from sidecar_client.local.records import Counter, HeldGrant, Wallet
from sidecar_client.local.world import Transaction

LOW: Final = 80
"""Credits are low when more than so many percent of them are consumed."""
_ALL: Final = 100
_TYPES: Final = {"promotional": "PROMO"}


class Crossing(NamedTuple):
    """What became of a part of what a customer has."""

    kind: str
    part: str
    """Which part it is, of those that the same may happen to."""
    resource_id: str | None
    facts: Mapping[str, object]


def tell(
    transaction: Transaction, customer_id: str, crossings: Iterable[Crossing]
) -> None:
    """Tell of them once the change is kept."""
    for crossing in crossings:
        transaction.announce(
            crossing.kind,
            customer_id=customer_id,
            resource_id=crossing.resource_id,
            **crossing.facts,
        )


def is_beyond(said: Entitlement, usage: float) -> bool:
    """Whether usage is beyond the limit, be it a soft one."""
    return not said.unlimited and said.limit is not None and usage > said.limit


def usage_crossings(
    standing: Standing, counter: Counter, before: float, after: float
) -> Iterator[Crossing]:
    """What more usage of a counter has crossed; nothing in an earlier period."""
    if standing.grant is None or standing.counter is None:
        return
    said = standing.grant.entitlement
    if counter.name != standing.counter.name or is_beyond(said, before):
        return
    if is_beyond(said, after):
        yield exceeded(standing, after)


def exceeded(standing: Standing, usage: float) -> Crossing:
    """That usage is beyond the limit now."""
    if standing.feature is None or standing.grant is None:
        raise ValueError("only what is granted has a limit")
    feature_id = standing.feature.id
    return Crossing(
        kind="entitlement.usage_exceeded",
        part=feature_id,
        resource_id=standing.grant.resource_id,
        facts={
            "feature_id": feature_id,
            "usage": usage,
            "limit": standing.grant.entitlement.limit,
        },
    )


def balance_crossings(
    currency_id: str, resource_id: str | None, before: Balance, after: Balance
) -> Iterator[Crossing]:
    """What a balance that has changed crossed: of being low and depleted, the worse."""
    facts: dict[str, object] = {
        "currency_id": currency_id,
        "total_granted": after.granted,
        "remaining_balance": after.remaining,
        "remaining_balance_percentage": _ALL - _percent(after.consumed, after.granted),
    }
    if before.remaining > 0 >= after.remaining:
        yield Crossing("credits.balance.depleted", currency_id, resource_id, facts)
    elif _is_low(after) and not _is_low(before):
        # Of a balance it is said how much is left, of a grant how much is consumed.
        facts["threshold_percentage"] = _ALL - LOW
        yield Crossing("credits.balance.usage_low", currency_id, resource_id, facts)


def grant_crossings(
    resource_id: str | None, before: Wallet, after: Wallet
) -> Iterator[Crossing]:
    """What the grants of a wallet crossed that was spent from."""
    spent = {held.grant.id: held.consumed for held in before.grants}
    for held in after.grants:
        kind = _crossed(spent.get(held.grant.id, 0.0), held)
        if kind is None:
            continue
        facts = grant_facts(held)
        if kind.endswith("low"):
            facts["threshold_percentage"] = LOW
        yield Crossing(kind, held.grant.id or "", resource_id, facts)


def grant_facts(held: HeldGrant) -> dict[str, object]:
    """What events say of a grant of credits."""
    grant = held.grant
    return {
        "currency_id": grant.currency,
        "grant_id": grant.id,
        "display_name": grant.name,
        "amount": grant.amount,
        "consumed_amount": held.consumed,
        "consumed_percentage": _percent(held.consumed, grant.amount),
        "cost": None if grant.cost is None else {"amount": grant.cost},
        "effective_at": grant.effective,
        "expire_at": grant.expires,
        "grant_type": _TYPES.get(grant.type, grant.type.upper()),
        "priority": grant.priority,
    }


def _crossed(before: float, held: HeldGrant) -> str | None:
    amount, after = held.grant.amount, held.consumed
    if before < amount <= after:
        return "credits.grant.depleted"
    if _ALL * before <= LOW * amount < _ALL * after and after < amount:
        return "credits.grant.usage_low"
    return None


def _is_low(balance: Balance) -> bool:
    """Whether little is left, or nothing was there."""
    return balance.granted <= 0 or _ALL * balance.consumed > LOW * balance.granted


def _percent(consumed: float, granted: float) -> float:
    return round(_ALL * consumed / granted, 2) if granted else float(_ALL)
