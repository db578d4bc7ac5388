"""The subject that code acts for outside of requests: bound for a block or a call.

Who a request acts for is its customer resolver's; what is asked of it, `flow`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from stigg_guard.around import Function, decorated, surrounded
from stigg_guard.subject import Subject

_bound: Final[ContextVar[tuple[Subject, ...]]] = ContextVar(
    "stigg_guard_subject", default=()
)


class subject:  # it reads as a verb: `with subject("customer-1"):`
    """Bind the customer, and optionally the resource, that code acts for.

    `with subject("customer-1"):` holds for everything that the block calls and awaits,
    and the tasks it starts; blocks nest. As a decorator it holds for each call of a
    function, sync, async or generator. A new thread does not inherit it, unless it is
    started by `asyncio.to_thread` or with a copy of the context.
    """

    __slots__ = ("_subject",)

    def __init__(
        self, customer_id: str | Subject, resource_id: str | None = None
    ) -> None:
        if isinstance(customer_id, Subject):
            if resource_id is not None:
                raise ValueError(
                    f"subject() was given {customer_id!r} and the resource"
                    f" {resource_id!r}; give a Subject, or the ids."
                )
            self._subject = customer_id
        else:
            self._subject = Subject(customer_id, resource_id)

    def __enter__(self) -> Subject:
        _bound.set((*_bound.get(), self._subject))
        return self._subject

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _bound.set(_bound.get()[:-1])

    async def __aenter__(self) -> Subject:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Function) -> Function:
        """Bind it for each call of `function`."""
        return decorated(function, self._around)

    def _around(self, function: Any) -> Callable[..., Any]:
        if inspect.isclass(function) or not callable(function):
            raise TypeError(
                f"@subject(...) stands on {function!r}; put it on a function, or use it"
                " in a with statement."
            )
        return surrounded(function, lambda _args, _kwargs: _Binding(self))


def current_subject() -> Subject | None:
    """The subject that is bound here, the innermost one; None when there is none."""
    bound = _bound.get()
    return bound[-1] if bound else None


def bind_alone(whom: Subject | None) -> None:
    """Bind a subject, or nobody, and forget all that was bound in this context.

    For runners of jobs: what a job before left behind must not be the next one's.
    """
    _bound.set(() if whom is None else (whom,))


class _Binding:
    """A subject around one call; nothing else happens."""

    __slots__ = ("_subject",)

    def __init__(self, bound: subject) -> None:
        self._subject = bound

    def within(self) -> AbstractContextManager[object]:
        return self._subject

    def before(self) -> None: ...

    def sent(self, item: Any) -> None: ...

    def after(self, result: Any) -> None: ...

    def failed(self) -> None: ...

    async def abefore(self) -> None: ...

    async def asent(self, item: Any) -> None: ...

    async def aafter(self, result: Any) -> None: ...

    async def afailed(self) -> None: ...
