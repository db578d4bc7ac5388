"""The sidecar of the rounds: a process whose counts outlive it, as the vendor's do.

`python -m tests.crash.sidecar PORT JOURNAL LIMIT LAG` serves until it is killed. What
it counted is in the journal before it is acknowledged.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sidecar_client import ReportUsageRequest, ReportUsageResponse, UsageUpdateBehavior
from tests.counting_sidecar import CountingSidecar


class DurableSidecar(CountingSidecar):
    """Counts as its journal says, and writes what it counts there."""

    def __init__(self, journal: Path, *, limit: float, lag: float) -> None:
        super().__init__(limit=limit, lag=lag, clock=time.time)
        self._lines: list[str] = []
        for entry in entries(journal):
            counter = self._counter(entry["customer"], None)
            counter.put(entry["total"], entry["at"])
        self._file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.on_applied = self._write

    def _count(self, request: ReportUsageRequest) -> ReportUsageResponse:
        response = super()._count(request)
        is_set = (
            request.update_behavior == UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_SET
        )
        if request.value or is_set:
            entry = {
                "customer": request.customer_id,
                "value": request.value,
                "total": response.current_usage,
                "request": request.dimensions["request"].string_value,
                "at": self.clock(),
            }
            self._lines.append(json.dumps(entry) + "\n")
        return response

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        # One write: killed amid a batch, it has all of it or nothing.
        os.write(self._file, "".join(lines).encode())


def entries(journal: Path) -> list[dict[str, Any]]:
    """What was counted, in its order."""
    if not journal.exists():
        return []
    return [json.loads(line) for line in journal.read_text().splitlines()]


def main() -> None:
    port, journal, limit, lag = sys.argv[1:]
    sidecar = DurableSidecar(Path(journal), limit=float(limit), lag=float(lag))
    sidecar.start(int(port))
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
