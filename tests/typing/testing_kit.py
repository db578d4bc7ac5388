"""Decorated tests keep their types: only type checkers read this file."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from stigg_guard import Measurement, Reason
from stigg_guard.testing import (
    credits,  # noqa: A004
    denied,
    enum,
    metered,
    override_entitlements,
    recorded_usage,
    slow_sidecar,
    unavailable_sidecar,
)


@override_entitlements(
    {
        "boolean": True,
        "numeric": 25,
        "metered": metered(limit=6, used=3),
        "enum": enum("eu", "us"),
        "ai": credits(100, used=20),
        "denied": denied(Reason.REVOKED),
        "reason": Reason.BUDGET_EXCEEDED,
    },
    customer="customer-1",
    resource="site-1",
    unknown="deny",
)
def sync_test(client: object, *, number: int = 1) -> str:
    return "done"


@override_entitlements({"feature": True})
@unavailable_sidecar()
@slow_sidecar(2.5)
async def async_test(client: object) -> int:
    return 1


@override_entitlements({"feature": True})
class Tests(unittest.TestCase):
    attribute = 1


async def blocks() -> None:
    with override_entitlements({"feature": True}) as override:
        assert_type(override, override_entitlements)
        assert_type(override.used("feature", "customer-1"), float)
    async with override_entitlements({}), recorded_usage() as recorded:
        assert_type(recorded, recorded_usage)
        assert_type(recorded.measurements, tuple[Measurement, ...])
        recorded.assert_reported("feature", value=1, customer="customer-1")
        recorded.assert_event("event", dimensions={"kind": "welcome"})


as_sync: Callable[[object], str] = sync_test
as_async: Callable[[object], Coroutine[Any, Any, int]] = async_test
assert_type(sync_test(object(), number=2), str)
assert_type(Tests.attribute, int)

override_entitlements({"feature": "eu"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
override_entitlements({}, unknown="error")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
