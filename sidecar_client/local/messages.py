"""From verdicts to the messages of the protocol.

Only translation lives here; what is granted was decided in `evaluation`.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client.local.catalog import Feature
from sidecar_client.local.credit_desk import CreditVerdict
from sidecar_client.local.evaluation import Reason, Standing, Verdict
from sidecar_client.local.wallets import CreditStanding
from sidecar_client.protocol import sidecar_pb2 as pb

_METERS = {
    None: pb.METER_TYPE_NONE,
    "fluctuating": pb.METER_TYPE_FLUCTUATING,
    "incremental": pb.METER_TYPE_INCREMENTAL,
}
_TYPES = {
    "boolean": pb.FEATURE_TYPE_BOOLEAN,
    "numeric": pb.FEATURE_TYPE_NUMBER,
    "metered": pb.FEATURE_TYPE_NUMBER,
    "enum": pb.FEATURE_TYPE_ENUM,
}
_PERIODS = {
    None: pb.ENTITLEMENT_RESET_PERIOD_UNSPECIFIED,
    "hour": pb.ENTITLEMENT_RESET_PERIOD_HOUR,
    "day": pb.ENTITLEMENT_RESET_PERIOD_DAY,
    "week": pb.ENTITLEMENT_RESET_PERIOD_WEEK,
    "month": pb.ENTITLEMENT_RESET_PERIOD_MONTH,
    "year": pb.ENTITLEMENT_RESET_PERIOD_YEAR,
}


def reason_name(reason: Reason | None) -> str | None:
    """The protocol's name of a reason; None leaves the field unset."""
    return None if reason is None else f"ACCESS_DENIED_REASON_{reason}"


class Outcome(TypedDict):
    """What every answer to a check says, whatever it was about."""

    has_access: bool
    is_fallback: bool
    access_denied_reason: str | None


def outcome(verdict: Verdict | CreditVerdict) -> Outcome:
    """Whether access is granted, and by what."""
    return {
        "has_access": verdict.has_access,
        "is_fallback": verdict.is_fallback,
        "access_denied_reason": reason_name(verdict.reason),
    }


def boolean(verdict: Verdict) -> pb.BooleanEntitlement:
    """The entitlement to a boolean feature."""
    return pb.BooleanEntitlement(feature=_feature(verdict.standing))


def numeric(verdict: Verdict) -> pb.NumericEntitlement:
    """The entitlement to a numeric feature."""
    grant = verdict.standing.grant
    return pb.NumericEntitlement(
        feature=_feature(verdict.standing),
        value=grant.entitlement.value if grant else None,
        is_unlimited=bool(grant and grant.entitlement.unlimited),
    )


def metered(verdict: Verdict) -> pb.MeteredEntitlement:
    """The entitlement to a metered feature, with what is used of it."""
    grant, window = verdict.standing.grant, verdict.standing.window
    entitlement = pb.MeteredEntitlement(
        feature=_feature(verdict.standing),
        usage_limit=grant.entitlement.limit if grant else None,
        is_unlimited=bool(grant and grant.entitlement.unlimited),
        current_usage=verdict.usage,
        # Set although it says nothing, as in the vendor's sample results.
        reset_period=_PERIODS[window.period if window else None],
        usage_period_anchor=_timestamp(window.anchor) if window else None,
        usage_period_start=_timestamp(window.start) if window else None,
        usage_period_end=_timestamp(window.end) if window else None,
    )
    if grant and grant.entitlement.soft_limit:
        entitlement.has_soft_limit = True
    return entitlement


def enum(verdict: Verdict) -> pb.EnumEntitlement:
    """The entitlement to an enum feature."""
    standing = verdict.standing
    return pb.EnumEntitlement(feature=_feature(standing), enum_values=standing.values)


class _OneOf(TypedDict, total=False):
    """The member of the protocol's oneof that fits a feature's type."""

    boolean: pb.BooleanEntitlement
    numeric: pb.NumericEntitlement
    metered: pb.MeteredEntitlement
    enum: pb.EnumEntitlement


def _one_of(verdict: Verdict) -> _OneOf:
    feature = verdict.standing.feature
    if feature is None:
        return {}
    match feature.type:
        case "boolean":
            return {"boolean": boolean(verdict)}
        case "numeric":
            return {"numeric": numeric(verdict)}
        case "metered":
            return {"metered": metered(verdict)}
        case "enum":
            return {"enum": enum(verdict)}


def entitlement(verdict: Verdict) -> pb.Entitlement:
    """The entitlement in a list that has no verdicts."""
    return pb.Entitlement(**_one_of(verdict))


def response(verdict: Verdict) -> pb.GetEntitlementResponse:
    """The answer to a check of a feature of any type."""
    return pb.GetEntitlementResponse(
        **outcome(verdict),
        **_one_of(verdict),
    )


def entitlement_v2(verdict: Verdict) -> pb.EntitlementV2:
    """The answer of the second version, alone or in a list."""
    return pb.EntitlementV2(
        **outcome(verdict),
        **_one_of(verdict),
    )


def credit_v2(verdict: CreditVerdict) -> pb.EntitlementV2:
    """The answer about a currency of credits, alone or in a list."""
    return pb.EntitlementV2(
        **outcome(verdict),
        credit=_credit(verdict.standing) if verdict.standing else None,
    )


def _credit(standing: CreditStanding) -> pb.CreditEntitlement:
    currency, balance = standing.currency, standing.balance
    entitlement = pb.CreditEntitlement(
        currency=pb.EntitlementCurrency(
            currency_id=currency.id,
            display_name=currency.name or currency.id,
            description=currency.description,
            unit_singular=currency.unit_singular,
            unit_plural=currency.unit_plural,
        ),
        usage_limit=balance.granted,
        current_usage=balance.consumed,
        remaining=balance.remaining,
        has_soft_limit=balance.soft_limit,
    )
    if currency.metadata:
        entitlement.currency.additional_meta_data.update(currency.metadata)
    if balance.period_end is not None:
        entitlement.usage_period_end.FromDatetime(balance.period_end)
    return entitlement


@lru_cache(maxsize=4096)
def _timestamp(moment: datetime) -> Timestamp:
    """The moment in a message, of which messages take copies."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def _feature(standing: Standing) -> pb.EntitlementFeature | None:
    return described(standing.feature) if standing.feature else None


def described(feature: Feature) -> pb.EntitlementFeature:
    """The feature as answers show it: units are always present, if empty."""
    return pb.EntitlementFeature(
        id=feature.id,
        feature_type=_TYPES[feature.type],
        units=feature.units,
        units_plural=feature.units_plural,
        meter_type=_METERS[feature.meter],
        is_metered=feature.type == "metered",
    )
