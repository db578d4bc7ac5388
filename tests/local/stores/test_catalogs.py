"""A catalog that changed while its store was kept: what changes there, what stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import load_catalog
from sidecar_client.local.customers import Subscription
from sidecar_client.local.populate import populate
from sidecar_client.local.records import SOURCE, Usage, customer_key, usage_key
from sidecar_client.local.stores.base import Store
from sidecar_client.local.world import Transaction, World
from tests.local.stores.conftest import Opened
from tests.local.wire import Clock

pytestmark = pytest.mark.parametrize("opened", ["file", "redis"], indirect=True)

BEFORE: dict[str, Any] = {
    "features": [{"id": "seats", "type": "metered", "meter": "fluctuating"}],
    "plans": [
        {"id": "team", "entitlements": {"seats": {"limit": 5}}},
        {"id": "free", "entitlements": {"seats": {"limit": 1}}},
    ],
    "customers": [
        {
            "id": "acme",
            "subscriptions": [{"plan": "team"}],
            "usage": [{"feature": "seats", "value": 2}],
        },
        {"id": "other", "subscriptions": [{"plan": "free"}]},
    ],
}
AFTER = BEFORE | {
    "plans": [
        {"id": "team", "entitlements": {"seats": {"limit": 9}}},
        BEFORE["plans"][1],
    ],
    "customers": [BEFORE["customers"][0], {"id": "new"}],
}
SEATS = usage_key("acme", None, "seats", None)


def world(store: Store) -> World:
    return World(store, clock=Clock())


async def use(transaction: Transaction) -> None:
    """What others than the catalog do: usage, and a subscription."""
    transaction.write(SEATS, Usage(total=4))
    acme = await transaction.read(customer_key("acme"))
    assert acme is not None
    subs = (*acme.subscriptions, Subscription(id="by-api", plan="free"))
    transaction.write(acme_key, acme.model_copy(update={"subscriptions": subs}))


acme_key = customer_key("acme")


async def test_what_the_catalog_changed_is_changed_and_the_rest_stays(
    opened: Opened,
) -> None:
    store = await opened()
    await populate(world(store), load_catalog(BEFORE))
    await world(store).transact(use)
    await store.close()

    again = world(await opened())
    assert await populate(again, load_catalog(BEFORE)) == ()
    assert await populate(again, load_catalog(AFTER))
    plan = (await again.index()).plan("team")
    assert plan is not None
    assert plan.entitlements["seats"].limit == 9
    acme = await again.read(acme_key)
    assert acme is not None
    assert [sub.plan for sub in acme.subscriptions] == ["team", "free"]
    assert await again.read(SEATS) == Usage(total=4)
    assert await again.read(customer_key("other")) is None
    assert await again.read(customer_key("new")) is not None


async def test_sidecars_that_load_at_the_same_time_load_once(opened: Opened) -> None:
    worlds = [world(await opened()) for _ in range(3)]
    for data in (BEFORE, AFTER):
        catalog = load_catalog(data)
        await asyncio.gather(*[populate(each, catalog) for each in worlds])
        for each in worlds:
            assert await each.read(SOURCE) == catalog
    assert await worlds[1].read(SEATS) == await worlds[2].read(SEATS)
    seats = await worlds[0].read(SEATS)
    assert seats is not None
    assert seats.total == 2


async def test_catalog_that_the_store_does_not_fit_changes_nothing(
    opened: Opened,
) -> None:
    kept = world(await opened())
    await populate(kept, load_catalog(BEFORE))
    await kept.transact(use)
    without = BEFORE | {
        "plans": BEFORE["plans"][:1],
        "customers": BEFORE["customers"][:1],
    }
    with pytest.raises(ConfigurationError, match="no plan 'free'"):
        await populate(kept, load_catalog(without))
    assert await kept.read(SOURCE) == load_catalog(BEFORE)
    assert await kept.read(customer_key("other")) is not None
