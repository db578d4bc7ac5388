"""Guards that stand where Flask never calls them, and how they are found.

`@app.route` registers what stands below it and gives it back as it is: a decorator
above guards a function that nobody calls. Where one may stand is said in the docs.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator
from itertools import chain
from types import FrameType, FunctionType
from typing import Any, Final

from flask import Flask

from stigg_guard.decorators import specs_of
from stigg_guard.errors import ConfigurationError

_registered: Final = weakref.WeakSet[FunctionType]()
"""What applications with a `StiggGuard` were given as views."""
_TOO_LATE: Final = (
    "{name!r} has a guard and is called by @after_request or @teardown_request, when"
    " the view has run already; put the guard on the view."
)
_CACHED: Final = (
    "the view {name!r} has its guard below a cache, which gives to everybody what one"
    " customer may have; write the guard above: @app.route, then"
    " @requires_feature(...), then @cache.cached(...), then the function."
)
_guarded: Final = weakref.WeakSet[FunctionType]()
"""Functions below a guard that was written above them; they are views no more."""


def note_guarded(view: Any, frame: FrameType | None) -> None:
    """Take note of what a guard was put on, if by the syntax of decorators.

    `frame` is the one that put it there. Raises `ConfigurationError` when the view is
    registered already.
    """
    functions = list(_below(view))
    if frame is None or not functions or not _decorates(frame, functions[-1]):
        return
    for function in functions:
        if function in _registered:
            raise ConfigurationError(_words(f"the view {function.__name__!r}"))
        _guarded.add(function)


def note_registered(view: Any) -> None:
    """Take note of a view as it is registered.

    Raises `ConfigurationError` for one whose guard stands above its registration, or
    below a cache.
    """
    if not isinstance(view, FunctionType):
        return
    if view in _guarded:
        raise ConfigurationError(_words(f"the view {view.__name__!r}"))
    if any(map(_is_below_a_cache, (view, *_handlers(view)))):
        raise ConfigurationError(_CACHED.format(name=view.__name__))
    _registered.add(view)


def check(app: Flask) -> None:
    """Raise `ConfigurationError` for the first function whose guard is not called."""
    for view in app.view_functions.values():
        note_registered(view)
    for function in chain(*app.before_request_funcs.values()):
        if isinstance(function, FunctionType) and function in _guarded:
            raise ConfigurationError(_words(f"{function.__name__!r}", "before_request"))
    after = (app.after_request_funcs, app.teardown_request_funcs)
    for function in chain.from_iterable(chain(*funcs.values()) for funcs in after):
        if specs_of(function):
            raise ConfigurationError(_TOO_LATE.format(name=function.__name__))


def _below(view: Any) -> Iterator[FunctionType]:
    """A function and those that it wraps."""
    while view is not None:
        if isinstance(view, FunctionType):
            yield view
        view = getattr(view, "__wrapped__", None)


def _handlers(view: Any) -> Iterator[Any]:
    """The methods of a view that is made from a class."""
    owner = getattr(view, "view_class", None)
    for method in getattr(owner, "methods", None) or ():
        yield getattr(owner, method.lower(), None)


def _is_below_a_cache(view: Any) -> bool:
    """Whether Flask-Caching, which leaves this mark, stands above a guard."""
    return bool(specs_of(getattr(view, "uncached", None)))


def _decorates(frame: FrameType, function: FunctionType) -> bool:
    """Whether the frame is at a line that belongs to the function's definition.

    Its code is said to begin at its first decorator.
    """
    code = function.__code__
    lines = [line for *_, line in code.co_lines() if line is not None]
    is_same_file = frame.f_code.co_filename == code.co_filename
    return is_same_file and code.co_firstlineno <= frame.f_lineno <= max(lines)


def caller(depth: int) -> FrameType | None:
    """The frame so many calls above the one that asks."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = frame and frame.f_back
    return frame


def _words(what: str, registration: str = "route") -> str:
    return (
        f"{what} is registered without its guard, which stands above"
        f" @...{registration} and is never called; write the guard below it:"
        f" @app.{registration}, then @requires_feature(...), then the function."
    )
