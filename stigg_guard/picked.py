"""Users' functions of a call: they take, by name, what the guarded function takes.

Those of a request are in `functions`; when either is called is said in `flow`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from inspect import Parameter
from typing import Any, Final

from stigg_guard.functions import ARGUMENTS, NamedFunction

AFTER_A_CALL: Final = frozenset({"result", "usage"})
"""What is known only when the function has run."""

_NAMED: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


class Picked:
    """A function that is called with some of a call's arguments, by their names.

    `arguments` is all of them. `label` is the option that it was given as.
    """

    __slots__ = ("function", "label", "needs", "wants")

    def __init__(self, label: str, function: Any, *, later: frozenset[str]) -> None:
        self.function = function
        self.label = label
        parameters = _parameters(label, function)
        self.wants = frozenset(parameters) - later
        self.needs = frozenset(
            name for name in self.wants if parameters[name].default is Parameter.empty
        ) - {ARGUMENTS}

    def __call__(self, arguments: Mapping[str, Any], **later: object) -> Any:
        """Call it; awaitable if it is async."""
        found = {name: arguments[name] for name in self.wants if name in arguments}
        if ARGUMENTS in self.wants:
            found[ARGUMENTS] = arguments
        return self.function(**found, **later)

    def check(self, name: str, signature: inspect.Signature) -> None:
        """Raise `TypeError` when a function with this signature has not what it needs.

        What may come in the function's own `**kwargs` cannot be known before.
        """
        parameters = signature.parameters
        if any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()):
            return
        missing = sorted(self.needs - frozenset(parameters))
        if missing:
            known = ", ".join((*parameters, ARGUMENTS))
            raise TypeError(
                f"{self.label} is {self.function!r}, which takes {', '.join(missing)};"
                f" {name}() does not. Let it take, by name, any of: {known}."
            )


def picked(label: str, function: Any, *, knows_result: bool = False) -> Any:
    """What is given for an option, so that it takes a call's arguments by name.

    What is no function stays as it is. With `knows_result` it may also take `result`,
    and `usage`, and is called when they are known.
    """
    if not callable(function):
        return function
    later = AFTER_A_CALL if knows_result else frozenset[str]()
    names = later & frozenset(_parameters(label, function))
    found = Picked(label, function, later=names)
    return NamedFunction(found, names, "") if names else found


def as_picked(function: object) -> Picked | None:
    """The `Picked` behind an option, None where there is none."""
    if isinstance(function, NamedFunction):
        function = function.function
    return function if isinstance(function, Picked) else None


def arguments_of(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """What a function is called with, by name, defaults included.

    Raises the `TypeError` of a wrong call.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    found = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD:
            found.update(found.pop(parameter.name))
    return found


def _parameters(label: str, function: Any) -> Mapping[str, Parameter]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{label} is {function!r}, which does not tell what it takes; write a"
            " lambda that calls it with what it needs."
        ) from error
    for parameter in parameters.values():
        if parameter.kind not in _NAMED:
            raise TypeError(
                f"{label} is {function!r}, which takes {parameter}; let it take the"
                " guarded function's parameters by name: lambda order: order.customer."
            )
    return parameters
