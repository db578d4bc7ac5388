"""One round: a hundred requests for six units while processes are killed; the sums.

What is killed, and what runs, is in `cast`.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.row import Row
from tests.crash.cast import LAG, LEASE, LIMIT, Cast, wait_for


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What a round came to, in units."""

    answers: Counter[str] = field(default_factory=Counter[str])
    finished: int
    confirmed: int
    counted: int
    parked: int
    left: int
    done: tuple[str, ...]

    @property
    def over(self) -> int:
        """Granted over the limit."""
        return max(0, self.confirmed - LIMIT, self.counted - LIMIT)

    @property
    def lost(self) -> int:
        """Confirmed to a client, and not counted by the sidecar."""
        return max(0, self.confirmed - self.counted)

    @property
    def doubled(self) -> int:
        """Counted by the sidecar, without a view that ran to its end."""
        return max(0, self.counted - self.finished)


class Round:
    """A customer of its own, in processes that go on from round to round."""

    def __init__(self, cast: Cast, number: int, *, seed: int) -> None:
        self._cast = cast
        self._customer = f"customer-{number}"
        self._random = random.Random(seed * 1_000 + number)
        self._answers: Counter[str] = Counter()
        self._confirmed: set[str] = set()
        self._lock = threading.Lock()
        self._done: list[str] = []

    def run(self) -> Sums:
        """Sixty requests in trouble, forty when all is back; then wait for the end."""
        self._in_trouble(60)
        self._burst("calm", 40)
        parked = self._recover()
        cast, customer = self._cast, self._customer
        status = cast.outbox().status()
        return Sums(
            answers=self._answers,
            finished=len(cast.finished(customer)),
            confirmed=len(self._confirmed),
            counted=len(cast.used(customer)),
            parked=parked,
            left=status.pending + status.in_flight + status.parked,
            done=tuple(self._done),
        )

    def _in_trouble(self, count: int) -> None:
        over = threading.Event()
        villain = threading.Thread(target=self._make_trouble, args=(over,))
        if self._cast.setup.through_proxy:
            self._cast.proxy.trouble = 0.1
        villain.start()
        try:
            self._burst("trouble", count, within=1.0)
        finally:
            over.set()
            villain.join()
            self._cast.proxy.trouble = 0.0
            self._cast.start_sidecar()

    def _make_trouble(self, over: threading.Event) -> None:
        actions: list[Callable[[], None]] = [
            self._kill_worker,
            self._kill_worker,
            self._kill_sidecar,
            self._restart_redis,
        ]
        while not over.wait(self._random.uniform(0.01, 0.25)):
            self._random.choice(actions)()

    def _kill_worker(self) -> None:
        self._done.append("worker")
        self._cast.kill_worker(self._random)

    def _kill_sidecar(self) -> None:
        self._done.append("sidecar")
        self._cast.kill_sidecar()
        time.sleep(self._random.uniform(0, 0.3))
        self._cast.start_sidecar()

    def _restart_redis(self) -> None:
        self._done.append("redis")
        self._cast.restart_redis()

    def _burst(self, name: str, count: int, within: float = 0) -> None:
        """Requests at the same time, or begun at random within some seconds."""
        delays = [self._random.uniform(0, within) for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            names = [f"{name}-{number}" for number in range(count)]
            list(pool.map(self._request, names, delays))

    def _request(self, name: str, delay: float) -> None:
        time.sleep(delay)
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._cast.port, timeout=30
        )
        headers = {"X-Customer": self._customer, "X-Request": name}
        try:
            connection.request("POST", "/use", headers=headers)
            answer = str(connection.getresponse().status)
        except (OSError, http.client.HTTPException):
            answer = "cut"
        finally:
            connection.close()
        with self._lock:
            self._answers[answer] += 1
            if answer == "200":
                self._confirmed.add(name)

    def _recover(self) -> int:
        """Wait until all is delivered and every dead holder's units are given back."""
        outbox = self._cast.outbox()
        try:
            time.sleep(LEASE + LAG)
            wait_for(lambda: _is_quiet(outbox), "the outbox is empty")
            parked = outbox.rows("parked", most=1_000)
            self._judge(outbox, parked)
            wait_for(lambda: _is_quiet(outbox), "the outbox is empty")
            self._burst("after", 10)
            wait_for(lambda: _is_quiet(outbox), "the outbox is empty")
            return len(parked)
        finally:
            outbox.close()

    def _judge(self, outbox: Outbox, parked: list[Row]) -> None:
        """The person: looks whether the sidecar counted it, and decides."""
        for row in parked:
            (name,) = (str(value) for _, value in row.measurement.dimensions)
            if name in self._cast.used(row.measurement.subject.customer_id):
                outbox.discard([row.id])
            else:
                outbox.retry([row.id])


def _is_quiet(outbox: Outbox) -> bool:
    status = outbox.status()
    return status.pending + status.in_flight == 0
