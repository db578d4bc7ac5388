"""The gRPC server around the service: methods, health, reflection, start and stop.

Transport lives here; what a method answers does not.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sidecar_client.local.faults import Faults, Simulated
from sidecar_client.local.ports import AddressError, address, check_address
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.remembered import Remembered
from sidecar_client.local.service import SidecarService
from sidecar_client.local.shown import limited
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.watch import Watch
from sidecar_client.protocol import sidecar_pb2 as pb

if TYPE_CHECKING:
    Context = aio.ServicerContext[bytes, Message]

logger = logging.getLogger("sidecar_client.local")

SERVICE = "stigg.sidecar.v1.SidecarService"
_MESSAGE_BYTES = 64 * 1024 * 1024
_OPTIONS = [
    # Otherwise a second server on the port would share it instead of failing.
    ("grpc.so_reuseport", 0),
    # Of the calls that wait for their turn, gRPC cancels those beyond these numbers, at
    # random; by default 1,000, which a burst of many workers can reach.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
]
_GRACE = 0.2
# A status travels in the metadata, of which clients take 8 KiB by default.
_MOST_DETAILS = 1000

_Request = TypeVar("_Request", bound=Message)


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the protocol: what it is sent, and what answers it."""

    request: type[Message]
    answer: Callable[[Any], Awaitable[Message]]

    def parse(self, sent: bytes) -> Message:
        """The request, if the bytes are one."""
        try:
            return self.request.FromString(sent)
        except DecodeError:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"the {len(sent)} bytes received are no {self.request.__name__}.",
            ) from None


class SidecarServer:
    """One run of the server, from `start` to `stop`, on one event loop."""

    def __init__(
        self,
        service: SidecarService,
        *,
        calls: Counter[str],
        faults: Faults,
        watch: Watch,
        remembered: Remembered,
    ) -> None:
        self._methods = _methods(service)
        self._calls = calls
        self._faults = faults
        self._watch = watch
        self._remembered = remembered
        self._health = health.aio.HealthServicer()
        self._server: aio.Server | None = None

    @property
    def is_listening(self) -> bool:
        """Whether it can be reached."""
        return self._server is not None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port. Raises `ConfigurationError` if it is taken."""
        check_address(host, port)
        server = aio.server(options=_OPTIONS)
        # One that said that it stops does not say anything else again.
        self._health = health.aio.HealthServicer()
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
        async def handle(sent: bytes, context: Context) -> Message:
            self._calls[name] += 1
            began = perf_counter()
            code, message = grpc.StatusCode.CANCELLED, ""
            request: Message | None = None
            try:
                if self._faults.active:
                    await self._faults.meet(name)
                if known := await self._remembered.find(name, sent):
                    request, answer = known.request, known.answer
                else:
                    request = method.parse(sent)
                    answer = await self._answer(name, method, sent, request)
                code, message = grpc.StatusCode.OK, ""
                self._watch.answered(name, request, answer)
                return answer
            except Simulated as simulated:
                code, message = simulated.code, simulated.message
            except Refusal as refusal:
                code, message = grpc.StatusCode[refusal.code], refusal.message
            except StoreError as error:
                logger.warning("%s: %s", name, error)
                code, message = grpc.StatusCode.UNAVAILABLE, str(error)
            except Exception:
                logger.exception("%s failed", name)
                code = grpc.StatusCode.INTERNAL
                message = f"{name} failed inside the local sidecar; its log says why."
            finally:
                self._ended(name, code, message, perf_counter() - began)
            said = _details(message)
            self._watch.refused(name, request, code.name, said)
            # The error of an abort holds this frame until garbage is collected.
            del sent, request
            return await context.abort(code, said)

        return handle

    async def _answer(
        self, name: str, method: Method, sent: bytes, request: Message
    ) -> Message:
        if self._remembered.takes(request, sent):
            return await self._remembered.answered(name, sent, request)
        return await method.answer(request)

    def _ended(
        self, name: str, code: grpc.StatusCode, message: str, seconds: float
    ) -> None:
        self._watch.ended(name, code, seconds)
        # Most calls are logged nowhere, and need no text for it.
        if logger.isEnabledFor(logging.DEBUG):
            said = _details(message) or f"in {seconds * 1000:.1f} ms"
            logger.debug("%s: %s %s", name, code.name, said)


def _methods(service: SidecarService) -> Mapping[str, Method]:
    """The methods of the protocol, from request bytes to response."""
    return {
        "GetEntitlements": Method(pb.GetEntitlementsRequest, service.get_entitlements),
        "GetEntitlement": Method(pb.GetEntitlementRequest, service.get_entitlement),
        "GetBooleanEntitlement": Method(
            pb.GetBooleanEntitlementRequest, service.get_boolean_entitlement
        ),
        "GetNumericEntitlement": Method(
            pb.GetNumericEntitlementRequest, service.get_numeric_entitlement
        ),
        "GetMeteredEntitlement": Method(
            pb.GetMeteredEntitlementRequest, service.get_metered_entitlement
        ),
        "GetEnumEntitlement": Method(
            pb.GetEnumEntitlementRequest, service.get_enum_entitlement
        ),
        "ReportUsage": Method(pb.ReportUsageRequest, service.report_usage),
        "ReportEvents": Method(pb.ReportEventsRequest, service.report_events),
        "ReloadEntitlements": Method(
            pb.ReloadEntitlementsRequest, service.reload_entitlements
        ),
        "ReportUsageBulk": Method(pb.ReportUsageBulkRequest, service.report_usage_bulk),
        "GetEntitlementV2": Method(
            pb.GetEntitlementV2Request, service.get_entitlement_v2
        ),
        "GetEntitlementsStateV2": Method(
            pb.GetEntitlementsStateV2Request, service.get_entitlements_state_v2
        ),
    }


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
