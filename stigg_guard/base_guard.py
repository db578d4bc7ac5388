"""What `Guard` and `AsyncGuard` have in common: everything that does no I/O.

How they carry out the steps of the conversation is in `sync_guard`, `async_guard`.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar, overload

from asgiref.sync import async_to_sync

from stigg_guard import stand_in
from stigg_guard.core import GuardCore
from stigg_guard.decision import Decision
from stigg_guard.denial import Denial, DenialPolicy, Wanted
from stigg_guard.errors import AccessDenied
from stigg_guard.flow import view_flow
from stigg_guard.function_decorators import FunctionDecorators
from stigg_guard.metering.happening import OUTCOMES, Hook
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.stores import Stores
from stigg_guard.rate_limit import rate_limit_headers
from stigg_guard.requirement import Need, Requirement, check_choice, leaves
from stigg_guard.settings import Settings
from stigg_guard.steps import (
    UNFINISHED,
    Admission,
    Denied,
    Flow,
    Outcome,
    OutcomeName,
    Proceed,
    RequestScope,
    Stream,
)
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec
from stigg_guard.webhooks.event import WebhookEvent
from stigg_guard.webhooks.handlers import (
    Handling,
    WebhookHandler,
    checked_handler,
    checked_types,
)

H = TypeVar("H", bound=WebhookHandler)
R = TypeVar("R")


class BaseGuard(FunctionDecorators):
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
        self._own_core = GuardCore(settings)

    @classmethod
    def _twin_of(cls, other: BaseGuard) -> Self:
        guard = cls.__new__(cls)
        guard._own_core = other._own_core
        guard._twin = other
        return guard

    def guard_for_call(self) -> Any:
        """This guard: functions that it decorates are guarded by it."""
        return self

    @property
    def _core(self) -> GuardCore:
        """The application's core, or what stands in for it in a test."""
        kit = stand_in.kit
        return self._own_core if kit is None else kit.core(self._own_core)

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
        """How often each came so far: decisions, and the outcomes of metering.

        `allowed`, `denied`, `fallbacks`, `unanswered`; `held`, `granted`, `waited`,
        `measured`, `acknowledged`, `stored`, `delivered`, `parked`, `dropped`;
        `shadow_denied` (denied, and let through in shadow mode) and `bypassed` (let
        through, or not reported, while the guard is switched off).
        """
        return dict(self._core.counts)

    def on(self, outcome: OutcomeName, hook: Hook) -> None:
        """Have `hook` told of an outcome of metering, such as "parked"."""
        check_choice("outcome", outcome, OUTCOMES)
        if not callable(hook):
            raise ValueError(f'the hook for "{outcome}" is {hook!r}; use a function.')
        hooks = self._core.hooks
        hooks[outcome] = (*hooks.get(outcome, ()), hook)

    @property
    def outbox(self) -> Outbox:
        """Where usage waits that was not acknowledged; without OUTBOX, a queue."""
        return self._core.stores.outbox

    @property
    def stores(self) -> Stores:
        """Holds, outbox and their deliverer: for commands and adapters."""
        return self._core.stores

    @property
    def queue_age(self) -> float:
        """Seconds that the oldest undelivered usage has waited; 0 when none waits."""
        oldest = self.outbox.status().oldest_at
        return 0.0 if oldest is None else max(0.0, time.time() - oldest)

    def begin(self) -> None:
        """Deliver what the outbox holds from before; adapters call it at the start.

        It costs nothing when it was called already, and does no I/O itself.
        """
        self._core.stores.begin()

    def forget(self, customer_id: str | None = None) -> None:
        """Forget what this process remembers of one customer, or of everybody.

        Call it when a customer's plan changed and no webhook tells of it.
        """
        self._core.forget(customer_id)

    @overload
    def on_webhook(
        self, handler: Callable[[WebhookEvent], R], /
    ) -> Callable[[WebhookEvent], R]: ...
    @overload
    def on_webhook(self, *types: str) -> Callable[[H], H]: ...
    def on_webhook(self, *given: Any) -> Any:
        """Have a function told of the webhooks that this guard receives.

        `@guard.on_webhook` stands for all of them, `@guard.on_webhook("customer.*",
        "subscription.updated")` for some. It takes the `WebhookEvent`, may be async,
        and is called after the guard has forgotten what is old. What it raises is
        answered with an error, and the vendor sends the message again.
        """
        if len(given) == 1 and callable(given[0]):
            self._core.reception.add(Handling(given[0]))
            return given[0]
        types = checked_types(given, "on_webhook()")

        def add(handler: H) -> H:
            checked_handler(handler, "@on_webhook(...)")
            self._core.reception.add(Handling(handler, types))
            return handler

        return add

    def _handlings(self, own: Sequence[Handling]) -> tuple[Handling, ...]:
        """The handlers of an adapter, and those that were added to the guard."""
        return (*own, *self._core.reception.handlings)

    def headers(self, scope: RequestScope) -> dict[str, str]:
        """What a response is to have, unless it says so itself.

        It tells of its limits, if RATE_LIMIT_HEADERS is set, and that of a view that is
        guarded, or looked at entitlements, is not for shared caches: CACHE_CONTROL.
        """
        settings = self._core.settings
        found: dict[str, str] = {}
        if settings.rate_limit_headers is not None:
            names = settings.rate_limit_headers
            found = rate_limit_headers(names, scope.decisions, scope.measurements)
        is_personal = scope.is_personal or scope.decisions
        if settings.cache_control is not None and is_personal:
            found["Cache-Control"] = settings.cache_control
        return found

    def wanted(self, error: AccessDenied) -> Wanted | None:
        """What answers a denied request: a function of the application's, or not.

        The view's word is the nearest, then the feature's, then the application's. What
        is no function is answered by `denial`.
        """
        nearest = self.denials.nearest(error.decision, error.on_denied)
        return self._core.on_denied if nearest is None else nearest

    def denial(
        self,
        error: AccessDenied,
        *,
        accept: str | None = None,
        back: str | None = None,
    ) -> Denial:
        """The answer to a denied request, where no function makes it.

        `accept` is the request's Accept header; `back` its path and query, where the
        framework has the convention to tell that as `next` to the page one is sent to.
        """
        return self.denials.denial(
            error.decision,
            accept=accept,
            view=self.wanted(error),
            message=error.own_message,
            back=back,
        )

    def _flow(self, specs: tuple[ViewSpec, ...], scope: RequestScope) -> Flow:
        core = scope.core = self._core
        return view_flow(specs, scope, core)

    def _must_start(self, specs: tuple[ViewSpec, ...]) -> bool:
        """Whether the outbox is to be opened before these views may run."""
        return (
            not self._core.stores.has_started
            and any(
                isinstance(spec.need, Requirement) and spec.need.metering is not None
                for spec in specs
            )
            and self._core.is_on
        )

    def _known(self, subject: Subject, need: Need) -> Decision | None:
        """The decision that needs no question: remembered, or of no guard at all."""
        if self._core.bypasses():
            return Decision(
                allowed=True,
                requirement=leaves(need)[0],
                subject=subject,
                source="guard",
            )
        if isinstance(need, Requirement) and need.metering is None:
            known = self._core.recall(subject, need)
            return known if known is not None and known.allowed else None
        return None

    def _decided(self, decision: object) -> Decision:
        assert isinstance(decision, Decision)
        if decision.is_shadow:
            self._core.shadowed(decision)
        return decision

    def _admitted(self, outcome: object, flow: Flow, scope: RequestScope) -> Admission:
        scope.is_personal = True
        if isinstance(outcome, Denied):
            raise self._refusal(outcome)
        assert isinstance(outcome, Proceed)
        admission = Admission(outcome.decisions, flow)
        scope.admissions.append(admission)
        scope.decisions.extend(outcome.decisions)
        return admission

    def _refusal(self, denied: Denied) -> AccessDenied:
        """The error of a denial, which knows how the application answers it."""
        error = AccessDenied(denied.decision, denied.on_denied, denied.message)
        error.denials = self._core.denials
        return error


def endings(
    scope: RequestScope, outcome: Outcome | None, *, is_complete: bool = False
) -> list[tuple[Admission, object]]:
    """What is to be told to the conversations of a request, each once.

    None for an outcome ends those whose body was streamed; an unfinished request ends
    all of them.
    """
    found: list[tuple[Admission, object]] = []
    if outcome is None or outcome.status is None:
        streams, scope.streams = scope.streams, []
        found += [(admission, is_complete) for admission, _ in streams]
    if outcome is not None:
        admissions, scope.admissions = scope.admissions, []
        found += [(admission, outcome) for admission in admissions]
    return found


def outcome_of(
    status: int | None, response: object = None, *, is_streamed: bool = False
) -> Outcome:
    if status is None:
        return UNFINISHED
    return Outcome(status=status, response=response, is_streamed=is_streamed)


def is_metered(ending: tuple[Admission, object]) -> bool:
    """Whether there may be something to report or to give back."""
    return any(
        decision.requirement.metering is not None for decision in ending[0].decisions
    )


def keep_running(work: Coroutine[Any, Any, None]) -> None:
    """Run it in the background; an event loop alone would forget it."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


_running: set[asyncio.Task[None]] = set()


def note_stream(scope: RequestScope, admission: Admission, step: object) -> None:
    if isinstance(step, Stream):
        scope.streams.append((admission, step))


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
