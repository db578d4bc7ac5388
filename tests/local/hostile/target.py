"""A local sidecar in a process of its own, so that its end and its size can be seen.

What it is sent does not live here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import grpc
import psutil

from sidecar_client.methods import GET_ENTITLEMENT
from sidecar_client.protocol import sidecar_pb2 as pb

MEGABYTE = 1024 * 1024
_COMMAND = (sys.executable, "-m", "stigg_guard.cli", "sidecar", "run")
_PORTS = ("--port", "0", "--http-port", "0")


class Target:
    """One run; its log is a file that can be read while it runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / "sidecar.log"
        self._seen = 0
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*_COMMAND, *_PORTS, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline() + self._process.stdout.readline()
        found = re.findall(r"127\.0\.0\.1:(\d+)", said)
        assert len(found) == 2, f"it said {said!r}, and {self.log!r}"
        self.port, self.http_port = map(int, found)
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}", [("grpc.max_send_message_length", -1)]
        )

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self._log.read_text()

    def _newly_logged(self) -> str:
        """What it logged since this was asked last, so that each test has its own."""
        logged = self.log
        new, self._seen = logged[self._seen :], len(logged)
        return new

    @property
    def megabytes(self) -> float:
        """The memory it has now."""
        return psutil.Process(self._process.pid).memory_info().rss / MEGABYTE

    def call(self, path: str, payload: bytes) -> tuple[grpc.StatusCode, str, bytes]:
        """The status with its message, and the answer, of bytes sent as they are."""
        try:
            return grpc.StatusCode.OK, "", self._send(path, payload)
        except grpc.RpcError as error:
            call = cast("grpc.Call", error)
            return call.code(), call.details() or "", b""

    def _send(self, path: str, payload: bytes) -> bytes:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(
            path
        )
        return method(payload, timeout=10)

    def check_serves(self) -> None:
        """It still runs, answers a good request, and logged no error of its own."""
        assert self._process.poll() is None, self.log
        question = pb.GetEntitlementRequest(
            customer_id="customer-demo-01", feature_id="feature-03-custom-domain"
        )
        answer = self._send(GET_ENTITLEMENT.path, question.SerializeToString())
        pb.GetEntitlementResponse.FromString(answer)
        logged = self._newly_logged()
        assert "Traceback" not in logged, logged
        assert " ERROR " not in logged, logged

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.channel.close()
        self._process.terminate()
        self._process.communicate(timeout=30)


@contextmanager
def bounded(target: Target, megabytes: float) -> Generator[None]:
    """What is done here leaves it at most so much larger, and in good health."""
    target.check_serves()
    before = target.megabytes
    yield
    target.check_serves()
    assert target.megabytes - before < megabytes
