"""Processes of the Redis outbox's tests: `python -m ... URL PREFIX ROLE ARGUMENTS`.

What they have to do with each other is said in `test_redis_workers`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import redis

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import Delivered, NewRow
from stigg_guard.metering.outbox.redis import RedisOutbox
from stigg_guard.subject import Subject


def raw(url: str) -> Any:
    """A plain client, to look past the outbox."""
    pool: Any = redis.ConnectionPool.from_url(url)  # pyright: ignore
    return redis.Redis(connection_pool=pool)


def usage(
    customer: str = "customer-demo-01", *, feature: str = "f", value: float = 1
) -> NewRow:
    """Calculated usage, which has a lane."""
    return NewRow(
        measurement=Measurement(
            subject=Subject(customer), feature_id=feature, value=value
        )
    )


def event(key: str | None = None) -> NewRow:
    """A raw event, which has none."""
    subject = Subject("customer-demo-01")
    if key is None:
        return NewRow(measurement=Measurement(subject=subject, event="sent"))
    return NewRow(measurement=Measurement(subject=subject, event="sent", key=key))


def produce(outbox: RedisOutbox, name: str, count: int) -> None:
    """Store events and usage in turn; the value says which one of its lane it is."""
    for number in range(count):
        outbox.put([event(f"{name}-{number}"), usage(name, value=number)])


def deliver(outbox: RedisOutbox, url: str, log: str, total: int) -> None:
    """Claim and log rows until all are delivered."""
    worker = f"{os.getpid()}-{threading.get_ident()}"
    server = raw(url)
    while outbox.status().delivered < total:
        rows = outbox.claim(worker, most=7, lease=60)
        for row in rows:
            it = row.measurement
            server.rpush(log, f"{it.key}|{it.lane or ''}|{it.value:g}")
        outbox.finish(worker, [Delivered(id=row.id) for row in rows])
    server.close()


def in_threads(count: int, outbox: RedisOutbox, role: str, *arguments: str) -> None:
    """Play a role several times at once."""

    def play(number: int) -> None:
        if role == "produce":
            produce(outbox, f"{arguments[0]}-{number}", int(arguments[1]))
        else:
            deliver(outbox, arguments[0], arguments[1], int(arguments[2]))

    threads = [threading.Thread(target=play, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("done", flush=True)


def hold(outbox: RedisOutbox, lease: float) -> None:
    """Claim everything, say so, and do nothing until somebody ends it."""
    rows = outbox.claim("held", most=100, lease=lease)
    print(len(rows), flush=True)
    time.sleep(600)


def fork(outbox: RedisOutbox) -> None:
    """Store from a process and from its child, over connections of their own."""
    outbox.put([event("before")])
    outbox.submit([event("before, in a thread")]).result(10)
    child = os.fork()
    for number in range(50):
        outbox.put([event(f"{'child' if child == 0 else 'parent'}-{number}")])
        outbox.submit([event(f"{child == 0}-{number}")]).result(10)
    outbox.close()
    if child == 0:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(status, outbox.status().pending, flush=True)


def main() -> None:
    url, prefix, role, *arguments = sys.argv[1:]
    outbox = RedisOutbox(url, prefix=prefix)
    if role == "hold":
        hold(outbox, float(arguments[0]))
    elif role == "fork":
        fork(outbox)
    else:
        in_threads(2, outbox, role, *arguments)
    outbox.close()


if __name__ == "__main__":
    main()
