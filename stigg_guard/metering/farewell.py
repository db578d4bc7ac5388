"""Usage that no outbox took until the process ends: sent past it, where that is safe.

`spill` keeps it meanwhile; what becomes of the rest is `stores`' to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from stigg_guard.metering.outbox.base import Outbox, OutboxUnavailable
from stigg_guard.metering.outbox.memory import MemoryOutbox
from stigg_guard.metering.outbox.row import NewRow, Row
from stigg_guard.metering.worker import Worker

_PAUSE: Final = 0.01


def send_directly(
    rows: Sequence[NewRow],
    outbox: Outbox,
    worker_of: Callable[[Outbox], Worker],
    timeout: float,
) -> Sequence[NewRow | Row]:
    """Send rows to the sidecar past their outbox, for so long; what is left of them.

    What the outbox stored after all is its own to deliver.
    """
    rows, may_send = _told_apart(rows, outbox)
    sent = [row for row in rows if may_send(row)]
    left = [row for row in rows if not may_send(row)]
    if not sent:
        return left
    queue = MemoryOutbox(most=len(sent))
    queue.put(sent)
    worker, give_up = worker_of(queue), time.monotonic() + timeout
    worker.step()
    while queue.status().pending and time.monotonic() < give_up:
        if not worker.step():
            time.sleep(_PAUSE)
    return [*left, *queue.waiting()]


def _told_apart(
    rows: Sequence[NewRow], outbox: Outbox
) -> tuple[Sequence[NewRow], Callable[[NewRow], bool]]:
    """The rows that the outbox has not, and which of them may be sent now.

    An outbox that is silent may have a row all the same: only events bear that. A new
    total must not overtake the changes that wait in it.
    """
    try:
        found = outbox.find([row.measurement.key for row in rows])
        status = outbox.status()
    except OutboxUnavailable:
        return rows, lambda row: row.measurement.event is not None
    has = {row.measurement.key for row in found}
    is_empty = status.pending + status.in_flight == 0
    missing = [row for row in rows if row.measurement.key not in has]
    return missing, lambda row: is_empty or row.measurement.update != "set"
