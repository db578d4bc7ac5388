"""Fixtures of the adapters' own tests: the demo catalog behind a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar_client.local import LocalSidecar
from tests.integrations.django_site import configure

# Django REST framework reads the settings when it is imported.
configure()


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """The demo catalog behind a real gRPC server."""
    with LocalSidecar() as running:
        yield running
