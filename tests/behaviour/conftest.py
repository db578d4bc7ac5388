"""The suite's fixtures: a real sidecar, and one client per framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from tests.behaviour.client import BehaviourClient

FRAMEWORKS = {
    "django-sync": "django_.DjangoSyncClient",
    "django-async": "django_.DjangoAsyncClient",
    "flask": "flask_.FlaskClient",
    "starlette": "starlette_.StarletteClient",
    "fastapi": "fastapi_.FastapiClient",
    "asgi": "asgi.AsgiClient",
    "wsgi": "wsgi.WsgiClient",
}

Build = Callable[..., BehaviourClient]


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """The demo catalog behind a real gRPC server."""
    with LocalSidecar() as running:
        yield running


@pytest.fixture(params=FRAMEWORKS)
def build(request: pytest.FixtureRequest) -> Iterator[Build]:
    """Builds the application in one framework after the other."""
    module, name = FRAMEWORKS[request.param].split(".")
    client_type = getattr(import_module(f"tests.behaviour.frameworks.{module}"), name)
    built: list[BehaviourClient] = []

    def make(**settings: Any) -> BehaviourClient:
        client: BehaviourClient = client_type(**settings)
        built.append(client)
        return client

    yield make
    for client in built:
        client.end()


@pytest.fixture
def client(build: Build, sidecar: LocalSidecar) -> BehaviourClient:
    """The application against the demo catalog, with a deadline for busy machines."""
    return build(target=sidecar.target, timeout=5, write_timeout=5)
