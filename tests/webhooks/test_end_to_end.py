"""A plan changes at the local sidecar, and the application lets the customer in."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from sidecar_client.local import LocalSidecar, Webhook
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    provision_subscription,
)
from sidecar_client.local.webhooks import Shape
from stigg_guard import AccessDenied, WebhookEvent
from tests.behaviour.servers import uvicorn_serving, wsgi_serving
from tests.webhooks.samples import SECRET
from tests.webhooks.sites import HOOKS, PAGE, SITES, Site

ON_FREE = AT_LIMIT = "customer-demo-02"
SCALE = "plan-revvenu-scale"
FREE = "plan-revvenu-free"
_ASGI = {"django-asgi", "starlette", "fastapi", "asgi"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def until(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def subscribe(sidecar: LocalSidecar, customer: str, plan: str) -> None:
    """What somebody does in the console or over the management API, until told.

    The end of the subscription before is told, too, each with the entitlements.
    """
    told = len(sidecar.webhooks.deliveries)

    async def change() -> None:
        new = NewSubscription(customer_id=customer, plan_id=plan)
        await provision_subscription(sidecar.world, new)

    def has_arrived() -> bool:
        found = [delivery.state for delivery in sidecar.webhooks.deliveries]
        return found == ["delivered"] * (told + 4)

    asyncio.run(change())
    until(has_arrived)


@pytest.mark.parametrize(
    ("name", "shape"), [*((name, "flat") for name in SITES), ("starlette", "envelope")]
)
def test_change_of_plan_counts_at_once(name: str, shape: Shape) -> None:
    told: list[WebhookEvent] = []
    port = free_port()
    settings = {"webhook_secret": SECRET, "remember": 3600, "timeout": 5}
    site = SITES[name](told.append, target=f"127.0.0.1:{port}", **settings)
    serving = uvicorn_serving if name in _ASGI else wsgi_serving
    with serving(site.app) as site_port, httpx.Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{site_port}"
        hook = Webhook(url=url + HOOKS, secret=SECRET, shape=shape)

        def page() -> int:
            headers = {"X-Customer": ON_FREE}
            return client.get(url + PAGE, headers=headers, timeout=20).status_code

        with LocalSidecar(port=port, webhooks=[hook]) as sidecar:
            assert page() == 402
            subscribe(sidecar, ON_FREE, SCALE)
            assert page() == page() == 200
            assert sidecar.calls["GetEntitlement"] == 2, "what is granted is remembered"
            subscribe(sidecar, ON_FREE, FREE)
            assert page() == 402
            assert sidecar.calls["ReloadEntitlements"] == 8
    site.close()
    assert {event.customer_id for event in told} == {ON_FREE}
    names = ["subscription.canceled", "subscription.created"]
    assert sorted({event.type for event in told}) == ["entitlements.updated", *names]
    assert len(told) == 8


def test_limit_that_was_reached_is_gone_with_the_upgrade() -> None:
    port = free_port()
    settings = {"webhook_secret": SECRET, "holds_wait": 0, "timeout": 5}
    site: Site = SITES["flask"](None, target=f"127.0.0.1:{port}", **settings)
    guard = site.guard
    with wsgi_serving(site.app) as site_port:
        hook = Webhook(url=f"http://127.0.0.1:{site_port}{HOOKS}", secret=SECRET)
        with LocalSidecar(port=port, webhooks=[hook]) as sidecar:
            with pytest.raises(AccessDenied, match="REQUESTED_USAGE_EXCEEDING_LIMIT"):
                guard.require(AT_LIMIT, "feature-01-templates")
            with (
                pytest.raises(AccessDenied),
                guard.metered(AT_LIMIT, "feature-01-templates"),
            ):
                pass
            subscribe(sidecar, AT_LIMIT, SCALE)
            with guard.metered(AT_LIMIT, "feature-01-templates"):
                pass
    site.close()
