"""Where a guard may not stand, and what is said there: at the decorator or at startup.

Routes keep the function they are given. A decorator above the route's comes too late:
the route has the function without its guard.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from starlette.routing import BaseRoute

from stigg_guard.decorators import Decorators, specs_of
from stigg_guard.errors import ConfigurationError
from stigg_guard.view import ViewSpec
from stigg_guard_starlette.mounted import routes_below

View = TypeVar("View", bound=Callable[..., Any])

_decorated: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
"""What an `@` line of ours replaced, and that line's name: nobody else knows it."""
_DEPTH: Final = 8
"""How many functions may stand between an `@` line and us."""
_DECORATOR: Final = "__stigg_guard_decorator__"


class PlacedDecorators(Decorators):
    """Decorators that refuse what is no endpoint, and remember what they replaced."""

    def decorator(self, name: str, spec: ViewSpec) -> Callable[[View], View]:
        """As any, but it may stand only where it guards."""
        decorate = super().decorator(name, spec)

        def place(view: View) -> View:
            _check_endpoint(name, view)
            guarded = decorate(view)
            if _is_written_above(view, inspect.currentframe()):
                _decorated.update(dict.fromkeys(_layers(view), name))
            return guarded

        setattr(place, _DECORATOR, name)
        return place


def _check_endpoint(name: str, view: object) -> None:
    if isinstance(view, BaseRoute) or hasattr(view, "routes"):
        kind = type(view).__name__
        raise TypeError(
            f"@{name} stands on a {kind}. Decorate the endpoints; for all of them use"
            f" the middleware's rules, or in FastAPI {kind}(dependencies=[Depends("
            "requires(...))])."
        )


def _is_written_above(view: Any, frame: FrameType | None) -> bool:
    """Whether `view` is decorated where it is defined, by a line that begins with @.

    Nobody but the decorators below that line has seen such a function.
    """
    code = getattr(inspect.unwrap(view), "__code__", None)
    for _ in range(_DEPTH):
        if code is None or frame is None:
            return False
        if code in frame.f_code.co_consts:
            return _is_within(code, frame.f_lineno)
        frame = frame.f_back  # a decorator that is made of ours
    return False


def _is_within(code: CodeType, line: int) -> bool:
    last = max(number for _, _, number in code.co_lines() if number is not None)
    return code.co_firstlineno <= line <= last


def _layers(view: Any) -> Iterator[Any]:
    """The function and the functions that it wraps; objects are nobody's endpoint."""
    while view is not None:
        if inspect.isfunction(view):
            yield view
        view = getattr(view, "__wrapped__", None)


def check_routes(routes: Iterable[BaseRoute]) -> None:
    """Raise `ConfigurationError` for the first guard that guards nothing."""
    for route in routes_below(routes):
        endpoint = getattr(route, "endpoint", None)
        name = _decorated.get(endpoint) if inspect.isfunction(endpoint) else None
        if name is not None:
            raise ConfigurationError(_TOO_LATE.format(_named(endpoint), name))
        for call in calls_of(getattr(route, "dependant", None)):
            wrong = getattr(call, _DECORATOR, None)
            if wrong is not None:
                path = getattr(route, "path", "")
                raise ConfigurationError(_NO_DEPENDENCY.format(path, wrong))


_TOO_LATE: Final = (
    "{0} is not guarded: @{1} stands above the decorator that made its route, which has"
    " the function without the guard. Write @app.get(...) first, and @{1} below it."
)
_NO_DEPENDENCY: Final = (
    'the route "{0}" has Depends({1}(...)), but {1} is a decorator. The dependencies'
    " are in stigg_guard_starlette.fastapi: Depends(requires(...)) and its like."
)


def _named(endpoint: Any) -> str:
    return f"{endpoint.__module__}.{endpoint.__qualname__}"


def specs_below(routes: Iterable[BaseRoute]) -> Iterator[ViewSpec]:
    """What the guards of all routes ask, at endpoints, their methods, dependencies."""
    for route in routes_below(routes):
        endpoint = getattr(route, "endpoint", None)
        names = dir(endpoint) if inspect.isclass(endpoint) else ()
        methods = (getattr(endpoint, name, None) for name in names)
        calls = calls_of(getattr(route, "dependant", None))
        for guarded in (endpoint, *methods, *calls):
            yield from specs_of(guarded)


def calls_of(dependant: Any) -> Iterator[Any]:
    """What FastAPI calls before an endpoint, dependencies of dependencies included."""
    for below in getattr(dependant, "dependencies", ()):
        yield below.call
        yield from calls_of(below)
