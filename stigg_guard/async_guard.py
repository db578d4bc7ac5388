"""`AsyncGuard`: ask whether a subject may, and report what it used, on an event loop.

It only carries out the steps of `flow`, by awaiting; `Guard` calls them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from stigg_guard import stand_in
from stigg_guard.base_guard import (
    BaseGuard,
    endings,
    is_metered,
    keep_running,
    note_stream,
    outcome_of,
)
from stigg_guard.decision import Decision
from stigg_guard.entitlements import Entitlements
from stigg_guard.entitlements_flow import (
    entitlements_flow,
    request_entitlements_flow,
)
from stigg_guard.flow import decide
from stigg_guard.metering.conversation import Fate, report_flow
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outcome import BEHIND, astored, one
from stigg_guard.reporting import event_of, usage_of
from stigg_guard.requirement import Dimension, Need, Update
from stigg_guard.settings import Settings
from stigg_guard.specs import as_need, meter_spec
from stigg_guard.steps import (
    Admission,
    Aside,
    Ask,
    AskAll,
    Call,
    Denied,
    Flow,
    Hold,
    InTransaction,
    Pause,
    Proceed,
    Reload,
    Report,
    RequestScope,
    Step,
    Store,
    Stream,
    Tell,
    Usage,
)
from stigg_guard.subject import Subject, checked_subject
from stigg_guard.view import Delivery, ViewSpec
from stigg_guard.webhooks.flow import webhook_flow
from stigg_guard.webhooks.handlers import Handling
from stigg_guard.webhooks.incoming import Incoming, WebhookAnswer

if TYPE_CHECKING:
    from stigg_guard.sidecar import AsyncSidecar
    from stigg_guard.sync_guard import Guard


class AsyncGuard(BaseGuard):
    """Asks the sidecar from asynchronous code; one for all event loops.

    Built without I/O: the connection is made by the first question, per event loop.
    """

    _sidecar_instance: AsyncSidecar | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> AsyncGuard:
        """A guard set up by `STIGG_GUARD_TARGET` and the other variables."""
        return cls(Settings.from_env(environ))

    async def check(self, subject: Subject | str, need: Need | str) -> Decision:
        """Whether the subject may; a string is the id of a feature."""
        need = as_need(need)
        subject = checked_subject(subject)
        known = self._known(subject, need)
        if known is not None:
            return known
        flow = decide(subject, need, RequestScope(), self._core)
        return self._decided(await self._advance(flow))

    async def require(self, subject: Subject | str, need: Need | str) -> Decision:
        """The decision when one may go on; raises `AccessDenied` when not."""
        decision = await self.check(subject, need)
        if not decision:
            raise self._refusal(Denied(decision))
        return decision

    async def entitlements(self, subject: Subject | str) -> Entitlements:
        """All that a subject has, as `Guard.entitlements`."""
        flow = entitlements_flow(checked_subject(subject), self._core)
        found: Any = await self._advance(flow)
        return found  # type: ignore[no-any-return]

    async def entitlements_of(self, scope: RequestScope) -> Entitlements:
        """Those of a request's customer, as `Guard.entitlements_of`."""
        found: Any = await self._advance(request_entitlements_flow(scope, self._core))
        return found  # type: ignore[no-any-return]

    @asynccontextmanager
    async def metered(
        self,
        subject: Subject | str,
        feature_id: str | None = None,
        *,
        value: float = 1,
        update: Update = "delta",
        event: str | None = None,
        dimensions: Mapping[str, Dimension] | None = None,
        timestamp: datetime | None = None,
        delivery: Delivery | None = None,
    ) -> AsyncGenerator[Usage]:
        """Hold units for the block and report them after it, as `Guard.metered`."""
        spec = meter_spec(
            feature_id,
            value=value,
            update=update,
            event=event,
            dimensions=dimensions,
            timestamp=timestamp,
            delivery=delivery,
        )
        scope = RequestScope(subject=checked_subject(subject), subject_is_known=True)
        await self.admit((spec,), scope)
        usage = scope.usages[""] = Usage(value)
        try:
            yield usage
        except BaseException:
            await self.settle(scope, None)
            raise
        await self.settle(scope, 200)

    async def report(
        self,
        subject: Subject | str,
        feature_id: str,
        value: float = 1,
        *,
        update: Update = "delta",
        dimensions: Mapping[str, Dimension] | None = None,
        timestamp: datetime | None = None,
        delivery: Delivery = "acknowledged",
    ) -> Fate:
        """Report calculated usage without asking, as `Guard.report`."""
        measurement, spec = usage_of(
            subject, feature_id, value, update, dimensions, timestamp, delivery
        )
        return await self._tell(measurement, spec)

    async def report_event(
        self,
        subject: Subject | str,
        event: str,
        *,
        dimensions: Mapping[str, Dimension] | None = None,
        timestamp: datetime | None = None,
        feature_id: str | None = None,
        value: float = 1,
        delivery: Delivery = "background",
    ) -> Fate:
        """Report a raw event, as `Guard.report_event`."""
        measurement, spec = event_of(
            subject, event, dimensions, timestamp, feature_id, value, delivery
        )
        return await self._tell(measurement, spec)

    async def receive_webhook(
        self, request: Incoming, handlings: Sequence[Handling] = ()
    ) -> WebhookAnswer:
        """The answer to a webhook, as `Guard.receive_webhook`.

        Handlers that are not async are called in a thread.
        """
        flow = webhook_flow(request, self._handlings(handlings), self._core.reception)
        answer: Any = await self._advance(flow)
        return answer  # type: ignore[no-any-return]

    async def _tell(self, measurement: Measurement, spec: ViewSpec) -> Fate:
        await self.start((spec,))
        fate: Any = await self._advance(report_flow(measurement, spec, self._core))
        return fate  # type: ignore[no-any-return]

    async def start(self, specs: tuple[ViewSpec, ...]) -> None:
        """Open the outbox if these views need one, as `Guard.start`."""
        if self._must_start(specs):
            await self._start()

    async def admit(
        self, specs: tuple[ViewSpec, ...], scope: RequestScope
    ) -> Admission:
        """Let a view run, or raise `AccessDenied`; `settle` ends what this begins."""
        await self.start(specs)
        flow = self._flow(specs, scope)
        return self._admitted(await self._advance(flow), flow, scope)

    async def settle(
        self,
        scope: RequestScope,
        status: int | None,
        *,
        response: object = None,
        is_streamed: bool = False,
    ) -> None:
        """Report what the admitted views used, as `Guard.settle`.

        It is carried out to its end when the caller is cancelled.
        """
        outcome = outcome_of(status, response, is_streamed=is_streamed)
        await self._end_all(scope, endings(scope, outcome))

    async def finish(self, scope: RequestScope, *, is_complete: bool) -> None:
        """The streamed body has ended, as `Guard.finish`."""
        if scope.streams:
            await self._end_all(scope, endings(scope, None, is_complete=is_complete))

    async def _end_all(
        self, scope: RequestScope, found: list[tuple[Admission, object]]
    ) -> None:
        if not any(map(is_metered, found)):
            await self._end(scope, found)
            return
        ending = asyncio.ensure_future(self._end(scope, found))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            keep_running(self._end_alone(scope, ending))
            raise

    async def _end_alone(self, scope: RequestScope, ending: asyncio.Task[None]) -> None:
        """What is left to do when the request is gone: its body will not be sent."""
        await asyncio.wait([ending])
        await self._end(scope, endings(scope, None))

    async def _end(
        self, scope: RequestScope, found: list[tuple[Admission, object]]
    ) -> None:
        with stand_in.resumed(scope.core):
            for admission, reply in found:
                step = await self._advance(admission.flow, reply)
                note_stream(scope, admission, step)

    async def aclose(self) -> None:
        """Send what waits, for DRAIN_TIMEOUT at most, and close the connections.

        The next question opens them again.
        """
        await self._own_core.aclose()
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
            from stigg_guard.sync_guard import Guard

            self._twin = Guard._twin_of(self)
        twin: Guard = self._twin
        return twin

    @property
    def sidecar(self) -> AsyncSidecar:
        """What talks to the sidecar; made at first use, without I/O."""
        kit = stand_in.kit
        if kit is not None:
            return kit.async_sidecar(self._core, self._own_sidecar)
        return self._own_sidecar()

    def _own_sidecar(self) -> AsyncSidecar:
        if self._sidecar_instance is None:
            from stigg_guard import connect

            self._sidecar_instance = connect.async_sidecar(self._own_core.settings)
        return self._sidecar_instance

    async def _advance(self, flow: Flow, reply: object = None) -> object:
        try:
            step: Step = flow.send(reply)
            while type(step) is not Proceed and type(step) is not Stream:
                try:
                    if type(step) is Call:
                        reply = self._call(step)
                        if type(reply) is not str and inspect.isawaitable(reply):
                            reply = await reply
                    else:
                        reply = await self._perform(step)
                except BaseException as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
            return step
        except StopIteration as stop:
            return stop.value

    def _call(self, step: Call) -> object:
        """What the user's function returns; something to await, if it is async."""
        return step.function(step.request, **step.named)

    async def _perform(self, step: Step) -> object:
        if isinstance(step, Ask):
            ask, key = self.sidecar.ask, (step.subject, step.question)
            return await self._core.async_flights.share(key, lambda: ask(*key))
        if isinstance(step, AskAll):
            ask_all, whom = self.sidecar.entitlements, step.subject
            flights = self._core.async_list_flights
            return await flights.share((whom, "all"), lambda: ask_all(whom))
        stores = self._core.stores
        if isinstance(step, Hold):
            if stores.is_instant:
                return stores.perform(step.op)
            return await stores.aperform(step.op, waits=step.waits)
        if isinstance(step, Report):
            if step.measurement.update == "set" and await asyncio.to_thread(
                stores.is_behind, step.measurement
            ):
                return BEHIND
            return one(await self.sidecar.report((step.measurement,)))
        if isinstance(step, Store):
            return await astored(self._store, step)
        if isinstance(step, InTransaction):
            return stores.outbox.is_in_transaction()
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        return await self._perform_for_webhook(step)

    async def _perform_for_webhook(self, step: Step) -> object:
        if isinstance(step, Reload):
            return await self.sidecar.reload(step.subject)
        if isinstance(step, Tell):
            if iscoroutinefunction(step.handler):
                return await step.handler(step.event)
            found = await asyncio.to_thread(step.handler, step.event)
            return await found if inspect.isawaitable(found) else found
        assert isinstance(step, Aside)
        if self._core.reception.is_instant:
            return step.function()
        return await asyncio.to_thread(step.function)

    async def _start(self) -> None:
        await asyncio.to_thread(self._core.stores.start)

    async def _store(self, step: Store) -> None:
        if step.waits:
            await self._core.stores.astore(step.row)
        else:
            self._core.stores.submit(step.row)
