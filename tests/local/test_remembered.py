"""Answers that are kept: nothing that changes a verdict is seen late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar_client.local import LocalSidecar
from sidecar_client.local.evaluation import Verdict
from sidecar_client.local.events import EventLog
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.populate import populate
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.remembered import MOST_BYTES, Remembered
from sidecar_client.local.service import SidecarService
from sidecar_client.local.stores.file import FileStore
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.catalogs import FEATURES, METERED, Written, catalogs, times
from tests.local.naive import at
from tests.local.wire import NOW, Clock, check

DAY = timedelta(days=1)
MANY = [f"format-{number}" for number in range(500)]


def catalog(**customer: Any) -> Written:
    return {
        "features": [
            {"id": "sso", "type": "boolean"},
            {"id": "size", "type": "numeric"},
            {"id": "formats", "type": "enum", "values": MANY},
            {"id": "calls", "type": "metered", "meter": "incremental"},
            {"id": "paid", "type": "metered", "meter": "incremental"},
            {
                "id": "visits",
                "type": "metered",
                "meter": "incremental",
                "events": {"event": "visit"},
            },
        ],
        "plans": [
            {
                "id": "free",
                "entitlements": {
                    "calls": {"limit": 2, "reset_period": "month"},
                    "paid": {"limit": 2},
                    "visits": {"limit": 2},
                },
                "charges": {"paid": {"price": 1}},
            },
            {
                "id": "pro",
                "entitlements": {
                    "sso": True,
                    "size": {"value": 3},
                    "formats": {"values": MANY},
                },
            },
        ],
        "customers": [{"id": "c", "subscriptions": [{"plan": "pro"}]} | customer],
    }


class Desk:
    """A service, its world and what is remembered of its answers."""

    def __init__(self, world: World, *, most: int = 10) -> None:
        self.world = world
        self.service = SidecarService(world, events=EventLog())
        self.remembered = Remembered(world, self.service, most=most)

    async def asked(self, request: Any) -> tuple[Any, bool]:
        """The answer as a server gives it, and whether it was a remembered one."""
        name = type(request).__name__.removesuffix("Request")
        sent = request.SerializeToString()
        if known := await self.remembered.find(name, sent):
            return known.answer, True
        if self.remembered.takes(request, sent):
            return await self.remembered.answered(name, sent, request), False
        return await self.anew(request), False

    async def anew(self, request: Any) -> Any:
        """The answer of the service itself."""
        methods: dict[type, Callable[[Any], Any]] = {
            pb.GetEntitlementRequest: self.service.get_entitlement,
            pb.GetEntitlementV2Request: self.service.get_entitlement_v2,
            pb.GetBooleanEntitlementRequest: self.service.get_boolean_entitlement,
            pb.GetNumericEntitlementRequest: self.service.get_numeric_entitlement,
            pb.GetMeteredEntitlementRequest: self.service.get_metered_entitlement,
            pb.GetEnumEntitlementRequest: self.service.get_enum_entitlement,
            pb.GetEntitlementsRequest: self.service.get_entitlements,
        }
        return await methods[type(request)](request)

    async def report(self, feature: str, value: float, resource: Any = None) -> None:
        """Report usage, if the customer may use it at all."""
        with suppress(Refusal):
            await self.service.report_usage(
                pb.ReportUsageRequest(
                    customer_id="c",
                    feature_id=feature,
                    value=value,
                    resource_id=resource,
                )
            )

    async def is_remembered(self, request: Any) -> bool:
        """Whether the third of three equal requests is answered from memory."""
        for _ in range(2):
            await self.asked(request)
        return (await self.asked(request))[1]


async def desk_of(written: Written, *, clock: Any = lambda: NOW, **more: Any) -> Desk:
    world = World(MemoryStore(), clock=clock)
    await populate(world, load_catalog(written))
    return Desk(world, **more)


def sso(customer_id: str = "c", **fields: Any) -> pb.GetEntitlementRequest:
    return pb.GetEntitlementRequest(customer_id=customer_id, feature_id="sso", **fields)


CHECKS: tuple[Callable[..., Any], ...] = (
    pb.GetEntitlementRequest,
    pb.GetEntitlementV2Request,
    pb.GetBooleanEntitlementRequest,
    pb.GetNumericEntitlementRequest,
    pb.GetMeteredEntitlementRequest,
    pb.GetEnumEntitlementRequest,
)


def question(make: Callable[..., Any], feature: str, resource: str | None) -> Any:
    return make(customer_id="c", feature_id=feature, resource_id=resource)


questions: st.SearchStrategy[Any] = st.builds(
    question,
    st.sampled_from(CHECKS),
    st.sampled_from([str(item["id"]) for item in FEATURES]),
    st.sampled_from([None, "r"]),
)


@given(
    st.lists(catalogs(), min_size=2, max_size=2),
    st.lists(questions, min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from([0, 1]), times), min_size=4, max_size=16),
    st.lists(st.sampled_from([*METERED, None]), min_size=16, max_size=16),
)
def test_what_is_remembered_is_what_would_be_answered(
    written: list[Written],
    asked: list[Any],
    steps: list[tuple[int, str]],
    reported: list[str | None],
) -> None:
    async def run() -> None:
        clock = Clock()
        desk = await desk_of(written[0], clock=clock)
        for (which, time), feature in zip(steps, reported, strict=False):
            clock.now = at(time)
            await populate(desk.world, load_catalog(written[which]))
            for request in asked:
                for _ in range(3):
                    answer, _ = await desk.asked(request)
                    assert answer == await desk.anew(request)
            if feature is not None:
                await desk.report(feature, 1)

    asyncio.run(run())


@pytest.mark.parametrize("make", [*CHECKS[:3]])
async def test_same_check_is_answered_from_memory(make: Callable[..., Any]) -> None:
    desk = await desk_of(catalog())
    request = make(customer_id="c", feature_id="sso")
    answers = [await desk.asked(request) for _ in range(3)]
    # What is asked once may never be asked again.
    assert [is_known for _, is_known in answers] == [False, False, True]
    assert answers[0][0] == answers[2][0]
    assert not (await desk.asked(make(customer_id="c", feature_id="size")))[1]


@pytest.mark.parametrize(
    "request_",
    [
        pb.GetEntitlementsRequest(customer_id="c"),
        pb.GetEntitlementRequest(customer_id="nobody", feature_id="sso"),
        # The answer is that of a fallback: the feature is of another type.
        pb.GetNumericEntitlementRequest(customer_id="c", feature_id="sso"),
        # Events may show later.
        pb.GetEntitlementRequest(customer_id="c", feature_id="visits"),
        # A budget has periods of its own.
        pb.GetEntitlementRequest(customer_id="c", feature_id="paid"),
        pb.GetEntitlementV2Request(customer_id="c", currency_id="tokens"),
        sso(options=pb.GetEntitlementOptions(requested_values=["v" * MOST_BYTES])),
        pb.GetEntitlementRequest(customer_id="c", feature_id="formats"),
    ],
    ids=[
        *("list", "nobody", "fallback", "events", "budget", "credits"),
        *("large request", "large answer"),
    ],
)
async def test_other_answers_are_found_anew(request_: Any) -> None:
    paid = {"plan": "free", "budget": {"limit": 5}}
    desk = await desk_of(catalog(subscriptions=[paid, {"plan": "pro"}]))
    assert await desk.is_remembered(sso())
    assert not await desk.is_remembered(request_)


async def test_usage_is_seen_by_the_next_check_and_gone_with_its_period() -> None:
    clock = Clock()
    desk = await desk_of(catalog(subscriptions=[{"plan": "free"}]), clock=clock)
    request = pb.GetEntitlementRequest(customer_id="c", feature_id="calls")
    assert await desk.is_remembered(request)
    await desk.report("calls", 2)
    assert not (await desk.asked(request))[0].has_access
    assert (await desk.asked(request))[1]
    clock.now = NOW + 31 * DAY
    assert (await desk.asked(request))[0].metered.current_usage == 0
    clock.now = NOW
    assert (await desk.asked(request))[0].metered.current_usage == 2


async def test_request_without_feature_and_currency_is_refused_again_and_again() -> (
    None
):
    desk = await desk_of(catalog())
    both = pb.GetEntitlementV2Request(
        customer_id="c", feature_id="sso", currency_id="tokens"
    )
    for request in (both, both, pb.GetEntitlementV2Request(customer_id="c")):
        with pytest.raises(Refusal, match="set one of them"):
            await desk.asked(request)


async def test_nothing_is_remembered_where_features_cost_credits() -> None:
    written = catalog()
    written["currencies"] = [{"id": "tokens"}]
    written["plans"][0]["credit_rates"] = {"calls": {"currency": "tokens", "rate": 1}}
    assert not await (await desk_of(written)).is_remembered(sso())


async def test_store_on_disk_is_always_asked(tmp_path: Path) -> None:
    world = World(FileStore(tmp_path / "world.db"), clock=lambda: NOW)
    await world.store.open()
    await populate(world, load_catalog(catalog()))
    assert not await Desk(world).is_remembered(sso())
    await world.store.close()


async def test_oldest_answer_makes_room_for_one_more() -> None:
    desk = await desk_of(catalog(resources=["r", "s"]), most=2)
    requests = [sso(), sso(resource_id="r"), sso(resource_id="s")]
    for request in requests:
        assert await desk.is_remembered(request)
    assert len(desk.remembered) == 2
    assert [(await desk.asked(request))[1] for request in requests[1:]] == [True] * 2
    assert not (await desk.asked(requests[0]))[1]


async def test_moment_that_came_while_it_was_answered_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    end = {"plan": "pro", "end": NOW + DAY}
    desk = await desk_of(catalog(subscriptions=[end]), clock=clock)
    request = pb.GetBooleanEntitlementRequest(customer_id="c", feature_id="sso")
    verdict = desk.service.verdict
    await desk.asked(request)

    async def slow(request: Any) -> Verdict:
        clock.now = NOW + DAY
        return await verdict(request)

    monkeypatch.setattr(desk.service, "verdict", slow)
    assert not (await desk.asked(request))[0].has_access
    monkeypatch.undo()
    clock.now = NOW
    assert (await desk.asked(request))[0].has_access


@pytest.mark.parametrize(
    ("customer", "turn"),
    [
        ({"subscriptions": [{"plan": "pro", "end": NOW + DAY}]}, DAY),
        (
            {
                "subscriptions": [
                    {"plan": "pro", "status": "in_trial", "trial_end": NOW + DAY}
                ]
            },
            DAY,
        ),
        (
            {
                "subscriptions": [{"plan": "free"}],
                "promotions": [
                    {"feature": "sso", "entitlement": True, "end": NOW + DAY}
                ],
            },
            DAY,
        ),
    ],
    ids=["subscription", "trial", "promotion"],
)
def test_end_is_seen_and_taken_back_with_the_clock(
    customer: Written, turn: timedelta
) -> None:
    with LocalSidecar(catalog(**customer), clock=Clock()) as sidecar:
        assert [check(sidecar, "sso") for _ in range(3)] == [None] * 3
        sidecar.clock.advance(turn)
        assert check(sidecar, "sso") is not None
        sidecar.clock.advance(-turn)
        assert check(sidecar, "sso") is None


@pytest.mark.parametrize(
    "customer",
    [
        {"subscriptions": [{"plan": "pro", "start": NOW + DAY}]},
        {
            "subscriptions": [{"plan": "free"}],
            "promotions": [{"feature": "sso", "entitlement": True, "start": NOW + DAY}],
        },
    ],
    ids=["subscription", "promotion"],
)
def test_beginning_is_seen_and_taken_back_with_the_clock(customer: Written) -> None:
    with LocalSidecar(catalog(**customer), clock=Clock()) as sidecar:
        assert check(sidecar, "sso") is not None
        sidecar.clock.advance(DAY)
        assert [check(sidecar, "sso") for _ in range(3)] == [None] * 3
        sidecar.clock.advance(-DAY)
        assert check(sidecar, "sso") is not None


def test_each_check_is_counted_and_told() -> None:
    with LocalSidecar(catalog()) as sidecar:
        for _ in range(3):
            check(sidecar, "sso")
        assert sidecar.calls["GetEntitlement"] == 3
        told = [dict(item.facts) for item in sidecar.feed.since(0).happenings]
    checks = [facts for facts in told if facts.get("feature_id") == "sso"]
    assert len(checks) == 3
    assert checks[0] == checks[2]
    assert checks[0]["customer_id"] == "c"


def test_outage_meets_checks_that_are_remembered() -> None:
    with LocalSidecar(catalog()) as sidecar:
        check(sidecar, "sso")
        with sidecar.fault(code="INTERNAL"), pytest.raises(Exception, match="INTERNAL"):
            check(sidecar, "sso")
        assert check(sidecar, "sso") is None
