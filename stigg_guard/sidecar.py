"""The sidecar as guards see it: they ask and report, and failures are values.

What goes over the wire is `wire`; what answers lead to is in `judge`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, TypeAlias

from sidecar_client import Stigg, SyncStigg
from stigg_guard.decision import Answer, Answers, NoAnswer
from stigg_guard.errors import SidecarError, SidecarRejected
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Question
from stigg_guard.subject import Subject
from stigg_guard.wire import (
    bulk_request,
    currency_request,
    events_request,
    feature_request,
    list_request,
    read_acknowledgement,
    read_answer,
    read_list,
    read_state,
    reload_request,
    state_request,
    usage_request,
)

# What the sidecar answers when it finds fault with this very question: asking about
# another customer or feature may well work, so it is no outage.
_FAULTS: Final = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "RESOURCE_EXHAUSTED",  # rejected, not unavailable: larger than a message may be
    }
)


Reply: TypeAlias = tuple[Acknowledged, ...] | NoAnswer
"""One acknowledgement for each measurement of a batch, or none of them."""


class _Age:
    """Whether a sidecar is too old to list credits; looked at again after a while.

    It may be upgraded while this process runs.
    """

    SECONDS: Final = 300.0

    def __init__(self) -> None:
        self._is_old_until = float("-inf")

    @property
    def is_old(self) -> bool:
        return time.monotonic() < self._is_old_until

    def note(self, error: SidecarRejected) -> None:
        """Take note of a refusal; raises it unless it means that the sidecar is old."""
        if error.code != "UNIMPLEMENTED":
            raise error
        self._is_old_until = time.monotonic() + self.SECONDS


class SyncSidecar:
    """Asks and reports over a synchronous client; failures are values."""

    def __init__(self, client: SyncStigg) -> None:
        self.client = client
        self._age = _Age()

    def ask(self, subject: Subject, question: Question) -> Answer | NoAnswer:
        """The sidecar's answer; one RPC."""
        try:
            if question.currency_id is not None:
                v2 = self.client.get_entitlement_v2(currency_request(subject, question))
                return read_answer(v2.entitlement)
            request = feature_request(subject, question)
            return read_answer(self.client.get_entitlement(request))
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    def entitlements(self, subject: Subject) -> Answers | NoAnswer:
        """All that a subject has; one RPC, of a sidecar that has it without credits."""
        try:
            if not self._age.is_old:
                try:
                    request = state_request(subject)
                    return read_state(self.client.get_entitlements_state_v2(request))
                except SidecarRejected as error:
                    self._age.note(error)
            old = self.client.get_entitlements(list_request(subject))
            return read_list(old)
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    def report(self, batch: Sequence[Measurement]) -> Reply:
        """Report events, or calculated usage: all of it in one RPC, or nothing."""
        try:
            if batch[0].event is not None:
                self.client.report_events(events_request(batch))
                return (Acknowledged(),) * len(batch)
            if len(batch) == 1:
                one = self.client.report_usage(usage_request(batch[0]))
                return (read_acknowledgement(one),)
            bulk = self.client.report_usage_bulk(bulk_request(batch))
            return tuple(read_acknowledgement(usage) for usage in bulk.usages)
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    def reload(self, subject: Subject) -> NoAnswer | None:
        """Have the sidecar load a subject anew; None when it did, or cannot do that."""
        try:
            self.client.reload_entitlements(reload_request(subject))
        except (SidecarError, ValueError) as error:
            return None if _is_unknown(error) else no_answer(error)
        return None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self.client.close()


class AsyncSidecar:
    """Asks and reports over an asynchronous client; failures are values."""

    def __init__(self, client: Stigg) -> None:
        self.client = client
        self._age = _Age()

    async def ask(self, subject: Subject, question: Question) -> Answer | NoAnswer:
        """The sidecar's answer; one RPC."""
        try:
            if question.currency_id is not None:
                asked = currency_request(subject, question)
                v2 = await self.client.get_entitlement_v2(asked)
                return read_answer(v2.entitlement)
            request = feature_request(subject, question)
            return read_answer(await self.client.get_entitlement(request))
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    async def entitlements(self, subject: Subject) -> Answers | NoAnswer:
        """All that a subject has; one RPC, of a sidecar that has it without credits."""
        try:
            if not self._age.is_old:
                try:
                    request = state_request(subject)
                    return read_state(
                        await self.client.get_entitlements_state_v2(request)
                    )
                except SidecarRejected as error:
                    self._age.note(error)
            old = await self.client.get_entitlements(list_request(subject))
            return read_list(old)
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    async def report(self, batch: Sequence[Measurement]) -> Reply:
        """Report events, or calculated usage: all of it in one RPC, or nothing."""
        try:
            if batch[0].event is not None:
                await self.client.report_events(events_request(batch))
                return (Acknowledged(),) * len(batch)
            if len(batch) == 1:
                one = await self.client.report_usage(usage_request(batch[0]))
                return (read_acknowledgement(one),)
            bulk = await self.client.report_usage_bulk(bulk_request(batch))
            return tuple(read_acknowledgement(usage) for usage in bulk.usages)
        except (SidecarError, ValueError) as error:
            return no_answer(error)

    async def reload(self, subject: Subject) -> NoAnswer | None:
        """Have the sidecar load a subject anew; None when it did, or cannot do that."""
        try:
            await self.client.reload_entitlements(reload_request(subject))
        except (SidecarError, ValueError) as error:
            return None if _is_unknown(error) else no_answer(error)
        return None

    async def aclose(self) -> None:
        """Close the connection; the next call opens it again."""
        await self.client.aclose()


def no_answer(error: SidecarError | ValueError) -> NoAnswer:
    """A failed call as a value; a `ValueError` says that it cannot even be written."""
    if isinstance(error, ValueError):
        return NoAnswer(
            cause=f"it cannot be sent: {error!r}", refused=True, may_have_arrived=False
        )
    refused = isinstance(error, SidecarRejected) and error.code in _FAULTS
    return NoAnswer(
        cause=str(error), refused=refused, may_have_arrived=error.may_have_arrived
    )


def _is_unknown(error: Exception) -> bool:
    """Whether a sidecar is too old for a call."""
    return isinstance(error, SidecarRejected) and error.code == "UNIMPLEMENTED"
