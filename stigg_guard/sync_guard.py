"""`Guard`: ask whether a subject may, and report what it used, from synchronous code.

It only carries out the steps of `flow`, by calling; `AsyncGuard` awaits them.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stigg_guard import stand_in
from stigg_guard.base_guard import (
    BaseGuard,
    endings,
    finished,
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
from stigg_guard.metering.outcome import BEHIND, one, stored
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
    from stigg_guard.async_guard import AsyncGuard
    from stigg_guard.sidecar import SyncSidecar


class Guard(BaseGuard):
    """Asks the sidecar from synchronous code; safe to share between threads.

    Built without I/O: the connection is made by the first question.
    """

    _sidecar_instance: SyncSidecar | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Guard:
        """A guard set up by `STIGG_GUARD_TARGET` and the other variables."""
        return cls(Settings.from_env(environ))

    def check(self, subject: Subject | str, need: Need | str) -> Decision:
        """Whether the subject may; strings are the ids of a customer and a feature.

        It is allowed, and nobody is asked, while the guard is switched off (ENABLED).
        """
        need = as_need(need)
        subject = checked_subject(subject)
        known = self._known(subject, need)
        if known is not None:
            return known
        flow = decide(subject, need, RequestScope(), self._core)
        return self._decided(self._advance(flow))

    def require(self, subject: Subject | str, need: Need | str) -> Decision:
        """The decision when one may go on; raises `AccessDenied` when not."""
        decision = self.check(subject, need)
        if not decision:
            raise self._refusal(Denied(decision))
        return decision

    def entitlements(self, subject: Subject | str) -> Entitlements:
        """All that a subject has, by feature or currency id; one question.

        A string is the id of a customer. Without a verdict of the sidecar, what was
        last known answers, else what FEATURES and ON_UNAVAILABLE say.
        """
        flow = entitlements_flow(checked_subject(subject), self._core)
        found: Any = self._advance(flow)
        return found  # type: ignore[no-any-return]

    def entitlements_of(self, scope: RequestScope) -> Entitlements:
        """Those of a request's customer, asked once; `LazyEntitlements` asks here."""
        found: Any = self._advance(request_entitlements_flow(scope, self._core))
        return found  # type: ignore[no-any-return]

    @contextmanager
    def metered(
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
    ) -> Generator[Usage]:
        """Hold units for the block and report them after it; nothing if it raises.

        Raises `AccessDenied` when the units are not to be had. What the arguments mean
        is said of the decorator `meters_usage`; set `value` of what the block gets to
        what was really used.
        """
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
        self.admit((spec,), scope)
        usage = scope.usages[""] = Usage(value)
        try:
            yield usage
        except BaseException:
            self.settle(scope, None)
            raise
        self.settle(scope, 200)

    def report(
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
        """Report calculated usage without asking whether it is allowed.

        What became of it: it was "acknowledged", it is "stored" and will be sent, it is
        "parked" until a person decides, it was "dropped", which is logged in full, or
        "bypassed": the guard is switched off.
        """
        measurement, spec = usage_of(
            subject, feature_id, value, update, dimensions, timestamp, delivery
        )
        return self._tell(measurement, spec)

    def report_event(
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
        """Report a raw event; it is sent in the background, unless told otherwise.

        With a `feature_id`, `value` units of it are counted until the sidecar shows
        them. The outcome is as for `report`.
        """
        measurement, spec = event_of(
            subject, event, dimensions, timestamp, feature_id, value, delivery
        )
        return self._tell(measurement, spec)

    def receive_webhook(
        self, request: Incoming, handlings: Sequence[Handling] = ()
    ) -> WebhookAnswer:
        """The answer to a request that claims to be a webhook; adapters call it.

        What it tells of is forgotten and loaded anew, and then handlers are called: the
        adapter's, and those of `on_webhook`. Raises what they raise.
        """
        flow = webhook_flow(request, self._handlings(handlings), self._core.reception)
        answer: Any = self._advance(flow)
        return answer  # type: ignore[no-any-return]

    def _tell(self, measurement: Measurement, spec: ViewSpec) -> Fate:
        self.start((spec,))
        fate: Any = self._advance(report_flow(measurement, spec, self._core))
        return fate  # type: ignore[no-any-return]

    def start(self, specs: tuple[ViewSpec, ...]) -> None:
        """Open the outbox if these views need one; `admit` would do so just the same.

        Raises `ConfigurationError` for an outbox that only a person can mend.
        """
        if self._must_start(specs):
            self._core.stores.start()

    def admit(self, specs: tuple[ViewSpec, ...], scope: RequestScope) -> Admission:
        """Let a view run, or raise `AccessDenied`; `settle` ends what this begins."""
        self.start(specs)
        flow = self._flow(specs, scope)
        return self._admitted(self._advance(flow), flow, scope)

    def settle(
        self,
        scope: RequestScope,
        status: int | None,
        *,
        response: object = None,
        is_streamed: bool = False,
    ) -> None:
        """Report what the admitted views used; None: the request did not finish.

        With `is_streamed`, what is measured by the body stays open in `scope.streams`
        until `finish`.
        """
        outcome = outcome_of(status, response, is_streamed=is_streamed)
        self._end(scope, endings(scope, outcome))

    def finish(self, scope: RequestScope, *, is_complete: bool) -> None:
        """The streamed body has ended: all of it was sent, or its reader went away."""
        if scope.streams:
            self._end(scope, endings(scope, None, is_complete=is_complete))

    def _end(self, scope: RequestScope, found: list[tuple[Admission, object]]) -> None:
        with stand_in.resumed(scope.core):
            for admission, reply in found:
                note_stream(scope, admission, self._advance(admission.flow, reply))

    def close(self) -> None:
        """Send what waits, for DRAIN_TIMEOUT at most, and close the connections.

        The next question opens them again.
        """
        self._own_core.close()
        if self._sidecar_instance is not None:
            self._sidecar_instance.close()

    @property
    def aio(self) -> AsyncGuard:
        """The asynchronous guard on the same settings and memory."""
        if self._twin is None:
            from stigg_guard.async_guard import AsyncGuard

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
        kit = stand_in.kit
        if kit is not None:
            return kit.sync_sidecar(self._core, self._own_sidecar)
        return self._own_sidecar()

    def _own_sidecar(self) -> SyncSidecar:
        if self._sidecar_instance is None:
            from stigg_guard import connect

            self._sidecar_instance = connect.sync_sidecar(self._own_core.settings)
        return self._sidecar_instance

    def _advance(self, flow: Flow, reply: object = None) -> object:
        try:
            step: Step = flow.send(reply)
            while type(step) is not Proceed and type(step) is not Stream:
                try:
                    reply = self.perform(step)
                except BaseException as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
            return step
        except StopIteration as stop:
            return stop.value

    def perform(self, step: Step) -> object:
        """Carry out one step of the conversation; adapters may do some differently."""
        if isinstance(step, Ask):
            ask, key = self.sidecar.ask, (step.subject, step.question)
            return self._core.flights.share(key, lambda: ask(*key))
        if isinstance(step, AskAll):
            ask_all, whom = self.sidecar.entitlements, step.subject
            flights = self._core.list_flights
            return flights.share((whom, "all"), lambda: ask_all(whom))
        if isinstance(step, Call):
            found = step.function(step.request, **step.named)
            return finished(found) if inspect.isawaitable(found) else found
        if isinstance(step, Hold):
            return self._core.stores.perform(step.op, waits=step.waits)
        if isinstance(step, Report):
            if self._core.stores.is_behind(step.measurement):
                return BEHIND
            return one(self.sidecar.report((step.measurement,)))
        if isinstance(step, Store):
            return stored(self._store, step)
        if isinstance(step, InTransaction):
            return self._core.stores.outbox.is_in_transaction()
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return self._perform_for_webhook(step)

    def _perform_for_webhook(self, step: Step) -> object:
        if isinstance(step, Reload):
            return self.sidecar.reload(step.subject)
        if isinstance(step, Tell):
            found = step.handler(step.event)
            return finished(found) if inspect.isawaitable(found) else found
        assert isinstance(step, Aside)
        return step.function()

    def _store(self, step: Store) -> None:
        stores = self._core.stores
        (stores.store if step.waits else stores.submit)(step.row)
