"""The objects that a guard asks in a sidecar's place, sync and async.

They have its methods; what they answer is `world`'s and `outage`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from stigg_guard.decision import Answer, Answers, NoAnswer
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Question
from stigg_guard.settings import Settings
from stigg_guard.subject import Subject
from stigg_guard.testing import world
from stigg_guard.testing.outage import Outage
from stigg_guard.testing.reach import visible

if TYPE_CHECKING:
    from stigg_guard.metering.worker import Reply
    from stigg_guard.sidecar import AsyncSidecar, SyncSidecar


class _Between:
    """What both have in common: the outages and overrides in front of a sidecar."""

    def __init__(self, settings: Settings, overrides: world.Overrides) -> None:
        self._settings = settings
        self._overrides = overrides

    def check_failure(self) -> NoAnswer | None:
        """How checks fail now, if they do."""
        failures = (each.check_fails(self._settings) for each in visible(Outage))
        return next((failure for failure in failures if failure is not None), None)

    def report_failure(self) -> NoAnswer | None:
        """How reports fail now, if they do."""
        failures = (each.report_fails(self._settings) for each in visible(Outage))
        return next((failure for failure in failures if failure is not None), None)

    @property
    def reaches_sidecar(self) -> bool:
        """Whether there is a real sidecar behind the overrides, if there are any."""
        return not self._overrides or world.unknown(self._overrides) == "ask"

    def answer(self, subject: Subject, question: Question) -> Answer | NoAnswer | None:
        """What is answered without the sidecar; None when it is to be asked."""
        failure = self.check_failure()
        if failure is not None or not self._overrides:
            return failure
        return world.answer(self._overrides, subject, question)

    def listed(self, subject: Subject) -> Answers | NoAnswer | None:
        """The list of all that a subject has; None when only the sidecar has it."""
        failure = self.check_failure()
        if failure is not None or not self._overrides:
            return failure
        return Answers(by_id=world.answers(self._overrides, subject))

    def merged(
        self, mine: Answers | NoAnswer | None, real: Answers | NoAnswer
    ) -> Answers | NoAnswer:
        """The sidecar's list, with what is overridden in it."""
        if isinstance(real, NoAnswer) or not isinstance(mine, Answers):
            return real
        return Answers(by_id={**real.by_id, **mine.by_id})

    def wants_list(self, mine: Answers | NoAnswer | None) -> bool:
        """Whether the real sidecar is to be asked for its list, too."""
        if mine is None or isinstance(mine, NoAnswer):
            return mine is None
        return world.unknown(self._overrides) == "ask"

    def counted(
        self, batch: Sequence[Measurement]
    ) -> tuple[list[Acknowledged], list[Measurement]]:
        """What is acknowledged without the sidecar, and what it is to be told."""
        if not self._overrides:
            return [], list(batch)
        taken: list[Acknowledged] = []
        others: list[Measurement] = []
        for measurement in batch:
            found = world.count(self._overrides, measurement)
            if found is None:
                others.append(measurement)
            else:
                taken.append(found)
        return taken, others


class StandIn:
    """In the place of a `SyncSidecar`."""

    def __init__(
        self,
        settings: Settings,
        overrides: world.Overrides,
        real: Callable[[], SyncSidecar],
    ) -> None:
        self._between = _Between(settings, overrides)
        self._real = real

    def ask(self, subject: Subject, question: Question) -> Answer | NoAnswer:
        """The override's answer, none in an outage, or that of the real sidecar."""
        found = self._between.answer(subject, question)
        return self._real().ask(subject, question) if found is None else found

    def entitlements(self, subject: Subject) -> Answers | NoAnswer:
        """All that a subject has, as far as it is overridden."""
        mine = self._between.listed(subject)
        if not self._between.wants_list(mine):
            assert mine is not None
            return mine
        return self._between.merged(mine, self._real().entitlements(subject))

    def report(self, batch: Sequence[Measurement]) -> Reply:
        """Have usage counted; all of it is acknowledged, or nothing."""
        failure = self._between.report_failure()
        if failure is not None and not failure.may_have_arrived:
            return failure
        taken, others = self._between.counted(batch)
        reply: Reply = tuple(taken)
        if others:
            reply = self._real().report(others)
            reply = reply if isinstance(reply, NoAnswer) else (*taken, *reply)
        return failure or reply

    def reload(self, subject: Subject) -> NoAnswer | None:
        """Have the real sidecar load a subject anew; what is overridden is as it is."""
        failure = self._between.report_failure()
        if failure is not None or not self._between.reaches_sidecar:
            return failure
        return self._real().reload(subject)


class AsyncStandIn:
    """In the place of an `AsyncSidecar`."""

    def __init__(
        self,
        settings: Settings,
        overrides: world.Overrides,
        real: Callable[[], AsyncSidecar],
    ) -> None:
        self._between = _Between(settings, overrides)
        self._real = real

    async def ask(self, subject: Subject, question: Question) -> Answer | NoAnswer:
        """The override's answer, none in an outage, or that of the real sidecar."""
        found = self._between.answer(subject, question)
        return await self._real().ask(subject, question) if found is None else found

    async def entitlements(self, subject: Subject) -> Answers | NoAnswer:
        """All that a subject has, as far as it is overridden."""
        mine = self._between.listed(subject)
        if not self._between.wants_list(mine):
            assert mine is not None
            return mine
        return self._between.merged(mine, await self._real().entitlements(subject))

    async def report(self, batch: Sequence[Measurement]) -> Reply:
        """Have usage counted; all of it is acknowledged, or nothing."""
        failure = self._between.report_failure()
        if failure is not None and not failure.may_have_arrived:
            return failure
        taken, others = self._between.counted(batch)
        reply: Reply = tuple(taken)
        if others:
            reply = await self._real().report(others)
            reply = reply if isinstance(reply, NoAnswer) else (*taken, *reply)
        return failure or reply

    async def reload(self, subject: Subject) -> NoAnswer | None:
        """Have the real sidecar load a subject anew; what is overridden is as it is."""
        failure = self._between.report_failure()
        if failure is not None or not self._between.reaches_sidecar:
            return failure
        return await self._real().reload(subject)
