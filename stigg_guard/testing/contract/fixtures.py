"""The suite's fixtures: a real sidecar, and the application in one framework.

Which framework that is says `client_type`, which whoever runs the suite defines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient

Build = Callable[..., BehaviourClient]

__all__ = ["Build", "build", "client", "sidecar"]


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """The demo catalog behind a real gRPC server."""
    with LocalSidecar() as running:
        yield running


@pytest.fixture
def build(client_type: type[BehaviourClient]) -> Iterator[Build]:
    """Builds the application with these settings of the guard."""
    built: list[BehaviourClient] = []

    def make(**settings: Any) -> BehaviourClient:
        client = client_type(**settings)
        built.append(client)
        return client

    yield make
    for client in built:
        client.end()


@pytest.fixture
def client(build: Build, sidecar: LocalSidecar) -> BehaviourClient:
    """The application against the demo catalog, with a deadline for busy machines."""
    return build(target=sidecar.target, timeout=5, write_timeout=5)
