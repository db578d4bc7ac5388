"""Several sidecars on one Redis that is killed now and then: totals are exact."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.local.stores.sharing import (
    MOST_DIGITS,
    Outcome,
    report_all,
    sidecars,
    times_counted,
    total,
    write_catalog,
)
from tests.redis_server import RedisServer, redis_server

EXPLORE = bool(os.environ.get("EXPLORE"))
SIDECARS = 4 if EXPLORE else 2
CUSTOMERS = [f"customer-{number}" for number in range(60 if EXPLORE else 4)]
DIGITS = MOST_DIGITS if EXPLORE else 14
AT_ONCE = 12
REPORTS_BETWEEN_KILLS = 100 if EXPLORE else 15


class Killer:
    """Kills Redis after so many acknowledged reports, and starts it again."""

    def __init__(self, server: RedisServer) -> None:
        self.kills = 0
        self._server = server
        self._acknowledged = 0
        self._restart: asyncio.Task[None] | None = None

    def acknowledged(self) -> None:
        self._acknowledged += 1
        if self._acknowledged % REPORTS_BETWEEN_KILLS == 0 and self._is_idle():
            self._restart = asyncio.create_task(self._kill_and_start())

    async def done(self) -> None:
        if self._restart is not None:
            await self._restart

    def _is_idle(self) -> bool:
        return self._restart is None or self._restart.done()

    async def _kill_and_start(self) -> None:
        self.kills += 1
        self._server.kill()
        await asyncio.to_thread(self._server.start)


async def test_totals_are_exact_although_redis_is_killed(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.yaml"
    write_catalog(catalog, CUSTOMERS)
    with (
        redis_server() as server,
        sidecars(SIDECARS, store=server.url, catalog=catalog) as targets,
    ):
        killer = Killer(server)
        free = asyncio.Semaphore(AT_ONCE)

        async def report(customer: str) -> Outcome:
            async with free:
                return await report_all(targets, customer, DIGITS, killer.acknowledged)

        outcomes = await asyncio.gather(*map(report, CUSTOMERS))
        await killer.done()
        assert killer.kills >= 2
        counted = 0
        for customer, outcome in zip(CUSTOMERS, outcomes, strict=True):
            totals = {await total(target, customer) for target in targets}
            assert len(totals) == 1
            times = times_counted(totals.pop())
            counted += sum(times)
            assert {times[place] for place in outcome.acknowledged} <= {1}
            assert {times[place] for place in outcome.unclear} <= {0, 1}
            assert len(outcome.acknowledged) > DIGITS / 3
        assert {await total(target) for target in targets} == {counted}
