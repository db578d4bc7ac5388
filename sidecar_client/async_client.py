"""The asyncio client: ASGI, async views, scripts.

What a call says and how it travels lives in `conversation` and `transport`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from google.protobuf.empty_pb2 import Empty

from sidecar_client import api, green, methods
from sidecar_client.child import LocalChild
from sidecar_client.conversation import Conversation
from sidecar_client.methods import Method, Request, Response
from sidecar_client.options import (
    MAX_IN_FLIGHT,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
    client_options,
)
from sidecar_client.processes import PerProcess, opening
from sidecar_client.protocol import sidecar_pb2 as pb
from sidecar_client.transport import AsyncTransport

if TYPE_CHECKING:
    import stigg


class _Connections:
    """What one process has open: a transport and an API client for each event loop."""

    __slots__ = ("apis", "by_loop", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Not a WeakKeyDictionary: a channel holds its loop, so the key would never die.
        self.by_loop: dict[asyncio.AbstractEventLoop, AsyncTransport] = {}
        self.apis: dict[asyncio.AbstractEventLoop, stigg.AsyncStigg] = {}


class Stigg:
    """Asks a sidecar without blocking the event loop; any number of loops may use one.

    Building it opens nothing: the first call in each loop does. `timeout` is the
    deadline of a read, `write_timeout` that of a report, both in seconds. Without a
    `target` or `remote_sidecar_host`, and always with `local_sidecar_config`, a local
    sidecar is started on `local_sidecar_port` (8443), or shared when it runs. A call
    raises `SidecarUnavailable`, `SidecarTimeout` or `SidecarRejected`.
    """

    def __init__(
        self,
        api_config: pb.ApiConfig | None = None,
        *,
        remote_sidecar_host: str | None = None,
        remote_sidecar_port: int | None = None,
        local_sidecar_config: pb.LocalSidecarConfig | None = None,
        target: str | None = None,
        timeout: float = READ_TIMEOUT,
        write_timeout: float = WRITE_TIMEOUT,
        max_in_flight: int = MAX_IN_FLIGHT,
        root_certificates: bytes | None = None,
        local_sidecar_port: int | None = None,
        local_sidecar_catalog: str | os.PathLike[str] | None = None,
    ) -> None:
        self._options = client_options(
            api_config,
            remote_sidecar_host=remote_sidecar_host,
            remote_sidecar_port=remote_sidecar_port,
            local_sidecar_config=local_sidecar_config,
            target=target,
            timeout=timeout,
            write_timeout=write_timeout,
            max_in_flight=max_in_flight,
            root_certificates=root_certificates,
            local_sidecar_port=local_sidecar_port,
            local_sidecar_catalog=local_sidecar_catalog,
        )
        self._conversation = Conversation(self._options)
        self._connections = PerProcess(_Connections)
        local = self._options.local
        self._child = None if local is None else LocalChild(local, local_sidecar_config)

    @property
    def target(self) -> str:
        """Where the sidecar is asked, as error messages show it."""
        return self._options.target.address

    @property
    def api(self) -> stigg.AsyncStigg:
        """The vendor's client of the management API (package `stigg`), for this loop.

        It asks the local sidecar when this client has one, which its first request
        starts if need be; else `api_url` of `api_config`. `ConfigurationError` says
        what to install.
        """
        connections = self._connections.get()
        loop = asyncio.get_running_loop()
        client = connections.apis.get(loop)
        if client is None:
            child = self._child
            find = None if child is None else child.http_url_in_loop
            client = api.async_client(self._options.api, find)
            with connections.lock:
                connections.apis[loop] = client
                for other in [o for o in connections.apis if o.is_closed()]:
                    del connections.apis[other]
        return client

    async def get_entitlements(
        self, request: pb.GetEntitlementsRequest, *, timeout: float | None = None
    ) -> pb.GetEntitlementsResponse:
        """Return every entitlement of a customer, or of one of its resources."""
        return await self._call(methods.GET_ENTITLEMENTS, request, timeout)

    async def get_entitlement(
        self, request: pb.GetEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetEntitlementResponse:
        """Return one entitlement, of whatever type its feature has."""
        return await self._call(methods.GET_ENTITLEMENT, request, timeout)

    async def get_boolean_entitlement(
        self, request: pb.GetBooleanEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetBooleanEntitlementResponse:
        """Return whether a customer has a boolean feature."""
        return await self._call(methods.GET_BOOLEAN_ENTITLEMENT, request, timeout)

    async def get_numeric_entitlement(
        self, request: pb.GetNumericEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetNumericEntitlementResponse:
        """Return the value of a numeric feature."""
        return await self._call(methods.GET_NUMERIC_ENTITLEMENT, request, timeout)

    async def get_metered_entitlement(
        self, request: pb.GetMeteredEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetMeteredEntitlementResponse:
        """Return limit and usage of a metered feature."""
        return await self._call(methods.GET_METERED_ENTITLEMENT, request, timeout)

    async def get_enum_entitlement(
        self, request: pb.GetEnumEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetEnumEntitlementResponse:
        """Return the values of an enum feature."""
        return await self._call(methods.GET_ENUM_ENTITLEMENT, request, timeout)

    async def get_entitlement_v2(
        self, request: pb.GetEntitlementV2Request, *, timeout: float | None = None
    ) -> pb.GetEntitlementV2Response:
        """Return one entitlement, to a feature or to credits of a currency."""
        return await self._call(methods.GET_ENTITLEMENT_V2, request, timeout)

    async def get_entitlements_state_v2(
        self, request: pb.GetEntitlementsStateV2Request, *, timeout: float | None = None
    ) -> pb.GetEntitlementsStateV2Response:
        """Return every entitlement, credits included, denied ones too."""
        return await self._call(methods.GET_ENTITLEMENTS_STATE_V2, request, timeout)

    async def report_usage(
        self, request: pb.ReportUsageRequest, *, timeout: float | None = None
    ) -> pb.ReportUsageResponse:
        """Report calculated usage; it is acknowledged when this returns."""
        return await self._call(methods.REPORT_USAGE, request, timeout)

    async def report_usage_bulk(
        self, request: pb.ReportUsageBulkRequest, *, timeout: float | None = None
    ) -> pb.ReportUsageBulkResponse:
        """Report several usages in one call."""
        return await self._call(methods.REPORT_USAGE_BULK, request, timeout)

    async def report_events(
        self, request: pb.ReportEventsRequest, *, timeout: float | None = None
    ) -> Empty:
        """Report raw events, each with its idempotency key."""
        return await self._call(methods.REPORT_EVENTS, request, timeout)

    async def reload_entitlements(
        self, request: pb.ReloadEntitlementsRequest, *, timeout: float | None = None
    ) -> pb.ReloadEntitlementsResponse:
        """Make the sidecar fetch a customer's entitlements anew."""
        return await self._call(methods.RELOAD_ENTITLEMENTS, request, timeout)

    async def aclose(self) -> None:
        """End this loop's calls in flight and close; a later call opens anew."""
        connections = self._connections.get()
        with connections.lock:
            own = connections.by_loop.pop(asyncio.get_running_loop(), None)
            asked = connections.apis.pop(asyncio.get_running_loop(), None)
        if asked is not None:
            await asked.close()
        self.close()
        if own is not None:
            await own.aclose()

    def close(self) -> None:
        """Close without an event loop; calls in flight end first, on their own."""
        connections = self._connections.get()
        with connections.lock:
            transports = list(connections.by_loop.items())
            connections.by_loop.clear()
            asked = list(connections.apis.items())
            connections.apis.clear()
        while transports:
            _drop(*transports.pop())
        for loop, client in asked:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(client.close(), loop)
        if self._child is not None:
            self._child.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _call(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout: float | None,
    ) -> Response:
        payload = self._conversation.encode(method, request)
        deadline = self._conversation.deadline(method, timeout)
        if self._child is not None and not self._child.is_attached:
            green.check_async()
            deadline = await self._child.attach_in_loop(method.name, deadline)
        answer = await self._transport().call(method.path, payload, deadline)
        return self._conversation.decode(method, answer)

    def _transport(self) -> AsyncTransport:
        connections = self._connections.get()
        loop = asyncio.get_running_loop()
        transport = connections.by_loop.get(loop)
        if transport is not None:
            return transport
        with opening():
            transport = self._open()
        with connections.lock:
            connections.by_loop[loop] = transport
            for other in [known for known in connections.by_loop if known.is_closed()]:
                del connections.by_loop[other]
        return transport

    def _open(self) -> AsyncTransport:
        green.check_async()
        from sidecar_client.grpc_async import AsyncGrpcTransport
        from sidecar_client.grpc_channel import channel_settings

        return AsyncGrpcTransport(channel_settings(self._options))


def _drop(loop: asyncio.AbstractEventLoop, transport: AsyncTransport) -> None:
    if loop.is_running():
        # The last reference goes where the channel lives: in its own loop's thread.
        loop.call_soon_threadsafe(lambda kept: None, transport)
