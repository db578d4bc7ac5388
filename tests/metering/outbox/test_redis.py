"""What the Redis outbox has of its own, beside the contract that every store keeps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import (
    Delivered,
    OutboxUnavailable,
    Parked,
    PutOff,
)
from stigg_guard.metering.outbox.redis import RedisOutbox
from tests.metering.outbox.redis_worker import event, raw, usage
from tests.metering.outbox.samples import Clock, keys
from tests.redis_server import RedisServer, redis_server

_names = count()


@pytest.fixture
def server(outbox_server: RedisServer) -> RedisServer:
    return outbox_server


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_names)}"


@pytest.fixture
def outbox(server: RedisServer, prefix: str, clock: Clock) -> Iterator[RedisOutbox]:
    opened = RedisOutbox(server.url, prefix=prefix, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Any]:
    client = raw(server.url)
    yield client
    client.close()


def deliver(outbox: RedisOutbox, worker: str = "w") -> int:
    """Deliver what is due; how many rows that were."""
    rows = outbox.claim(worker, most=10_000, lease=60)
    outbox.finish(worker, [Delivered(id=row.id) for row in rows])
    return len(rows)


def test_delivered_rows_leave_nothing_in_the_stream(
    outbox: RedisOutbox, redis: Any, prefix: str
) -> None:
    outbox.put([event(), usage("a"), usage("a"), usage("b")])
    outbox.put([event() for _ in range(1_000)])
    full = redis.memory_usage(f"{prefix}:{{outbox}}:rows")

    assert deliver(outbox) == 1_004

    assert redis.xlen(f"{prefix}:{{outbox}}:rows") == 0
    assert redis.memory_usage(f"{prefix}:{{outbox}}:rows") < full / 20
    left = {key for key in redis.keys(f"{prefix}:*") if redis.ttl(key) == -1}
    names = ("rows", "form", "delivered")
    assert left == {f"{prefix}:{{outbox}}:{name}".encode() for name in names}


def test_keys_of_delivered_rows_are_remembered_for_an_hour(
    outbox: RedisOutbox, redis: Any, prefix: str
) -> None:
    row = event()
    outbox.put([row])
    deliver(outbox)
    outbox.put([row])

    assert outbox.status().pending == 0
    key = f"{prefix}:{{outbox}}:key:{row.measurement.key}"
    assert 3_590 <= redis.ttl(key) <= 3_600
    redis.delete(key)
    outbox.put([row])
    assert outbox.status().pending == 1


def test_rows_in_flight_are_pending_entries_of_the_group(
    outbox: RedisOutbox, redis: Any, prefix: str
) -> None:
    outbox.put([event(), event(), event()])
    first, second = outbox.claim("one", most=2, lease=60)
    put_off = PutOff(id=first.id, error="no", due_at=0)
    stream = f"{prefix}:{{outbox}}:rows"
    assert redis.xpending(stream, "delivery")["pending"] == 2

    outbox.finish("one", [put_off, Delivered(id=second.id)])

    assert redis.xpending(stream, "delivery")["pending"] == 0
    outbox.claim("two", most=1, lease=60)
    (consumer,) = redis.xpending(stream, "delivery")["consumers"]
    assert consumer == {"name": b"two", "pending": 1}


def test_long_queue_behind_a_lane_that_waits_is_passed(
    outbox: RedisOutbox, clock: Clock
) -> None:
    outbox.put([usage("slow")])
    (held,) = outbox.claim("one", most=1, lease=60)
    outbox.put([usage("slow", value=n) for n in range(2_500)])
    other = event()
    outbox.put([other])

    assert keys(outbox.claim("two", most=10, lease=60)) == [other.measurement.key]
    assert outbox.claim("two", most=10, lease=60) == []

    outbox.finish("one", [Delivered(id=held.id)])
    values = [row.measurement.value for row in outbox.claim("two", most=9, lease=60)]
    assert values == list(range(9))


def test_thousands_of_rows_that_come_due_at_once_are_all_claimed(
    outbox: RedisOutbox, clock: Clock
) -> None:
    outbox.put([event() for _ in range(2_500)] + [usage(str(n)) for n in range(500)])
    rows = outbox.claim("w", most=3_000, lease=60)
    off = [PutOff(id=row.id, error="down", due_at=clock.now + 5) for row in rows]
    outbox.finish("w", off)
    assert outbox.claim("w", most=3_000, lease=60) == []

    clock.now += 5

    assert sorted(keys(outbox.claim("w", most=3_000, lease=60))) == sorted(keys(rows))


def test_parked_row_that_was_never_claimed_is_claimed_once_after_retry(
    outbox: RedisOutbox,
) -> None:
    first, second = usage(), usage()
    outbox.put([replace(first, state="parked", error="no", attempts=3), second])

    assert outbox.retry() == 1
    rows = outbox.claim("w", most=10, lease=60)

    assert keys(rows) == [first.measurement.key, second.measurement.key]
    assert [row.attempts for row in rows] == [3, 0]
    assert outbox.claim("w", most=10, lease=60) == []


def test_row_of_a_newer_form_is_parked_and_holds_nobody_up(
    outbox: RedisOutbox, redis: Any, prefix: str
) -> None:
    before, after = usage("a"), usage("a")
    lane = before.measurement.lane or ""
    outbox.put([before])
    stream, records = f"{prefix}:{{outbox}}:rows", ('{"v":99}', "{", "[]")
    for number, record in enumerate(records):
        entry = {"t": "1000", "k": f"odd-{number}", "l": lane, "m": record}
        redis.xadd(stream, entry)
    outbox.put([after])

    rows = outbox.claim("w", most=2, lease=60)

    assert keys(rows) == [before.measurement.key, after.measurement.key][: len(rows)]
    outbox.finish("w", [Delivered(id=row.id) for row in rows])
    deliver(outbox)
    assert outbox.status().delivered == 2
    parked = outbox.rows("parked")
    assert keys(parked) == ["odd-0", "odd-1", "odd-2"]
    assert "form 99" in (parked[0].error or "")
    assert "update it" in (parked[0].error or "")
    assert all("no stored measurement" in (row.error or "") for row in parked[1:])
    assert keys(list(outbox.waiting())) == keys(parked)
    assert len(outbox.discard([row.id for row in parked])) == 3


def test_claim_that_is_full_of_unreadable_rows_goes_on_to_the_next(
    outbox: RedisOutbox, redis: Any, prefix: str
) -> None:
    good = event()
    outbox.put([event()])
    deliver(outbox)
    for number in range(5):
        entry = {"t": "1000", "k": f"odd-{number}", "m": "{}"}
        redis.xadd(f"{prefix}:{{outbox}}:rows", entry)
    outbox.put([good])

    assert keys(outbox.claim("w", most=2, lease=60)) == [good.measurement.key]
    assert outbox.status().parked == 5


def test_claim_whose_reply_was_lost_is_made_anew(
    server: RedisServer, outbox: RedisOutbox, redis: Any, prefix: str, clock: Clock
) -> None:
    hasty = RedisOutbox(f"{server.url}?socket_timeout=0.3", prefix=prefix, clock=clock)
    hasty.claim("w", most=1, lease=1)
    rows = [event(), usage("a"), usage("a")]
    outbox.put(rows)
    (died,) = outbox.claim("dead", most=1, lease=1)
    clock.now += 2

    sleeper = redis.connection_pool.make_connection()
    sleeper.send_command("DEBUG", "SLEEP", "1")
    with pytest.raises(OutboxUnavailable, match="did not answer in time"):
        hasty.claim("w", most=10, lease=600)
    sleeper.read_response()
    sleeper.disconnect()
    give_up = time.monotonic() + 10
    while outbox.status().in_flight != 3:
        assert time.monotonic() < give_up, "the claim was never carried out"

    claimed = hasty.claim("w", most=10, lease=600)
    assert keys(claimed) == [row.measurement.key for row in rows]
    # One was really in flight with a worker that died; nobody saw the others.
    assert [row.was_in_flight for row in claimed] == [
        row.id == died.id for row in claimed
    ]
    hasty.finish("w", [Delivered(id=row.id) for row in claimed])
    assert outbox.status().delivered == 3
    hasty.close()


def test_age_of_the_queue_is_found_behind_any_number_of_parked_rows(
    outbox: RedisOutbox, clock: Clock
) -> None:
    outbox.put([event() for _ in range(350)])
    rows = outbox.claim("w", most=350, lease=60)
    outbox.finish("w", [Parked(id=row.id, error="no") for row in rows])
    assert outbox.status().oldest_at is None
    clock.now += 10
    outbox.put([event()])
    assert outbox.status().oldest_at == clock.now
    assert outbox.status().oldest_at == clock.now

    outbox.retry([rows[5].id])

    assert outbox.status().oldest_at == clock.now - 10


def test_claim_that_ran_out_can_be_extended_while_nobody_took_its_rows(
    outbox: RedisOutbox, clock: Clock
) -> None:
    outbox.put([event(), event()])
    first, second = outbox.claim("slow", most=2, lease=5)
    clock.now += 6
    assert [row.id for row in outbox.claim("other", most=1, lease=60)] == [first.id]

    outbox.extend("slow", [first.id, second.id], lease=60)

    assert outbox.claim("other", most=9, lease=60) == []
    outbox.finish("slow", [Delivered(id=first.id), Delivered(id=second.id)])
    assert outbox.status().delivered == 1


def test_outbox_that_somebody_flushed_starts_anew(
    server: RedisServer, clock: Clock
) -> None:
    with redis_server() as own:
        outbox = RedisOutbox(own.url, clock=clock)
        outbox.put([event(), usage()])
        outbox.claim("w", most=1, lease=60)
        raw(own.url).flushall()

        assert outbox.claim("w", most=9, lease=60) == []
        assert outbox.status().pending == 0
        assert outbox.rows() == []
        outbox.put([usage()])
        assert len(outbox.claim("w", most=9, lease=60)) == 1
        outbox.close()


def test_entry_that_somebody_deleted_holds_nobody_up(
    outbox: RedisOutbox, redis: Any, prefix: str, clock: Clock
) -> None:
    outbox.put([usage("a", value=1), usage("a", value=2)])
    (first,) = outbox.claim("w", most=1, lease=5)
    redis.xdel(f"{prefix}:{{outbox}}:rows", first.id)
    clock.now += 6

    (second,) = outbox.claim("w", most=9, lease=5)

    assert second.measurement.value == 2


def test_consumers_of_workers_that_are_gone_are_removed(
    server: RedisServer, prefix: str, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = f"{prefix}:{{outbox}}:rows"
    first = RedisOutbox(server.url, prefix=prefix)
    first.put([event(), event(), event()])
    first.claim("busy", most=1, lease=60)
    redis.xgroup_createconsumer(stream, "delivery", "gone")
    RedisOutbox(server.url, prefix=prefix).claim("second", most=1, lease=60)
    names = {each["name"] for each in redis.xinfo_consumers(stream, "delivery")}
    assert names == {b"busy", b"gone", b"second"}

    monkeypatch.setattr("stigg_guard.metering.outbox.redis.GONE_AFTER", -1)
    RedisOutbox(server.url, prefix=prefix).claim("third", most=1, lease=60)

    names = {each["name"] for each in redis.xinfo_consumers(stream, "delivery")}
    assert names == {b"busy", b"second", b"third"}


def test_prefixes_keep_outboxes_apart(server: RedisServer) -> None:
    one = RedisOutbox(server.url, prefix="one")
    two = RedisOutbox(server.url, prefix="two")
    one.put([event()])

    assert (one.status().pending, two.status().pending) == (1, 0)
    with pytest.raises(ConfigurationError, match="leave out braces"):
        RedisOutbox(server.url, prefix="{three}")


def test_ids_of_other_stores_are_ids_of_none(outbox: RedisOutbox) -> None:
    outbox.put([event()])
    for odd in ("7", "a1b2-3", "-", "", "99999999999999999999999-1", "é"):
        assert outbox.find([odd]) == []
        assert outbox.discard([odd]) == []
        assert outbox.retry([odd]) == 0
        outbox.extend("w", [odd], lease=1)
        outbox.finish("w", [Delivered(id=odd)])
        assert len(outbox.rows(after=odd)) == 1


def test_server_tells_the_time_unless_a_clock_is_given(
    server: RedisServer, redis: Any, prefix: str
) -> None:
    outbox = RedisOutbox(server.url, prefix=prefix)
    before, _ = redis.time()
    outbox.put([event()])
    (row,) = outbox.rows()

    assert before <= row.created_at < before + 60
    outbox.close()


def test_nothing_is_connected_before_it_is_used() -> None:
    RedisOutbox("redis://127.0.0.1:1/0").close()
