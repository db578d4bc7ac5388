"""What a FastAPI application guards with besides the decorators: dependencies.

They stand in `Depends(...)` on a route, a router or the whole application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, ParamSpec

from starlette.requests import HTTPConnection

from stigg_guard.functions import names_of
from stigg_guard.specs import feature_spec, meter_spec
from stigg_guard.view import ViewSpec
from stigg_guard_starlette.endpoints import is_answer
from stigg_guard_starlette.injection import admission
from stigg_guard_starlette.middleware import exchange_of

__all__ = ["meters", "requires"]

P = ParamSpec("P")
Dependency = Callable[..., Any]


def _metering(specs: tuple[ViewSpec, ...]) -> Dependency:
    for spec in specs:
        _check(spec)

    async def admit(connection: HTTPConnection) -> AsyncIterator[None]:
        exchange = exchange_of(connection)
        exchange.scope.arguments = connection.path_params
        await exchange.admit(specs, connection)
        try:
            yield
        except Exception as error:
            if not is_answer(error):
                await exchange.settle(None)
            raise

    return admit


def _check(spec: ViewSpec) -> None:
    for function in (spec.value, spec.dimensions, spec.timestamp):
        if "result" in names_of(function):
            raise ValueError(
                "meters() was given a function that takes `result`, which a dependency"
                " never sees; take `response`, or use @meters_usage on the endpoint."
            )


def _written_as(
    spec: Callable[P, ViewSpec], make: Callable[[tuple[ViewSpec, ...]], Dependency]
) -> Callable[P, Dependency]:
    def write(*args: P.args, **kwargs: P.kwargs) -> Dependency:
        return make((spec(*args, **kwargs),))

    return write


requires = _written_as(feature_spec, admission)
"""`Depends(requires("feature-id"))`: as `requires_feature`, with the same options."""

meters = _written_as(meter_spec, _metering)
"""`Depends(meters("feature-id"))`: as `meters_usage`, with the same options."""
