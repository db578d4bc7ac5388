"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import sidecar_client
from sidecar_client.protocol import sidecar_pb2 as pb

ERRORS = {
    "ConfigurationError",
    "SidecarError",
    "SidecarRejected",
    "SidecarTimeout",
    "SidecarUnavailable",
    "StiggGuardError",
}


def test_the_public_names_are_clients_messages_enums_and_errors() -> None:
    messages = set(pb.DESCRIPTOR.message_types_by_name)
    enums = set(pb.DESCRIPTOR.enum_types_by_name)
    clients = {"Stigg", "SyncStigg"}
    assert set(sidecar_client.__all__) == clients | messages | enums | ERRORS
    assert sidecar_client.__all__ == sorted(sidecar_client.__all__)
    assert all(hasattr(sidecar_client, name) for name in sidecar_client.__all__)


def test_importing_and_building_the_clients_imports_no_grpc_and_no_local_sidecar() -> (
    None
):
    code = (
        "import sys, sidecar_client as s;"
        "s.Stigg(target='127.0.0.1:80'); s.SyncStigg(); s.Stigg();"
        "print([m for m in sys.modules if m == 'grpc' or m.startswith('grpc.')"
        " or 'sidecar_client.local' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
