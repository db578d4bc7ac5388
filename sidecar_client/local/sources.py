"""Where an entitlement comes from: sources, and what a subscription makes of them.

Only the values that explain an answer live here; `offers` finds them, `generosity`
chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from sidecar_client.local.customers import Subscription
from sidecar_client.local.entitlements import Entitlement

SourceKind = Literal["plan", "base_plan", "addon", "agreement", "promotion"]
"""A base plan is one that the plan inherits from; an agreement is a subscription's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One thing that says something about a feature."""

    kind: SourceKind
    id: str
    """Of the plan or add-on; of an agreement the subscription's; of a promotion the
    feature's."""
    entitlement: Entitlement
    quantity: int = 1
    """How often the add-on was bought."""

    @property
    def amount(self) -> float | None:
        """The value or limit of one; None where there is no number."""
        said = self.entitlement
        return said.limit if said.value is None else said.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a package says about a feature, with its parts counted together."""

    entitlement: Entitlement
    sources: tuple[Source, ...]
    overruled: tuple[Source, ...] = ()
    """What these sources took the place of."""


class Grant(NamedTuple):
    """What one subscription, or one promotion, says about a feature.

    A tuple, as each check makes one.
    """

    entitlement: Entitlement
    """What counts; it may also revoke."""
    sources: tuple[Source, ...]
    """What it is made of: a plan and the add-ons that add to it, or one thing."""
    begun: datetime
    """When the reset periods began that are not told to begin at another time."""
    overruled: tuple[Source, ...] = ()
    """What of the same subscription these took the place of."""
    subscription: Subscription | None = None
    """The one whose usage counts; None for a promotion that stands alone."""

    @property
    def resource_id(self) -> str | None:
        """Whose usage counts; None for the whole customer's."""
        return self.subscription.resource if self.subscription else None
