"""Overrides on functions and on classes that pytest collects."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from stigg_guard import Guard, Subject
from stigg_guard.testing import OverrideError, metered, override_entitlements

ALICE = Subject("alice")
GUARD = Guard(target="127.0.0.1:1", timeout=0.2, on_unavailable="deny")
THREE_OF_SIX = override_entitlements({"t": metered(limit=6, used=3)})


def units_left() -> int:
    """How many units there are, used up one by one."""
    found = 0
    while GUARD.check(ALICE, "t"):
        GUARD.report(ALICE, "t")
        found += 1
    return found


@THREE_OF_SIX
def test_function_is_overridden_and_takes_fixtures(tmp_path: object) -> None:
    assert tmp_path
    assert units_left() == 3


@pytest.mark.parametrize("_time", [1, 2])
@THREE_OF_SIX
def test_each_call_begins_anew(_time: int) -> None:
    assert units_left() == 3


@THREE_OF_SIX
async def test_async_function_is_overridden() -> None:
    async with GUARD.aio.metered(ALICE, "t"):
        await asyncio.sleep(0)
    assert await asyncio.to_thread(units_left) == 2


@THREE_OF_SIX
@override_entitlements({"a": True})
def test_stacked_overrides_are_nested() -> None:
    assert GUARD.check(ALICE, "a")
    assert units_left() == 3


@override_entitlements({"a": True, "t": metered(limit=6, used=3)})
class TestOverriddenClass:
    def test_one(self) -> None:
        assert GUARD.check(ALICE, "a")
        assert units_left() == 3

    async def test_two(self, tmp_path: object) -> None:
        assert tmp_path
        assert await GUARD.aio.check(ALICE, "a")
        assert units_left() == 3

    @override_entitlements({"a": False})
    def test_three(self) -> None:
        assert not GUARD.check(ALICE, "a")

    @staticmethod
    def test_static() -> None:
        assert GUARD.check(ALICE, "a")

    @override_entitlements({"a": False})
    @classmethod
    def test_class(cls) -> None:
        assert not GUARD.check(ALICE, "a")


class TestSubclass(TestOverriddenClass):
    def test_four_of_its_own_is_not(self) -> None:
        assert GUARD.check(ALICE, "never").source == "policy"


def test_decorated_functions_stay_what_they_are() -> None:
    @THREE_OF_SIX
    async def some(a: int, *, b: str = "") -> None:
        """Says something."""

    assert inspect.iscoroutinefunction(some)
    assert list(inspect.signature(some).parameters) == ["a", "b"]
    assert (some.__name__, some.__doc__) == ("some", "Says something.")


def test_error_that_a_decorated_function_swallows_is_raised() -> None:
    @THREE_OF_SIX
    def swallows() -> None:
        try:
            GUARD.check(ALICE, "other")
        except Exception:
            pass

    with pytest.raises(OverrideError, match='"other"'):
        swallows()


def generator() -> Any:
    yield


async def async_generator() -> Any:
    yield


class NoTests:
    def helper(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (generator, "the generator generator"),
        (async_generator, "the generator async_generator"),
        (NoTests, "the class NoTests, which has no tests"),
        (staticmethod(generator), "the generator generator"),
        ("test", "stands on 'test'; put it on a function"),
    ],
)
def test_what_cannot_be_decorated_is_refused(target: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        THREE_OF_SIX(target)
