"""A sidecar with HTTP, and clients that ask it as programs and browsers do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from sidecar_client.local import LocalSidecar

TOKEN = "a-token-of-24-characters"

Client = Callable[[LocalSidecar], httpx.Client]


@pytest.fixture(scope="module")
def running() -> Iterator[LocalSidecar]:
    """One that the tests of a module share, and leave as they found it."""
    with LocalSidecar(http_port=0) as sidecar:
        yield sidecar


@pytest.fixture(scope="module")
def guarded() -> Iterator[LocalSidecar]:
    """One that asks for a token."""
    with LocalSidecar(http_port=0, token=TOKEN) as sidecar:
        yield sidecar


@pytest.fixture
def client_of() -> Iterator[Client]:
    """Makes clients that end with the test."""
    with ExitStack() as made:

        def client(sidecar: LocalSidecar) -> httpx.Client:
            assert sidecar.http_url
            return made.enter_context(
                # Reading the certificates of the system takes long, and none is used.
                httpx.Client(base_url=sidecar.http_url, timeout=10, verify=False)
            )

        yield client


@pytest.fixture
def client(running: LocalSidecar, client_of: Client) -> httpx.Client:
    """A program in front of the shared sidecar."""
    return client_of(running)
