"""What units of features cost, over REST: as far as the local sidecar has a use for it.

Money that is charged spends budgets, credits spend wallets; nothing else is priced.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from sidecar_client.local.catalog import Addon, Charge, CreditRate, Plan
from sidecar_client.local.http.rest.wire import Body, Ignored, Money, Time, Wire
from sidecar_client.local.http.rest.words import Amount, BillingPeriod, PricingType
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.pages import Page, Turn, page_of
from sidecar_client.local.values import CurrencyId, FeatureId

BillingModel = Literal[
    "FLAT_FEE", "MINIMUM_SPEND", "PER_UNIT", "USAGE_BASED", "CREDIT_BASED"
]


class _Partly(Body):
    """Fields that the sidecar has no use for are taken and ignored."""

    model_config = ConfigDict(extra="ignore")


class UnitPrice(_Partly):
    """What a unit costs."""

    amount: Amount
    currency: Money = "usd"


class UnitRate(_Partly):
    """What a unit costs in credits."""

    amount: Annotated[float, Field(gt=0)]
    currency_id: CurrencyId


class PricePeriod(_Partly):
    """What is charged in a billing period."""

    billing_period: BillingPeriod
    price: UnitPrice | None = None
    credit_rate: UnitRate | None = None


class PricingModel(_Partly):
    """How a feature is charged."""

    billing_model: BillingModel
    price_periods: Annotated[tuple[PricePeriod, ...], Field(strict=False, min_length=1)]
    feature_id: FeatureId | None = None


class Charges(Body):
    """How a package is charged."""

    pricing_type: PricingType
    pricing_models: Annotated[
        tuple[PricingModel, ...], Field(strict=False, max_length=1000)
    ] = ()
    billing_id: Ignored = None
    minimum_spend: Ignored = None
    overage_billing_period: Ignored = None
    overage_pricing_models: Ignored = None


class PriceData(Wire):
    """What a unit costs."""

    amount: float
    currency: str = "usd"


class RateData(Wire):
    """What a unit costs in credits."""

    amount: float
    currency_id: str


class ChargeData(Wire):
    """How a feature is charged."""

    id: str
    billing_cadence: Literal["RECURRING"] = "RECURRING"
    billing_model: BillingModel
    billing_period: BillingPeriod = "MONTHLY"
    feature_id: str
    price: PriceData | None = None
    credit_rate: RateData | None = None
    created_at: Time


def priced(charges: Charges, *, with_credits: bool) -> dict[str, Any]:
    """What of the charges a package keeps; it replaces what it kept before."""
    prices: dict[str, Charge] = {}
    rates: dict[str, CreditRate] = {}
    for model in charges.pricing_models:
        period = model.price_periods[0]
        if model.feature_id is None:
            continue
        if period.credit_rate is not None:
            rate = period.credit_rate
            rates[model.feature_id] = CreditRate(
                currency=rate.currency_id, rate=rate.amount
            )
        elif period.price is not None:
            prices[model.feature_id] = Charge(price=period.price.amount)
    kept: dict[str, Any] = {"charges": prices}
    if with_credits:
        kept["credit_rates"] = rates
    return kept


async def page_of_charges(
    package: Told[Plan] | Told[Addon] | None, turn: Turn
) -> Page[ChargeData]:
    """The charges of a package, by feature."""
    charges = sorted(_each(package), key=lambda pair: pair[0])
    page = await page_of(charges, turn)
    return page.mapped(lambda items: [charge for _, charge in items])


def _each(
    package: Told[Plan] | Told[Addon] | None,
) -> list[tuple[str, ChargeData]]:
    if package is None:
        return []
    value, created = package.value, package.about.created
    found = [
        ChargeData(
            id=f"{value.id}.{name}",
            billing_model="USAGE_BASED",
            feature_id=name,
            price=PriceData(amount=charge.price),
            created_at=created,
        )
        for name, charge in value.charges.items()
    ]
    if isinstance(value, Plan):
        found += [
            ChargeData(
                id=f"{value.id}.{name}.credits",
                billing_model="CREDIT_BASED",
                feature_id=name,
                credit_rate=RateData(amount=rate.rate, currency_id=rate.currency),
                created_at=created,
            )
            for name, rate in value.credit_rates.items()
        ]
    return [(charge.id, charge) for charge in found]
