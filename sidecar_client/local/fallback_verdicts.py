"""Verdicts that rest on a fallback, or on nothing at all, in place of real ones.

Only making them lives here; `fallbacks` reads what they are made of.
"""

from __future__ import annotations

from sidecar_client.local.catalog import Feature
from sidecar_client.local.credit_desk import CreditVerdict
from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.evaluation import Reason, Standing, Verdict
from sidecar_client.local.fallbacks import Fallback
from sidecar_client.local.sources import Grant
from sidecar_client.local.values import EARLIEST, FeatureType


def fallback_verdict(
    feature_id: str,
    fallback: Fallback | None,
    *,
    wanted: FeatureType | None = None,
    reason: Reason = "UNKNOWN",
) -> Verdict:
    """What a fallback says about a feature, as the type that is wanted.

    Without one it is denied. A denial has the reason; UNKNOWN denies only.
    """
    if fallback is None:
        return Verdict(
            standing=Standing(reason=reason), reason=reason, usage=0.0, is_fallback=True
        )
    granted = fallback.has_access and reason == "UNKNOWN"
    standing = Standing(
        feature=Feature(id=feature_id, type=wanted or fallback.kind),
        grant=Grant(
            entitlement=Entitlement(
                value=fallback.value,
                limit=fallback.usage_limit,
                unlimited=fallback.is_unlimited,
            ),
            sources=(),
            begun=EARLIEST,
        ),
        values=fallback.enum_values,
    )
    return Verdict(
        standing=standing,
        reason=None if granted else reason,
        usage=0.0,
        is_fallback=True,
        let_through=fallback.has_access,
    )


def fallback_credit(fallback: Fallback | None) -> CreditVerdict:
    """What a fallback says about a currency: only whether there is access."""
    granted = fallback is not None and fallback.has_access
    return CreditVerdict(reason=None if granted else "UNKNOWN", is_fallback=True)
