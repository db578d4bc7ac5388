"""Many threads and processes at one Redis outbox: nothing lost, nothing done twice.

Workers and servers end as they do in life, with SIGKILL.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stigg_guard.metering.outbox.base import Delivered, OutboxUnavailable
from stigg_guard.metering.outbox.redis import RedisOutbox
from tests.metering.outbox.redis_worker import event, raw, usage
from tests.redis_server import RedisServer, redis_server

ROOT = Path(__file__).parents[3]


@contextmanager
def worker(
    server: RedisServer, role: str, *arguments: object
) -> Generator[subprocess.Popen[str]]:
    """A process in a role of `redis_worker`."""
    command = [sys.executable, "-m", "tests.metering.outbox.redis_worker"]
    words = [server.url, "stigg_guard", role, *map(str, arguments)]
    with subprocess.Popen(
        [*command, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_threads_of_processes_deliver_every_row_once_and_lanes_in_order() -> None:
    each, total = 60, 2 * 2 * 60 * 2
    with (
        redis_server("--appendfsync", "no") as server,
        worker(server, "produce", "one", each) as first,
        worker(server, "produce", "two", each) as second,
        worker(server, "deliver", server.url, "log", total) as third,
        worker(server, "deliver", server.url, "log", total) as fourth,
    ):
        for process in (first, second, third, fourth):
            assert first_line(process) == "done"
        log = [
            line.decode().split("|") for line in raw(server.url).lrange("log", 0, -1)
        ]
        outbox = RedisOutbox(server.url)
        assert outbox.status().pending == outbox.status().in_flight == 0
        outbox.close()

    assert len(log) == len({key for key, _, _ in log}) == total
    lanes: dict[str, list[int]] = defaultdict(list)
    for _, lane, value in log:
        if lane:
            lanes[lane].append(int(value))
    assert len(lanes) == 4
    assert all(values == list(range(each)) for values in lanes.values())


def test_rows_of_a_killed_worker_come_back_after_the_lease() -> None:
    with redis_server() as server:
        outbox = RedisOutbox(server.url)
        outbox.put([event(), usage(), usage()])
        with worker(server, "hold", 1.0) as holder:
            assert first_line(holder) == "3"
            holder.kill()
            assert outbox.claim("other", most=9, lease=60) == []
            later = usage()
            outbox.put([later])

            rows = outbox.claim("other", most=9, lease=60)
            give_up = time.monotonic() + 10
            while not rows:
                assert time.monotonic() < give_up, "they did not come back"
                rows = outbox.claim("other", most=9, lease=60)

        assert [row.was_in_flight for row in rows] == [True, True, True, False]
        outbox.finish("held", [Delivered(id=rows[0].id)])
        assert outbox.status().delivered == 0
        outbox.finish("other", [Delivered(id=row.id) for row in rows])
        assert outbox.status().delivered == 4
        outbox.close()


def test_everything_that_was_acknowledged_outlives_a_killed_server() -> None:
    acknowledged: list[str] = []

    def produce() -> None:
        outbox = RedisOutbox(server.url)
        while True:
            rows = [usage(), event(), event()]
            try:
                outbox.put(rows)
            except OutboxUnavailable:
                return
            acknowledged.extend(row.measurement.key for row in rows)

    with redis_server() as server:
        outbox = RedisOutbox(server.url)
        threads = [threading.Thread(target=produce) for _ in range(3)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 300:
            assert any(thread.is_alive() for thread in threads)
            time.sleep(0.001)
        held = outbox.claim("w", most=5, lease=600)
        outbox.finish("w", [Delivered(id=row.id) for row in held[:2]])
        server.kill()
        for thread in threads:
            thread.join()

        server.start()

        stored = {row.measurement.key: row for row in outbox.waiting()}
        gone = {row.measurement.key for row in held[:2]}
        assert set(acknowledged) - gone <= stored.keys()
        assert not gone & stored.keys()
        assert outbox.status().in_flight == 3
        outbox.finish("w", [Delivered(id=row.id) for row in held[2:]])
        assert outbox.status().delivered == 5
        while rows := outbox.claim("w", most=500, lease=600):
            outbox.finish("w", [Delivered(id=row.id) for row in rows])
        assert outbox.status().delivered == len(stored) + 2
        outbox.close()


def test_forked_process_has_connections_of_its_own() -> None:
    with redis_server("--appendfsync", "no") as server, worker(server, "fork") as both:
        # The child stores 100 rows and the parent 102.
        assert first_line(both) == "0 202"


def test_many_producers_at_once_store_all_they_are_told_they_did() -> None:
    with redis_server() as server:
        outbox = RedisOutbox(server.url)
        futures = [outbox.submit([event(), usage()]) for _ in range(300)]
        threads = [
            threading.Thread(target=outbox.put, args=([event()],)) for _ in range(64)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [future.result(10) for future in futures] == [None] * 300
        assert outbox.status().pending == 664
        outbox.submit([event()])
        outbox.close()
        assert outbox.status().pending == 665
        outbox.close()
