"""What a subscription spends on charges in a billing period, and whether it may more.

Charges, their counters and sums of money live here; limits of features do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from sidecar_client.local.catalog import CatalogIndex, Charge, Feature
from sidecar_client.local.counters import counter_of, record_key, usage_of
from sidecar_client.local.customers import Budget, Subscription
from sidecar_client.local.offers import subscription_grant
from sidecar_client.local.periods import Window, window_at
from sidecar_client.local.records import Counter, Key, Usage, billed_key
from sidecar_client.local.sources import Grant
from sidecar_client.local.values import ResetPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """A feature that costs something by the unit, and where its usage is told."""

    feature: Feature
    charge: Charge
    counter: Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a subscription's money goes into, in the billing period of a moment."""

    budget: Budget
    period: Window
    charged: tuple[Charged, ...]
    at: datetime
    _told: list[tuple[Mapping[str, BaseModel | None], Decimal]] = field(
        default_factory=list[tuple[Mapping[str, BaseModel | None], Decimal]],
        init=False,
        repr=False,
        compare=False,
    )
    """What was spent by the records of the last question: many ask by the same."""

    def spent(self, records: Mapping[str, BaseModel | None]) -> Decimal:
        """The money spent, by the records of the counters; added up once for them."""
        if self._told and self._told[0][0] is records:
            return self._told[0][1]
        costs = [
            _cost(item.charge, self._usage(item, records)) for item in self.charged
        ]
        total = sum(costs, Decimal(0))
        self._told[:] = [(records, total)]
        return total

    def exceeded(
        self,
        feature_id: str,
        records: Mapping[str, BaseModel | None],
        requested: float | None,
    ) -> bool:
        """Whether the budget stops more usage of a feature.

        What is requested must be paid within it. Without a request some of the budget
        must be left, or some units that cost nothing.
        """
        limit, spent = _exactly(self.budget.limit), self.spent(records)
        item = next(one for one in self.charged if one.feature.id == feature_id)
        usage, charge = self._usage(item, records), item.charge
        if requested is None:
            costs = charge.price > 0 and usage >= charge.included
            return spent > limit or (spent == limit and costs)
        more = _cost(charge, usage + requested) - _cost(charge, usage)
        return spent + more > limit

    def _usage(self, item: Charged, records: Mapping[str, BaseModel | None]) -> float:
        return usage_of(item.feature, records.get(item.counter.name), self.at)


class Spendings:
    """What the subscriptions of a customer spend, each found once."""

    def __init__(self, index: CatalogIndex, customer_id: str, now: datetime) -> None:
        self._index = index
        self._customer_id = customer_id
        self.now = now
        self._found: dict[int, Spending | None] = {}

    def of(self, sub: Subscription) -> Spending | None:
        """What may be spent, and on what; None for a subscription without a budget."""
        key = id(sub)
        if key not in self._found:
            found = spending_of(self._index, self._customer_id, sub, self.now)
            self._found[key] = found
        return self._found[key]


def billing_period(sub: Subscription, moment: datetime) -> Window:
    """The month or year of a subscription, counted from its start."""
    period: ResetPeriod = "year" if sub.billing_period == "annually" else "month"
    return window_at(moment, period=period, rule="subscription_start", begun=sub.start)


def charge_of(index: CatalogIndex, sub: Subscription, feature_id: str) -> Charge | None:
    """What a unit of a feature costs: by the plan, else by the first add-on."""
    for package in _packages(index, sub):
        if charge := package.get(feature_id):
            return charge
    return None


def spending_of(
    index: CatalogIndex, customer_id: str, sub: Subscription, now: datetime
) -> Spending | None:
    """What may be spent, and on what; None for a subscription without a budget."""
    if sub.budget is None:
        return None
    charges: dict[str, Charge] = {}
    for package in _packages(index, sub):
        charges = {**package, **charges}
    charged: list[Charged] = []
    for name, charge in charges.items():
        feature, grant = index.features.get(name), subscription_grant(index, sub, name)
        if feature and grant and grant.entitlement.granted:
            counter, _ = counter_of(feature, grant, customer_id, now)
            billed = billed_counter(feature, grant, customer_id, now) or counter
            record = record_key(feature, billed)
            charged.append(Charged(feature=feature, charge=charge, counter=record))
    return Spending(
        budget=sub.budget,
        period=billing_period(sub, now),
        charged=tuple(charged),
        at=now,
    )


def billed_counter(
    feature: Feature, grant: Grant, customer_id: str, moment: datetime
) -> Key[Usage] | None:
    """The counter of a billing period, beside the one of the reset period.

    None where that one tells as well what is to be billed: the usage that resets with
    the billing period, and what is held at a time.
    """
    sub = grant.subscription
    if sub is None or feature.meter == "fluctuating":
        return None
    period = billing_period(sub, moment)
    counter, window = counter_of(feature, grant, customer_id, moment)
    if window and (window.start, window.end) == (period.start, period.end):
        return None
    return billed_key(counter, period.start)


def _packages(index: CatalogIndex, sub: Subscription) -> Iterator[Mapping[str, Charge]]:
    if plan := index.plan(sub.plan, sub.plan_version):
        yield plan.charges
    for bought in sub.addons:
        if addon := index.addons.get(bought.id):
            yield addon.charges


def _cost(charge: Charge, usage: float) -> Decimal:
    beyond = _exactly(usage) - _exactly(charge.included)
    return max(Decimal(0), beyond) * _exactly(charge.price)


def _exactly(number: float) -> Decimal:
    """The decimal number that people wrote and read: 0.1 is a tenth."""
    return Decimal(str(number))
