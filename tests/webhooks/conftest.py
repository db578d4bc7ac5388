"""The sites of all frameworks, and a sidecar that answers as a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from sidecar_client.local.clock import MovableClock
from sidecar_client.local.due import Due
from tests.scripted_sidecar import ScriptedSidecar, scripted_sidecar
from tests.webhooks.samples import SECRET
from tests.webhooks.sites import SITES, Site, Visits
from tests.webhooks.telling import Move, Tells

Build = Callable[..., Visits]


@pytest.fixture
def scripted() -> Iterator[ScriptedSidecar]:
    """A real server that answers as told."""
    with scripted_sidecar() as running:
        yield running


@pytest.fixture(params=SITES)
def build(request: pytest.FixtureRequest, scripted: ScriptedSidecar) -> Iterator[Build]:
    """Builds the site in one framework after the other."""
    built: list[Site] = []

    def make(on_event: Any = None, **settings: Any) -> Visits:
        options = {
            "target": scripted.target,
            "timeout": 5,
            "write_timeout": 5,
            "webhook_secret": SECRET,
            **settings,
        }
        site = SITES[request.param](on_event, **options)
        built.append(site)
        return Visits(site)

    yield make
    for site in reversed(built):
        site.close()


@pytest.fixture
async def due(tells: Tells) -> AsyncIterator[Move]:
    """Moves the clock on, and lets what is due be told."""
    clock = tells.world.clock
    assert isinstance(clock, MovableClock)
    running = Due(tells.world)
    tells.world.listeners.append(running.note)
    task = asyncio.ensure_future(running.run())

    async def move(by: timedelta) -> None:
        clock.advance(by)
        running.look()
        for _ in range(50):
            await asyncio.sleep(0)

    await move(timedelta())
    yield move
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
