"""What a package, a promotion or a subscription says about one feature or currency.

The shape lives here; whether it fits the feature is told by `checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sidecar_client.local.values import AnchorRule, Moment, Name, Part, ResetPeriod


class Entitlement(Part):
    """What is said about one feature. Which fields fit is the feature's matter."""

    granted: bool = True
    """False revokes the feature: the denial's reason is REVOKED."""
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    limit: Annotated[float, Field(ge=0)] | None = None
    unlimited: bool = False
    soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    reset_anchor: AnchorRule | Moment = "subscription_start"
    values: Annotated[tuple[Name, ...], Field(strict=False)] = ()


class AddonEntitlement(Entitlement):
    """What an add-on says about one feature."""

    behavior: Literal["increment", "override"] = "increment"
    """Whether its amount, times the quantity, is added to the plan's or replaces it."""


class CreditEntitlement(Part):
    """Credits of one currency that recur."""

    amount: Annotated[float, Field(ge=0)]
    cadence: Literal["month", "year"] = "month"
    soft_limit: bool = False
    """Whether access goes on when the balance is spent."""


def entitlement_shorthand(value: object) -> object:
    """`feature: true` says the same as `feature: {granted: true}`."""
    return {"granted": value} if isinstance(value, bool) else value
