"""The gRPC server around the service: methods, health, reflection, start and stop.

Transport lives here; what a method answers does not.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sidecar_client.local.ports import AddressError, check_address
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.service import SidecarService
from sidecar_client.local.shown import limited
from sidecar_client.protocol import sidecar_pb2 as pb

if TYPE_CHECKING:
    Context = aio.ServicerContext[bytes, Message]

logger = logging.getLogger("sidecar_client.local")

SERVICE = "stigg.sidecar.v1.SidecarService"
_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS = [
    # Otherwise a second server on the port would share it instead of failing.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
]
_GRACE = 0.2
# A status travels in the metadata, of which clients take 8 KiB by default.
_MOST_DETAILS = 1000

_Request = TypeVar("_Request", bound=Message)
Method = Callable[[bytes], Awaitable[Message]]


class SidecarServer:
    """One run of the server, from `start` to `stop`, on one event loop."""

    def __init__(self, service: SidecarService, *, calls: Counter[str]) -> None:
        self._methods = _methods(service)
        self._calls = calls
        self._health = health.aio.HealthServicer()
        self._server: aio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port. Raises `ConfigurationError` if it is taken."""
        check_address(host, port)
        server = aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self._handlers(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server
        )
        bound = _bind(server, host, port)
        await server.start()
        self._server = server
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return bound

    async def stop(self) -> None:
        """Answer what is running, then stop listening. Does nothing when stopped."""
        server, self._server = self._server, None
        if server is not None:
            await self._health.enter_graceful_shutdown()
            await server.stop(_GRACE)
            await server.wait_for_termination()

    def _handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    self._handler(name, method),
                    response_serializer=_serialized,
                )
                for name, method in self._methods.items()
            },
        )

    def _handler(
        self, name: str, method: Method
    ) -> Callable[[bytes, Context], Awaitable[Message]]:
        async def handle(request: bytes, context: Context) -> Message:
            self._calls[name] += 1
            began = perf_counter()
            try:
                answer = await method(request)
            except Refusal as refusal:
                message = _details(refusal.message)
                logger.debug("%s: %s %s", name, refusal.code, message)
                await context.abort(getattr(grpc.StatusCode, refusal.code), message)
            except Exception:
                logger.exception("%s failed", name)
                await context.abort(
                    grpc.StatusCode.INTERNAL,
                    f"{name} failed inside the local sidecar; its log says why.",
                )
            logger.debug("%s: OK in %.1f ms", name, (perf_counter() - began) * 1000)
            return answer

        return handle


def _methods(service: SidecarService) -> Mapping[str, Method]:
    """The methods of the protocol, from request bytes to response."""
    return {
        "GetEntitlements": _parsing(
            pb.GetEntitlementsRequest, service.get_entitlements
        ),
        "GetEntitlement": _parsing(pb.GetEntitlementRequest, service.get_entitlement),
        "GetBooleanEntitlement": _parsing(
            pb.GetBooleanEntitlementRequest, service.get_boolean_entitlement
        ),
        "GetNumericEntitlement": _parsing(
            pb.GetNumericEntitlementRequest, service.get_numeric_entitlement
        ),
        "GetMeteredEntitlement": _parsing(
            pb.GetMeteredEntitlementRequest, service.get_metered_entitlement
        ),
        "GetEnumEntitlement": _parsing(
            pb.GetEnumEntitlementRequest, service.get_enum_entitlement
        ),
        "ReportUsage": _parsing(pb.ReportUsageRequest, service.report_usage),
        "ReportEvents": _parsing(pb.ReportEventsRequest, service.report_events),
        "ReloadEntitlements": _parsing(
            pb.ReloadEntitlementsRequest, service.reload_entitlements
        ),
        "ReportUsageBulk": _parsing(
            pb.ReportUsageBulkRequest, service.report_usage_bulk
        ),
        "GetEntitlementV2": _parsing(
            pb.GetEntitlementV2Request, service.get_entitlement_v2
        ),
        "GetEntitlementsStateV2": _parsing(
            pb.GetEntitlementsStateV2Request, service.get_entitlements_state_v2
        ),
    }


def _parsing(
    kind: type[_Request], method: Callable[[_Request], Awaitable[Message]]
) -> Method:
    async def parse_and_call(request: bytes) -> Message:
        try:
            parsed = kind.FromString(request)
        except DecodeError:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"the {len(request)} bytes received are no {kind.__name__}.",
            ) from None
        return await method(parsed)

    return parse_and_call


def _details(message: str) -> str:
    """The message as a status can carry it: ASCII, and not beyond gRPC's limit."""
    cut = limited(message, _MOST_DETAILS)
    return limited(cut.encode("ascii", "backslashreplace").decode(), _MOST_DETAILS)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _bind(server: aio.Server, host: str, port: int) -> int:
    try:
        bound = server.add_insecure_port(address(host, port))
    except RuntimeError as error:
        check_address(host, port)
        raise AddressError(f"{address(host, port)} cannot be bound: {error}") from None
    return bound


def address(host: str, port: int) -> str:
    """`host:port` as gRPC writes it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
