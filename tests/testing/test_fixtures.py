"""Overrides in fixtures and cases of the user's own, as pytest runs them."""

from __future__ import annotations

import unittest
from collections.abc import AsyncIterator, Iterator

import pytest

from stigg_guard import Guard, Subject
from stigg_guard.testing import metered, override_entitlements, recorded_usage

ALICE = Subject("alice")
GUARD = Guard(target="127.0.0.1:1", timeout=0.2, on_unavailable="deny")


@pytest.fixture
def paid() -> Iterator[override_entitlements]:
    with override_entitlements({"a": True, "t": metered(limit=2)}) as override:
        yield override


@pytest.fixture
async def apaid() -> AsyncIterator[override_entitlements]:
    async with override_entitlements({"a": True, "t": metered(limit=2)}) as override:
        yield override


def test_block_in_a_fixture_reaches_a_test(paid: override_entitlements) -> None:
    assert GUARD.check(ALICE, "a")
    with recorded_usage() as recorded:
        GUARD.report(ALICE, "t")
    recorded.assert_reported("t", times=1)
    with override_entitlements({"a": False}):
        assert not GUARD.check(ALICE, "a")
        assert GUARD.check(ALICE, "t")


async def test_block_in_a_fixture_reaches_an_async_test(
    paid: override_entitlements,
) -> None:
    assert await GUARD.aio.check(ALICE, "a")
    with override_entitlements({"a": False}):
        assert not await GUARD.aio.check(ALICE, "a")
        assert await GUARD.aio.check(ALICE, "t")


async def test_block_in_an_async_fixture_reaches_a_test(
    apaid: override_entitlements,
) -> None:
    assert await GUARD.aio.check(ALICE, "a")
    with recorded_usage() as recorded:
        await GUARD.aio.report(ALICE, "t")
    recorded.assert_reported("t", times=1)
    with override_entitlements({"a": False}):
        assert not await GUARD.aio.check(ALICE, "a")
        assert await GUARD.aio.check(ALICE, "t")
    assert apaid.used("t", "alice") == 1


def test_nothing_is_left_of_fixtures() -> None:
    assert GUARD.check(ALICE, "a").source == "policy"


@pytest.mark.entitlements({"a": True})
class MarkedCase(unittest.TestCase):
    def test_marker_of_a_class(self) -> None:
        assert GUARD.check(ALICE, "a")

    @pytest.mark.entitlements({"a": False})
    def test_marker_of_a_method(self) -> None:
        assert not GUARD.check(ALICE, "a")


@override_entitlements({"a": True, "t": metered(limit=2)})
class DecoratedCase(unittest.TestCase):
    def test_one(self) -> None:
        GUARD.report(ALICE, "t", 2)
        assert not GUARD.check(ALICE, "t")

    def test_two(self) -> None:
        assert GUARD.check(ALICE, "t")


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param(True, marks=pytest.mark.entitlements({"a": True})),
        pytest.param(False, marks=pytest.mark.entitlements({"a": False})),
        False,
    ],
)
def test_marker_of_one_parameter(allowed: bool) -> None:
    assert GUARD.check(ALICE, "a").allowed is allowed
