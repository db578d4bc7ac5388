"""Users' functions that want more than the request: by the names of their parameters.

`arguments` is what the view was called with, `result` what it returned, `response` the
framework's response. When such a function is called lives in `flow`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

ARGUMENTS: Final = "arguments"
AFTERWARDS: Final = frozenset({"result", "response", "usage"})
"""What is known only when the view has run."""
NAMES: Final = AFTERWARDS | {ARGUMENTS}


class NamedFunction:
    """A function of the request, or of nothing, and of some of `NAMES` by name."""

    __slots__ = ("function", "names", "takes_request")

    def __init__(
        self,
        function: Callable[..., Any],
        names: frozenset[str],
        *,
        takes_request: bool,
    ) -> None:
        self.function = function
        self.names = names
        self.takes_request = takes_request

    def __call__(self, request: object, **named: object) -> Any:
        """Call it with what it wants; awaitable if it is async."""
        wanted = {name: named[name] for name in self.names}
        if self.takes_request:
            return self.function(request, **wanted)
        return self.function(**wanted)

    @property
    def is_for_afterwards(self) -> bool:
        """Whether it can only be called when the view has run."""
        return not AFTERWARDS.isdisjoint(self.names)


def named(function: Any) -> Any:
    """The function itself, or a `NamedFunction` when it wants more than the request."""
    if not callable(function) or isinstance(function, NamedFunction):
        return function
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function  # built in, without a signature to read
    names = frozenset(parameters) & NAMES
    if not names:
        return function
    others = [p for name, p in parameters.items() if name not in NAMES]
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    takes_request = any(p.kind in positional for p in others)
    return NamedFunction(function, names, takes_request=takes_request)


def is_for_afterwards(function: object) -> bool:
    """Whether a function can only be called when the view has run."""
    return isinstance(function, NamedFunction) and function.is_for_afterwards


def names_of(function: object) -> frozenset[str]:
    """What a function wants besides the request."""
    return function.names if isinstance(function, NamedFunction) else frozenset()
