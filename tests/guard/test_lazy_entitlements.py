"""The entitlements of a request: asked at first use, once, by threads and tasks."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import AsyncGuard, Guard, LazyEntitlements, Reason, Subject
from stigg_guard.steps import RequestScope
from stigg_guard.view import Resolved

CUSTOMER = Subject("customer-demo-01", "site-01")
TEMPLATES = "feature-01-templates"
DOMAIN = "feature-03-custom-domain"
FORMATS = "feature-05-export-formats"
FILE_SIZE = "feature-06-max-file-size"


@pytest.fixture
def guard(sidecar: LocalSidecar) -> Iterator[Guard]:
    guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
    yield guard
    guard.close()


class Resolver:
    """A customer resolver that counts its calls."""

    def __init__(self, customer: Resolved = CUSTOMER) -> None:
        self.customer = customer
        self.calls: list[object] = []

    def __call__(self, request: object) -> Resolved:
        self.calls.append(request)
        return self.customer


def lazy(
    guard: Guard | AsyncGuard, resolver: Resolver | None = None
) -> LazyEntitlements:
    scope = RequestScope(request="request", customer=resolver or Resolver())
    return LazyEntitlements(guard, lambda: scope)


def test_nothing_is_asked_before_first_use(guard: Guard, sidecar: LocalSidecar) -> None:
    resolver = Resolver()
    entitlements = lazy(guard, resolver)
    assert not sidecar.calls
    assert not resolver.calls
    assert entitlements.has(DOMAIN)
    assert entitlements.value(FILE_SIZE) == 100
    assert entitlements.remaining(TEMPLATES) == 3
    assert entitlements.enum_values(FORMATS) == ()
    assert entitlements.entitlements.subject == CUSTOMER
    assert entitlements.decision(FORMATS).reason is not None
    assert not entitlements.is_fallback
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    assert resolver.calls == ["request"]


def test_another_customer_is_not_shown_what_the_first_one_has(guard: Guard) -> None:
    resolver = Resolver()
    scope = RequestScope(request="request", customer=resolver)
    entitlements = LazyEntitlements(guard, lambda: scope)
    assert entitlements.has(DOMAIN)
    resolver.customer = Subject("customer-demo-02")  # as when an API knows its user
    scope.subject_is_known = False
    assert not entitlements.has(DOMAIN)


async def test_async_twins_ask_once_too(sidecar: LocalSidecar) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5)
    resolver = Resolver()
    entitlements = lazy(guard, resolver)
    assert await entitlements.ahas(DOMAIN)
    assert await entitlements.avalue(FILE_SIZE) == 100
    assert await entitlements.aremaining(TEMPLATES) == 3
    assert await entitlements.aenum_values(FORMATS) == ()
    assert (await entitlements.adecision(DOMAIN)).allowed
    assert (await entitlements.aentitlements()).subject == CUSTOMER
    assert entitlements.has(DOMAIN)
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    assert len(resolver.calls) == 1
    await guard.aclose()


async def test_async_resolver_is_awaited(sidecar: LocalSidecar) -> None:
    async def customer_of(request: object) -> Subject:
        await asyncio.sleep(0)
        return CUSTOMER

    guard = AsyncGuard(target=sidecar.target, timeout=5, customer=customer_of)
    first, second = RequestScope(), RequestScope()
    assert await LazyEntitlements(guard, lambda: first).ahas(DOMAIN)
    assert LazyEntitlements(guard, lambda: second).has(DOMAIN)
    await guard.aclose()
    guard.sync.close()


def test_threads_of_a_request_ask_once(guard: Guard, sidecar: LocalSidecar) -> None:
    all_there, calls = threading.Barrier(8), list[object]()
    asked_twice = threading.Event()

    def customer_of(request: object) -> Subject:
        if calls:
            asked_twice.set()
        calls.append(request)
        asked_twice.wait(0.2)  # the others have the time to come here, if they may
        return CUSTOMER

    scope = RequestScope(request="request", customer=customer_of)
    entitlements = LazyEntitlements(guard, lambda: scope)

    def ask(_: int) -> bool:
        all_there.wait(10)
        return entitlements.has(DOMAIN)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    assert calls == ["request"]


async def test_tasks_of_a_request_ask_once(sidecar: LocalSidecar) -> None:
    calls: list[object] = []

    async def customer_of(request: object) -> Subject:
        calls.append(request)
        await asyncio.sleep(0)
        return CUSTOMER

    guard = AsyncGuard(target=sidecar.target, timeout=5)
    scope = RequestScope(request="request", customer=customer_of)
    entitlements = LazyEntitlements(guard, lambda: scope)
    assert all(await asyncio.gather(*(entitlements.ahas(DOMAIN) for _ in range(64))))
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    assert calls == ["request"]
    await guard.aclose()


@pytest.mark.parametrize("nobody", [None, ""])
def test_without_a_customer_everything_is_absent(
    guard: Guard, sidecar: LocalSidecar, nobody: Resolved
) -> None:
    entitlements = lazy(guard, Resolver(nobody))
    assert not entitlements.has(DOMAIN)
    assert entitlements.value(FILE_SIZE) == entitlements.remaining(TEMPLATES) == 0
    assert dict(entitlements.entitlements) == {}
    assert entitlements.entitlements.subject is None
    assert not entitlements.is_fallback
    assert entitlements.decision(DOMAIN).reason is Reason.NO_CUSTOMER
    assert not sidecar.calls


def test_application_without_a_resolver_has_no_customer(guard: Guard) -> None:
    scope = RequestScope()
    assert not LazyEntitlements(guard, lambda: scope).has(DOMAIN)


@pytest.mark.parametrize("customer", [CUSTOMER, None])
def test_guard_that_is_off_lets_everybody_have_everything(
    sidecar: LocalSidecar, customer: Resolved
) -> None:
    guard = Guard(target=sidecar.target, enabled=False)
    entitlements = lazy(guard, Resolver(customer))
    assert entitlements.has("feature-08-editors")
    assert entitlements.remaining(TEMPLATES) == math.inf
    assert entitlements.entitlements.subject == customer
    assert entitlements.is_fallback
    assert not sidecar.calls


def test_usage_that_was_reported_meanwhile_is_seen(
    guard: Guard, sidecar: LocalSidecar
) -> None:
    entitlements = lazy(guard)
    assert entitlements.remaining(TEMPLATES) == 3
    with guard.metered(CUSTOMER, TEMPLATES):
        assert entitlements.remaining(TEMPLATES) == 3
    assert entitlements.remaining(TEMPLATES) == 2
    guard.report(Subject("customer-demo-02"), TEMPLATES, -1)
    assert entitlements.remaining(TEMPLATES) == 2
    assert sidecar.calls["GetEntitlementsStateV2"] == 2


def test_outage_is_asked_about_once_in_a_request() -> None:
    guard = Guard(target="127.0.0.1:9", timeout=5)
    entitlements = lazy(guard)
    assert entitlements.has(DOMAIN)
    assert entitlements.value(FILE_SIZE) == math.inf
    assert entitlements.is_fallback
    assert guard.counts["unanswered"] == 1
    guard.close()
