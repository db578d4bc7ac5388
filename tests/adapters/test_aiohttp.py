"""An adapter of somebody else's under the contract."""

import pytest

from stigg_guard.testing.contract.suite import *  # noqa: F403
from tests.adapters.aiohttp_client import AiohttpClient


@pytest.fixture
def client_type() -> type[AiohttpClient]:
    return AiohttpClient
