"""The contract in each of our frameworks: which client runs it."""

from __future__ import annotations

from importlib import import_module

import pytest

from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.fixtures import Build, build, client, sidecar

__all__ = ["FRAMEWORKS", "Build", "build", "client", "client_type", "sidecar"]

FRAMEWORKS = {
    "django-sync": "django_.DjangoSyncClient",
    "django-async": "django_.DjangoAsyncClient",
    "flask": "flask_.FlaskClient",
    "starlette": "starlette_.StarletteClient",
    "fastapi": "fastapi_.FastapiClient",
    "asgi": "asgi.AsgiClient",
    "wsgi": "wsgi.WsgiClient",
}


@pytest.fixture(params=FRAMEWORKS)
def client_type(request: pytest.FixtureRequest) -> type[BehaviourClient]:
    """One framework after the other."""
    module, name = FRAMEWORKS[request.param].split(".")
    found: type[BehaviourClient] = getattr(
        import_module(f"tests.behaviour.frameworks.{module}"), name
    )
    return found
