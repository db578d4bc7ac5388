"""How the local sidecar tells webhooks of changes, as often as the vendor does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, Webhook
from sidecar_client.local.command import stigg_guard
from sidecar_client.local.management.customers import (
    NewCustomer,
    archive_customer,
    provision_customer,
)
from sidecar_client.local.stores.base import Entry, StoreError
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.webhook_courier import Courier
from sidecar_client.local.webhook_sender import MOST_NOTED, WebhookSender
from sidecar_client.local.webhooks import Delivery, Message
from sidecar_client.local.world import World
from tests.webhooks.receiver import Receiver, receiver
from tests.webhooks.samples import HEADER, SECRET

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
MESSAGE = Message(type="customer.created", at=NOW, fields={"id": "customer-1"})


@pytest.fixture
def other_side() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def hook(other_side: Receiver) -> Webhook:
    return Webhook(url=other_side.url, secret=SECRET)


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 (it is no event that is waited for)
            await asyncio.sleep(0.002)


@asynccontextmanager
async def courier(**options: Any) -> AsyncGenerator[Courier]:
    found = Courier(clock=lambda: NOW, **options)
    try:
        yield found
    finally:
        await found.close()


class Pauses:
    """Notes the seconds, and waits for nothing."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def delivered(found: Courier, hook: Webhook) -> Delivery:
    delivery = found.send(hook, MESSAGE)
    await until(lambda: found.is_idle)
    return delivery


async def test_message_is_posted_with_the_secret(
    hook: Webhook, other_side: Receiver
) -> None:
    async with courier() as found:
        delivery = await delivered(found, hook)
    assert delivery.state == "delivered"
    assert [attempt.status for attempt in delivery.attempts] == [200]
    (got,) = other_side.got
    assert got.headers[HEADER] == SECRET
    assert got.headers["Content-Type"] == "application/json"
    assert got.json == {
        "type": "customer.created",
        "messageId": MESSAGE.id,
        "traceId": MESSAGE.trace_id,
        "timestamp": "2026-01-15T10:30:00.000Z",
        "id": "customer-1",
    }


async def test_message_may_come_in_an_envelope(other_side: Receiver) -> None:
    hook = Webhook(url=other_side.url, secret=SECRET, shape="envelope")
    async with courier() as found:
        await delivered(found, hook)
    assert other_side.got[0].json == {
        "messageId": MESSAGE.id,
        "type": "customer.created",
        "createdAt": "2026-01-15T10:30:00.000Z",
        "data": {"id": "customer-1"},
    }


async def test_message_is_sent_again_three_times_at_once_and_three_times_later(
    hook: Webhook, other_side: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    pauses = Pauses()
    other_side.statuses.extend([500] * 7)
    async with courier(pause=pauses) as found:
        delivery = await delivered(found, hook)
    assert delivery.state == "failed"
    assert [attempt.status for attempt in delivery.attempts] == [500] * 7
    assert pauses.seconds == [30, 30, 30]
    assert len({got.body for got in other_side.got}) == 1
    (line,) = [r.getMessage() for r in caplog.records if "did not take" in r.message]
    assert hook.url in line
    assert "answered 500" in line
    assert SECRET not in caplog.text


@pytest.mark.parametrize("failures", range(7))
async def test_message_is_sent_until_it_is_taken(
    hook: Webhook, other_side: Receiver, failures: int
) -> None:
    pauses = Pauses()
    other_side.statuses.extend([503] * failures)
    async with courier(pause=pauses) as found:
        delivery = await delivered(found, hook)
    assert delivery.state == "delivered"
    assert len(other_side.got) == failures + 1
    assert pauses.seconds == [30] * max(0, failures - 3)


async def test_redirect_is_a_failure_and_leads_nowhere(
    hook: Webhook, other_side: Receiver
) -> None:
    other_side.statuses.append(302)
    async with courier() as found:
        delivery = await delivered(found, hook)
    assert [attempt.status for attempt in delivery.attempts] == [302, 200]


async def test_side_that_is_not_there_or_hangs_is_a_failure_that_says_so(
    hook: Webhook, other_side: Receiver
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gone = Webhook(url=f"http://127.0.0.1:{port}/", secret="s")
    may_end = threading.Event()
    other_side.on_post = lambda: may_end.wait(10)
    async with courier(pause=Pauses()) as found:
        nobody = await delivered(found, gone)
    async with courier(pause=Pauses(), timeout=0.05) as found:
        slow = found.send(hook, MESSAGE)
        await until(lambda: slow.attempts)
        may_end.set()
    assert nobody.state == "failed"
    assert nobody.attempts[0].error == "All connection attempts failed"
    assert slow.attempts[0].error == "no answer within 0.05 seconds"


async def test_message_can_be_sent_again(hook: Webhook, other_side: Receiver) -> None:
    other_side.statuses.extend([500] * 7)
    async with courier(pause=Pauses()) as found:
        delivery = await delivered(found, hook)
        assert str(delivery.state) == "failed"
        assert found.resend(MESSAGE.id) == (delivery,)
        await until(lambda: found.is_idle)
        assert delivery.state == "delivered"
        assert len(delivery.attempts) == 8
        with pytest.raises(LookupError, match="no message 'unknown'"):
            found.resend("unknown")


async def test_list_of_deliveries_is_bounded_by_number_and_size(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "sidecar_client.local.webhook_courier"
    monkeypatch.setattr(f"{module}.MOST_KEPT", 3)
    async with courier() as found:
        for number in range(5):
            fields = {"number": number}
            found.send(hook, Message(type="x.y", at=NOW, fields=fields))
        await until(lambda: found.is_idle)
        kept = [delivery.message.fields["number"] for delivery in found.deliveries]
        assert kept == [2, 3, 4]
        large = Message(type="x.y", at=NOW, fields={"text": "x" * 1000})
        monkeypatch.setattr(f"{module}.MOST_KEPT_BYTES", 2500)
        for _ in range(3):
            found.send(hook, large)
        await until(lambda: found.is_idle)
        assert len(found.deliveries) == 2


async def test_what_waits_is_bounded_and_the_rest_is_dropped(
    hook: Webhook,
    other_side: Receiver,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar_client.local.webhook_courier.MOST_WAITING", 2)
    may_go_on = asyncio.Event()
    other_side.statuses.extend([500] * 8)

    async def pause(_: float) -> None:
        await may_go_on.wait()

    async with courier(pause=pause) as found:
        waiting = [found.send(hook, MESSAGE) for _ in range(2)]
        more = [found.send(hook, MESSAGE) for _ in range(3)]
        assert {delivery.state for delivery in more} == {"dropped"}
        await until(lambda: all(len(d.attempts) == 4 for d in waiting))
        may_go_on.set()
        await until(lambda: found.is_idle)
        assert {delivery.state for delivery in waiting} == {"delivered"}
        assert (await delivered(found, hook)).state == "delivered"
        found.resend(MESSAGE.id)
        await until(lambda: found.is_idle)
    assert sum("are dropped" in r.getMessage() for r in caplog.records) == 2


async def test_slow_side_holds_up_no_other(hook: Webhook, other_side: Receiver) -> None:
    may_go_on = asyncio.Event()

    async def pause(_: float) -> None:
        await may_go_on.wait()

    with receiver() as other:
        async with courier(pause=pause) as found:
            other_side.statuses.extend([500] * 4)
            slow = found.send(hook, MESSAGE)
            await until(lambda: len(slow.attempts) == 4)
            quick = found.send(Webhook(url=other.url, secret="s"), MESSAGE)
            await until(lambda: quick.state == "delivered")
            assert slow.state == "pending"
            may_go_on.set()
            await until(lambda: slow.state == "delivered")


async def test_webhook_is_told_of_what_it_wants(other_side: Receiver) -> None:
    hooks = [
        Webhook(url=f"{other_side.url}?a", secret="a", events=("customer.deleted",)),
        Webhook(url=f"{other_side.url}?b", secret="b", events=("customer.*",)),
    ]
    async with LocalSidecar(webhooks=hooks) as sidecar:
        await provision_customer(sidecar.world, NewCustomer(id="c"))
        await archive_customer(sidecar.world, "c")
        await until(lambda: len(other_side.got) == 3 and sidecar.webhooks.is_idle)
        by_secret = {
            name: sorted(
                g.json["type"] for g in other_side.got if g.headers[HEADER] == name
            )
            for name in ("a", "b")
        }
    assert by_secret == {
        "a": ["customer.deleted"],
        "b": ["customer.created", "customer.deleted"],
    }


async def test_change_does_not_wait_for_webhooks(
    hook: Webhook, other_side: Receiver
) -> None:
    may_end = threading.Event()
    other_side.on_post = lambda: may_end.wait(10)
    async with LocalSidecar(webhooks=[hook]) as sidecar:
        await asyncio.wait_for(
            provision_customer(sidecar.world, NewCustomer(id="c")), timeout=5
        )
        assert not sidecar.webhooks.is_idle
        may_end.set()
        await until(lambda: sidecar.webhooks.is_idle)
    assert other_side.types == ["customer.created"]


async def test_store_that_is_out_leaves_a_line_in_the_log_and_no_webhook(
    hook: Webhook, other_side: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(MemoryStore):
        is_out = False

        async def read(self, names: Sequence[str]) -> list[Entry]:
            if self.is_out:
                raise StoreError("the store is out")
            return await super().read(names)

    store = Forgetful()
    async with LocalSidecar(store=store, webhooks=[hook]) as sidecar:
        await provision_customer(sidecar.world, NewCustomer(id="c"))
        store.is_out = True
        await until(lambda: "the store is out" in caplog.text)
        assert "No webhook for customer.created: the store is out" in caplog.text
        assert "Traceback" not in caplog.text
    assert other_side.types == []


async def test_stopped_sidecar_gives_up_what_is_on_its_way(
    other_side: Receiver,
) -> None:
    other_side.statuses.extend([500] * 4)
    hook = Webhook(url=other_side.url, secret=SECRET)
    async with LocalSidecar(webhooks=[hook]) as sidecar:
        await provision_customer(sidecar.world, NewCustomer(id="c"))
        await until(
            lambda: [len(d.attempts) for d in sidecar.webhooks.deliveries] == [4]
        )
    (delivery,) = sidecar.webhooks.deliveries
    assert delivery.state == "failed"
    with pytest.raises(ConfigurationError, match="stopped"):
        sidecar.webhooks.resend(delivery.message.id)


def test_sidecar_in_a_thread_sends_and_sends_again(
    hook: Webhook, other_side: Receiver
) -> None:
    async def change(world: World) -> None:
        await provision_customer(world, NewCustomer(id="c"))

    async def wait(sidecar: LocalSidecar, count: int) -> None:
        await until(lambda: len(other_side.got) == count and sidecar.webhooks.is_idle)

    with LocalSidecar(webhooks=[hook]) as sidecar:
        asyncio.run(change(sidecar.world))
        asyncio.run(wait(sidecar, 1))
        (delivery,) = sidecar.webhooks.deliveries
        sidecar.webhooks.resend(delivery.message.id)
        asyncio.run(wait(sidecar, 2))
    assert other_side.got[0].body == other_side.got[1].body


async def test_list_and_resend_are_served_over_http(
    hook: Webhook, other_side: Receiver
) -> None:
    async with (
        LocalSidecar(webhooks=[hook], http_port=0) as sidecar,
        httpx.AsyncClient(base_url=sidecar.http_url or "", timeout=30) as client,
    ):
        await provision_customer(sidecar.world, NewCustomer(id="c"))
        await until(lambda: other_side.got and sidecar.webhooks.is_idle)
        answer = await client.get("/local/webhooks")
        assert SECRET not in answer.text
        found = answer.json()
        assert found["webhooks"] == [
            {"url": hook.url, "shape": "flat", "events": ["*"]}
        ]
        (delivery,) = found["deliveries"]
        assert delivery["type"] == "customer.created"
        assert delivery["state"] == "delivered"
        assert [attempt["status"] for attempt in delivery["attempts"]] == [200]
        assert json.loads(delivery["body"])["id"] == "c"
        path = f"/local/webhooks/{delivery['messageId']}/resend"
        assert (await client.post(path)).status_code == 202
        await until(lambda: len(other_side.got) == 2)
        assert (await client.post("/local/webhooks/x/resend")).status_code == 404


async def test_too_much_to_be_told_is_not_kept(
    hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(MemoryStore(), clock=lambda: NOW)
    sender = WebhookSender(world, [hook])
    announced = _announcement()
    for _ in range(MOST_NOTED + 5):
        sender.note(announced)
    assert len(sender._noted) == MOST_NOTED  # pyright: ignore[reportPrivateUsage]
    assert sum("not told" in r.getMessage() for r in caplog.records) == 1


class Swallowing(MemoryStore):
    """It answers in the very moment in which who waits for it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    async def read(self, names: Sequence[str]) -> list[Entry]:
        if not self.is_asked.is_set():
            self.is_asked.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await super().read(names)


async def test_stop_ends_what_did_not_hear_that_it_was_cancelled(hook: Webhook) -> None:
    store = Swallowing()
    sender = WebhookSender(World(store, clock=lambda: NOW), [hook])
    async with asyncio.timeout(20):
        await sender.start()
        await store.is_asked.wait()
        await sender.stop()


async def test_closing_ends_a_message_that_did_not_hear_that_it_was_cancelled() -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    courier = Courier(clock=lambda: NOW, pause=pause)
    courier.send(Webhook(url=url, secret=SECRET), MESSAGE)
    await until(lambda: waits)
    async with asyncio.timeout(20):
        await courier.close()
    assert courier.is_idle


def _announcement() -> Any:
    from sidecar_client.local.world import Announcement

    return Announcement(kind="customer.created", at=NOW, customer_id="c")


async def test_sidecar_without_webhooks_keeps_nothing_for_them() -> None:
    async with LocalSidecar() as sidecar:
        await provision_customer(sidecar.world, NewCustomer(id="c"))
        assert sidecar.webhooks.is_idle
        assert not sidecar.webhooks.deliveries


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "ftp://x"}, "begins with http"),
        ({"url": "http://"}, "begins with http"),
        ({"url": "http://x:99999/"}, "begins with http"),
        ({"url": "http://x/\n"}, "begins with http"),
        ({"url": 7}, "begins with http"),
        ({"secret": ""}, "the secret of the webhook"),
        ({"secret": "a\nb"}, "the secret of the webhook"),
        ({"secret": "g\xe9heim"}, "the secret of the webhook"),
        ({"shape": "round"}, 'use "flat" or "envelope"'),
    ],
)
def test_webhook_that_cannot_be_is_refused(wrong: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"url": "http://127.0.0.1/", "secret": "s", **wrong}
    with pytest.raises(ConfigurationError, match=says) as found:
        Webhook(**given)
    assert "heim" not in str(found.value)


def test_webhooks_are_so_many_and_no_others() -> None:
    hook: Any = Webhook(url="http://127.0.0.1/", secret="s")
    with pytest.raises(ConfigurationError, match="20 at most"):
        LocalSidecar(webhooks=[hook] * 21)
    wrong: Any = "http://127.0.0.1/"
    with pytest.raises(ConfigurationError, match="use Webhook"):
        LocalSidecar(webhooks=[wrong])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--webhook-url", "http://127.0.0.1/"], "needs --webhook-secret"),
        (["--webhook-url", "x", "--webhook-secret", "s"], "begins with http"),
        (["--webhook-shape", "round"], "'round' is not one of"),
    ],
)
def test_command_refuses_webhooks_that_cannot_be(
    arguments: list[str], says: str
) -> None:
    found = CliRunner().invoke(stigg_guard, ["sidecar", "run", *arguments])
    assert found.exit_code == 2
    assert says in found.output


def test_secret_is_in_no_representation(hook: Webhook) -> None:
    assert SECRET not in repr(hook)
    delivery = Delivery(webhook=hook, message=MESSAGE, body=b"")
    assert SECRET not in repr(delivery)
