"""Overrides on functions and classes: each call, and each test of a class, has its own.

What is put around them is the caller's.
"""

from __future__ import annotations

import functools
import inspect
import unittest
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T", bound=Callable[..., Any])


class Around(AbstractContextManager[Any], Protocol):
    """What is put around a test."""

    def enter(self, *, shared: bool = False) -> object:
        """Begin it."""
        ...

    def leave(self) -> None:
        """End it without a word."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """End it, and raise what went wrong."""
        ...


Fresh = Callable[[], Around]


def decorated(target: T, fresh: Fresh) -> T:
    """The function or class with something around it, made anew each time."""
    if isinstance(target, type):
        kind: Any = target
        is_case = issubclass(kind, unittest.TestCase)
        return cast("T", (_test_case if is_case else _plain_class)(kind, fresh))
    return cast("T", _method(target, fresh))


def _method(found: Any, fresh: Fresh) -> Any:
    """A function, or what @staticmethod or @classmethod made of one."""
    kind = found.__class__
    if kind is staticmethod or kind is classmethod:
        return cast("Any", kind)(_function(found.__func__, fresh))
    if not callable(found):
        raise TypeError(
            f"override_entitlements stands on {found!r}; put it on a function or on a"
            " class of tests."
        )
    return _function(found, fresh)


def _function(function: Callable[..., Any], fresh: Fresh) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"override_entitlements stands on the generator {function.__qualname__},"
            " whose body runs later; write `with override_entitlements(...):` in it."
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_test(*args: Any, **named: Any) -> Any:
            with fresh():
                return await function(*args, **named)

        return async_test

    @functools.wraps(function)
    def test(*args: Any, **named: Any) -> Any:
        with fresh():
            return function(*args, **named)

    return test


def _plain_class(kind: type, fresh: Fresh) -> type:
    """A class that pytest collects: its test methods, inherited ones too."""
    names = [name for name in dir(kind) if name.startswith("test")]
    tests = [name for name in names if inspect.isroutine(getattr(kind, name))]
    if not tests:
        raise TypeError(
            f"override_entitlements stands on the class {kind.__name__}, which has no"
            " tests: no method whose name begins with test."
        )
    for name in tests:
        setattr(kind, name, _method(inspect.getattr_static(kind, name), fresh))
    return kind


def _test_case(kind: Any, fresh: Fresh) -> type:
    """A unittest class: around what its tests share, and anew around each of them.

    Both hold for the whole process, as a `TestCase` runs on its own; asynchronous ones
    have a context from before the class was set up.
    """
    own_setup = kind.__dict__.get("setUpClass")

    def set_up_class(cls: Any) -> None:
        around = fresh()
        around.enter(shared=True)
        cls.addClassCleanup(around.end)
        if own_setup is None:
            inherited = cast("Any", super(kind, cls))
            inherited.setUpClass()
        else:
            own_setup.__get__(None, cls)()

    own_run = kind.__dict__.get("run")

    def run(self: Any, result: Any = None) -> Any:
        around = fresh()
        around.enter(shared=True)
        self.addCleanup(around.end)  # what it raises fails the test
        try:
            if own_run is None:
                inherited = cast("Any", super(kind, self))
                return inherited.run(result)
            return own_run(self, result)
        finally:
            around.leave()

    kind.setUpClass = classmethod(set_up_class)
    kind.run = run
    return cast("type", kind)
