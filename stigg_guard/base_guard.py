"""What `Guard` and `AsyncGuard` have in common: everything that does no I/O.

How either carries out the steps of the conversation is in `guard`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from asgiref.sync import async_to_sync

from stigg_guard.core import GuardCore
from stigg_guard.decision import Decision
from stigg_guard.denial import DenialPolicy
from stigg_guard.errors import AccessDenied
from stigg_guard.flow import view_flow
from stigg_guard.requirement import Need, Requirement
from stigg_guard.settings import Settings
from stigg_guard.steps import Admission, Denied, Flow, Proceed, RequestScope
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec


@dataclass(slots=True)
class Usage:
    """What a `metered` block uses; set `value` to what was really used."""

    value: float


class BaseGuard:
    """What needs no I/O: the shared core and the user's ways to look at it."""

    _twin: Any = None  # the other kind of guard, on the same core

    def __init__(self, settings: Settings | None = None, **options: object) -> None:
        """Take ready settings, or the settings by name: `Guard(target="local")`."""
        if settings is None:
            settings = Settings.from_options(options, owner=type(self).__name__)
        elif options:
            raise TypeError(
                f"{type(self).__name__} was given settings and {', '.join(options)};"
                " put everything into the settings."
            )
        self._core = GuardCore(settings)

    @classmethod
    def _twin_of(cls, other: BaseGuard) -> Self:
        guard = cls.__new__(cls)
        guard._core = other._core
        guard._twin = other
        return guard

    @property
    def settings(self) -> Settings:
        """What the guard was set up with."""
        return self._core.settings

    @property
    def denials(self) -> DenialPolicy:
        """How denied decisions look over HTTP."""
        return self._core.denials

    @property
    def counts(self) -> Mapping[str, int]:
        """Decisions so far: allowed, denied, fallbacks, unanswered, unreported."""
        return dict(self._core.counts)

    def forget(self, customer_id: str | None = None) -> None:
        """Forget what is remembered of one customer, or of everybody.

        Call it when a customer's plan changed and `REMEMBER` is on.
        """
        self._core.memory.forget(customer_id)

    def _flow(self, specs: tuple[ViewSpec, ...], scope: RequestScope) -> Flow:
        return view_flow(specs, scope, self._core)

    def _recalled(self, subject: Subject, need: Need) -> Decision | None:
        if isinstance(need, Requirement) and need.metering is None:
            return self._core.recall(subject, need)
        return None


def admitted(outcome: object, flow: Flow, scope: RequestScope) -> Admission:
    if isinstance(outcome, Denied):
        raise AccessDenied(outcome.decision, outcome.on_denied)
    assert isinstance(outcome, Proceed)
    admission = Admission(outcome.decisions, flow)
    scope.admissions.append(admission)
    return admission


def finished(found: Awaitable[Any]) -> Any:
    """The outcome of a user's async function, for a caller that cannot await it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return async_to_sync(_finish)(found)
    # An async view under WSGI: its loop belongs to this request and waits meanwhile.
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(context.run, asyncio.run, _finish(found)).result()


async def _finish(found: Awaitable[Any]) -> Any:
    return await found
