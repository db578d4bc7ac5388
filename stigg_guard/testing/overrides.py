"""`override_entitlements`: what customers are entitled to while a test runs.

What it answers is `world`'s; how it stands on functions and classes, `decorating`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from stigg_guard.subject import Subject
from stigg_guard.testing import stand_ins
from stigg_guard.testing.decorating import decorated
from stigg_guard.testing.errors import OverrideError
from stigg_guard.testing.override import Override, Unknown
from stigg_guard.testing.values import Given, as_values

T = TypeVar("T", bound=Callable[..., Any])


class override_entitlements(Override):  # reads as a verb, as Django's does
    """Say what customers are entitled to, instead of a sidecar; nothing is contacted.

    `entitlements` are by id of feature or currency: `True`, `False`, a number,
    `metered(limit=6, used=3)`, `enum("eu")`, `credits(100)` or `denied(reason)`. With
    `customer` (and `resource`) they are of that one alone. `unknown` says what holds
    for everything else: "fail" raises `OverrideError`, "deny", "allow", or "ask" the
    real sidecar; None is as an override around this one says it, or "fail".

    Use it with `with` or `async with`, or as the decorator of a test, sync or async, or
    of a class of tests; every call and every test begins anew. The inner one wins, and
    outer ones answer for features that it says nothing of. Usage is counted truly:
    `metered(limit=6, used=3)` grants three units more and denies the fourth. Decisions
    that are remembered, holds, counts and waiting usage are the override's own and end
    with it. Whom it reaches, in threads and tasks, is said of `reach.Layer`.
    """

    def __init__(
        self,
        entitlements: Mapping[str, Given],
        *,
        customer: str | None = None,
        resource: str | None = None,
        unknown: Unknown | None = None,
    ) -> None:
        if resource is not None and customer is None:
            raise ValueError(
                f"override_entitlements(resource={resource!r}) says no customer; give"
                " the one whose resource it is."
            )
        subject = None if customer is None else Subject(customer, resource)
        super().__init__(as_values(entitlements), subject, unknown)

    def fresh(self) -> override_entitlements:
        """Another one that says the same, of which nothing is used yet."""
        made = override_entitlements.__new__(override_entitlements)
        Override.__init__(made, self.values, self.subject, self.unknown)
        return made

    def enter(self, *, shared: bool = False) -> Self:
        """Hold from now on; `shared` for all of the process."""
        stand_ins.install()
        return super().enter(shared=shared)

    def leave(self) -> None:
        """Hold no more, without a word about what went wrong."""
        if self.is_active:
            stand_ins.KIT.let_go(self)
        super().leave()

    def end(self, error: BaseException | None = None) -> None:
        """Hold no more; raises what went wrong, if nothing else is being raised."""
        self.leave()
        text = "\n".join(self.problems())
        if not text or isinstance(error, OverrideError):
            return
        if error is None:
            raise OverrideError(text)
        error.add_note(text)

    def __enter__(self) -> Self:
        return self if self.is_active and self.is_shared else self.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def __call__(self, target: T) -> T:
        """The test, or class of tests, with this override around it."""
        return decorated(target, self.fresh)
