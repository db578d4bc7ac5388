"""What becomes of usage that is not acknowledged: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Guard, Happening, Requirement, Subject
from stigg_guard.asgi import StiggGuardMiddleware
from stigg_guard.decision import Answer
from stigg_guard.metering.holds.base import Peek, Place, Standing
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.row import NewRow, PutOff, Row
from stigg_guard.metering.worker import Worker
from tests.counting_sidecar import CountingSidecar, counting_sidecar, month
from tests.redis_server import RedisServer, redis_server

CUSTOMER = Subject("customer-1")
FEATURE = "feature-1"

METERED_BY_EVENTS: Final = {
    "features": [
        {
            "id": FEATURE,
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "used", "aggregation": "sum", "field": "units"},
        }
    ],
    "plans": [{"id": "basic", "entitlements": {FEATURE: {"limit": 4}}}],
    "customers": [{"id": CUSTOMER.customer_id, "subscriptions": [{"plan": "basic"}]}],
}

Make = Callable[..., Guard]


@pytest.fixture
def sidecar() -> Iterator[CountingSidecar]:
    with counting_sidecar() as running:
        yield running


@pytest.fixture
def make(sidecar: CountingSidecar, tmp_path: Path) -> Iterator[Make]:
    """Guards on one SQLite outbox, delivered only when a test says so."""
    made: list[Guard] = []

    def build(**options: Any) -> Guard:
        settings: dict[str, Any] = {
            "target": sidecar.target,
            "timeout": 5,
            "write_timeout": 5,
            "holds_wait": 0,
            "outbox": str(tmp_path / "outbox.db"),
            "outbox_worker": False,
            "drain_timeout": 0,
        }
        guard = Guard(**(settings | options))
        made.append(guard)
        return guard

    yield build
    for guard in made:
        guard.close()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def deliver(guard: Guard) -> None:
    """Deliver all that can be delivered now, whenever it is due."""
    worker = worker_of(guard)
    while worker.step():
        pass


def worker_of(guard: Guard) -> Worker:
    worker = guard.stores.own_worker()
    outbox: Any = guard.outbox
    finish = outbox.finish

    def at_once(name: str, results: Any) -> None:
        finish(
            name,
            [replace(r, due_at=0) if isinstance(r, PutOff) else r for r in results],
        )

    outbox.finish = at_once
    return worker


def rows_of(guard: Guard, state: Any = None) -> list[Row]:
    return [
        row for row in guard.outbox.rows(state) if state or row.state != "delivered"
    ]


def use(guard: Guard, units: float = 1) -> None:
    with guard.metered(CUSTOMER, FEATURE, value=units):
        pass


def test_usage_outlives_an_outage_and_is_counted_once(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    use(guard)
    sidecar.stop()
    use(guard, 2)
    assert [row.state for row in rows_of(guard)] == ["pending"]
    sidecar.start()
    deliver(guard)
    assert sidecar.total() == 3
    assert rows_of(guard) == []


def test_its_hold_stays_until_the_acknowledgement(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    use(guard)
    sidecar.stop()
    use(guard, 5)
    sidecar.start()
    with pytest.raises(AccessDenied):
        use(guard)
    deliver(guard)
    assert sidecar.total() == 6
    with pytest.raises(AccessDenied):
        use(guard)


def test_its_hold_outlives_a_restart(sidecar: CountingSidecar, make: Make) -> None:
    first = make()
    use(first)
    sidecar.stop()
    use(first, 5)
    first.close()
    sidecar.start()
    second = make()
    with pytest.raises(AccessDenied):
        use(second)
    deliver(second)
    assert sidecar.total() == 6


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_change_in_doubt_is_reconciled(
    sidecar: CountingSidecar, make: Make, fault: Any
) -> None:
    guard = make()
    use(guard)
    sidecar.faults.append(fault)
    use(guard, 2)
    (row,) = rows_of(guard)
    assert row.doubtful
    deliver(guard)
    assert sidecar.total() == 3
    assert rows_of(guard) == []
    use(guard, 3)
    with pytest.raises(AccessDenied):
        use(guard)


@pytest.mark.parametrize("fault", ["before", "after"])
def test_the_first_change_of_a_customer_is_reconciled_too(
    sidecar: CountingSidecar, make: Make, fault: Any
) -> None:
    sidecar.put(2)
    guard = make()
    sidecar.faults.append(fault)
    use(guard)
    deliver(guard)
    assert sidecar.total() == 3
    assert rows_of(guard) == []


def test_several_changes_in_doubt_are_told_apart(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    for units, fault in ((1, "after"), (2, "before"), (3, "after")):
        sidecar.faults.append(fault)  # type: ignore[arg-type]
        use(guard, units)
    # 4 arrived: 1 and 3. Nothing else sums up to it.
    deliver(guard)
    assert sidecar.total() == 6
    assert rows_of(guard) == []


@pytest.mark.parametrize("units", [(1, 1), (1, 2)])
@pytest.mark.parametrize("faults", [("before", "before"), ("after", "before")])
def test_changes_of_two_processes_in_doubt_are_told_apart(
    sidecar: CountingSidecar,
    make: Make,
    redis: RedisServer,
    tmp_path: Path,
    units: tuple[float, float],
    faults: tuple[Any, Any],
) -> None:
    one, other = (
        make(outbox=str(tmp_path / name), holds=redis.url) for name in ("one", "other")
    )
    for guard, value, fault in zip((one, other), units, faults, strict=True):
        sidecar.faults.append(fault)
        use(guard, value)

    deliver(one)
    deliver(other)

    assert sidecar.total() == sum(units)
    assert rows_of(one) == rows_of(other) == []
    with pytest.raises(AccessDenied):
        use(one, 7 - sum(units))


def test_many_different_changes_of_which_none_arrived_are_sent_again(
    sidecar: CountingSidecar, make: Make
) -> None:
    sidecar.limit = 1000
    guard = make()
    for units in range(1, 15):
        sidecar.faults.append("before")
        use(guard, units)

    deliver(guard)

    assert sidecar.total() == sum(range(1, 15))
    assert rows_of(guard) == []


def test_sums_that_fit_alike_are_left_to_a_person(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    for units, fault in ((1, "after"), (2, "after"), (3, "before")):
        sidecar.faults.append(fault)  # type: ignore[arg-type]
        use(guard, units)
    deliver(guard)
    assert sidecar.total() == 3
    assert {row.state for row in rows_of(guard)} == {"parked"}


def test_usage_of_others_makes_it_a_persons_decision(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    use(guard)
    sidecar.faults.append("before")
    use(guard, 2)
    sidecar.put(sidecar.total() + 1)
    deliver(guard)
    (row,) = rows_of(guard)
    assert row.state == "parked"
    assert "others report the same feature" in (row.error or "")
    assert sidecar.total() == 2


def test_park_leaves_every_doubt_to_a_person(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make(on_ambiguous="park")
    sidecar.faults.append("after")
    use(guard)
    deliver(guard)
    (row,) = rows_of(guard)
    assert (row.state, row.doubtful) == ("parked", True)
    assert sidecar.total() == 1
    assert guard.counts["parked"] == 1


def test_what_nothing_limits_is_parked_when_in_doubt(
    sidecar: CountingSidecar, make: Make
) -> None:
    sidecar.limit = None
    guard = make()
    sidecar.faults.append("after")
    use(guard)
    deliver(guard)
    (row,) = rows_of(guard)
    assert row.state == "parked"
    assert "nothing limits it" in (row.error or "")


def test_a_total_in_doubt_is_sent_again(sidecar: CountingSidecar, make: Make) -> None:
    guard = make()
    sidecar.faults.append("after")
    with guard.metered(CUSTOMER, FEATURE, value=5, update="set"):
        pass
    deliver(guard)
    assert sidecar.total() == 5
    assert rows_of(guard) == []


def test_an_event_that_the_sidecar_counts_at_once_counts_once(make: Make) -> None:
    def use_two() -> None:
        options: Any = {"event": "used", "dimensions": {"units": 2}}
        with guard.metered(CUSTOMER, FEATURE, value=2, **options):
            pass

    def ask(happening: Happening) -> None:
        # It is in the sidecar's usage by now, and its hold has not ended yet.
        with suppress(LookupError), guard.metered(CUSTOMER, FEATURE):
            raise LookupError

    with LocalSidecar(catalog=METERED_BY_EVENTS) as counting:
        guard = make(target=counting.target, hooks={"delivered": ask})
        use_two()
        deliver(guard)

        use_two()

        deliver(guard)
        with pytest.raises(AccessDenied):
            use_two()


def test_what_an_outage_kept_from_being_sent_holds_as_what_waits(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    for _ in range(2):
        with guard.metered(CUSTOMER, FEATURE, event="used"):
            pass
    sidecar.faults.extend(["reject", "before"])

    worker_of(guard).step()

    place = Place(CUSTOMER.customer_id, None, FEATURE)
    standing = guard.stores.holds.perform(Peek(place=place))
    assert isinstance(standing, Standing)
    assert (standing.held, standing.open) == (2, 0)


def test_an_event_in_doubt_is_sent_again_with_its_key_and_time(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    guard.report_event(CUSTOMER, "email.sent", dimensions={"size": 2})
    sidecar.faults.append("after")
    deliver(guard)
    assert len(sidecar.events) == 1
    assert sidecar.event_repeats == 1
    ((key, request),) = sidecar.events.items()
    (event,) = request.events
    assert len(key) == 32
    assert event.dimensions["size"].number_value == 2
    assert event.HasField("timestamp")


def test_events_are_sent_in_one_batch(sidecar: CountingSidecar, make: Make) -> None:
    guard = make()
    guard.outbox.put([_event_row(number) for number in range(1_500)])
    deliver(guard)
    assert len(sidecar.events) == 1_500
    assert sidecar.calls["ReportEvents"] == 2


def test_calculated_usage_is_sent_in_batches_in_its_order(
    sidecar: CountingSidecar, make: Make
) -> None:
    sidecar.limit = None
    guard = make()
    for number in range(250):
        guard.report(CUSTOMER, FEATURE, number + 1, delivery="background")
    deliver(guard)
    assert [report.value for report in sidecar.reports] == list(range(1, 251))
    assert sidecar.calls["ReportUsageBulk"] == 3
    assert sidecar.calls["ReportUsage"] == 0


def test_a_poison_row_is_parked_and_blocks_nobody(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    sidecar.faults.append("reject")
    use(guard, 2)
    (row,) = rows_of(guard)
    assert row.state == "parked"
    assert "value: not wanted here" in (row.error or "")
    use(guard)
    assert sidecar.total() == 1


def test_a_poison_row_is_found_within_its_batch(
    sidecar: CountingSidecar, make: Make
) -> None:
    sidecar.limit = None
    guard = make()
    for number in range(4):
        guard.report(CUSTOMER, FEATURE, number + 1, delivery="background")
    # The whole, the first half, and the first of it are refused.
    sidecar.faults.extend(["reject", "reject", "reject"])
    deliver(guard)
    (row,) = rows_of(guard)
    assert (row.state, row.measurement.value) == ("parked", 1)
    assert sidecar.total() == 9


def test_a_person_may_send_a_parked_row_again(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make(on_ambiguous="park")
    sidecar.faults.append("before")
    use(guard, 2)
    assert guard.outbox.retry() == 1
    deliver(guard)
    assert sidecar.total() == 2
    use(guard, 4)
    with pytest.raises(AccessDenied):
        use(guard)


def test_a_report_that_is_cut_by_the_end_of_its_loop_is_kept(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make().aio
    started = asyncio.Event()

    async def work() -> None:
        async with guard.metered(CUSTOMER, FEATURE):
            report = guard.sidecar.report

            async def slowly(batch: Any) -> Any:
                await report(batch)
                started.set()
                await asyncio.sleep(3600)

            sidecar_of_guard: Any = guard.sidecar
            sidecar_of_guard.report = slowly

    async def run() -> None:
        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    _wait_for(lambda: rows_of(guard.sync))
    deliver(guard.sync)
    assert sidecar.total() == 1


def test_a_report_goes_on_when_its_caller_is_cancelled(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make().aio

    async def work(reporting: asyncio.Event, gone: asyncio.Event) -> None:
        async with guard.metered(CUSTOMER, FEATURE):
            sidecar_of_guard: Any = guard.sidecar
            report = sidecar_of_guard.report

            async def slowly(batch: Any) -> Any:
                reporting.set()
                await gone.wait()
                return await report(batch)

            sidecar_of_guard.report = slowly

    async def run() -> None:
        reporting, gone = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(work(reporting, gone))
        await reporting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gone.set()
        await asyncio.to_thread(_wait_for, lambda: guard.counts.get("acknowledged"))
        await guard.aclose()

    asyncio.run(run())
    assert not rows_of(guard.sync)
    assert sidecar.total() == 1


def test_usage_beyond_the_queue_is_dropped_counted_and_logged(
    sidecar: CountingSidecar, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    guard = make(outbox=None, queue_size=1, on_queue_full="drop", drain_timeout=0)
    use(guard)
    sidecar.stop()
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        use(guard)
        assert "Usage was not acknowledged: feature feature-1" in caplog.text
        use(guard, 2)
    assert "Usage was lost: feature feature-1, delta 2" in caplog.text
    assert guard.counts["dropped"] == 1


def test_the_end_of_a_process_drains_its_queue(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make(outbox=None, drain_timeout=10)
    for _ in range(20):
        guard.report_event(CUSTOMER, "email.sent")
    guard.close()
    assert len(sidecar.events) == 20


def test_the_end_of_a_process_says_what_it_could_not_send(
    sidecar: CountingSidecar, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    guard = make(outbox=None, drain_timeout=0.1)
    sidecar.stop()
    guard.report_event(CUSTOMER, "email.sent")
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        guard.close()
    assert "Usage was lost: event email.sent" in caplog.text


def test_the_thread_delivers_by_itself(sidecar: CountingSidecar, make: Make) -> None:
    guard = make(outbox_worker=True)
    use(guard)
    sidecar.stop()
    use(guard, 2)
    sidecar.start()
    _wait_for(lambda: sidecar.total() == 3)


def test_hooks_are_told_of_every_outcome(sidecar: CountingSidecar, make: Make) -> None:
    told: list[Happening] = []
    names = ("held", "granted", "denied", "measured", "acknowledged", "stored")
    guard = make(hooks=dict.fromkeys(names, told.append))
    guard.on("delivered", told.append)
    use(guard)
    with pytest.raises(AccessDenied):
        use(guard, 6)
    sidecar.stop()
    use(guard)
    sidecar.start()
    deliver(guard)
    outcomes = [happening.outcome for happening in told]
    assert outcomes == [
        *("held", "granted", "measured", "acknowledged", "denied"),
        *("held", "granted", "measured", "stored", "delivered"),
    ]
    assert told[-1].measurement is not None
    assert told[-1].measurement.feature_id == FEATURE


def test_a_hook_that_fails_disturbs_nobody(
    sidecar: CountingSidecar, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Happening) -> None:
        raise ZeroDivisionError

    guard = make(hooks={"measured": [broken]})
    use(guard)
    assert sidecar.total() == 1
    assert "The hook" in caplog.text


def test_queue_age_is_that_of_the_oldest_waiting_usage(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    assert guard.queue_age == 0
    use(guard)
    sidecar.stop()
    use(guard)
    assert 0 <= guard.queue_age < 60
    assert guard.outbox.status().pending == 1


def _event_row(number: int) -> Any:
    return NewRow(
        measurement=Measurement(
            subject=CUSTOMER, event="email.sent", dimensions=(("number", number),)
        )
    )


def _wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.01)


def test_processes_that_hold_alone_leave_doubts_to_a_person(
    sidecar: CountingSidecar, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stigg_guard.metering.stores.siblings", lambda: 3)
    guard = make()
    use(guard)
    sidecar.faults.append("after")
    use(guard)
    deliver(guard)
    (row,) = rows_of(guard)
    assert row.state == "parked"
    assert "not known here" in (row.error or "")


@pytest.mark.parametrize(
    ("outbox", "words", "then"),
    [
        ("a file", "parked in the outbox until a person decides", "not wanted here"),
        (None, "parked in this process's memory", "report it by hand"),
    ],
)
def test_it_is_logged_where_parked_usage_waits(
    make: Make,
    sidecar: CountingSidecar,
    caplog: pytest.LogCaptureFixture,
    outbox: str | None,
    words: str,
    then: str,
) -> None:
    guard = make() if outbox else make(outbox=None)
    sidecar.faults.append("reject")

    assert guard.report(CUSTOMER, FEATURE) == "parked"

    (record,) = caplog.records
    assert f"Usage is {words}: feature feature-1, delta 1" in record.getMessage()
    assert then in record.getMessage()
    assert ("report it by hand" in record.getMessage()) == (outbox is None)


def test_a_new_total_does_not_overtake_changes_that_wait(
    sidecar: CountingSidecar, make: Make
) -> None:
    guard = make()
    use(guard)
    sidecar.stop()
    use(guard)
    sidecar.start()
    assert guard.report(CUSTOMER, FEATURE, 1, update="set") == "stored"
    deliver(guard)
    assert sidecar.total() == 1


def test_usage_from_before_a_restart_is_sent_once_the_server_has_started(
    make: Make, sidecar: CountingSidecar
) -> None:
    sidecar.stop()
    use(make())
    sidecar.start()

    guard = make(outbox_worker=True)
    app: Any = StiggGuardMiddleware(Starlette(), guard=guard.aio)
    with TestClient(app):
        _wait_for(lambda: sidecar.total() == 1)


def test_an_outbox_that_cannot_be_opened_is_told_of_once_at_the_start(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard = make(outbox=str(tmp_path / "missing" / "outbox.db"), outbox_worker=True)
    for _ in range(2):
        guard.begin()
    _wait_for(lambda: caplog.records)
    (record,) = caplog.records
    assert "missing" in record.getMessage()
    assert record.levelname == "ERROR"


def test_usage_waits_in_memory_for_an_outbox_that_is_out(
    make: Make, sidecar: CountingSidecar, tmp_path: Path, caplog: Any
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    guard = make(outbox=redis.url, outbox_worker=True, write_timeout=0.5)
    use(guard)
    redis.kill()
    sidecar.stop()
    assert guard.report(CUSTOMER, FEATURE) == "stored"
    assert "Usage waits in memory and is at risk" in caplog.text

    redis.start()
    sidecar.start()
    _wait_for(lambda: sidecar.total() == 2)
    redis.stop()


def test_usage_that_no_outbox_took_is_told_of_when_the_process_ends(
    make: Make, sidecar: CountingSidecar, tmp_path: Path, caplog: Any
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    guard = make(outbox=redis.url, write_timeout=0.2)
    use(guard)
    redis.kill()
    sidecar.stop()
    use(guard)
    guard.close()
    assert "Usage was lost: feature feature-1, delta 1" in caplog.text
    assert guard.counts["dropped"] == 1


def _full(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the guard's outbox take nothing more, and be read as before."""

    def put(_: object) -> None:
        raise OutboxUnavailable("the disk is full")

    monkeypatch.setattr(guard.outbox, "put", put)


def test_usage_that_no_outbox_took_is_sent_when_the_process_ends(
    make: Make, sidecar: CountingSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = make(write_timeout=0.2, drain_timeout=5)
    use(guard)
    sidecar.stop()
    use(guard)
    _full(guard, monkeypatch)
    use(guard, 2)
    guard.report_event(CUSTOMER, "email.sent", delivery="acknowledged")
    sidecar.start()
    guard.close()
    assert sidecar.total() == 3  # the one in the outbox waits there
    assert len(sidecar.events) == 1
    assert "dropped" not in guard.counts


def test_a_total_that_no_outbox_took_overtakes_no_changes_in_it(
    make: Make, sidecar: CountingSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = make(write_timeout=0.2, drain_timeout=5)
    use(guard)
    sidecar.stop()
    use(guard)
    _full(guard, monkeypatch)
    guard.report(CUSTOMER, FEATURE, 5, update="set")
    sidecar.start()
    guard.close()
    assert sidecar.total() == 1
    assert guard.counts["dropped"] == 1


def test_what_a_silent_outbox_may_have_is_not_sent_past_it(
    make: Make, sidecar: CountingSidecar, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    redis.start()
    guard = make(outbox=redis.url, write_timeout=0.2, drain_timeout=5)
    use(guard)
    redis.kill()
    sidecar.stop()
    use(guard)
    guard.report_event(CUSTOMER, "email.sent", delivery="acknowledged")
    sidecar.start()
    guard.close()
    assert sidecar.total() == 1
    assert len(sidecar.events) == 1
    assert guard.counts["dropped"] == 1


def test_units_granted_in_an_outage_count_in_the_period_that_began_meanwhile(
    make: Make, sidecar: CountingSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar.period = month(1)
    guard = make()
    use(guard)
    sidecar.stop()
    monkeypatch.setattr(
        "stigg_guard.metering.promise.now_utc", lambda: month(2) + timedelta(hours=1)
    )
    with guard.metered(CUSTOMER, FEATURE, value=2):
        sidecar.period = month(2)
        sidecar.start()
        question = Requirement(feature_id=FEATURE).question
        _wait_for(lambda: isinstance(guard.sidecar.ask(CUSTOMER, question), Answer))
        use(guard, 4)
        with pytest.raises(AccessDenied):
            use(guard)
    assert sidecar.total() == 6
