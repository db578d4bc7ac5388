"""The twelve methods of the protocol: validate, ask the core, translate.

What a request must look like lives here; who is entitled to what does not.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from google.protobuf.empty_pb2 import Empty

from sidecar_client.local import answers, messages
from sidecar_client.local.checking import Checks, State
from sidecar_client.local.credit_desk import CreditVerdict
from sidecar_client.local.evaluation import Verdict
from sidecar_client.local.event_intake import EventIntake
from sidecar_client.local.events import EventLog
from sidecar_client.local.fallback_verdicts import fallback_credit, fallback_verdict
from sidecar_client.local.fallbacks import Fallbacks
from sidecar_client.local.metering import Reporter
from sidecar_client.local.questions import FeatureRequest, asked, subject_of
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb

logger = logging.getLogger("sidecar_client.local")

_Answer = TypeVar("_Answer")
_NO_FALLBACKS: Fallbacks = MappingProxyType({})


class SidecarService:
    """Answers every method from a world.

    Where the store does not answer, fallbacks do: the one of the request, else the one
    in `fallbacks`. `offline`, nothing but fallbacks is answered, and nothing is kept.
    """

    def __init__(
        self,
        world: World,
        *,
        events: EventLog,
        events_delay: timedelta = timedelta(0),
        fallbacks: Fallbacks = _NO_FALLBACKS,
        offline: bool = False,
    ) -> None:
        self._checks = Checks(world)
        self._reporter = Reporter(world)
        self._intake = EventIntake(world, events=events, delay=events_delay)
        self._fallbacks = fallbacks
        self._offline = offline
        self._is_out = False

    async def get_entitlement(
        self, request: pb.GetEntitlementRequest
    ) -> pb.GetEntitlementResponse:
        """A feature of any type."""
        return answers.any_type(request, await self.verdict(request))

    async def get_entitlement_v2(
        self, request: pb.GetEntitlementV2Request
    ) -> pb.GetEntitlementV2Response:
        """A feature of any type, or a credit currency."""
        if request.HasField("feature_id") == request.HasField("currency_id"):
            raise Refusal(
                "INVALID_ARGUMENT",
                "feature_id and currency_id: set one of them, not both and not none.",
            )
        if request.HasField("currency_id"):
            credit = await self._currency(request)
            return pb.GetEntitlementV2Response(entitlement=messages.credit_v2(credit))
        return answers.any_type_v2(request, await self.verdict(request))

    async def get_boolean_entitlement(
        self, request: pb.GetBooleanEntitlementRequest
    ) -> pb.GetBooleanEntitlementResponse:
        """A boolean feature."""
        return answers.boolean(request, await self.verdict(request))

    async def get_numeric_entitlement(
        self, request: pb.GetNumericEntitlementRequest
    ) -> pb.GetNumericEntitlementResponse:
        """A numeric feature."""
        return answers.numeric(request, await self.verdict(request))

    async def get_metered_entitlement(
        self, request: pb.GetMeteredEntitlementRequest
    ) -> pb.GetMeteredEntitlementResponse:
        """A metered feature."""
        return answers.metered(request, await self.verdict(request))

    async def get_enum_entitlement(
        self, request: pb.GetEnumEntitlementRequest
    ) -> pb.GetEnumEntitlementResponse:
        """An enum feature."""
        return answers.enum(request, await self.verdict(request))

    async def verdict(self, request: FeatureRequest) -> Verdict:
        """What the answer to a check of a feature says, or a fallback in its place."""
        subject = subject_of(request)
        feature_id = checked_id("feature", request.feature_id)
        question = asked(request)
        wanted = answers.WANTED.get(type(request))
        verdict = await self._computed(
            lambda: self._checks.feature(
                subject,
                feature_id,
                usage=question.usage,
                values=question.values,
                wanted=wanted,
            )
        )
        if verdict is not None and verdict.reason != "FEATURE_TYPE_MISMATCH":
            return verdict
        return fallback_verdict(
            feature_id,
            question.fallback or self._fallbacks.get(feature_id),
            wanted=wanted,
            reason="UNKNOWN" if verdict is None else "FEATURE_TYPE_MISMATCH",
        )

    async def get_entitlements(
        self, request: pb.GetEntitlementsRequest
    ) -> pb.GetEntitlementsResponse:
        """What the subject is entitled to, whatever is used of it."""
        subject = subject_of(request)
        state = await self._computed(lambda: self._checks.granted(subject))
        if state is None:
            state = self._fallback_state()
        return pb.GetEntitlementsResponse(
            entitlements=[
                messages.entitlement(verdict)
                for verdict in state.features
                if verdict.standing.grant
                and (verdict.has_access or not verdict.is_fallback)
            ],
            access_denied_reason=messages.reason_name(state.reason),
        )

    async def get_entitlements_state_v2(
        self, request: pb.GetEntitlementsStateV2Request
    ) -> pb.GetEntitlementsStateV2Response:
        """What is said about each feature, denials included, and all credits."""
        subject = subject_of(request)
        state = await self._computed(lambda: self._checks.state(subject))
        if state is None:
            state = self._fallback_state()
        return pb.GetEntitlementsStateV2Response(
            entitlements=[
                *(messages.entitlement_v2(verdict) for verdict in state.features),
                *(messages.credit_v2(credit) for credit in state.credits),
            ],
            access_denied_reason=messages.reason_name(state.reason),
        )

    async def reload_entitlements(
        self, request: pb.ReloadEntitlementsRequest
    ) -> pb.ReloadEntitlementsResponse:
        """Whether the customer and resource exist; nothing is cached here."""
        subject = subject_of(request)
        if self._offline:
            return pb.ReloadEntitlementsResponse()
        exists = await _done(self._checks.exists(subject))
        return pb.ReloadEntitlementsResponse(entitled_entity_exists=exists)

    async def report_usage(
        self, request: pb.ReportUsageRequest
    ) -> pb.ReportUsageResponse:
        """Calculated usage; the next check sees it."""
        if self._offline:
            return _unreported(request)
        return (await _done(self._reporter.report([request])))[0]

    async def report_usage_bulk(
        self, request: pb.ReportUsageBulkRequest, *, keys: Sequence[str | None] = ()
    ) -> pb.ReportUsageBulkResponse:
        """Several measurements, all or none; with the same key, the first alone."""
        if self._offline:
            usages = [_unreported(usage) for usage in request.usages]
        else:
            usages = await _done(self._reporter.report_bulk(request.usages, keys=keys))
        return pb.ReportUsageBulkResponse(usages=usages)

    async def report_events(self, request: pb.ReportEventsRequest) -> Empty:
        """Raw events, all or none."""
        if not self._offline:
            await _done(self._intake.take(request.events))
        return Empty()

    async def _currency(self, request: pb.GetEntitlementV2Request) -> CreditVerdict:
        subject = subject_of(request)
        currency_id = checked_id("currency", request.currency_id)
        question = asked(request)
        credit = await self._computed(
            lambda: self._checks.currency(subject, currency_id, question.usage)
        )
        return credit or fallback_credit(question.fallback)

    async def _computed(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """The answer; None offline, and when the store does not answer."""
        if self._offline:
            return None
        try:
            answer = await ask()
        except StoreError as error:
            if not self._is_out:
                logger.warning("fallbacks answer, for the store does not: %s", error)
            self._is_out = True
            return None
        if self._is_out:
            self._is_out = False
            logger.info("the store answers again")
        return answer

    def _fallback_state(self) -> State:
        """All fallbacks, where a list cannot be computed."""
        return State(
            reason=None if self._fallbacks else "UNKNOWN",
            features=[
                fallback_verdict(name, fallback)
                for name, fallback in self._fallbacks.items()
            ],
        )


async def _done(work: Awaitable[_Answer]) -> _Answer:
    """What the work comes to; refused when the store does not answer."""
    try:
        return await work
    except StoreError as error:
        raise Refusal("UNAVAILABLE", str(error)) from error


def _unreported(request: pb.ReportUsageRequest) -> pb.ReportUsageResponse:
    """What is answered when nothing is counted: whose usage of what it was."""
    return pb.ReportUsageResponse(
        customer_id=request.customer_id,
        resource_id=request.resource_id if request.HasField("resource_id") else None,
        feature_id=request.feature_id,
    )
