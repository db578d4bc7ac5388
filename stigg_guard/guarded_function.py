"""A guarded function: what it needs, whom it runs for, and its wrapper.

The decorators that make one are in `function_decorators`; one call of it, in
`guarded_call`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from stigg_guard.around import surrounded
from stigg_guard.bound_subject import current_subject
from stigg_guard.decorators import SPECS, specs_of
from stigg_guard.errors import ConfigurationError
from stigg_guard.guarded_call import GuardedCall
from stigg_guard.picked import arguments_of, as_picked
from stigg_guard.requirement import leaves
from stigg_guard.steps import RequestScope
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec, in_order

if TYPE_CHECKING:
    from stigg_guard.function_decorators import FunctionDecorators

_OWN: Final = "__stigg_guard_function__"
"""Where a wrapper carries its `GuardedFunction`, to be wrapped only once."""


_MADE_BY: Final = {
    "celery": ("a Celery task", "@app.task or @shared_task"),
    "click": ("a Click command", "@click.command()"),
    "strawberry": ("a Strawberry field", "@strawberry.field"),
}
"""What other libraries make of a function, by the package of its class.

A wrapper around it would be no task, command or field any more.
"""


class GuardedFunction:
    """A function and what it needs; a decorator on top makes another one from it."""

    def __init__(
        self, function: Any, specs: tuple[ViewSpec, ...], owner: FunctionDecorators
    ) -> None:
        self.function, self.specs, self.owner = function, specs, owner
        self.asked = in_order(specs)
        self.names = frozenset(
            need.name
            for spec in specs
            for need in leaves(spec.need)
            if need.metering is not None
        )
        wants_arguments = any(map(as_picked, _functions(specs)))
        self.signature = inspect.signature(function) if wants_arguments else None
        self.wrapper = surrounded(function, self.begin)
        setattr(self.wrapper, SPECS, (*specs, *specs_of(function)))
        setattr(self.wrapper, _OWN, self)

    @classmethod
    def of(
        cls, function: Any, spec: ViewSpec, owner: FunctionDecorators
    ) -> GuardedFunction:
        """What stands on our own wrapper joins it, so that one question serves both."""
        inner = getattr(function, _OWN, None)
        specs: tuple[ViewSpec, ...] = (spec,)
        if (
            isinstance(inner, GuardedFunction)
            and inner.wrapper is function
            and inner.owner is owner
        ):
            function, specs = inner.function, (spec, *inner.specs)
        guarded = cls(function, specs, owner)
        if guarded.signature is not None:
            for option in filter(None, map(as_picked, _functions((spec,)))):
                option.check(_name(function), guarded.signature)
        return guarded

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> GuardedCall:
        arguments: dict[str, Any] = {}
        if self.signature is not None:
            try:
                arguments = arguments_of(self.signature, args, kwargs)
            except TypeError as error:  # which does not name the function
                raise TypeError(f"{_name(self.function)}(): {error}") from None
        scope = RequestScope(
            request=arguments,
            arguments=arguments,
            customer=self._bound_subject,
            is_exempt=False,  # the application's EXEMPT_WHEN is about requests
        )
        guard = self.owner.guard_for_call()
        return GuardedCall(guard, self.asked, scope, self.names)

    def _bound_subject(self, _arguments: object) -> Subject:
        bound = current_subject()
        if bound is None:
            raise ConfigurationError(
                f"{_name(self.function)}() is guarded, and nothing says for which"
                ' customer it runs. Call it inside `with subject("customer-id"):`, or'
                " give its decorator customer=..., a function of its parameters; on a"
                " view, use the decorator of the framework's package."
            )
        return bound


def check_function(name: str, function: object) -> None:
    """A function that may be decorated, or an error that says what to do instead."""
    if inspect.isclass(function):
        raise TypeError(
            f"@guard.{name} stands on the class {function.__name__}; decorate its"
            " methods."
        )
    if not callable(function):
        raise TypeError(
            f"@guard.{name} stands on {function!r}, which cannot be called; put it on a"
            " function."
        )
    for package in _packages(type(function)) & set(_MADE_BY):
        what, decorator = _MADE_BY[package]
        raise TypeError(
            f"@guard.{name} stands on {what}; put it below {decorator}, on the function"
            " itself."
        )


def _packages(kind: type) -> set[str]:
    # Its attributes may not be looked at: those of a lazy task would make it.
    return {base.__module__.partition(".")[0] for base in kind.__mro__}


def _functions(specs: tuple[ViewSpec, ...]) -> list[object]:
    return [
        function
        for spec in specs
        for function in (
            spec.customer,
            spec.resource,
            spec.exempt_when,
            spec.value,
            spec.dimensions,
            spec.timestamp,
        )
    ]


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
