"""Clock and faults over HTTP, and the live feed as server-sent events."""

from __future__ import annotations

import json
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import grpc
import httpx
import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.feed import KEPT, MOST_SUBSCRIBERS, Feed
from sidecar_client.local.http import stream
from sidecar_client.local.http.parts import Parts
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.http.conftest import Client
from tests.local.wire import NOW, Clock, ask, check, refusal

CHECK = pb.GetEntitlementRequest(
    customer_id="customer-demo-01", feature_id="feature-01-templates"
)


@pytest.fixture
def still(client_of: Client) -> Iterator[httpx.Client]:
    """A sidecar whose clock stands still."""
    with LocalSidecar(clock=Clock(), http_port=0) as sidecar:
        yield client_of(sidecar)


def test_clock_is_told_moved_and_put_back(still: httpx.Client) -> None:
    assert still.get("/local/clock").json() == {
        "now": "2023-12-01T00:00:00Z",
        "moved_seconds": 0.0,
    }
    moved = still.post("/local/clock", json={"advance": "P1DT12H"}).json()
    assert moved == {"now": "2023-12-02T12:00:00Z", "moved_seconds": 129600.0}
    moved = still.post("/local/clock", json={"advance": -3600}).json()
    assert moved["now"] == "2023-12-02T11:00:00Z"
    moved = still.post("/local/clock", json={"set": "2030-01-01T05:00+05:00"}).json()
    assert moved["now"] == "2030-01-01T00:00:00Z"
    assert still.delete("/local/clock").json()["now"] == "2023-12-01T00:00:00Z"


def test_clock_is_moved_by_months_of_the_calendar(still: httpx.Client) -> None:
    still.post("/local/clock", json={"set": "2024-01-31T12:00Z"})
    moved = still.post("/local/clock", json={"advance": "P1M"}).json()
    assert moved["now"] == "2024-02-29T12:00:00Z"
    moved = still.post("/local/clock", json={"advance": "-P1Y"}).json()
    assert moved["now"] == "2023-02-28T12:00:00Z"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "give one of"),
        ({"advance": 1, "set": "2030-01-01T00:00Z"}, "give one of"),
        ({"advance": "soon"}, "advance is 'soon'; use a number of seconds, or a dur"),
        ({"advance": True}, "advance is true; use a number of seconds, or a duration"),
        ({"advance": "60"}, "advance is '60'; use a number of seconds, or a duration"),
        ({"advance": [1]}, "advance is [1]; use a number of seconds, or a duration"),
        ({"set": "2030-01-01T00:00"}, "set is '2030-01-01T00:00'; use a time with its"),
        (
            {"set": 5},
            "set is 5; use a time with its zone, such as 2026-01-31T12:00:00Z",
        ),
        ({"set": "5"}, "set is '5'; use a time with its zone, such as 2026-01-31T12"),
        ({"set": True}, "set is true; use a time with its zone"),
        (
            {"set": "1912-06-23T00:00Z"},
            "set is '1912-06-23T00:00Z'; use a time between",
        ),
        ({"advance": "P9999Y"}, "advance is P9999Y; it leads out of the calendar"),
        ({"advance": 1e300}, "advance is 1e+300; it leads out of the calendar; use a"),
        ({"advance": 10**400}, "advance is an integer of 401 digits; it leads out"),
        ({"advance": -1e10}, "advance is -10000000000.0; it leads out of the calendar"),
        ({"to": 5}, "to is not a field here; remove it"),
    ],
)
def test_move_that_leads_nowhere_is_told(
    still: httpx.Client, body: dict[str, object], message: str
) -> None:
    answer = still.post("/local/clock", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]
    assert still.get("/local/clock").json()["moved_seconds"] == 0


def test_outage_begins_is_listed_and_ends(
    running: LocalSidecar, client: httpx.Client
) -> None:
    asked = {"code": "RESOURCE_EXHAUSTED", "methods": ["GetEntitlement"]}
    begun = client.post("/local/faults", json=asked)
    assert begun.status_code == 201
    number = begun.json()["number"]
    assert refusal(running, CHECK)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    (listed,) = client.get("/local/faults").json()["faults"]
    assert listed == {
        **begun.json(),
        "met": 1,
        "says": "GetEntitlement is answered RESOURCE_EXHAUSTED",
        "refuse": None,
        "delay": 0.0,
        "share": 1.0,
        **asked,
    }
    assert client.delete(f"/local/faults/{number}").status_code == 200
    ask(running, CHECK)
    gone = client.delete(f"/local/faults/{number}")
    assert gone.status_code == 404
    assert f"no fault {number} is on" in gone.json()["message"]


def test_closing_and_ending_all_is_done_when_it_is_answered(
    running: LocalSidecar, client: httpx.Client
) -> None:
    client.post("/local/faults", json={"delay": 0.001})
    client.post("/local/faults", json={"refuse": "closed"})
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((running.host, running.port))
    assert client.delete("/local/faults").json() == {"ended": 2}
    ask(running, CHECK)


def test_fault_that_cannot_be_is_told(client: httpx.Client) -> None:
    answer = client.post("/local/faults", json={"code": "TEAPOT"})
    assert answer.status_code == 400
    assert "code is 'TEAPOT'; use one of: CANCELLED, " in answer.json()["message"]


class Events:
    """The events of one connection."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.iter_lines()

    def next(self) -> dict[str, str]:
        """The next block; a heartbeat has its text under an empty name."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                break
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields

    def happening(self) -> dict[str, object]:
        """The next happening's data."""
        fields = self.next()
        assert fields["event"] == "happening", fields
        found: dict[str, object] = json.loads(fields["data"])
        return {**found, "id": fields["id"]}


@contextmanager
def following(
    client: httpx.Client, query: str = "", last: str = ""
) -> Generator[tuple[Events, dict[str, object]]]:
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/local/feed{query}", headers=headers) as response:
        events = Events(response)
        hello = events.next()
        assert hello["event"] == "hello"
        yield events, json.loads(hello["data"])


def test_stream_tells_what_happens(running: LocalSidecar, client: httpx.Client) -> None:
    with following(client) as (events, hello):
        check(running, "feature-03-custom-domain", customer_id="customer-demo-01")
        told = events.happening()
        assert told["kind"] == "check"
        assert told["number"] == running.feed.last
        assert told["id"] == f"{hello['epoch']}-{told['number']}"
        facts = told["facts"]
        assert isinstance(facts, dict)
        assert facts["feature_id"] == "feature-03-custom-domain"
        assert facts["has_access"] is True


def test_stream_is_resumed_after_the_last_event(
    running: LocalSidecar, client: httpx.Client
) -> None:
    with following(client) as (events, _):
        running.feed.publish("one")
        last = str(events.happening()["id"])
    running.feed.publish("two")
    with following(client, last=last) as (events, hello):
        assert hello["resumed"] is True
        assert events.happening()["kind"] == "two"


def test_stream_of_another_run_is_begun_anew(
    running: LocalSidecar, client: httpx.Client
) -> None:
    running.feed.publish("kept")
    with following(client, last="0badcafe-999999") as (events, hello):
        assert hello["resumed"] is False
        assert running.feed.since(0).happenings[0].number
        fields = events.next()
        assert fields["event"] in ("happening", "missed")


def test_latest_are_replayed_on_demand(
    running: LocalSidecar, client: httpx.Client
) -> None:
    for kind in ("a", "b", "c"):
        running.feed.publish(kind)
    with following(client, "?replay=2") as (events, _):
        assert [events.happening()["kind"] for _ in range(2)] == ["b", "c"]


@pytest.mark.parametrize("replay", ["-1", "many", "1e9", "9" * 50])
def test_replay_that_is_no_number_is_told(client: httpx.Client, replay: str) -> None:
    answer = client.get("/local/feed", params={"replay": replay})
    assert answer.status_code == 400
    assert f"use a number from 0 to {KEPT}" in answer.json()["message"]


def test_calm_follower_is_told_no_more_than_a_person_reads(
    running: LocalSidecar, client: httpx.Client
) -> None:
    with following(client, "?calm=1") as (events, _):
        running.feed.publish("first")
        assert events.happening()["kind"] == "first"
        for _ in range(200):
            running.feed.publish("flood")
        seen, missed = counted(events, 200)
        assert seen + missed == 200
        assert missed > 0


def counted(events: Events, wanted: int) -> tuple[int, int]:
    """How many happenings of so many are told, and how many are missed."""
    seen = missed = 0
    while seen + missed < wanted:
        fields = events.next()
        if fields["event"] == "missed":
            missed += json.loads(fields["data"])["missed"]
        else:
            seen += 1
    return seen, missed


def test_follower_who_is_too_slow_is_told_what_is_missing(
    running: LocalSidecar, client: httpx.Client
) -> None:
    with following(client) as (events, _):
        for _ in range(KEPT + 100):
            running.feed.publish("flood")
        seen, missed = counted(events, KEPT + 100)
        assert seen + missed == KEPT + 100
        assert missed > 0


def test_followers_are_only_so_many_and_leave_their_place(
    running: LocalSidecar, client: httpx.Client
) -> None:
    def is_free() -> bool:
        # A place is free when the server has seen that its follower is gone.
        for _ in range(500):
            if running.feed.subscribers == 0:
                return True
            running.feed.publish("anybody there?")
            client.get("/livez")
        return False

    assert is_free()
    held = [client.stream("GET", "/local/feed") for _ in range(MOST_SUBSCRIBERS)]
    for one in held:
        one.__enter__()
    refused = client.get("/local/feed")
    assert refused.status_code == 503
    assert "32 subscribers follow the feed already" in refused.json()["message"]
    for one in held:
        one.__exit__(None, None, None)
    assert is_free()


async def test_silent_stream_says_that_it_is_still_there() -> None:
    feed = Feed(Clock())
    parts = cast("Parts", SimpleNamespace(feed=feed, heartbeat=0.01))
    told = stream.events(parts, feed.subscribe(), is_resumed=False, is_calm=False)
    begun = b"".join([await anext(told), await anext(told)])
    assert begun.startswith(b"retry: 1000\nevent: hello\n")
    assert await anext(told) == b": still here\n\n"
    feed.close_subscriptions()
    assert [block async for block in told if block != b": still here\n\n"] == []


def test_time_in_the_stream_is_the_sidecars(still: httpx.Client) -> None:
    with following(still) as (events, _):
        still.post("/local/clock", json={"advance": 60})
        assert events.happening()["at"] == "2023-12-01T00:01:00Z"
    assert NOW.year == 2023
