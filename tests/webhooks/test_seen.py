"""Which messages count as handled, in a process and in a Redis that all share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stigg_guard import Subject
from stigg_guard.decision import NoAnswer
from stigg_guard.webhooks.seen import CLAIMED_FOR, Seen, SeenHere
from stigg_guard.webhooks.shared import SharedSeen
from tests.redis_server import RedisServer, redis_server
from tests.webhooks.samples import message_id


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("--appendfsync", "no") as running:
        yield running


def shared(server: RedisServer) -> SharedSeen:
    return SharedSeen(
        server.url,
        setting="WEBHOOK_STORE",
        prefix="tests",
        target="t",
        ground=Nobody(),
        here=SeenHere(),
    )


class Nobody:
    """Remembers nothing, and has no sidecar."""

    is_on = False

    def forget(self, customer_id: str | None) -> None: ...

    def expire(self) -> None: ...

    def reload(self, subject: Subject) -> NoAnswer | None: ...


@pytest.fixture(params=["memory", "redis"])
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    if request.param == "memory":
        yield SeenHere()
        return
    found = shared(request.getfixturevalue("server"))
    yield found
    found.close()


def test_message_is_new_once(seen: Seen) -> None:
    name = message_id()
    assert seen.claim(name) == "new"
    assert seen.claim(name) == "under way"
    seen.conclude(name)
    assert seen.claim(name) == "done"


def test_message_that_was_released_is_new(seen: Seen) -> None:
    name = message_id()
    seen.claim(name)
    seen.release(name)
    assert seen.claim(name) == "new"


def test_messages_without_a_name_are_always_new(seen: Seen) -> None:
    assert seen.claim("") == "new"
    seen.conclude("")
    assert seen.claim("") == "new"


@pytest.mark.parametrize("name", ["\ud800", "x" * 900_000, "a:{b}\n"])
def test_any_text_is_a_name(seen: Seen, name: str) -> None:
    seen.release(name)
    assert seen.claim(name) == "new"
    seen.conclude(name)
    assert seen.claim(name) == "done"


def test_claim_of_a_holder_that_died_runs_out() -> None:
    now = [0.0]
    seen = SeenHere(clock=lambda: now[0])
    seen.claim("a")
    now[0] = CLAIMED_FOR - 1
    assert seen.claim("a") == "under way"
    now[0] = CLAIMED_FOR
    assert seen.claim("a") == "new"


def test_process_remembers_so_many_messages_and_no_more() -> None:
    seen = SeenHere(most=100)
    for number in range(1_000):
        seen.claim(str(number))
        seen.conclude(str(number))
    assert len(seen) == 100
    assert seen.claim("999") == "done"
    assert seen.claim("0") == "new"


def test_messages_of_one_process_are_known_to_the_other(server: RedisServer) -> None:
    one, other = shared(server), shared(server)
    name = message_id()
    one.claim(name)
    one.conclude(name)
    assert other.claim(name) == "done"
    one.close()
    other.close()


def test_what_redis_keeps_of_a_message_runs_out(server: RedisServer) -> None:
    seen, name = shared(server), message_id()
    with redis.Redis(port=server.port, db=0) as client:
        commands: Any = client
        commands.flushall()
        seen.claim(name)
        (key,) = commands.keys("tests:webhooks:*")
        assert 0 < commands.ttl(key) <= CLAIMED_FOR
        seen.conclude(name)
        assert CLAIMED_FOR < commands.ttl(key) <= 7 * 86_400
    seen.close()


def test_without_its_redis_each_process_knows_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server() as gone:
        seen = shared(gone)
        assert seen.claim("before") == "new"
        gone.stop()
        for _ in range(2):
            name = message_id()
            assert seen.claim(name) == "new"
            assert seen.claim(name) == "under way"
            seen.conclude(name)
            assert seen.claim(name) == "done"
        (line,) = [r.getMessage() for r in caplog.records if "single" in r.getMessage()]
        assert gone.url in line
        seen.close()
