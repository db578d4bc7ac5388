"""A grpc.aio server that thinks nothing: it reads a check and gives one answer.

What the local sidecar is compared with. `python -m bench.empty_server` prints its port
and serves until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc

from bench.question import ANSWER, METHOD
from sidecar_client.protocol.sidecar_pb2 import (
    GetEntitlementRequest,
    GetEntitlementResponse,
)

_ANSWER = GetEntitlementResponse.FromString(ANSWER)


async def _answer(_request: GetEntitlementRequest, _context: Any) -> Any:
    return _ANSWER


async def _serve() -> None:
    server = grpc.aio.server()
    _, service, method = METHOD.split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        _answer,
        request_deserializer=GetEntitlementRequest.FromString,
        response_serializer=GetEntitlementResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(_serve())
