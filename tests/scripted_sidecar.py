"""A real gRPC server that answers as a test tells it, for what no sidecar can be told.

Used where the local sidecar cannot produce an answer; everything else uses that one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from sidecar_client import (
    EntitlementV2,
    GetEntitlementRequest,
    GetEntitlementResponse,
    GetEntitlementsRequest,
    GetEntitlementsResponse,
    GetEntitlementsStateV2Request,
    GetEntitlementsStateV2Response,
    GetEntitlementV2Request,
    GetEntitlementV2Response,
    ReloadEntitlementsRequest,
    ReloadEntitlementsResponse,
    ReportUsageRequest,
    ReportUsageResponse,
)
from sidecar_client.protocol import sidecar_pb2_grpc


class ScriptedSidecar(sidecar_pb2_grpc.SidecarServiceServicer):
    """Answers every check with `answer`; a `gate` that is clear delays `held`."""

    def __init__(self) -> None:
        self.answer = GetEntitlementResponse(has_access=True)
        self.credit = EntitlementV2(has_access=True)
        self.state: GetEntitlementsStateV2Response | None = None
        """All entitlements; None as long as the sidecar is too old to tell."""
        self.listed = GetEntitlementsResponse()
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.calls: Counter[str] = Counter()
        self.requests: list[GetEntitlementRequest] = []
        self.reports: list[ReportUsageRequest] = []
        self.reloads: list[ReloadEntitlementsRequest] = []
        self.fresh: GetEntitlementResponse | None = None
        """The answer from the next reload on: until then the sidecar has an old one."""
        self.on_call: Callable[[], None] = lambda: None
        self.held = {"GetEntitlement", "GetEntitlementV2", "ReportUsage"}
        self.gate = threading.Event()
        self.gate.set()
        self.target = ""

    def GetEntitlement(
        self, request: GetEntitlementRequest, context: grpc.ServicerContext
    ) -> GetEntitlementResponse:
        self.requests.append(request)
        self._called("GetEntitlement", context)
        return self.answer

    def GetEntitlementV2(
        self, request: GetEntitlementV2Request, context: grpc.ServicerContext
    ) -> GetEntitlementV2Response:
        self._called("GetEntitlementV2", context)
        return GetEntitlementV2Response(entitlement=self.credit)

    def GetEntitlementsStateV2(
        self, request: GetEntitlementsStateV2Request, context: grpc.ServicerContext
    ) -> GetEntitlementsStateV2Response:
        self._called("GetEntitlementsStateV2", context)
        if self.state is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        return self.state

    def GetEntitlements(
        self, request: GetEntitlementsRequest, context: grpc.ServicerContext
    ) -> GetEntitlementsResponse:
        self._called("GetEntitlements", context)
        return self.listed

    def ReportUsage(
        self, request: ReportUsageRequest, context: grpc.ServicerContext
    ) -> ReportUsageResponse:
        self.reports.append(request)
        self._called("ReportUsage", context)
        return ReportUsageResponse(measurement_id="1")

    def ReloadEntitlements(
        self, request: ReloadEntitlementsRequest, context: grpc.ServicerContext
    ) -> ReloadEntitlementsResponse:
        self.reloads.append(request)
        self._called("ReloadEntitlements", context)
        if self.fresh is not None:
            self.answer = self.fresh
        return ReloadEntitlementsResponse(entitled_entity_exists=True)

    def _called(self, name: str, context: grpc.ServicerContext) -> None:
        self.calls[name] += 1
        self.on_call()
        if name in self.held:
            self.gate.wait(10)
        if self.refusal is not None:
            context.abort(*self.refusal)


@contextmanager
def scripted_sidecar() -> Generator[ScriptedSidecar]:
    """Serve one on a free port of loopback."""
    scripted = ScriptedSidecar()
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    register: Any = sidecar_pb2_grpc.add_SidecarServiceServicer_to_server  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # generated
    register(scripted, server)
    scripted.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        scripted.gate.set()
        server.stop(None).wait()
