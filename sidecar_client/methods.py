"""The twelve methods of the sidecar: name, path, messages, and whether one is a read.

How a method is called does not live here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from sidecar_client.protocol import sidecar_pb2 as pb

SERVICE: Final = "stigg.sidecar.v1.SidecarService"

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[Request, Response]):
    """One RPC of the sidecar."""

    name: str
    path: str
    request: type[Request]
    response: type[Response]
    is_read: bool
    """A read changes nothing, so it may be asked again; it has the shorter deadline."""


def _read(
    name: str, request: type[Request], response: type[Response]
) -> Method[Request, Response]:
    return _method(name, request, response, is_read=True)


def _write(
    name: str, request: type[Request], response: type[Response]
) -> Method[Request, Response]:
    return _method(name, request, response, is_read=False)


def _method(
    name: str, request: type[Request], response: type[Response], *, is_read: bool
) -> Method[Request, Response]:
    return Method(
        name=name,
        path=f"/{SERVICE}/{name}",
        request=request,
        response=response,
        is_read=is_read,
    )


GET_ENTITLEMENTS = _read(
    "GetEntitlements", pb.GetEntitlementsRequest, pb.GetEntitlementsResponse
)
GET_ENTITLEMENT = _read(
    "GetEntitlement", pb.GetEntitlementRequest, pb.GetEntitlementResponse
)
GET_BOOLEAN_ENTITLEMENT = _read(
    "GetBooleanEntitlement",
    pb.GetBooleanEntitlementRequest,
    pb.GetBooleanEntitlementResponse,
)
GET_NUMERIC_ENTITLEMENT = _read(
    "GetNumericEntitlement",
    pb.GetNumericEntitlementRequest,
    pb.GetNumericEntitlementResponse,
)
GET_METERED_ENTITLEMENT = _read(
    "GetMeteredEntitlement",
    pb.GetMeteredEntitlementRequest,
    pb.GetMeteredEntitlementResponse,
)
GET_ENUM_ENTITLEMENT = _read(
    "GetEnumEntitlement", pb.GetEnumEntitlementRequest, pb.GetEnumEntitlementResponse
)
REPORT_USAGE = _write("ReportUsage", pb.ReportUsageRequest, pb.ReportUsageResponse)
REPORT_EVENTS = _write("ReportEvents", pb.ReportEventsRequest, Empty)
RELOAD_ENTITLEMENTS = _write(
    "ReloadEntitlements", pb.ReloadEntitlementsRequest, pb.ReloadEntitlementsResponse
)
REPORT_USAGE_BULK = _write(
    "ReportUsageBulk", pb.ReportUsageBulkRequest, pb.ReportUsageBulkResponse
)
GET_ENTITLEMENT_V2 = _read(
    "GetEntitlementV2", pb.GetEntitlementV2Request, pb.GetEntitlementV2Response
)
GET_ENTITLEMENTS_STATE_V2 = _read(
    "GetEntitlementsStateV2",
    pb.GetEntitlementsStateV2Request,
    pb.GetEntitlementsStateV2Response,
)

# Any: twelve methods have twelve different pairs of messages.
METHODS: Final[tuple[Method[Any, Any], ...]] = (
    GET_ENTITLEMENTS,
    GET_ENTITLEMENT,
    GET_BOOLEAN_ENTITLEMENT,
    GET_NUMERIC_ENTITLEMENT,
    GET_METERED_ENTITLEMENT,
    GET_ENUM_ENTITLEMENT,
    REPORT_USAGE,
    REPORT_EVENTS,
    RELOAD_ENTITLEMENTS,
    REPORT_USAGE_BULK,
    GET_ENTITLEMENT_V2,
    GET_ENTITLEMENTS_STATE_V2,
)
