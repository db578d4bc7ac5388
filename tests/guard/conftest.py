"""Fixtures of the guard's own tests: a scripted sidecar and the local one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar_client.local import LocalSidecar
from tests.scripted_sidecar import ScriptedSidecar, scripted_sidecar


@pytest.fixture
def scripted() -> Iterator[ScriptedSidecar]:
    """A real server that answers as told."""
    with scripted_sidecar() as running:
        yield running


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """The demo catalog behind a real gRPC server."""
    with LocalSidecar() as running:
        yield running
