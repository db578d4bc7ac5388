"""The fixtures of the tests of operations on a world."""

from __future__ import annotations

import pytest

from sidecar_client.local.loading import load_catalog
from sidecar_client.local.populate import populate
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Announcement, World
from tests.local.wire import Clock

CATALOG: dict[str, object] = {
    "features": [
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
        {"id": "size", "type": "numeric"},
        {"id": "export", "type": "enum", "values": ["csv", "pdf"]},
        {"id": "sso", "type": "boolean"},
    ],
    "currencies": [{"id": "tokens", "name": "Tokens"}],
    "products": [
        {"id": "app"},
        {"id": "sites", "multiple_subscriptions": True},
    ],
    "plans": [
        {"id": "free", "product": "app", "entitlements": {"seats": {"limit": 1}}},
        {
            "id": "pro",
            "product": "app",
            "pricing": "paid",
            "trial_days": 14,
            "entitlements": {"seats": {"limit": 10}, "sso": True},
        },
        {
            "id": "team",
            "product": "app",
            "pricing": "paid",
            "entitlements": {"seats": {"limit": 50}},
        },
        {
            "id": "site",
            "product": "sites",
            "pricing": "paid",
            "entitlements": {"seats": {"limit": 3}},
        },
    ],
    "addons": [
        {
            "id": "more-seats",
            "product": "app",
            "max_quantity": 5,
            "entitlements": {"seats": {"limit": 10}},
        }
    ],
    "customers": [
        {"id": "acme", "name": "Acme"},
        {"id": "old", "subscriptions": [{"plan": "free"}]},
    ],
}


@pytest.fixture
def clock() -> Clock:
    """A clock that the test sets."""
    return Clock()


@pytest.fixture
async def world(clock: Clock) -> World:
    """A world with two products, and customers with and without a subscription."""
    made = World(MemoryStore(), clock=clock)
    await populate(made, load_catalog(CATALOG))
    return made


@pytest.fixture
def heard(world: World) -> list[Announcement]:
    """What the world's listeners are told."""
    told: list[Announcement] = []
    world.listeners.append(told.append)
    return told
