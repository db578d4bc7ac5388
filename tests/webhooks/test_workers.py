"""What all workers of an application do about a webhook that one of them got."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from sidecar_client import BooleanEntitlement, GetEntitlementResponse
from stigg_guard import ConfigurationError, Guard, Settings, WebhookEvent
from stigg_guard.webhooks.incoming import Incoming
from tests.redis_server import RedisServer, redis_server
from tests.scripted_sidecar import ScriptedSidecar, scripted_sidecar
from tests.webhooks.samples import SECRET, encoded, flat, updated

GRANTED = GetEntitlementResponse(has_access=True, boolean=BooleanEntitlement())
DENIED = GetEntitlementResponse(
    has_access=False,
    access_denied_reason="ACCESS_DENIED_REASON_NO_ACTIVE_SUBSCRIPTION",
    boolean=BooleanEntitlement(),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("--appendfsync", "no") as running:
        yield running


@pytest.fixture
def worker(
    server: RedisServer, scripted: ScriptedSidecar, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Guard]]:
    """Makes guards as the workers of one application have them."""
    made: list[Guard] = []
    scripted.answer = GRANTED

    def make(**settings: Any) -> Guard:
        options: dict[str, Any] = {
            "target": scripted.target,
            "timeout": 5,
            "write_timeout": 5,
            "remember": 3600,
            "webhook_secret": SECRET,
            "webhook_store": server.url,
            "redis_prefix": request.node.name,
            **settings,
        }
        made.append(Guard(Settings.from_options(options, owner="Guard")))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


def receive(guard: Guard, body: object) -> int:
    request = Incoming(
        method="POST", secret=SECRET, length=None, read=lambda _: encoded(body)
    )
    return guard.receive_webhook(request).status


def _note(told: list[int], number: int, event: WebhookEvent) -> None:
    told.append(number)


def until(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def remembering(guard: Guard, scripted: ScriptedSidecar) -> None:
    """Wait until the guard listens: what it learned before that is asked anew once."""
    for _ in range(2):
        until(lambda: asks(guard, scripted))
    assert not asks(guard, scripted)


def asks(guard: Guard, scripted: ScriptedSidecar) -> bool:
    """Whether the guard does not remember the customer."""
    before = scripted.calls["GetEntitlement"]
    guard.check("customer-1", "f")
    return scripted.calls["GetEntitlement"] > before


def test_every_worker_forgets_what_one_was_told(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    told, other = worker(), worker()
    scripted.answer, scripted.fresh = DENIED, GRANTED
    remembering(other, scripted)
    assert not other.check("customer-1", "f")
    assert receive(told, updated("customer-1")) == 200
    until(lambda: other.check("customer-1", "f"))


def test_workers_on_one_host_have_the_sidecar_reload_once(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    guards = [worker() for _ in range(3)]
    for guard in guards:
        remembering(guard, scripted)
    receive(guards[0], updated("customer-1"))
    for guard in guards:
        until(lambda: asks(guard, scripted))  # noqa: B023
    assert len(scripted.reloads) == 1


def test_sidecar_beside_another_worker_is_told_too(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    with scripted_sidecar() as beside:
        told = worker(target=beside.target)
        others = [worker(), worker()]
        scripted.answer, scripted.fresh = DENIED, GRANTED
        for other in others:
            remembering(other, scripted)
        receive(told, updated("customer-1", "site-01"))
        for other in others:
            until(lambda: other.check("customer-1", "f"))  # noqa: B023
        until(lambda: len(scripted.reloads) == 2)
        assert {r.resource_id for r in scripted.reloads} == {"", "site-01"}
        assert len(beside.reloads) == 2


def test_new_plan_is_asked_for_by_every_worker(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    told, other = worker(), worker()
    scripted.answer = DENIED
    remembering(other, scripted)
    scripted.answer = GRANTED
    receive(told, flat("plan.updated", id="plan-1"))
    until(lambda: other.check("customer-1", "f"))


def test_message_is_handled_by_one_worker(worker: Callable[..., Guard]) -> None:
    guards, message = [worker() for _ in range(3)], updated()
    told: list[int] = []
    for number, guard in enumerate(guards):
        guard.on_webhook(partial(_note, told, number))
    for guard in guards:
        assert receive(guard, message) == 200
    assert told == [0]


def test_redis_of_the_holds_is_used_where_nothing_else_is_said(
    worker: Callable[..., Guard], server: RedisServer
) -> None:
    message = updated()
    options = {"webhook_store": None, "holds": server.url}
    assert receive(worker(**options), message) == 200
    told: list[object] = []
    other = worker(**options)
    other.on_webhook(told.append)
    assert receive(other, message) == 200
    assert not told


def test_whatever_was_announced_while_the_redis_was_away_is_asked_anew(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    with redis_server() as passing:
        other = worker(webhook_store=passing.url)
        scripted.answer = DENIED
        remembering(other, scripted)
        assert not other.check("customer-1", "f")
        passing.stop()
        scripted.answer = GRANTED
        assert not other.check("customer-1", "f")
        passing.start()
        until(lambda: other.check("customer-1", "f"))


def test_store_that_cannot_be_is_told_by_every_question(
    worker: Callable[..., Guard],
) -> None:
    guard = worker(webhook_store="redis+cluster://127.0.0.1:first")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"WEBHOOK_STORE.*first"):
            guard.check("customer-1", "f")


def test_guard_without_webhooks_has_no_thread_that_listens(
    worker: Callable[..., Guard],
) -> None:
    before = threading.active_count()
    guard = worker(webhook_secret=None)
    guard.check("customer-1", "f")
    assert not [t for t in threading.enumerate() if "webhooks" in t.name]
    assert threading.active_count() >= before - 1


def test_thread_ends_with_the_guard(
    worker: Callable[..., Guard], scripted: ScriptedSidecar
) -> None:
    guard = worker()
    remembering(guard, scripted)
    assert [t for t in threading.enumerate() if t.name == "stigg-guard-webhooks"]
    guard.close()
    assert not [t for t in threading.enumerate() if t.name == "stigg-guard-webhooks"]
