"""The twelve methods of the protocol: validate, ask the core, translate.

What a request must look like lives here; who is entitled to what does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.empty_pb2 import Empty

from sidecar_client.local import messages
from sidecar_client.local.credit_desk import CreditDesk
from sidecar_client.local.evaluation import (
    Reason,
    Standing,
    Subject,
    Verdict,
    judge,
    standing,
    standings,
    subject_reason,
)
from sidecar_client.local.event_intake import EventIntake
from sidecar_client.local.events import EventLog
from sidecar_client.local.metering import Reporter
from sidecar_client.local.records import customer_key
from sidecar_client.local.refusal import Refusal, checked_id, checked_number
from sidecar_client.local.values import FeatureType
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb


class SidecarService:
    """Answers every method from a world."""

    def __init__(
        self, world: World, *, events: EventLog, events_delay: timedelta = timedelta(0)
    ) -> None:
        self._world = world
        self._credits = CreditDesk(world)
        self._reporter = Reporter(world)
        self._intake = EventIntake(world, events=events, delay=events_delay)

    async def get_entitlement(
        self, request: pb.GetEntitlementRequest
    ) -> pb.GetEntitlementResponse:
        """A feature of any type."""
        return messages.response(await self._check(request, request.options))

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
            currency_id = checked_id("currency", request.currency_id)
            usage, _ = _asked(request.options)
            credit = await self._credits.check(_subject(request), currency_id, usage)
            return pb.GetEntitlementV2Response(entitlement=messages.credit_v2(credit))
        verdict = await self._check(request, request.options)
        return pb.GetEntitlementV2Response(entitlement=messages.entitlement_v2(verdict))

    async def get_boolean_entitlement(
        self, request: pb.GetBooleanEntitlementRequest
    ) -> pb.GetBooleanEntitlementResponse:
        """A boolean feature."""
        verdict = await self._check(request, wanted="boolean")
        return pb.GetBooleanEntitlementResponse(
            has_access=verdict.has_access,
            access_denied_reason=messages.reason_name(verdict.reason),
            entitlement=messages.boolean(verdict),
        )

    async def get_numeric_entitlement(
        self, request: pb.GetNumericEntitlementRequest
    ) -> pb.GetNumericEntitlementResponse:
        """A numeric feature."""
        verdict = await self._check(request, wanted="numeric")
        return pb.GetNumericEntitlementResponse(
            has_access=verdict.has_access,
            access_denied_reason=messages.reason_name(verdict.reason),
            entitlement=messages.numeric(verdict),
        )

    async def get_metered_entitlement(
        self, request: pb.GetMeteredEntitlementRequest
    ) -> pb.GetMeteredEntitlementResponse:
        """A metered feature; the answer repeats the requested usage, 0 if absent."""
        verdict = await self._check(request, request.options, wanted="metered")
        return pb.GetMeteredEntitlementResponse(
            has_access=verdict.has_access,
            access_denied_reason=messages.reason_name(verdict.reason),
            requested_usage=request.options.requested_usage,
            entitlement=messages.metered(verdict),
        )

    async def get_enum_entitlement(
        self, request: pb.GetEnumEntitlementRequest
    ) -> pb.GetEnumEntitlementResponse:
        """An enum feature; the answer repeats the requested values."""
        verdict = await self._check(request, request.options, wanted="enum")
        return pb.GetEnumEntitlementResponse(
            has_access=verdict.has_access,
            access_denied_reason=messages.reason_name(verdict.reason),
            requested_values=request.options.requested_values,
            entitlement=messages.enum(verdict),
        )

    async def get_entitlements(
        self, request: pb.GetEntitlementsRequest
    ) -> pb.GetEntitlementsResponse:
        """What the subject is entitled to, whatever is used of it."""
        reason, found = await self._standings(request)
        verdicts = await self._judged([item for item in found if item.grant])
        return pb.GetEntitlementsResponse(
            entitlements=[messages.entitlement(verdict) for verdict in verdicts],
            access_denied_reason=messages.reason_name(reason),
        )

    async def get_entitlements_state_v2(
        self, request: pb.GetEntitlementsStateV2Request
    ) -> pb.GetEntitlementsStateV2Response:
        """What the subscriptions say about each feature, denials included."""
        reason, found = await self._standings(request)
        subject = _subject(request)
        verdicts = await self._credits.paid(await self._judged(found), subject)
        wallets = await self._credits.all(subject)
        return pb.GetEntitlementsStateV2Response(
            entitlements=[
                *(messages.entitlement_v2(verdict) for verdict in verdicts),
                *(messages.credit_v2(credit) for credit in wallets),
            ],
            access_denied_reason=messages.reason_name(reason),
        )

    async def reload_entitlements(
        self, request: pb.ReloadEntitlementsRequest
    ) -> pb.ReloadEntitlementsResponse:
        """Whether the customer and resource exist; nothing is cached here."""
        subject = _subject(request)
        customer = await self._world.read(customer_key(subject.customer_id))
        reason = subject_reason(customer, subject)
        exists = reason in (None, "CUSTOMER_IS_ARCHIVED")
        return pb.ReloadEntitlementsResponse(entitled_entity_exists=exists)

    async def report_usage(
        self, request: pb.ReportUsageRequest
    ) -> pb.ReportUsageResponse:
        """Calculated usage; the next check sees it."""
        return (await self._reporter.report([request]))[0]

    async def report_usage_bulk(
        self, request: pb.ReportUsageBulkRequest
    ) -> pb.ReportUsageBulkResponse:
        """Several measurements, all or none."""
        return pb.ReportUsageBulkResponse(
            usages=await self._reporter.report_bulk(request.usages)
        )

    async def report_events(self, request: pb.ReportEventsRequest) -> Empty:
        """Raw events, all or none."""
        await self._intake.take(request.events)
        return Empty()

    async def _check(
        self,
        request: _FeatureRequest,
        options: _Options | None = None,
        *,
        wanted: FeatureType | None = None,
    ) -> Verdict:
        subject = _subject(request)
        feature_id = checked_id("feature", request.feature_id)
        usage, values = _asked(options)
        index, customer = await self._world.index_and_customer(subject.customer_id)
        found = standing(
            index, customer, subject, feature_id, self._world.clock(), wanted=wanted
        )
        records = await self._world.read_named(found.needs) if found.needs else {}
        verdict = judge(found, records, requested_usage=usage, requested_values=values)
        if not index.has_credit_rates:
            return verdict
        return (await self._credits.paid([verdict], subject, usage))[0]

    async def _standings(
        self, request: pb.GetEntitlementsRequest | pb.GetEntitlementsStateV2Request
    ) -> tuple[Reason | None, list[Standing]]:
        subject = _subject(request)
        index, customer = await self._world.index_and_customer(subject.customer_id)
        return standings(index, customer, subject, self._world.clock())

    async def _judged(self, found: Sequence[Standing]) -> list[Verdict]:
        needs = dict.fromkeys(key for item in found for key in item.needs)
        records = await self._world.read_named(tuple(needs))
        return [judge(item, records) for item in found]


_FeatureRequest = (
    pb.GetEntitlementRequest
    | pb.GetEntitlementV2Request
    | pb.GetBooleanEntitlementRequest
    | pb.GetNumericEntitlementRequest
    | pb.GetMeteredEntitlementRequest
    | pb.GetEnumEntitlementRequest
)
_SubjectRequest = (
    _FeatureRequest
    | pb.GetEntitlementsRequest
    | pb.GetEntitlementsStateV2Request
    | pb.ReloadEntitlementsRequest
)
_Options = (
    pb.GetEntitlementOptions | pb.MeteredEntitlementOptions | pb.EnumEntitlementOptions
)


def _subject(request: _SubjectRequest) -> Subject:
    return Subject(
        customer_id=checked_id("customer", request.customer_id),
        resource_id=(
            checked_id("resource", request.resource_id)
            if request.HasField("resource_id")
            else None
        ),
    )


def _asked(options: _Options | None) -> tuple[float | None, Sequence[str]]:
    """The requested usage (None if absent) and values."""
    if options is None:
        return None, ()
    if isinstance(options, pb.EnumEntitlementOptions):
        return None, options.requested_values
    values = (
        options.requested_values
        if isinstance(options, pb.GetEntitlementOptions)
        else ()
    )
    if not options.HasField("requested_usage"):
        return None, values
    usage = checked_number("requested_usage", options.requested_usage, least=0)
    return usage, values
