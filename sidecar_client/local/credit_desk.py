"""Checks of credits: a currency's balance, and features that are paid in credits.

Finding wallets and judging them live here; what a wallet comes to is `credits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, cast

from pydantic import BaseModel

from sidecar_client.local.catalog import CatalogIndex, CreditRate
from sidecar_client.local.customers import Customer
from sidecar_client.local.evaluation import (
    Reason,
    Standing,
    Subject,
    Verdict,
    subject_reason,
)
from sidecar_client.local.records import Key, Wallet
from sidecar_client.local.wallets import (
    CreditStanding,
    Pool,
    credit_rate,
    pools,
    standing_of,
)
from sidecar_client.local.world import World

Records: TypeAlias = Mapping[str, BaseModel | None]
"""What was read, by the names of the keys."""


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


class Credits:
    """The credits of a subject: which wallets tell them, and what they come to.

    The wallets are read by others, beside what else an answer rests on.
    """

    def __init__(
        self,
        index: CatalogIndex,
        customer: Customer | None,
        subject: Subject,
        now: datetime,
    ) -> None:
        self._index = index
        self._customer = customer
        self._subject = subject
        self._now = now

    def keys(self, currency_ids: Iterable[str] | None = None) -> list[Key[Wallet]]:
        """Where the wallets of these currencies are, or of all."""
        every = self._index.currencies
        names = dict.fromkeys(every if currency_ids is None else currency_ids)
        return [pool.key for name in names for pool in self._pools(name)]

    def prices(self, standings: Iterable[Standing]) -> list[str]:
        """The currencies in which features are paid that are granted."""
        if not self._index.has_credit_rates:
            return []
        rates = (self._rate(standing) for standing in standings if standing.grant)
        return [rate.currency for rate in rates if rate is not None]

    def standing(self, currency_id: str, records: Records) -> CreditStanding | None:
        """What there is of a currency; None for nothing."""
        currency = self._index.currencies.get(currency_id)
        if currency is None:
            return None
        options = self._pools(currency_id)
        wallets = [cast("Wallet | None", records.get(p.key.name)) for p in options]
        return standing_of(currency, options, wallets, self._now)

    def check(
        self, currency_id: str, records: Records, requested: float | None
    ) -> CreditVerdict:
        """Whether so many credits can be spent; for None, whether any can."""
        if reason := subject_reason(self._customer, self._subject):
            return CreditVerdict(reason=reason)
        found = self.standing(currency_id, records)
        if found is None:
            return CreditVerdict(reason="ENTITLEMENT_NOT_FOUND")
        return _judged(found, requested)

    def all(self, records: Records) -> list[CreditVerdict]:
        """Every currency of which the subject has something."""
        if subject_reason(self._customer, self._subject):
            return []
        found = (self.standing(name, records) for name in self._index.currencies)
        return [_judged(item, None) for item in found if item is not None]

    def paid(
        self, verdict: Verdict, records: Records, requested: float | None = None
    ) -> Verdict:
        """The verdict, denied where the credits for what it grants are short."""
        rate = self._rate(verdict.standing) if verdict.has_access else None
        if rate is None:
            return verdict
        found = self.standing(rate.currency, records)
        cost = None if requested is None else requested * rate.rate
        if found is not None and found.balance.covers(cost):
            return verdict
        return verdict._replace(reason="INSUFFICIENT_CREDITS")

    def _pools(self, currency_id: str) -> list[Pool]:
        if self._customer is None or currency_id not in self._index.currencies:
            return []
        return pools(self._index, self._customer, self._subject, currency_id, self._now)

    def _rate(self, standing: Standing) -> CreditRate | None:
        if (
            self._customer is None
            or standing.feature is None
            or not self._index.has_credit_rates
        ):
            return None
        return credit_rate(
            *(self._index, self._customer, self._subject),
            standing.feature.id,
            self._now,
        )


class CreditDesk:
    """Answers what credits allow, from the wallets of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def check(
        self, subject: Subject, currency_id: str, requested: float | None
    ) -> CreditVerdict:
        """Whether so many credits can be spent; for None, whether any can."""
        purse = await self._credits(subject)
        records = await self._world.read_named(purse.keys([currency_id]))
        return purse.check(currency_id, records, requested)

    async def all(self, subject: Subject) -> list[CreditVerdict]:
        """Every currency of which the subject has something."""
        purse = await self._credits(subject)
        return purse.all(await self._world.read_named(purse.keys()))

    async def paid(
        self, verdicts: Sequence[Verdict], subject: Subject
    ) -> list[Verdict]:
        """The verdicts, denied where the credits for a granted feature are short."""
        purse = await self._credits(subject)
        prices = purse.prices(verdict.standing for verdict in verdicts)
        records = await self._world.read_named(purse.keys(prices))
        return [purse.paid(verdict, records) for verdict in verdicts]

    async def _credits(self, subject: Subject) -> Credits:
        index, customer = await self._world.index_and_customer(subject.customer_id)
        return Credits(index, customer, subject, self._world.clock())


def _judged(standing: CreditStanding, requested: float | None) -> CreditVerdict:
    covered = standing.balance.covers(requested)
    return CreditVerdict(
        reason=None if covered else "INSUFFICIENT_CREDITS", standing=standing
    )
