"""Guarded functions keep their types: only type checkers read this file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import assert_type

from stigg_guard import (
    AsyncGuard,
    Entitlement,
    Entitlements,
    Guard,
    LazyEntitlements,
    Subject,
    Usage,
    current_subject,
    current_usage,
    feature,
    subject,
)

guard = Guard.from_env({})
aguard = AsyncGuard.from_env({})


class Order:
    """What a job works on."""

    customer_id = "customer-1"


def customer_of(order: Order) -> str:
    return order.customer_id


async def acustomer_of(order: Order) -> Subject | None:
    return Subject(order.customer_id)


@guard.requires_feature("feature", customer=customer_of)
def export(order: Order, *, kind: str = "csv") -> list[str]:
    return [kind]


@guard.requires_all("one", feature("two", usage=2))
@aguard.meters_usage("feature", customer=acustomer_of, value=3)
async def aexport(order: Order) -> int:
    current_usage().value = 2
    return 1


@guard.meters_usage("feature", streamed="start")
def rows(count: int) -> Generator[int, str, bool]:
    yield count
    return True


@subject("customer-1")
@aguard.requires_any("one", "two")
async def arows() -> AsyncGenerator[bytes]:
    yield b""


class Job:
    """Methods keep their types too."""

    @guard.meters_usage(event="job.done")
    def run(self, name: str) -> str:
        return name

    @staticmethod
    @guard.requires_feature("feature")
    def below(name: str) -> int:
        return len(name)

    @guard.requires_feature("feature")
    @staticmethod
    def above(name: str) -> int:
        return len(name)

    @guard.requires_feature("feature")
    @classmethod
    def made(cls, name: str) -> Job:
        return cls()


assert_type(export(Order(), kind="pdf"), list[str])
assert_type(rows(2), Generator[int, str, bool])
assert_type(arows(), AsyncGenerator[bytes])
assert_type(Job().run("a"), str)
assert_type(Job.below("a"), int)
assert_type(Job().above("a"), int)
assert_type(Job.made("a"), Job)
assert_type(current_subject(), Subject | None)
assert_type(current_usage("feature"), Usage)

plain: Callable[[Order], list[str]] = export

with subject("customer-1", "site-1") as bound:
    assert_type(bound, Subject)

entitlements = guard.entitlements("customer-1")
assert_type(entitlements, Entitlements)
assert_type(entitlements["feature"], Entitlement)
assert_type(iter(entitlements), Iterator[str])
assert_type(entitlements.remaining("feature"), float)


async def look(lazy: LazyEntitlements) -> None:
    assert_type(await aexport(Order()), int)
    assert_type(await aguard.entitlements(bound), Entitlements)
    assert_type(lazy.has("feature"), bool)
    assert_type(await lazy.avalue("feature"), float)
    async with subject("customer-1") as found:
        assert_type(found, Subject)


export(Order(), kind=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
