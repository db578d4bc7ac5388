"""The live feed: what is told, to whom, and that it never grows."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.feed import Feed, Happening, TooManySubscribers
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, ask, check, refusal

BOUND = 10.0


@pytest.fixture
def feed() -> Feed:
    return Feed(lambda: NOW, kept=5, most_subscribers=2)


def numbers(happenings: tuple[Happening, ...]) -> list[int]:
    return [item.number for item in happenings]


def test_happenings_are_numbered_and_timed(feed: Feed) -> None:
    first = feed.publish("check", customer_id="c", has_access=True)
    assert (first.number, first.at, first.kind) == (1, NOW, "check")
    assert dict(first.facts) == {"customer_id": "c", "has_access": True}
    assert feed.publish("report").number == feed.last == 2


def test_feed_keeps_the_latest_and_tells_how_many_are_gone(feed: Feed) -> None:
    for _ in range(12):
        feed.publish("check")
    found = feed.since(3)
    assert (numbers(found.happenings), found.missed) == ([8, 9, 10, 11, 12], 4)
    assert numbers(feed.since(10).happenings) == [11, 12]
    limited = feed.since(8, most=2)
    assert (numbers(limited.happenings), limited.missed) == ([11, 12], 2)
    assert feed.since(12).happenings == ()
    assert feed.since(99).happenings == ()


def test_long_texts_are_cut(feed: Feed) -> None:
    many = tuple("y" * 1000 for _ in range(1000))
    told = feed.publish("check", customer_id="x" * 100_000, names=many)
    text, texts = told.facts["customer_id"], told.facts["names"]
    assert isinstance(text, str)
    assert len(text) == 300
    assert isinstance(texts, tuple)
    assert sum(map(len, texts)) == 20 * 300


async def test_subscriber_is_woken_by_what_happens(feed: Feed) -> None:
    feed.publish("before")
    with feed.subscribe() as subscription:
        waiting = asyncio.create_task(subscription.next(within=BOUND))
        await asyncio.sleep(0)
        feed.publish("check")
        batch = await waiting
        assert [item.kind for item in batch.happenings] == ["check"]
        feed.publish("a")
        feed.publish("b")
        batch = await subscription.next(within=BOUND)
        assert [item.kind for item in batch.happenings] == ["a", "b"]
    assert feed.subscribers == 0


async def test_subscriber_is_woken_from_another_thread(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        waiting = asyncio.create_task(subscription.next(within=BOUND))
        await asyncio.sleep(0)
        thread = threading.Thread(target=feed.publish, args=("check",))
        thread.start()
        assert numbers((await waiting).happenings) == [1]
        thread.join()


async def test_slow_subscriber_is_told_what_it_missed(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        for _ in range(8):
            feed.publish("check")
        batch = await subscription.next(within=BOUND)
        assert (numbers(batch.happenings), batch.missed) == ([4, 5, 6, 7, 8], 3)


async def test_subscriber_goes_on_where_it_was(feed: Feed) -> None:
    for _ in range(4):
        feed.publish("check")
    with feed.subscribe(after=2) as subscription:
        batch = await subscription.next(within=BOUND)
        assert numbers(batch.happenings) == [3, 4]


async def test_silence_ends_in_an_empty_batch(feed: Feed) -> None:
    with feed.subscribe() as subscription:
        assert (await subscription.next(within=0.01)).happenings == ()


async def test_closing_ends_the_wait(feed: Feed) -> None:
    subscription = feed.subscribe()
    waiting = asyncio.create_task(subscription.next(within=BOUND))
    await asyncio.sleep(0)
    feed.close_subscriptions()
    assert (await waiting).happenings == ()
    assert subscription.is_closed
    assert feed.subscribers == 0


async def test_there_are_only_so_many_subscribers(feed: Feed) -> None:
    first, _ = feed.subscribe(), feed.subscribe()
    with pytest.raises(TooManySubscribers, match="2 subscribers follow the feed"):
        feed.subscribe()
    first.close()
    first.close()
    feed.subscribe().close()
    feed.close_subscriptions()


def test_numbers_are_without_gaps_whoever_publishes(feed: Feed) -> None:
    heard: list[int] = []
    feed.listen(lambda item: heard.append(item.number))
    publish: Any = lambda: [feed.publish("check") for _ in range(500)]  # noqa: E731
    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == list(range(1, 2001))
    assert numbers(feed.since(0).happenings) == list(range(1996, 2001))


def told(sidecar: LocalSidecar) -> list[tuple[str, dict[str, object]]]:
    """What happened, without the fields that are not set."""
    return [
        (item.kind, {k: v for k, v in item.facts.items() if v is not None})
        for item in sidecar.feed.since(0).happenings
    ]


def test_checks_and_denials_are_told(demo: LocalSidecar) -> None:
    check(demo, "feature-01-templates", customer_id="customer-demo-01", usage=2)
    check(
        demo,
        "feature-05-export-formats",
        customer_id="customer-demo-02",
        resource_id="site-02",
        values=("pdf",),
    )
    ask(
        demo,
        pb.GetEntitlementV2Request(customer_id="customer-demo-01", currency_id="x"),
    )
    assert told(demo) == [
        (
            "check",
            {
                "method": "GetEntitlement",
                "customer_id": "customer-demo-01",
                "feature_id": "feature-01-templates",
                "requested_usage": 2.0,
                "has_access": True,
            },
        ),
        (
            "check",
            {
                "method": "GetEntitlement",
                "customer_id": "customer-demo-02",
                "resource_id": "site-02",
                "feature_id": "feature-05-export-formats",
                "requested_values": ("pdf",),
                "has_access": False,
                "reason": "REQUESTED_VALUES_MISMATCH",
            },
        ),
        (
            "check",
            {
                "method": "GetEntitlementV2",
                "customer_id": "customer-demo-01",
                "currency_id": "x",
                "has_access": False,
                "reason": "ENTITLEMENT_NOT_FOUND",
            },
        ),
    ]


def test_lists_reports_events_and_refusals_are_told(demo: LocalSidecar) -> None:
    subject: dict[str, Any] = {"customer_id": "customer-demo-01"}
    ask(demo, pb.GetEntitlementsRequest(**subject))
    report = pb.ReportUsageRequest(
        **subject,
        feature_id="feature-01-templates",
        value=5,
        update_behavior=pb.USAGE_UPDATE_BEHAVIOR_SET,
    )
    ask(demo, report)
    event = pb.Event(**subject, event_name="sent", idempotency_key="1")
    ask(demo, pb.ReportEventsRequest(events=[event]))
    ask(demo, pb.ReloadEntitlementsRequest(**subject))
    refusal(demo, pb.ReportUsageRequest(**subject, feature_id="nope", value=1))
    found = told(demo)
    assert found[:4] == [
        ("list", {"method": "GetEntitlements", **subject, "count": 6}),
        (
            "report",
            {
                **subject,
                "feature_id": "feature-01-templates",
                "value": 5.0,
                "update": "set",
                "current_usage": 5.0,
            },
        ),
        ("events", {**subject, "count": 1, "names": ("sent",)}),
        ("reload", {"method": "ReloadEntitlements", **subject}),
    ]
    kind, facts = found[4]
    assert (kind, facts["method"], facts["code"]) == (
        "refusal",
        "ReportUsage",
        "NOT_FOUND",
    )
    assert "'nope'" in str(facts["message"])


@pytest.mark.parametrize("turns", range(6))
async def test_waiting_ends_though_something_happens_at_that_moment(
    feed: Feed, turns: int
) -> None:
    with feed.subscribe() as subscription:

        async def follow() -> None:
            while True:
                await subscription.next(within=60)

        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        feed.publish("x")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        ended, _ = await asyncio.wait([task], timeout=BOUND)
        task.cancel()
        assert ended == {task}
