"""A local sidecar whose REST API the vendor's own clients drive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import stigg

from sidecar_client.local import LocalSidecar
from tests.local.management.conftest import CATALOG
from tests.local.wire import Clock


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
def sidecar(clock: Clock) -> Iterator[LocalSidecar]:
    """A sidecar with two products, and customers with and without a subscription."""
    with LocalSidecar(CATALOG, clock=clock, http_port=0) as running:
        yield running


@pytest.fixture
def url(sidecar: LocalSidecar) -> str:
    """Where the sidecar serves HTTP."""
    assert sidecar.http_url is not None
    return sidecar.http_url


@pytest.fixture
def client(url: str) -> Iterator[stigg.Stigg]:
    """The vendor's client, unmodified, which validates what it is answered."""
    with stigg.Stigg(
        api_key="any", base_url=url, _strict_response_validation=True
    ) as vendor:
        yield vendor


@pytest.fixture
async def async_client(url: str) -> AsyncIterator[stigg.AsyncStigg]:
    """The vendor's asyncio client, as well."""
    async with stigg.AsyncStigg(
        api_key="any", base_url=url, _strict_response_validation=True
    ) as vendor:
        yield vendor
