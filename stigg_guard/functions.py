"""Users' functions that want more than the request: by the names of their parameters.

`arguments` is what the view was called with, `result` what it returned, `response` the
framework's response, `usage` the units. When they are called is said in `flow`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, Final

ARGUMENTS: Final = "arguments"
AFTERWARDS: Final = frozenset({"result", "response", "usage"})
"""What is known only when the view has run."""
NAMES: Final = AFTERWARDS | {ARGUMENTS}

_POSITIONAL: Final = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
)


class NamedFunction:
    """A function of the request, or of nothing, and of some of `NAMES` by name.

    `request` is the name of the parameter that takes the request; empty when it is
    given by position, None when the function does not take it.
    """

    __slots__ = ("function", "names", "request")

    def __init__(
        self, function: Callable[..., Any], names: frozenset[str], request: str | None
    ) -> None:
        self.function = function
        self.names = names
        self.request = request

    def __call__(self, request: object, **named: object) -> Any:
        """Call it with what it wants; awaitable if it is async."""
        wanted = {name: named[name] for name in self.names}
        if self.request is None:
            return self.function(**wanted)
        if not self.request:
            return self.function(request, **wanted)
        return self.function(**{self.request: request}, **wanted)

    @property
    def is_for_afterwards(self) -> bool:
        """Whether it can only be called when the view has run."""
        return not AFTERWARDS.isdisjoint(self.names)


def named(function: Any) -> Any:
    """The function itself, or a `NamedFunction` when it wants more than the request.

    Raises `TypeError` for one that wants what nobody gives.
    """
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
    return NamedFunction(function, names, _request_among(others, function))


def _request_among(others: Sequence[Parameter], function: object) -> str | None:
    """How the request is given, among the parameters that are not in `NAMES`.

    What has a default keeps it, unless it is called "request".
    """
    needed = [
        p
        for p in others
        if p.name == "request"
        or p.kind is Parameter.VAR_POSITIONAL
        or (p.default is Parameter.empty and p.kind is not Parameter.VAR_KEYWORD)
    ]
    if not needed:
        return None
    if len(needed) == 1 and needed[0].kind in _POSITIONAL:
        by_keyword = needed[0].kind is Parameter.POSITIONAL_OR_KEYWORD
        return needed[0].name if by_keyword else ""
    if len(needed) == 1 and needed[0].name == "request":
        return "request"
    raise TypeError(
        f"{function!r} takes {', '.join(p.name for p in needed)}; give a function of"
        f" the request, and by name of {', '.join(sorted(NAMES))}."
    )


def is_for_afterwards(function: object) -> bool:
    """Whether a function can only be called when the view has run."""
    return isinstance(function, NamedFunction) and function.is_for_afterwards


def names_of(function: object) -> frozenset[str]:
    """What a function wants besides the request."""
    return function.names if isinstance(function, NamedFunction) else frozenset()
