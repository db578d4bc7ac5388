"""The sidecar that hostile input is sent to, one for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.hostile.target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Serves the demo catalog."""
    with Target(tmp_path_factory.mktemp("hostile")) as target:
        yield target
