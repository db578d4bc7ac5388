"""Generates the vendor stack's code from our own proto, with betterproto's plugin.

Nothing of the vendor's is used; how the code is driven is in `clients`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.clients import VENDOR_CODE

ROOT = Path(__file__).resolve().parent.parent


def generate() -> None:
    """Write the code into `build/`; the plugin is found beside this Python."""
    VENDOR_CODE.mkdir(parents=True, exist_ok=True)
    beside = Path(sys.executable).parent
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            *("-I", "stigg/sidecar/v1=sidecar_client/protocol"),
            f"--python_betterproto_out={VENDOR_CODE}",
            "stigg/sidecar/v1/sidecar.proto",
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
