"""A process that claims rows until none is left; it prints their keys as JSON.

Its arguments are a name and an entry of DATABASES, as JSON.
"""

from __future__ import annotations

import json
import sys

from stigg_guard.metering.outbox.base import Delivered
from tests.metering.django.site import added


def main(worker: str, entry: str) -> None:
    """Deliver what is there, a few rows at a time."""
    with added("other", json.loads(entry)):
        from stigg_guard_django.outbox import DjangoOutbox

        outbox = DjangoOutbox("other")
        print("ready", flush=True)
        sys.stdin.readline()
        claimed: list[str] = []
        # A claim may be empty while another one has not committed yet.
        while outbox.status().pending:
            rows = outbox.claim(worker, most=7, lease=60)
            claimed += [row.measurement.key for row in rows]
            outbox.finish(worker, [Delivered(id=row.id) for row in rows])
        print(json.dumps(claimed), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
