"""The decorators for endpoints of Starlette and FastAPI: functions and methods.

What they ask is `stigg_guard.decorators`'; how FastAPI hands a request to a function
that does not take one is `injection`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any, cast

from anyio import from_thread
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from stigg_guard.exchange import Exchange
from stigg_guard.functions import NamedFunction
from stigg_guard.view import ViewSpec, succeeded
from stigg_guard_starlette.injection import INJECTED, inject, wants_arguments
from stigg_guard_starlette.middleware import exchange_of
from stigg_guard_starlette.placement import PlacedDecorators

Endpoint = Callable[..., Any]
Specs = tuple[ViewSpec, ...]


def wrap(view: Endpoint, specs: Specs) -> Endpoint:
    """The guarded endpoint: as synchronous or asynchronous as the endpoint is."""
    if inspect.isasyncgenfunction(view):
        guarded = _wrap_async_generator(view)
    elif inspect.isgeneratorfunction(view):
        guarded = _wrap_generator(view)
    elif is_async(view):
        guarded = _wrap_async(view, specs)
    else:
        guarded = _wrap_sync(view, specs)
    if not hasattr(view, "__name__"):  # an object, which FastAPI names by its class
        guarded.__name__ = guarded.__qualname__ = type(view).__name__
    return inject(guarded, view, specs)


def _wrap_async(view: Endpoint, specs: Specs) -> Endpoint:
    is_late = wants_arguments(specs)

    @wraps(view)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        exchange, is_admitted = _exchange_among(view, args, kwargs)
        if not is_admitted or is_late:
            await exchange.guard.admit(specs, exchange.scope)
        try:
            response = await view(*args, **kwargs)
        except Exception as error:
            if not is_answer(error):
                await exchange.settle(None)
            raise
        exchange.scope.result = response
        if exchange.has_started:
            await exchange.settle(200)
        return response

    return guarded


def _wrap_sync(view: Endpoint, specs: Specs) -> Endpoint:
    is_late = wants_arguments(specs)
    needs_loop = any(_asks_async(spec) for spec in specs)

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        exchange, is_admitted = _exchange_among(view, args, kwargs)
        if not is_admitted or is_late:
            _admit_in_thread(exchange, specs, needs_loop=needs_loop)
        try:
            response = view(*args, **kwargs)
        except Exception as error:
            if not is_answer(error):
                exchange.guard.sync.settle(exchange.scope, None)
            raise
        exchange.scope.result = response
        if exchange.has_started:
            exchange.guard.sync.settle(exchange.scope, 200)
        return response

    return guarded


def _wrap_async_generator(view: Endpoint) -> Endpoint:
    # FastAPI streams what such an endpoint yields, and has injected the exchange.
    @wraps(view)
    async def guarded(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        _check_injected(view, kwargs)
        async for item in view(*args, **kwargs):
            yield item

    return guarded


def _wrap_generator(view: Endpoint) -> Endpoint:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Iterator[Any]:
        _check_injected(view, kwargs)
        yield from view(*args, **kwargs)

    return guarded


def _admit_in_thread(exchange: Exchange, specs: Specs, *, needs_loop: bool) -> None:
    """Ask from this worker thread; what is asynchronous runs on the server's loop.

    An asynchronous resolver may hold on to that loop, as database pools do.
    """
    scope, guard = exchange.scope, exchange.guard
    settings = guard.settings
    asked = (scope.customer or settings.customer, settings.exempt_when)
    if needs_loop or any(map(is_async, asked)):
        from_thread.run(guard.admit, specs, scope)
    else:
        guard.sync.admit(specs, scope)


def _exchange_among(
    view: Endpoint, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Exchange, bool]:
    """The exchange, and whether FastAPI's dependency made it ready already.

    It learns what the endpoint is called with.
    """
    exchange: Exchange | None = kwargs.pop(INJECTED, None)
    is_injected = exchange is not None
    if exchange is None:
        request = _request_among(view, args, kwargs)
        exchange = exchange_of(request)
        exchange.prepare(request)
    path_params = getattr(exchange.scope.request, "path_params", {})
    exchange.scope.arguments = {**path_params, **kwargs}
    return exchange, is_injected


def _request_among(
    view: Endpoint, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> HTTPConnection:
    for value in (*args, *kwargs.values()):
        if isinstance(value, HTTPConnection):
            return cast(HTTPConnection, value)
    raise TypeError(
        f"{_name(view)} is guarded, and was called without a request. Let it take the"
        " request, or call it through the application."
    )


def _check_injected(view: Endpoint, kwargs: dict[str, Any]) -> None:
    if kwargs.pop(INJECTED, None) is None:
        raise TypeError(
            f"{_name(view)} is guarded and yields; only FastAPI runs such endpoints."
        )


def _name(view: Endpoint) -> str:
    return getattr(view, "__qualname__", repr(view))


def is_answer(error: Exception) -> bool:
    """Whether raising this was the way to a successful answer, such as a redirect."""
    return isinstance(error, HTTPException) and succeeded(error.status_code)


def is_async(function: object) -> bool:
    """Whether calling this gives a coroutine."""
    while True:
        if isinstance(function, partial):
            function = cast(Any, function).func
        elif isinstance(function, NamedFunction):
            function = function.function
        else:
            break
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # an object may have one
    )


def _asks_async(spec: ViewSpec) -> bool:
    asked = (
        spec.customer,
        spec.resource,
        spec.value,
        spec.dimensions,
        spec.timestamp,
        spec.exempt_when,
    )
    return any(is_async(function) for function in asked)


_decorators = PlacedDecorators(wrap)
requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
