"""What a sidecar says of itself: its health, and its protocol by server reflection.

Our client has no methods for these, so the answers are taken from where they are made.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from google.protobuf import empty_pb2, struct_pb2, timestamp_pb2

from sidecar_client.methods import SERVICE
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.interop.calls import Call, Json, Result

_FILES = (
    *(pb.DESCRIPTOR, empty_pb2.DESCRIPTOR),
    *(struct_pb2.DESCRIPTOR, timestamp_pb2.DESCRIPTOR),
)
_SERVICES = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    SERVICE,
)


def about_the_server(calls: Sequence[Call]) -> list[Result]:
    """What the calls must get that are not about one of the twelve methods."""
    return [_result(call) for call in calls if call.operation != "call"]


def _result(call: Call) -> Result:
    if call.operation == "services":
        response: Json = {"services": [*sorted(_SERVICES)]}
    elif call.operation == "file":
        texts = [base64.b64encode(file.serialized_pb).decode() for file in _FILES]
        response = {"files": [*sorted(texts)]}
    elif call.method in ("", SERVICE):
        response = {"status": "SERVING"}
    else:
        return Result(name=call.name, status="NOT_FOUND")
    return Result(name=call.name, status="OK", response=response)
