"""A program that uses an outbox file, as one of many processes.

`python -m tests.metering.outbox.sqlite_process WAY PATH [COUNT]` prints a line for
every key that it stored or delivered, once that is acknowledged.
"""

from __future__ import annotations

import os
import sys
import threading
from itertools import count

from stigg_guard.errors import StiggGuardError
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.metering.outbox.samples import deliver, event, keys, usage

WAY, PATH = sys.argv[1:3]
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 0
outbox = SqliteOutbox(PATH, busy_timeout=30)


def say(*words: str) -> None:
    # One write for each line: threads would mix them up.
    os.write(1, (" ".join(words) + "\n").encode())


def put() -> None:
    """Store so many, in the order of three lanes."""
    for number in range(COUNT):
        row = usage(f"c{number % 3}")
        outbox.put([row])
        say(*keys([row]))


def put_for_ever() -> None:
    """Store from four threads, two at a time, until killed."""

    def produce() -> None:
        for _ in count():
            rows = [event(), usage()]
            outbox.put(rows)
            say(*keys(rows))

    threads = [threading.Thread(target=produce) for _ in range(4)]
    for thread in threads:
        thread.start()


def work() -> None:
    """Deliver until that many were delivered by all processes together."""
    while outbox.status().delivered < COUNT:
        for key in deliver(outbox, f"worker-{os.getpid()}", most=10):
            say(key)


def claim() -> None:
    """Claim everything for an hour and die with it."""
    for row in outbox.claim("dead", most=COUNT, lease=3600):
        say(row.measurement.key)
    os.kill(os.getpid(), 9)


def fork() -> None:
    """Store in parent and child in turn, while a thread of the parent stores too."""
    stop = threading.Event()

    def produce() -> None:
        while not stop.is_set():
            row = event()
            outbox.put([row])
            say(*keys([row]))

    thread = threading.Thread(target=produce)
    thread.start()
    for _ in range(COUNT):
        pid = os.fork()
        if not pid:
            row = event()
            outbox.put([row])
            found = outbox.submit([(submitted := event())])
            found.result(timeout=30)
            say(*keys([row, submitted]))
            outbox.close()
            os._exit(0)
        row = event()
        outbox.put([row])
        say(*keys([row]))
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
    stop.set()
    thread.join()


def leave() -> None:
    """Submit, and end without closing anything."""
    rows = [event() for _ in range(COUNT)]
    for row in rows:
        outbox.submit([row])
        say(*keys([row]))


def as_nobody() -> None:
    """Try to store with the rights of a user who owns nothing."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        outbox.check()
    except StiggGuardError as error:
        say(type(error).__name__, str(error))


if __name__ == "__main__":
    globals()[WAY]()
