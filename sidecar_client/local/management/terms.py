"""What is asked to be granted of a feature, fitted to the feature's type.

Callers need not know where a type keeps its amount; whether it fits is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sidecar_client.local.catalog import Feature
from sidecar_client.local.entitlement_checks import entitlement_problems
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import AnchorRule, ResetPeriod

Granted = TypeVar("Granted", bound=Entitlement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is granted of a feature, of whatever type that is."""

    granted: bool = True
    amount: float | None = None
    """The limit of a metered feature, the value of a numeric one."""
    unlimited: bool = False
    soft_limit: bool = False
    reset_period: ResetPeriod | None = None
    reset_anchor: AnchorRule | datetime = "subscription_start"
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, entitlement: Entitlement) -> Terms:
        """What an entitlement says, in these terms."""
        value, limit = entitlement.value, entitlement.limit
        return cls(
            granted=entitlement.granted,
            amount=limit if value is None else value,
            unlimited=entitlement.unlimited,
            soft_limit=entitlement.soft_limit,
            reset_period=entitlement.reset_period,
            reset_anchor=entitlement.reset_anchor,
            values=entitlement.values,
        )


def entitlement(
    kind: type[Granted], feature: Feature, terms: Terms, *, where: str, **more: object
) -> Granted:
    """The entitlement to a feature; refused, naming `where`, when it does not fit."""
    made = kind.model_validate({**_fields(feature, terms, where), **more})
    for problem in entitlement_problems(made, feature, ()):
        raise Refusal("INVALID_ARGUMENT", f"{where}: {problem.message}.")
    return made


def _fields(feature: Feature, terms: Terms, where: str) -> dict[str, object]:
    if not terms.granted:
        return {"granted": False}
    said: dict[str, object] = {
        "unlimited": terms.unlimited,
        "soft_limit": terms.soft_limit,
        "reset_period": terms.reset_period,
        "values": terms.values,
    }
    # What was left as it is by default is not said: it fits every type.
    given = {name: value for name, value in said.items() if value}
    if terms.reset_anchor != "subscription_start":
        given["reset_anchor"] = terms.reset_anchor
    if terms.amount is not None:
        name, amount = _amount(feature, terms.amount, where)
        given[name] = amount
    return given


def _amount(feature: Feature, amount: float, where: str) -> tuple[str, float]:
    if feature.type != "numeric":
        if amount < 0:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"{where}: the limit of {feature.id!r} is {amount:g}; use 0 or more.",
            )
        return "limit", float(amount)
    if not float(amount).is_integer() or not -(2**31) <= amount < 2**31:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"{where}: the value of {feature.id!r} is {amount:g}; use a whole number "
            "of 32 bits.",
        )
    return "value", int(amount)
