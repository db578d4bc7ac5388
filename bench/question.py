"""The one question that everything here asks, and the answer of the fast server.

Who asks it, and how often, is in `clients` and in `apps`.
"""

from __future__ import annotations

from typing import Final

from sidecar_client.protocol.sidecar_pb2 import (
    BooleanEntitlement,
    EntitlementFeature,
    FeatureType,
    GetEntitlementRequest,
    GetEntitlementResponse,
)

METHOD: Final = "/stigg.sidecar.v1.SidecarService/GetEntitlement"
CUSTOMER: Final = "customer-demo-01"
FEATURE: Final = "feature-03-custom-domain"
RESOURCE: Final = "site-01"

DEADLINE: Final = 5.0
"""Long, so that a machine that stalls shows as latency and not as an error."""

REQUEST: Final = GetEntitlementRequest(
    customer_id=CUSTOMER, feature_id=FEATURE, resource_id=RESOURCE
).SerializeToString()

ANSWER: Final = GetEntitlementResponse(
    has_access=True,
    boolean=BooleanEntitlement(
        feature=EntitlementFeature(
            id=FEATURE, feature_type=FeatureType.FEATURE_TYPE_BOOLEAN
        )
    ),
).SerializeToString()


def framed(message: bytes) -> bytes:
    """A message as gRPC puts it on the wire: not compressed, length, bytes."""
    return b"\x00" + len(message).to_bytes(4, "big") + message
