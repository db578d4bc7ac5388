"""Real gRPC servers that answer raw bytes, for what a sidecar would never answer.

What a sidecar does answer is tested against `LocalSidecar`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, cast

import grpc

from sidecar_client import GetEntitlementRequest, GetEntitlementResponse

Answer = Callable[[bytes, grpc.ServicerContext], bytes]

QUESTION: Final = GetEntitlementRequest(customer_id="c", feature_id="f")
ALLOWED: Final = GetEntitlementResponse(has_access=True).SerializeToString()


def allow(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Answer that the customer has access."""
    return ALLOWED


class Say:
    """Answers with these bytes."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __call__(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        return self._answer


class Fail:
    """Answers with a status code."""

    def __init__(self, code: grpc.StatusCode, details: str = "so it says") -> None:
        self._code = code
        self._details = details

    def __call__(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(self._code, self._details)


class Hold:
    """Answers once it is let go; counts how many calls wait at most."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._change = threading.Condition()
        self.waiting = 0
        self.most = 0

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._change:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self._change.notify_all()
        self._go.wait(10)
        with self._change:
            self.waiting -= 1
        return allow(request, context)

    def let_go(self) -> None:
        self._go.set()

    def wait_for(self, count: int) -> None:
        """Return when `count` calls have arrived."""
        with self._change:
            assert self._change.wait_for(lambda: self.most >= count, 10)


class Server(grpc.GenericRpcHandler):
    """A gRPC server on a free port of the loopback; every method gets `answer`."""

    def __init__(
        self,
        answer: Answer = allow,
        *,
        address: str = "127.0.0.1:0",
        credentials: grpc.ServerCredentials | None = None,
        options: tuple[tuple[str, Any], ...] = (),
        workers: int = 16,
    ) -> None:
        self.answer = answer
        self.paths: list[str] = []
        self.requests: list[bytes] = []
        self.left: list[float] = []
        self._server = grpc.server(
            ThreadPoolExecutor(workers), handlers=[self], options=options
        )
        if credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, credentials)
        is_unix = address.startswith("unix:")
        self.target = address if is_unix else f"{address.rpartition(':')[0]}:{port}"
        self._server.start()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        self.paths.append(handler_call_details.method)
        return cast(
            "grpc.RpcMethodHandler[bytes, bytes]",
            grpc.unary_unary_rpc_method_handler(self._answer),
        )

    def stop(self) -> None:
        self._server.stop(0).wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append(request)
        self.left.append(context.time_remaining() or float("inf"))
        return self.answer(request, context)
