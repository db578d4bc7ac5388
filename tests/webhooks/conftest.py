"""The sites of all frameworks, and a sidecar that answers as a test tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scripted_sidecar import ScriptedSidecar, scripted_sidecar
from tests.webhooks.samples import SECRET
from tests.webhooks.sites import SITES, Site, Visits

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
