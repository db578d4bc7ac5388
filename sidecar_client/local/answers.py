"""What the checks of a feature are answered, method by method, from a verdict.

Which message has what around the entitlement lives here; entitlements are `messages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from google.protobuf.message import Message

from sidecar_client.local import messages
from sidecar_client.local.evaluation import Verdict
from sidecar_client.local.values import FeatureType
from sidecar_client.protocol import sidecar_pb2 as pb

WANTED: Final[Mapping[type[Message], FeatureType]] = MappingProxyType(
    {
        pb.GetBooleanEntitlementRequest: "boolean",
        pb.GetNumericEntitlementRequest: "numeric",
        pb.GetMeteredEntitlementRequest: "metered",
        pb.GetEnumEntitlementRequest: "enum",
    }
)
"""The type that a feature must be of, for the methods that ask for one."""


def any_type(
    _: pb.GetEntitlementRequest, verdict: Verdict
) -> pb.GetEntitlementResponse:
    """A feature of any type."""
    return messages.response(verdict)


def any_type_v2(
    _: pb.GetEntitlementV2Request, verdict: Verdict
) -> pb.GetEntitlementV2Response:
    """A feature of any type, in the second version."""
    return pb.GetEntitlementV2Response(entitlement=messages.entitlement_v2(verdict))


def boolean(
    _: pb.GetBooleanEntitlementRequest, verdict: Verdict
) -> pb.GetBooleanEntitlementResponse:
    """A boolean feature."""
    return pb.GetBooleanEntitlementResponse(
        **messages.outcome(verdict),
        entitlement=messages.boolean(verdict),
    )


def numeric(
    _: pb.GetNumericEntitlementRequest, verdict: Verdict
) -> pb.GetNumericEntitlementResponse:
    """A numeric feature."""
    return pb.GetNumericEntitlementResponse(
        **messages.outcome(verdict),
        entitlement=messages.numeric(verdict),
    )


def metered(
    request: pb.GetMeteredEntitlementRequest, verdict: Verdict
) -> pb.GetMeteredEntitlementResponse:
    """A metered feature; the answer repeats the requested usage, 0 if absent."""
    return pb.GetMeteredEntitlementResponse(
        **messages.outcome(verdict),
        requested_usage=request.options.requested_usage,
        entitlement=messages.metered(verdict),
    )


def enum(
    request: pb.GetEnumEntitlementRequest, verdict: Verdict
) -> pb.GetEnumEntitlementResponse:
    """An enum feature; the answer repeats the requested values."""
    return pb.GetEnumEntitlementResponse(
        **messages.outcome(verdict),
        requested_values=request.options.requested_values,
        entitlement=messages.enum(verdict),
    )


ANSWERS: Final[Mapping[type[Message], Callable[[Any, Verdict], Message]]] = (
    MappingProxyType(
        {
            pb.GetEntitlementRequest: any_type,
            pb.GetEntitlementV2Request: any_type_v2,
            pb.GetBooleanEntitlementRequest: boolean,
            pb.GetNumericEntitlementRequest: numeric,
            pb.GetMeteredEntitlementRequest: metered,
            pb.GetEnumEntitlementRequest: enum,
        }
    )
)
"""What answers each kind of request."""
