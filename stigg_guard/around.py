"""Functions of any nature, run inside of something: sync, async, and generators.

What it is that they run inside of is an `Around`: a bound subject, or a guard.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import Any, Protocol, TypeVar

from asgiref.sync import iscoroutinefunction

Function = TypeVar("Function", bound="Callable[..., Any] | classmethod[Any, Any, Any]")
"""What can be decorated: a function of any nature, or one inside of a descriptor."""


class Around(Protocol):
    """What happens around one call; the methods that begin with "a" are awaited."""

    def within(self) -> AbstractContextManager[object]:
        """Entered while the function's own code runs: between two items it does not."""
        ...

    def before(self) -> None:
        """Before anything of the function runs."""
        ...

    def sent(self, item: Any) -> None:
        """A generator made an item, which is about to be handed over."""
        ...

    def after(self, result: Any) -> None:
        """The function returned, or the generator came to its end."""
        ...

    def failed(self) -> None:
        """The function raised, or the generator was left before its end."""
        ...

    async def abefore(self) -> None:
        """As `before`."""
        ...

    async def asent(self, item: Any) -> None:
        """As `sent`."""
        ...

    async def aafter(self, result: Any) -> None:
        """As `after`."""
        ...

    async def afailed(self) -> None:
        """As `failed`."""
        ...


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Around]
"""From the arguments of a call to what happens around it."""


def decorated(
    function: Function, decorate: Callable[[Any], Callable[..., Any]]
) -> Function:
    """What `decorate` makes of a function; a static or class method stays one."""
    whole: Any = function
    if isinstance(function, staticmethod | classmethod):
        whole = type(whole)(decorate(whole.__func__))
    else:
        whole = decorate(whole)
    return whole  # type: ignore[no-any-return]  # of the same type


def surrounded(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """A function of the same nature and signature, with `begin` around each call."""
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, begin)
    if inspect.isgeneratorfunction(function):
        return _generator(function, begin)
    # Not that of `inspect` alone: before Python 3.12 it does not see marked functions.
    if iscoroutinefunction(function):  # pyright: ignore[reportDeprecated]
        return _async(function, begin)
    return _sync(function, begin)


def _sync(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        around = begin(args, kwargs)
        around.before()
        try:
            with around.within():
                result = function(*args, **kwargs)
        except BaseException:
            around.failed()
            raise
        if inspect.iscoroutine(result):
            # Async after all, behind a decorator that hides it: nothing ran so far.
            return _awaited(lambda: result, around)
        around.after(result)
        return result

    return call


def _async(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        around = begin(args, kwargs)
        await around.abefore()
        return await _awaited(lambda: function(*args, **kwargs), around)

    return call


async def _awaited(start: Callable[[], Awaitable[Any]], around: Around) -> Any:
    try:
        with around.within():
            result = await start()
    except BaseException:
        await around.afailed()
        raise
    await around.aafter(result)
    return result


def _generator(
    function: Callable[..., Generator[Any, Any, Any]], begin: Begin
) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        around = begin(args, kwargs)
        around.before()
        try:
            inner = function(*args, **kwargs)
            result = yield from _driven(inner, around)
        except BaseException:
            around.failed()
            raise
        around.after(result)
        return result

    return call


def _driven(
    inner: Generator[Any, Any, Any], around: Around
) -> Generator[Any, Any, Any]:
    """As `yield from`, but each step of the inner generator runs within (PEP 380)."""
    advance: Callable[[], Any] = partial(next, inner)
    while True:
        try:
            with around.within():
                item = advance()
        except StopIteration as stop:
            return stop.value
        around.sent(item)
        try:
            reply = yield item
        except GeneratorExit:
            with around.within():
                inner.close()
            raise
        except BaseException as error:
            advance = partial(inner.throw, error)
        else:
            advance = partial(inner.send, reply)


def _async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]], begin: Begin
) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        around = begin(args, kwargs)
        await around.abefore()
        try:
            inner = function(*args, **kwargs)
            advance: Callable[[], Any] = partial(anext, inner)
            while True:
                try:
                    with around.within():
                        item = await advance()
                except StopAsyncIteration:
                    break
                await around.asent(item)
                try:
                    reply = yield item
                except GeneratorExit:
                    with around.within():
                        await inner.aclose()
                    raise
                except BaseException as error:
                    advance = partial(inner.athrow, error)
                else:
                    advance = partial(inner.asend, reply)
        except BaseException:
            await around.afailed()
            raise
        await around.aafter(None)

    return call
