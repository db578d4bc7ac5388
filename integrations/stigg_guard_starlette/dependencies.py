"""Dependencies of FastAPI that guard: how one is made, and what the endpoint gets.

How users write them lives in `fastapi`; what they ask, in `stigg_guard.specs`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from inspect import Parameter, Signature
from typing import Generic, TypeVar

from starlette.requests import HTTPConnection

from stigg_guard.decision import Decision
from stigg_guard.decorators import SPECS
from stigg_guard.functions import names_of
from stigg_guard.requirement import Requirement, leaves
from stigg_guard.steps import Usage
from stigg_guard.view import ViewSpec
from stigg_guard_starlette.endpoints import is_answer
from stigg_guard_starlette.middleware import exchange_of

T = TypeVar("T")


class Dependency(Generic[T]):
    """What stands in `Depends(...)`; carries what it needs, as guarded endpoints do.

    As a decorator it would leave the endpoint unguarded, so it refuses to be one.
    """

    def __init__(
        self,
        name: str,
        spec: ViewSpec,
        run: Callable[[HTTPConnection], Awaitable[T] | AsyncIterator[T]],
    ) -> None:
        self.name = name
        self.spec = spec
        setattr(self, SPECS, (spec,))
        # FastAPI looks at the instance to learn whether it may await or iterate.
        self.__dict__["__call__"] = run
        self.__signature__ = Signature(
            [
                Parameter(
                    "connection",
                    Parameter.POSITIONAL_OR_KEYWORD,
                    annotation=HTTPConnection,
                )
            ]
        )

    def __call__(self, connection: object) -> T:
        """What the endpoint gets; FastAPI awaits it."""
        if not isinstance(connection, HTTPConnection):
            raise TypeError(
                f"{self.name}(...) stands as a decorator or was called; it is a"
                f" dependency: dependencies=[Depends({self.name}(...))] on a route or"
                " router. The decorators are in stigg_guard_starlette."
            )
        found: T = self.__dict__["__call__"](connection)
        return found

    def __repr__(self) -> str:
        return f"{self.name}({self.spec.need!r})"


def requiring(name: str, spec: ViewSpec) -> Dependency[Decision]:
    """A dependency that lets the request pass and gives the decision it rests on."""

    async def run(connection: HTTPConnection) -> Decision:
        return await _admit(spec, connection)

    return Dependency(name, spec, run)


def metering(name: str, spec: ViewSpec) -> Dependency[Usage]:
    """A dependency that holds units until the response begins, and gives the usage."""
    _check(spec)
    measured = _name_of(spec)

    async def run(connection: HTTPConnection) -> AsyncIterator[Usage]:
        exchange = exchange_of(connection)
        await _admit(spec, connection)
        try:
            yield exchange.scope.usage(measured)
        except Exception as error:
            if not is_answer(error):
                await exchange.settle(None)
            raise

    return Dependency(name, spec, run)


async def _admit(spec: ViewSpec, connection: HTTPConnection) -> Decision:
    exchange = exchange_of(connection)
    exchange.scope.arguments = connection.path_params
    exchange.prepare(connection)
    admission = await exchange.guard.admit((spec,), exchange.scope)
    if admission.decisions:
        return admission.decisions[0]
    # Nobody was asked: the request is exempt.
    requirement = leaves(spec.need)[0]
    return Decision(allowed=True, requirement=requirement, subject=None, source="guard")


def _name_of(spec: ViewSpec) -> str:
    need = spec.need
    assert isinstance(need, Requirement)
    return need.name


def _check(spec: ViewSpec) -> None:
    for function in (spec.value, spec.dimensions, spec.timestamp):
        if "result" in names_of(function):
            raise ValueError(
                "meters() was given a function that takes `result`, which a dependency"
                " never sees; take `response`, or use @meters_usage on the endpoint."
            )
