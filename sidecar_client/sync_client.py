"""The synchronous client: threads, WSGI, gevent, scripts.

What a call says and how it travels lives in `conversation` and `transport`.
"""

from __future__ import annotations

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
from sidecar_client.transport import Transport

if TYPE_CHECKING:
    import stigg


class _Connection:
    """What one process has open."""

    __slots__ = ("api", "lock", "transport")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.transport: Transport | None = None
        self.api: stigg.Stigg | None = None


class SyncStigg:
    """Asks a sidecar, and waits for its answer; any number of threads may use one.

    Building it opens nothing: the first call does, in each process anew. `timeout` is
    the deadline of a read, `write_timeout` that of a report, both in seconds. Without a
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
        self._connection = PerProcess(_Connection)
        local = self._options.local
        self._child = None if local is None else LocalChild(local, local_sidecar_config)

    @property
    def target(self) -> str:
        """Where the sidecar is asked, as error messages show it."""
        return self._options.target.address

    @property
    def api(self) -> stigg.Stigg:
        """The vendor's client of the management API (package `stigg`), made once.

        It asks the local sidecar when this client has one, which is started if need be;
        else `api_url` of `api_config`. `ConfigurationError` says what to install.
        """
        connection = self._connection.get()
        if connection.api is None:
            child = self._child
            find = None if child is None else child.http_url
            made = api.sync_client(self._options.api, find)
            if find is not None:
                # Told here, what cannot be started is not taken for a lost connection.
                find()
            with connection.lock:
                connection.api = connection.api or made
        return connection.api

    def get_entitlements(
        self, request: pb.GetEntitlementsRequest, *, timeout: float | None = None
    ) -> pb.GetEntitlementsResponse:
        """Return every entitlement of a customer, or of one of its resources."""
        return self._call(methods.GET_ENTITLEMENTS, request, timeout)

    def get_entitlement(
        self, request: pb.GetEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetEntitlementResponse:
        """Return one entitlement, of whatever type its feature has."""
        return self._call(methods.GET_ENTITLEMENT, request, timeout)

    def get_boolean_entitlement(
        self, request: pb.GetBooleanEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetBooleanEntitlementResponse:
        """Return whether a customer has a boolean feature."""
        return self._call(methods.GET_BOOLEAN_ENTITLEMENT, request, timeout)

    def get_numeric_entitlement(
        self, request: pb.GetNumericEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetNumericEntitlementResponse:
        """Return the value of a numeric feature."""
        return self._call(methods.GET_NUMERIC_ENTITLEMENT, request, timeout)

    def get_metered_entitlement(
        self, request: pb.GetMeteredEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetMeteredEntitlementResponse:
        """Return limit and usage of a metered feature."""
        return self._call(methods.GET_METERED_ENTITLEMENT, request, timeout)

    def get_enum_entitlement(
        self, request: pb.GetEnumEntitlementRequest, *, timeout: float | None = None
    ) -> pb.GetEnumEntitlementResponse:
        """Return the values of an enum feature."""
        return self._call(methods.GET_ENUM_ENTITLEMENT, request, timeout)

    def get_entitlement_v2(
        self, request: pb.GetEntitlementV2Request, *, timeout: float | None = None
    ) -> pb.GetEntitlementV2Response:
        """Return one entitlement, to a feature or to credits of a currency."""
        return self._call(methods.GET_ENTITLEMENT_V2, request, timeout)

    def get_entitlements_state_v2(
        self, request: pb.GetEntitlementsStateV2Request, *, timeout: float | None = None
    ) -> pb.GetEntitlementsStateV2Response:
        """Return every entitlement, credits included, denied ones too."""
        return self._call(methods.GET_ENTITLEMENTS_STATE_V2, request, timeout)

    def report_usage(
        self, request: pb.ReportUsageRequest, *, timeout: float | None = None
    ) -> pb.ReportUsageResponse:
        """Report calculated usage; it is acknowledged when this returns."""
        return self._call(methods.REPORT_USAGE, request, timeout)

    def report_usage_bulk(
        self, request: pb.ReportUsageBulkRequest, *, timeout: float | None = None
    ) -> pb.ReportUsageBulkResponse:
        """Report several usages in one call."""
        return self._call(methods.REPORT_USAGE_BULK, request, timeout)

    def report_events(
        self, request: pb.ReportEventsRequest, *, timeout: float | None = None
    ) -> Empty:
        """Report raw events, each with its idempotency key."""
        return self._call(methods.REPORT_EVENTS, request, timeout)

    def reload_entitlements(
        self, request: pb.ReloadEntitlementsRequest, *, timeout: float | None = None
    ) -> pb.ReloadEntitlementsResponse:
        """Make the sidecar fetch a customer's entitlements anew."""
        return self._call(methods.RELOAD_ENTITLEMENTS, request, timeout)

    def close(self) -> None:
        """End the calls in flight and close; a later call opens anew."""
        connection = self._connection.get()
        with connection.lock:
            transport, connection.transport = connection.transport, None
            asked, connection.api = connection.api, None
        if transport is not None:
            transport.close()
        if asked is not None:
            asked.close()
        if self._child is not None:
            self._child.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout: float | None,
    ) -> Response:
        payload = self._conversation.encode(method, request)
        deadline = self._conversation.deadline(method, timeout)
        if self._child is not None and not self._child.is_attached:
            green.prepare_sync()
            deadline = self._child.attach(method.name, deadline)
        answer = self._transport().call(method.path, payload, deadline)
        return self._conversation.decode(method, answer)

    def _transport(self) -> Transport:
        connection = self._connection.get()
        transport = connection.transport
        if transport is not None:
            return transport
        with opening(), connection.lock:
            if connection.transport is None:
                connection.transport = self._open()
            return connection.transport

    def _open(self) -> Transport:
        green.prepare_sync()
        from sidecar_client.grpc_channel import channel_settings
        from sidecar_client.grpc_sync import GrpcTransport

        return GrpcTransport(channel_settings(self._options))
