"""Asking a local sidecar over a real channel, with the generated stub.

Only what several test modules share lives here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import grpc
from google.protobuf.message import Message

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from sidecar_client.protocol import sidecar_pb2_grpc

# Otherwise a channel waits as long as the one before it, which found nobody there.
_OWN = [("grpc.use_local_subchannel_pool", 1)]
NOW = datetime(2023, 12, 1, tzinfo=UTC)


class Clock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def ask(sidecar: LocalSidecar, request: Message) -> Any:
    """The answer to a request; a request's name tells its method."""
    method = type(request).__name__.removesuffix("Request")
    with grpc.insecure_channel(sidecar.target, options=_OWN) as channel:
        stub = cast("Any", sidecar_pb2_grpc.SidecarServiceStub)(channel)
        return getattr(stub, method)(request, timeout=10)


def refusal(sidecar: LocalSidecar, request: Message) -> tuple[grpc.StatusCode, str]:
    """The status that a request is refused with."""
    try:
        answer = ask(sidecar, request)
    except grpc.RpcError as error:
        call = cast("grpc.Call", error)
        return call.code(), call.details() or ""
    raise AssertionError(f"not refused: {answer}")


def reason_of(answer: Any) -> str | None:
    """The denial's reason by its short name; None when the field is not set."""
    if not answer.HasField("access_denied_reason"):
        return None
    name = pb.AccessDeniedReason.Name(answer.access_denied_reason)
    return name.removeprefix("ACCESS_DENIED_REASON_")


def check(
    sidecar: LocalSidecar,
    feature_id: str,
    *,
    customer_id: str = "c",
    resource_id: str | None = None,
    usage: float | None = None,
    values: tuple[str, ...] = (),
) -> str | None:
    """Why GetEntitlement denies the feature; None when it grants it."""
    answer: pb.GetEntitlementResponse = ask(
        sidecar,
        pb.GetEntitlementRequest(
            customer_id=customer_id,
            feature_id=feature_id,
            resource_id=resource_id,
            options=pb.GetEntitlementOptions(
                requested_usage=usage, requested_values=values
            ),
        ),
    )
    reason = reason_of(answer)
    assert answer.has_access == (reason is None)
    assert not answer.is_fallback
    return reason
