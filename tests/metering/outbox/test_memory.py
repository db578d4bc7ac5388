"""What the memory outbox has of its own: it is bounded, and ends with its process."""

from __future__ import annotations

import os

import pytest

from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.memory import MemoryOutbox
from tests.metering.outbox.samples import Clock, deliver, event, keys, usage


def test_memory_is_not_durable() -> None:
    assert MemoryOutbox.is_durable is False
    assert MemoryOutbox().location == "memory:"


def test_full_queue_takes_nothing_of_a_put() -> None:
    outbox = MemoryOutbox(most=10)
    rows = [event() for _ in range(8)]
    outbox.put(rows)
    with pytest.raises(OutboxUnavailable) as caught:
        outbox.put([event() for _ in range(3)])
    assert "the queue is full: the memory outbox holds 8 of at most 10" in str(
        caught.value
    )
    assert keys(outbox.rows()) == keys(rows)
    with pytest.raises(OutboxUnavailable, match="the queue is full"):
        outbox.submit([event() for _ in range(3)]).result(timeout=1)
    outbox.put([event(), event()])


def test_rows_that_are_known_take_no_room() -> None:
    outbox = MemoryOutbox(most=3)
    rows = [event() for _ in range(3)]
    outbox.put(rows)
    outbox.put(rows)
    assert outbox.status().pending == 3


def test_delivered_rows_make_room() -> None:
    outbox = MemoryOutbox(most=3)
    outbox.put([event() for _ in range(3)])
    deliver(outbox, most=2)
    outbox.put([event(), event()])
    with pytest.raises(OutboxUnavailable):
        outbox.put([event()])


def test_no_more_delivered_rows_are_kept_than_may_wait(clock: Clock) -> None:
    outbox = MemoryOutbox(most=5, clock=clock)
    rows = [event() for _ in range(12)]
    for row in rows:
        outbox.put([row])
        deliver(outbox)
    assert keys(outbox.rows("delivered")) == keys(rows[-5:])
    assert outbox.status().delivered == 12
    outbox.put(rows[:1])
    assert outbox.status().pending == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forked_child_starts_with_nothing() -> None:
    outbox = MemoryOutbox()
    outbox.put([usage(), event()])
    pid = os.fork()
    if not pid:
        is_empty = outbox.status().pending == 0 and not outbox.rows()
        outbox.put([event()])
        os._exit(0 if is_empty and outbox.status().pending == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert outbox.status().pending == 2
