"""How FastAPI hands a request to a guarded endpoint that does not take one.

One keyword-only dependency joins the signature; it is no parameter of the API, so the
OpenAPI document stays as it is. Starlette never looks at signatures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from inspect import Parameter, Signature
from typing import Any, Final

from starlette.requests import HTTPConnection

from stigg_guard.exchange import Exchange
from stigg_guard.functions import ARGUMENTS, is_for_afterwards, names_of
from stigg_guard.view import ViewSpec
from stigg_guard_starlette.middleware import exchange_of

INJECTED: Final = "stigg_guard_exchange__"
"""The parameter's name; nobody else's."""

_HIDDEN: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def inject(
    guarded: Callable[..., Any],
    view: Callable[..., Any],
    specs: tuple[ViewSpec, ...],
) -> Callable[..., Any]:
    """The guarded endpoint, with the dependency where FastAPI is there to need it.

    An endpoint that takes its connection and nothing else is guarded before anything
    else is looked at, so its signature stays as it is; not so if it yields, for then
    it runs when the response has begun.
    """
    signature = _signature(view)
    if signature is None:
        return guarded
    yields = _yields(view)
    is_joined = yields or not _takes_only_connection(signature)
    if is_joined and find_spec("fastapi") is not None:
        is_late = wants_arguments(specs) and not yields
        signature = _joined(signature, preparation if is_late else admission(specs))
    guarded.__signature__ = signature  # type: ignore[attr-defined]
    return guarded


def admission(specs: tuple[ViewSpec, ...]) -> Callable[..., Any]:
    """A dependency that lets the request pass, or raises `AccessDenied`."""

    async def admit(connection: HTTPConnection) -> Exchange:
        exchange = exchange_of(connection)
        exchange.scope.arguments = connection.path_params
        await exchange.admit(specs, connection)
        return exchange

    return admit


async def preparation(connection: HTTPConnection) -> Exchange:
    """A dependency of endpoints that are guarded when their arguments are known."""
    exchange = exchange_of(connection)
    exchange.prepare(connection)
    return exchange


def wants_arguments(specs: tuple[ViewSpec, ...]) -> bool:
    """Whether the endpoint's arguments decide what is asked before it runs."""
    return any(
        ARGUMENTS in names_of(function) and not is_for_afterwards(function)
        for spec in specs
        for function in (spec.value, spec.dimensions, spec.timestamp)
    )


def _yields(view: Callable[..., Any]) -> bool:
    """Whether FastAPI begins the response before it calls the endpoint."""
    return inspect.isasyncgenfunction(view) or inspect.isgeneratorfunction(view)


def _signature(view: Callable[..., Any]) -> Signature | None:
    try:
        signature = inspect.signature(view)
    except (TypeError, ValueError):
        return None  # written in C: nothing to be seen, and no endpoint of FastAPI
    namespace = _namespace(view)
    return signature.replace(
        parameters=[
            parameter.replace(annotation=_resolved(parameter.annotation, namespace))
            for parameter in signature.parameters.values()
        ],
        return_annotation=_resolved(signature.return_annotation, namespace),
    )


def _namespace(view: Callable[..., Any]) -> dict[str, Any]:
    """The module in which the endpoint was written: of an object, its class's."""
    found: Any = inspect.unwrap(view)
    while isinstance(found, partial):
        found = inspect.unwrap(found.func)
    if not inspect.isroutine(found):
        found = found.__call__
    namespace: dict[str, Any] = getattr(found, "__globals__", {})
    return namespace


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """What a string annotation names in the endpoint's module, if it can be known.

    Older versions of FastAPI would look it up in the module of the wrapper: here.
    """
    if not isinstance(annotation, str):
        return annotation
    try:
        found = eval(annotation, namespace)  # noqa: S307  # the endpoint's own source
    except Exception:
        return annotation
    # Versions of FastAPI differ in what they make of "None".
    return annotation if found is None else found


def _takes_only_connection(signature: Signature) -> bool:
    """Whether this looks like `(request)`, or `(self, request)` of a class."""
    names = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    return len(names) == 1 and _is_connection(names[0])


def _is_connection(parameter: Parameter) -> bool:
    annotation = parameter.annotation
    if annotation is Parameter.empty or isinstance(annotation, str):
        return parameter.kind not in _HIDDEN and parameter.name in (
            "request",
            "websocket",
        )
    return isinstance(annotation, type) and issubclass(annotation, HTTPConnection)


def _joined(signature: Signature, dependency: Callable[..., Any]) -> Signature:
    from fastapi import Depends

    parameters = list(signature.parameters.values())
    joined = Parameter(
        INJECTED, Parameter.KEYWORD_ONLY, default=Depends(dependency), annotation=Any
    )
    at = len(parameters)
    if parameters and parameters[-1].kind is Parameter.VAR_KEYWORD:
        at -= 1
    return signature.replace(parameters=[*parameters[:at], joined, *parameters[at:]])
