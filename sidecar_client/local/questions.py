"""What the requests of checks ask: who, how much, and with which fallback.

Reading and validating their fields lives here; answering does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar_client.local.evaluation import Subject
from sidecar_client.local.fallbacks import Fallback, requested_fallback
from sidecar_client.local.refusal import checked_id, checked_number
from sidecar_client.protocol import sidecar_pb2 as pb

FeatureRequest = (
    pb.GetEntitlementRequest
    | pb.GetEntitlementV2Request
    | pb.GetBooleanEntitlementRequest
    | pb.GetNumericEntitlementRequest
    | pb.GetMeteredEntitlementRequest
    | pb.GetEnumEntitlementRequest
)
_SubjectRequest = (
    FeatureRequest
    | pb.GetEntitlementsRequest
    | pb.GetEntitlementsStateV2Request
    | pb.ReloadEntitlementsRequest
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How much is asked for, and what is to be answered without a verdict."""

    usage: float | None = None
    """None when the request names none."""
    values: Sequence[str] = ()
    fallback: Fallback | None = None


def subject_of(request: _SubjectRequest) -> Subject:
    """Who is asked about."""
    return Subject(
        customer_id=checked_id("customer", request.customer_id),
        resource_id=(
            checked_id("resource", request.resource_id)
            if request.HasField("resource_id")
            else None
        ),
    )


def asked(request: FeatureRequest) -> Asked:
    """What the options of a request say."""
    if not request.HasField("options"):
        return _NOTHING
    options = request.options
    fallback = None
    if options.HasField("fallback"):
        fallback = requested_fallback(options.fallback)
    usage: float | None = None
    values: Sequence[str] = ()
    if isinstance(options, pb.GetEntitlementOptions | pb.EnumEntitlementOptions):
        values = options.requested_values
    if isinstance(
        options, pb.GetEntitlementOptions | pb.MeteredEntitlementOptions
    ) and options.HasField("requested_usage"):
        usage = checked_number("requested_usage", options.requested_usage, least=0)
    return Asked(usage=usage, values=values, fallback=fallback)


_NOTHING = Asked()
