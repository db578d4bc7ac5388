"""Asking a world: each check reads what the core needs, and has it judged.

Which records are read, and in how many steps, lives here; rules do not, nor messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from sidecar_client.local.credit_desk import CreditDesk, Credits, CreditVerdict
from sidecar_client.local.evaluation import (
    Reason,
    Standing,
    Subject,
    Verdict,
    judge,
    standing,
    standings,
    subject_reason,
)
from sidecar_client.local.records import Key, customer_key
from sidecar_client.local.values import FeatureType
from sidecar_client.local.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that is said about a subject, with a verdict for each feature."""

    reason: Reason | None
    """Why there can be nothing; then the rest is empty."""
    features: Sequence[Verdict] = ()
    credits: Sequence[CreditVerdict] = ()


class Checks:
    """Verdicts about the customers of a world. All methods raise `StoreError`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def feature(
        self,
        subject: Subject,
        feature_id: str,
        *,
        usage: float | None = None,
        values: Sequence[str] = (),
        wanted: FeatureType | None = None,
    ) -> Verdict:
        """Whether a subject has a feature; `wanted` is the type that it must be of."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        now = self._world.clock()
        found = standing(index, customer, subject, feature_id, now, wanted=wanted)
        purse = Credits(index, customer, subject, now)
        needs = (*found.needs, *purse.keys(purse.prices([found])))
        records = await self._world.read_named(needs) if needs else {}
        verdict = judge(found, records, requested_usage=usage, requested_values=values)
        return purse.paid(verdict, records, usage)

    async def currency(
        self, subject: Subject, currency_id: str, usage: float | None
    ) -> CreditVerdict:
        """Whether a subject can spend credits of a currency."""
        return await CreditDesk(self._world).check(subject, currency_id, usage)

    async def granted(self, subject: Subject) -> State:
        """What a subject is entitled to, whatever is used of it."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        reason, found = standings(index, customer, subject, self._world.clock())
        granted = [item for item in found if item.grant]
        records = await self._world.read_named(_needs(granted))
        return State(reason=reason, features=[judge(item, records) for item in granted])

    async def state(self, subject: Subject) -> State:
        """What is said about each feature, denials included, and all credits."""
        index, customer = await self._world.index_and_customer(subject.customer_id)
        now = self._world.clock()
        reason, found = standings(index, customer, subject, now)
        purse = Credits(index, customer, subject, now)
        wallets = purse.keys()
        records = await self._world.read_named((*_needs(found), *wallets))
        return State(
            reason=reason,
            features=[purse.paid(judge(item, records), records) for item in found],
            credits=purse.all(records),
        )

    async def exists(self, subject: Subject) -> bool:
        """Whether the customer and its resource are there, archived or not."""
        customer = await self._world.read(customer_key(subject.customer_id))
        reason = subject_reason(customer, subject)
        return reason in (None, "CUSTOMER_IS_ARCHIVED")


def _needs(found: Sequence[Standing]) -> tuple[Key[BaseModel], ...]:
    """All that the verdicts on these are decided from, each once."""
    return tuple(dict.fromkeys(key for item in found for key in item.needs))
