"""No limit is exceeded by requests that run at the same time, however usage lags."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from stigg_guard import AccessDenied, AsyncGuard, Fallback, Guard, Reason, Subject
from stigg_guard.core import CROWDED_FOR
from tests.counting_sidecar import CountingSidecar, counting_sidecar, month

CUSTOMER = Subject("customer-1")
FEATURE = "feature-1"
LAGS = [0.0, 0.5, 10.0]


@pytest.fixture
def sidecar() -> Iterator[CountingSidecar]:
    with counting_sidecar() as running:
        yield running


def guard_of(sidecar: CountingSidecar, **options: Any) -> Guard:
    settings: dict[str, Any] = {
        "timeout": 5,
        "write_timeout": 5,
        "holds_wait": 0,
        "drain_timeout": 1,
    }
    return Guard(target=sidecar.target, **(settings | options))


@pytest.fixture(params=LAGS)
def lagging(request: pytest.FixtureRequest) -> Iterator[CountingSidecar]:
    with counting_sidecar(lag=request.param) as running:
        yield running


def test_a_hundred_threads_are_granted_the_limit_and_no_unit_more(
    lagging: CountingSidecar,
) -> None:
    guard = guard_of(lagging)
    begin = threading.Barrier(50)

    def create(number: int) -> bool:
        if number < 50:
            begin.wait()
        try:
            with guard.metered(CUSTOMER, FEATURE):
                return True
        except AccessDenied:
            return False

    with ThreadPoolExecutor(50) as pool:
        granted = sum(pool.map(create, range(100)))
    guard.close()
    assert (granted, lagging.total()) == (6, 6)


async def test_a_hundred_tasks_are_granted_the_limit_and_no_unit_more(
    lagging: CountingSidecar,
) -> None:
    guard = guard_of(lagging).aio

    async def create() -> bool:
        try:
            async with guard.metered(CUSTOMER, FEATURE):
                await asyncio.sleep(0)
                return True
        except AccessDenied:
            return False

    granted = sum(await asyncio.gather(*(create() for _ in range(100))))
    await guard.aclose()
    assert (granted, lagging.total()) == (6, 6)


def test_one_check_serves_many_grants(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    begin = threading.Barrier(6)

    def create(_: int) -> None:
        begin.wait()
        with guard.metered(CUSTOMER, FEATURE):
            begin.wait()

    sidecar_answers = threading.Event()
    ask = guard.sidecar.ask

    def slowly(*key: Any) -> Any:
        sidecar_answers.wait(5)
        return ask(*key)

    sidecar_of_guard: Any = guard.sidecar
    sidecar_of_guard.ask = slowly
    threading.Timer(0.2, sidecar_answers.set).start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))
    guard.close()
    assert sidecar.calls["GetEntitlement"] == 1
    assert sidecar.total() == 6


def test_denial_says_what_is_counted(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    with (
        guard.metered(CUSTOMER, FEATURE, value=5),
        pytest.raises(AccessDenied) as found,
    ):
        guard.metered(CUSTOMER, FEATURE, value=2).__enter__()
    guard.close()
    decision = found.value.decision
    assert decision.reason is Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert decision.source == "holds"
    assert decision.entitlement is not None
    assert decision.entitlement.current_usage == 5


def test_a_block_that_fails_gives_its_units_back(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    for _ in range(3):
        with (
            pytest.raises(ZeroDivisionError),
            guard.metered(CUSTOMER, FEATURE, value=6),
        ):
            raise ZeroDivisionError
    with guard.metered(CUSTOMER, FEATURE, value=6):
        pass
    guard.close()
    assert sidecar.total() == 6


def test_a_request_waits_for_units_that_are_only_held(
    sidecar: CountingSidecar,
) -> None:
    guard = guard_of(sidecar, holds_wait=10)
    is_held, may_end = threading.Event(), threading.Event()

    def fail() -> None:
        with guard.metered(CUSTOMER, FEATURE, value=6):
            is_held.set()
            may_end.wait()
            raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(fail)
        is_held.wait()
        waiting = pool.submit(guard.metered(CUSTOMER, FEATURE).__enter__)
        while not guard.counts.get("denied") and not waiting.done():
            if guard._core.crowd(_place()) is not None:  # pyright: ignore[reportPrivateUsage]
                may_end.set()
        waiting.result(10)
        assert isinstance(failing.exception(), ZeroDivisionError)
    assert guard.counts["waited"] == 1
    guard.close()


def test_waiting_ends_when_the_units_were_used(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar, holds_wait=3600)
    with guard.metered(CUSTOMER, FEATURE, value=6):
        pass
    with pytest.raises(AccessDenied):
        guard.metered(CUSTOMER, FEATURE).__enter__()
    guard.close()


def test_what_is_crowded_is_denied_without_a_call(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=6):
        with pytest.raises(AccessDenied):
            guard.metered(CUSTOMER, FEATURE).__enter__()
        asked = sidecar.calls["GetEntitlement"]
        for _ in range(5):
            with pytest.raises(AccessDenied):
                guard.metered(CUSTOMER, FEATURE).__enter__()
        with pytest.raises(AccessDenied) as found:
            guard.metered(CUSTOMER, FEATURE).__enter__()
        assert sidecar.calls["GetEntitlement"] == asked
    assert found.value.decision.entitlement is not None
    assert found.value.decision.entitlement.usage_limit == 6
    guard.close()


def test_a_higher_limit_ends_a_crowd_however_many_ask(
    sidecar: CountingSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("stigg_guard.core.time", clock)
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=6):
        with pytest.raises(AccessDenied):
            guard.metered(CUSTOMER, FEATURE).__enter__()
        sidecar.limit = 60

        while now[0] < CROWDED_FOR - 1:
            now[0] += 1
            with pytest.raises(AccessDenied):
                guard.metered(CUSTOMER, FEATURE).__enter__()
        now[0] += 1

        with guard.metered(CUSTOMER, FEATURE):
            pass
    guard.close()


def test_a_new_usage_period_starts_a_new_counter() -> None:
    with counting_sidecar(lag=10) as sidecar:
        sidecar.period = month(1)
        guard = guard_of(sidecar)
        with guard.metered(CUSTOMER, FEATURE, value=6):
            pass
        with pytest.raises(AccessDenied):
            guard.metered(CUSTOMER, FEATURE).__enter__()
        sidecar.period = month(2)
        with guard.metered(CUSTOMER, FEATURE, value=6):
            pass
        guard.close()


def test_units_given_back_may_be_used_again(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=6):
        pass
    with guard.metered(CUSTOMER, FEATURE, value=-2):
        pass
    assert sidecar.total() == 4
    with guard.metered(CUSTOMER, FEATURE, value=2):
        pass
    guard.close()
    assert sidecar.total() == 6


def test_giving_back_is_allowed_at_the_limit(sidecar: CountingSidecar) -> None:
    sidecar.put(6)
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=-1):
        pass
    guard.close()
    assert sidecar.total() == 5
    assert sidecar.calls["GetEntitlement"] == 0


def test_a_new_total_holds_its_increase(sidecar: CountingSidecar) -> None:
    sidecar.put(3)
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=5, update="set"):
        with guard.metered(CUSTOMER, FEATURE):
            pass
        with pytest.raises(AccessDenied):
            guard.metered(CUSTOMER, FEATURE).__enter__()
    guard.close()


@pytest.mark.parametrize("kind", ["unlimited", "soft"])
def test_what_has_no_hard_limit_needs_no_hold(
    sidecar: CountingSidecar, kind: str
) -> None:
    sidecar.limit = None if kind == "unlimited" else 6
    sidecar.has_soft_limit = kind == "soft"
    guard = guard_of(sidecar)
    for _ in range(3):
        with guard.metered(CUSTOMER, FEATURE, value=5):
            pass
    assert sidecar.total() == 15
    assert guard.counts.get("held", 0) == 0
    guard.close()


def test_usage_reported_outside_of_views_counts_too() -> None:
    with counting_sidecar(lag=10) as sidecar:
        guard = guard_of(sidecar)
        assert guard.report(CUSTOMER, FEATURE, 4) == "acknowledged"
        with pytest.raises(AccessDenied):
            guard.metered(CUSTOMER, FEATURE, value=3).__enter__()
        guard.close()


async def test_sync_and_async_guard_share_one_ledger(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE, value=4):
        aio: AsyncGuard = guard.aio
        with pytest.raises(AccessDenied):
            await aio.metered(CUSTOMER, FEATURE, value=3).__aenter__()
        async with aio.metered(CUSTOMER, FEATURE, value=2):
            pass
    await guard.aio.aclose()
    guard.close()
    assert sidecar.total() == 6


def _place() -> Any:
    from stigg_guard.metering.holds.base import Place

    return Place(CUSTOMER.customer_id, None, FEATURE)


def test_the_last_known_limit_holds_in_an_outage(sidecar: CountingSidecar) -> None:
    guard = guard_of(sidecar)
    with guard.metered(CUSTOMER, FEATURE):
        pass
    sidecar.stop()
    with guard.metered(CUSTOMER, FEATURE, value=5):
        pass
    with pytest.raises(AccessDenied) as found:
        guard.metered(CUSTOMER, FEATURE).__enter__()
    assert found.value.decision.is_fallback
    sidecar.start()
    guard.close()


def test_the_limit_of_a_fallback_holds_in_an_outage(sidecar: CountingSidecar) -> None:
    fallback = Fallback(has_access=True, usage_limit=2)
    guard = guard_of(sidecar, features={FEATURE: {"FALLBACK": fallback}})
    sidecar.stop()
    for _ in range(2):
        with guard.metered(CUSTOMER, FEATURE):
            pass
    with pytest.raises(AccessDenied):
        guard.metered(CUSTOMER, FEATURE).__enter__()
    sidecar.start()
    guard.close()
