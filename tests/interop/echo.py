"""The script that tries the wire: a server answers with everything an answer can hold.

Each method is called with every kind of request; what arrives is compared, too. What
the local sidecar answers is tried by `world`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from sidecar_client import (
    GetEntitlementRequest,
    GetEntitlementResponse,
    ReloadEntitlementsRequest,
    ReportEventsRequest,
)
from sidecar_client.methods import METHODS
from tests.client.servers import Server
from tests.interop.calls import PATIENCE, Call, Json, Result, tree
from tests.interop.filling import variants
from tests.interop.world import events

DEADLINE = 0.25
WORDS = 'Grüße ☕ 𝄞 100% %41 "x" \\ \n\tZeile'
_FIELD_OF_A_NEWER_SIDECAR = b"\xf2\x3f\x05later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call, and what the server does about it: a status or an answer.

    Without a status the server is silent until the deadline.
    """

    call: Call
    response: Message | None = None
    status: grpc.StatusCode | None = grpc.StatusCode.OK
    message: str = ""
    extra: bytes = b""

    @property
    def result(self) -> Result:
        """What the caller must get."""
        if self.status is None:
            return Result(name=self.call.name, status="DEADLINE_EXCEEDED")
        return Result(
            name=self.call.name,
            status=self.status.name,
            message=self.message,
            response=None if self.response is None else tree(self.response),
        )


def steps() -> list[Step]:
    """Every method with everything; then statuses, a deadline and what is newer."""
    return [*_filled(), *_statuses(), *_events(), _newer(), _deadline()]


def _filled() -> Iterator[Step]:
    for method in METHODS:
        requests, responses = variants(method.request), variants(method.response)
        for number, (request, response) in enumerate(zip_longest(requests, responses)):
            yield Step(
                call=Call(
                    name=f"{method.name} {number}",
                    method=method.name,
                    request=requests[-1] if request is None else request,
                ),
                response=responses[-1] if response is None else response,
            )


def _question(name: str, *, timeout: float = PATIENCE) -> Call:
    request = GetEntitlementRequest(customer_id="grün ☕")
    return Call(name=name, method="GetEntitlement", request=request, timeout=timeout)


def _statuses() -> Iterator[Step]:
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            # A write: our clients ask a read once more when nobody is there.
            call = Call(
                name=f"status {code.name}",
                method="ReloadEntitlements",
                request=ReloadEntitlementsRequest(customer_id="grün ☕"),
            )
            yield Step(call=call, status=code, message=WORDS)


def _events() -> Iterator[Step]:
    yield Step(
        call=Call(
            name="1,000 events",
            method="ReportEvents",
            request=ReportEventsRequest(events=events(1000)),
        ),
        response=Empty(),
    )


def _newer() -> Step:
    return Step(
        call=_question("answer with a field of a newer sidecar"),
        response=GetEntitlementResponse(has_access=True),
        extra=_FIELD_OF_A_NEWER_SIDECAR,
    )


def _deadline() -> Step:
    return Step(call=_question("deadline", timeout=DEADLINE), status=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A request as a server got it."""

    method: str
    request: Json


class EchoServer(Server):
    """Answers the steps one after the other and keeps what arrived."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._left = iter(steps)
        super().__init__(self._next)

    def _next(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        step = next(self._left)
        if step.status is None:
            over = threading.Event()
            context.add_callback(over.set)
            over.wait(PATIENCE)
        elif step.response is None:
            context.abort(step.status, step.message)
        else:
            return step.response.SerializeToString() + step.extra
        return b""

    def arrived(self) -> list[Arrived]:
        """The requests, read by our own code."""
        kinds = {method.path: method for method in METHODS}
        return [
            Arrived(
                method=kinds[path].name,
                request=tree(kinds[path].request.FromString(data)),
            )
            for path, data in zip(self.paths, self.requests, strict=True)
        ]


def sent(steps: Sequence[Step]) -> list[Arrived]:
    """What must arrive."""
    return [
        Arrived(method=step.call.method, request=tree(step.call.request))
        for step in steps
        if step.call.request is not None
    ]
