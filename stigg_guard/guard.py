"""`Guard` and `AsyncGuard`: ask whether a subject may, and report what it used.

They only carry out the steps of `flow`, one by calling, the other by awaiting.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from stigg_guard.base_guard import BaseGuard, Usage, admitted, finished
from stigg_guard.decision import Decision
from stigg_guard.errors import AccessDenied
from stigg_guard.flow import decide
from stigg_guard.requirement import Dimension, Need, Update
from stigg_guard.settings import Settings
from stigg_guard.specs import as_need, meter_spec
from stigg_guard.steps import (
    Admission,
    Ask,
    Call,
    Flow,
    Proceed,
    Report,
    RequestScope,
    Step,
)
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec

if TYPE_CHECKING:
    from stigg_guard.sidecar import AsyncSidecar, SyncSidecar


class Guard(BaseGuard):
    """Asks the sidecar from synchronous code; safe to share between threads.

    Built without I/O: the connection is made by the first question.
    """

    _sidecar_instance: SyncSidecar | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Guard:
        """A guard set up by `STIGG_GUARD_TARGET` and the other variables."""
        return cls(Settings.from_env(environ))

    def check(self, subject: Subject, need: Need | str) -> Decision:
        """Whether the subject may; a string is the id of a feature."""
        need = as_need(need)
        known = self._recalled(subject, need)
        if known is not None:
            return known
        flow = decide(subject, need, RequestScope(), self._core)
        decision = self._advance(flow)
        assert isinstance(decision, Decision)
        return decision

    def require(self, subject: Subject, need: Need | str) -> Decision:
        """The decision when allowed; raises `AccessDenied` when not."""
        decision = self.check(subject, need)
        if not decision.allowed:
            raise AccessDenied(decision)
        return decision

    @contextmanager
    def metered(
        self,
        subject: Subject,
        feature_id: str,
        *,
        value: float = 1,
        update: Update = "delta",
        dimensions: Mapping[str, Dimension] | None = None,
    ) -> Generator[Usage]:
        """Check before the block, report after it; nothing is reported if it raises.

        Raises `AccessDenied` when the units are not to be had.
        """
        spec = meter_spec(feature_id, value=value, update=update, dimensions=dimensions)
        scope = RequestScope(subject=subject, subject_is_known=True)
        self.admit((spec,), scope)
        usage = Usage(value)
        try:
            yield usage
        except BaseException:
            self.settle(scope, None)
            raise
        scope.used = usage.value
        self.settle(scope, 200)

    def admit(self, specs: tuple[ViewSpec, ...], scope: RequestScope) -> Admission:
        """Let a view run, or raise `AccessDenied`; `settle` ends what this begins."""
        flow = self._flow(specs, scope)
        return admitted(self._advance(flow), flow, scope)

    def settle(self, scope: RequestScope, status: int | None) -> None:
        """Report what the admitted views used; None: the request did not finish."""
        admissions, scope.admissions = scope.admissions, []
        for admission in admissions:
            self._advance(admission.flow, status)

    def close(self) -> None:
        """Close the connection; the next question opens it again."""
        if self._sidecar_instance is not None:
            self._sidecar_instance.close()

    @property
    def aio(self) -> AsyncGuard:
        """The asynchronous guard on the same settings and memory."""
        if self._twin is None:
            self._twin = AsyncGuard._twin_of(self)
        twin: AsyncGuard = self._twin
        return twin

    @property
    def sync(self) -> Guard:
        """This guard: adapters take either kind."""
        return self

    @property
    def sidecar(self) -> SyncSidecar:
        """What talks to the sidecar; made at first use, without I/O."""
        if self._sidecar_instance is None:
            from stigg_guard import connect

            self._sidecar_instance = connect.sync_sidecar(self.settings)
        return self._sidecar_instance

    def _advance(self, flow: Flow, reply: object = None) -> object:
        try:
            while True:
                step: Step = flow.send(reply)
                if type(step) is Proceed:
                    return step
                reply = self._perform(step)
        except StopIteration as stop:
            return stop.value

    def _perform(self, step: Step) -> object:
        if isinstance(step, Ask):
            ask, key = self.sidecar.ask, (step.subject, step.question)
            return self._core.flights.share(key, lambda: ask(*key))
        if isinstance(step, Call):
            found = step.function(step.request)
            return finished(found) if inspect.isawaitable(found) else found
        assert isinstance(step, Report)
        return self.sidecar.report(step.measurement)


class AsyncGuard(BaseGuard):
    """Asks the sidecar from asynchronous code; one for all event loops.

    Built without I/O: the connection is made by the first question, per event loop.
    """

    _sidecar_instance: AsyncSidecar | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> AsyncGuard:
        """A guard set up by `STIGG_GUARD_TARGET` and the other variables."""
        return cls(Settings.from_env(environ))

    async def check(self, subject: Subject, need: Need | str) -> Decision:
        """Whether the subject may; a string is the id of a feature."""
        need = as_need(need)
        known = self._recalled(subject, need)
        if known is not None:
            return known
        flow = decide(subject, need, RequestScope(), self._core)
        decision = await self._advance(flow)
        assert isinstance(decision, Decision)
        return decision

    async def require(self, subject: Subject, need: Need | str) -> Decision:
        """The decision when allowed; raises `AccessDenied` when not."""
        decision = await self.check(subject, need)
        if not decision.allowed:
            raise AccessDenied(decision)
        return decision

    @asynccontextmanager
    async def metered(
        self,
        subject: Subject,
        feature_id: str,
        *,
        value: float = 1,
        update: Update = "delta",
        dimensions: Mapping[str, Dimension] | None = None,
    ) -> AsyncGenerator[Usage]:
        """Check before the block, report after it; nothing is reported if it raises.

        Raises `AccessDenied` when the units are not to be had.
        """
        spec = meter_spec(feature_id, value=value, update=update, dimensions=dimensions)
        scope = RequestScope(subject=subject, subject_is_known=True)
        await self.admit((spec,), scope)
        usage = Usage(value)
        try:
            yield usage
        except BaseException:
            await self.settle(scope, None)
            raise
        scope.used = usage.value
        await self.settle(scope, 200)

    async def admit(
        self, specs: tuple[ViewSpec, ...], scope: RequestScope
    ) -> Admission:
        """Let a view run, or raise `AccessDenied`; `settle` ends what this begins."""
        flow = self._flow(specs, scope)
        return admitted(await self._advance(flow), flow, scope)

    async def settle(self, scope: RequestScope, status: int | None) -> None:
        """Report what the admitted views used; None: the request did not finish."""
        admissions, scope.admissions = scope.admissions, []
        for admission in admissions:
            await self._advance(admission.flow, status)

    async def aclose(self) -> None:
        """Close the connections; the next question opens them again."""
        if self._sidecar_instance is not None:
            await self._sidecar_instance.aclose()

    @property
    def aio(self) -> AsyncGuard:
        """This guard: adapters take either kind."""
        return self

    @property
    def sync(self) -> Guard:
        """The synchronous guard on the same settings and memory."""
        if self._twin is None:
            self._twin = Guard._twin_of(self)
        twin: Guard = self._twin
        return twin

    @property
    def sidecar(self) -> AsyncSidecar:
        """What talks to the sidecar; made at first use, without I/O."""
        if self._sidecar_instance is None:
            from stigg_guard import connect

            self._sidecar_instance = connect.async_sidecar(self.settings)
        return self._sidecar_instance

    async def _advance(self, flow: Flow, reply: object = None) -> object:
        try:
            while True:
                step: Step = flow.send(reply)
                if type(step) is Proceed:
                    return step
                if type(step) is Call:
                    reply = self._call(step)
                    if type(reply) is not str and inspect.isawaitable(reply):
                        reply = await reply
                else:
                    reply = await self._perform(step)
        except StopIteration as stop:
            return stop.value

    def _call(self, step: Call) -> object:
        """What the user's function returns; something to await, if it is async."""
        return step.function(step.request)

    async def _perform(self, step: Step) -> object:
        if isinstance(step, Ask):
            ask, key = self.sidecar.ask, (step.subject, step.question)
            return await self._core.async_flights.share(key, lambda: ask(*key))
        assert isinstance(step, Report)
        return await self.sidecar.report(step.measurement)
