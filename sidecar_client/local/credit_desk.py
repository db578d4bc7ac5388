"""Checks of credits: a currency's balance, and features that are paid in credits.

Reading wallets and judging them live here; what a wallet comes to is `credits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import Reason, Subject, Verdict, subject_reason
from sidecar_client.local.wallets import (
    CreditStanding,
    credit_rate,
    pools,
    standing_of,
)
from sidecar_client.local.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditVerdict:
    """May it be spent, why not, and what the answer rests on."""

    reason: Reason | None
    standing: CreditStanding | None = None
    is_fallback: bool = False
    """Whether it is no verdict at all, but what is answered in place of one."""

    @property
    def has_access(self) -> bool:
        """True when nothing stands against it."""
        return self.reason is None


class CreditDesk:
    """Answers what credits allow, from the wallets of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def check(
        self, subject: Subject, currency_id: str, requested: float | None
    ) -> CreditVerdict:
        """Whether so many credits can be spent; for None, whether any can."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        reason = subject_reason(customer, subject)
        if customer is None or reason:
            return CreditVerdict(reason=reason)
        found = await self._standing(index, customer, subject, currency_id)
        if found is None:
            return CreditVerdict(reason="ENTITLEMENT_NOT_FOUND")
        return _judged(found, requested)

    async def all(self, subject: Subject) -> list[CreditVerdict]:
        """Every currency of which the subject has something."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        if customer is None or subject_reason(customer, subject):
            return []
        found = [
            await self._standing(index, customer, subject, currency_id)
            for currency_id in index.currencies
        ]
        return [_judged(item, None) for item in found if item is not None]

    async def paid(
        self,
        verdicts: Sequence[Verdict],
        subject: Subject,
        requested: float | None = None,
    ) -> list[Verdict]:
        """The verdicts, denied where the credits for a granted feature are short."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        if customer is None or not index.has_credit_rates:
            return list(verdicts)
        now = self._world.clock()
        judged: list[Verdict] = []
        for verdict in verdicts:
            feature = verdict.standing.feature
            rate = None
            if verdict.has_access and feature is not None:
                rate = credit_rate(index, customer, subject, feature.id, now)
            if rate is not None:
                found = await self._standing(index, customer, subject, rate.currency)
                cost = None if requested is None else requested * rate.rate
                if found is None or not found.balance.covers(cost):
                    verdict = verdict._replace(reason="INSUFFICIENT_CREDITS")
            judged.append(verdict)
        return judged

    async def _standing(
        self,
        index: CatalogIndex,
        customer: Customer,
        subject: Subject,
        currency_id: str,
    ) -> CreditStanding | None:
        currency = index.currencies.get(currency_id)
        if currency is None:
            return None
        now = self._world.clock()
        options = pools(index, customer, subject, currency_id, now)
        wallets = await self._world.read_all([pool.key for pool in options])
        return standing_of(currency, options, wallets, now)


def _judged(standing: CreditStanding, requested: float | None) -> CreditVerdict:
    covered = standing.balance.covers(requested)
    return CreditVerdict(
        reason=None if covered else "INSUFFICIENT_CREDITS", standing=standing
    )
