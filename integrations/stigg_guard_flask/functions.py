"""Users' functions in Flask's manner: of nothing, as `request` is at hand anyway.

Here they become functions of the request, which is what stigg_guard calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stigg_guard.functions import NamedFunction
from stigg_guard.settings import Settings
from stigg_guard.view import ViewSpec

_IN_A_SPEC = (
    "customer",
    "resource",
    "value",
    "dimensions",
    "timestamp",
    "exempt_when",
)


def of_request(name: str, function: Any) -> Any:
    """A function of the request from one of nothing or of the request.

    What is no function stays as it is, and so does one that takes what it wants by
    name. Raises `TypeError` for a function that needs
    more than the request.
    """
    if not callable(function) or isinstance(function, NamedFunction):
        return function
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function  # built in, without a signature to read
    if _fits(signature, object()) and not _fits_nothing(signature):
        return function
    if not _fits(signature):
        raise TypeError(
            f"{name} is {function!r}, which takes {signature}; give a function of"
            " nothing or of the request."
        )
    return _ignoring_request(function)


def spec_of_request(spec: ViewSpec) -> ViewSpec:
    """The spec with functions of the request in place of functions of nothing."""
    changes = {name: of_request(name, getattr(spec, name)) for name in _IN_A_SPEC}
    return replace(spec, **changes)


def settings_of_request(settings: Settings) -> Settings:
    """The settings with functions of the request in place of functions of nothing."""
    rules = tuple(
        replace(rule, spec=spec_of_request(rule.spec)) for rule in settings.rules
    )
    customer = of_request("customer", settings.customer)
    exempt_when = of_request("exempt_when", settings.exempt_when)
    return replace(settings, customer=customer, exempt_when=exempt_when, rules=rules)


def _fits(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _fits_nothing(signature: inspect.Signature) -> bool:
    """Whether it is to be called without the request, though it may take something."""
    if not _fits(signature):
        return False
    first = next(iter(signature.parameters.values()), None)
    if first is None:
        return True
    return first.name != "request" and first.kind is not first.VAR_POSITIONAL


def _ignoring_request(function: Callable[[], Any]) -> Callable[[object], Any]:
    def of_the_request(_request: object) -> Any:
        return function()

    return of_the_request
