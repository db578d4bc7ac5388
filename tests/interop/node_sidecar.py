"""A sidecar written in Node, that answers our own clients as a script says.

Its code is `node/server.js`. The way back, Node as a client, is one of the `peers`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.interop.calls import tree, without_nulls
from tests.interop.echo import Arrived, Step
from tests.interop.installing import BUILD, PROTOS


class NodeSidecar:
    """Runs for as long as the block; what it got can be looked at after it."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.target = ""
        self.arrived: list[Arrived] = []
        self._script = json.dumps([_step(step) for step in steps])
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["node", BUILD / "node" / "server.js", PROTOS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(self._script, file=self._process.stdin, flush=True)
        self.target = json.loads(self._process.stdout.readline())["target"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        printed, _ = self._process.communicate(timeout=60)
        for line in printed.splitlines():
            said = json.loads(line)
            self.arrived.append(
                Arrived(method=said["method"], request=without_nulls(said["request"]))
            )


def _step(step: Step) -> dict[str, object]:
    return {
        "status": None if step.status is None else step.status.name,
        "message": step.message,
        "response": None if step.response is None else tree(step.response),
    }
