"""A SQLite outbox, a sidecar, and the front ends of the commands on both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.integrations.django_site import configure

configure()

from tests.commands.fronts import FRONTS, Front  # noqa: E402  # Django is set up above


@pytest.fixture(autouse=True)
def _environment_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("STIGG_GUARD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """The demo catalog behind a real gRPC server."""
    with LocalSidecar() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[SqliteOutbox]:
    """An outbox that is empty, and there."""
    found = SqliteOutbox(tmp_path / "outbox.db")
    found.check()
    yield found
    found.close()


@pytest.fixture(params=FRONTS, ids=lambda front: str(front.name))
def front(
    request: pytest.FixtureRequest, outbox: SqliteOutbox, sidecar: LocalSidecar
) -> Front:
    """Each front end in turn, on the outbox and the sidecar."""
    kind: type[Front] = request.param
    return kind(outbox=outbox.location, target=sidecar.target)
