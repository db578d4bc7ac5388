"""The fixtures of the local sidecar's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from sidecar_client.local import LocalSidecar
from tests.local.wire import Clock

Serve = Callable[..., LocalSidecar]


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at the time of the vendor's sample results."""
    return Clock()


@pytest.fixture
def demo(clock: Clock) -> Iterator[LocalSidecar]:
    """The demo catalog, served."""
    with LocalSidecar(clock=clock) as sidecar:
        yield sidecar


@pytest.fixture
def serve(clock: Clock) -> Iterator[Serve]:
    """Serves a world with one customer `c`: its features, plans and what it has."""
    with ExitStack() as running:

        def start(
            features: list[dict[str, object]],
            plans: dict[str, dict[str, object]],
            **customer: object,
        ) -> LocalSidecar:
            catalog: dict[str, object] = {
                "features": features,
                "plans": [
                    {"id": name, "entitlements": granted}
                    for name, granted in plans.items()
                ],
                "customers": [{"id": "c", **customer}],
            }
            return running.enter_context(LocalSidecar(catalog, clock=clock))

        yield start
