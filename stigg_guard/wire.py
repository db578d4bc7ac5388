"""Questions and usage become messages of the sidecar here, and its messages ours.

The one module of stigg_guard that knows them. Sending them is in `sidecar`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sidecar_client import (
    AccessDeniedReason,
    Event,
    EventDimensionValue,
    GetEntitlementOptions,
    GetEntitlementRequest,
    GetEntitlementsRequest,
    GetEntitlementsStateV2Request,
    GetEntitlementV2Request,
    ReloadEntitlementsRequest,
    ReportEventsRequest,
    ReportUsageBulkRequest,
    ReportUsageRequest,
    UsageUpdateBehavior,
)
from stigg_guard.decision import Answer, Answers, Entitlement, Reason
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Dimension, Question
from stigg_guard.subject import Subject

_PREFIX: Final = "ACCESS_DENIED_REASON_"
_REASONS: Final = {
    number: Reason(name.removeprefix(_PREFIX))
    for name, number in AccessDeniedReason.items()
}


def feature_request(subject: Subject, question: Question) -> GetEntitlementRequest:
    """The question about a feature."""
    return GetEntitlementRequest(
        customer_id=subject.customer_id,
        feature_id=question.feature_id,
        resource_id=subject.resource_id,
        options=_options(question),
    )


def currency_request(subject: Subject, question: Question) -> GetEntitlementV2Request:
    """The question about credits."""
    return GetEntitlementV2Request(
        customer_id=subject.customer_id,
        currency_id=question.currency_id,
        resource_id=subject.resource_id,
        options=_options(question),
    )


def state_request(subject: Subject) -> GetEntitlementsStateV2Request:
    """The question about everything, credits and denials included."""
    return GetEntitlementsStateV2Request(
        customer_id=subject.customer_id, resource_id=subject.resource_id
    )


def reload_request(subject: Subject) -> ReloadEntitlementsRequest:
    """The wish that what a sidecar knows of a subject be new."""
    return ReloadEntitlementsRequest(
        customer_id=subject.customer_id, resource_id=subject.resource_id
    )


def list_request(subject: Subject) -> GetEntitlementsRequest:
    """The question about every feature that is granted."""
    return GetEntitlementsRequest(
        customer_id=subject.customer_id, resource_id=subject.resource_id
    )


def _options(question: Question) -> GetEntitlementOptions | None:
    if question.usage is None and not question.values:
        return None
    return GetEntitlementOptions(
        requested_usage=question.usage, requested_values=question.values
    )


def usage_request(measurement: Measurement) -> ReportUsageRequest:
    """A measurement as the sidecar takes it."""
    update = (
        UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_SET
        if measurement.update == "set"
        else UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_DELTA
    )
    request = ReportUsageRequest(
        customer_id=measurement.subject.customer_id,
        resource_id=measurement.subject.resource_id,
        feature_id=measurement.feature_id,
        value=measurement.value,
        update_behavior=update,
        dimensions={name: _dimension(value) for name, value in measurement.dimensions},
    )
    request.timestamp.FromDatetime(measurement.timestamp)
    return request


def bulk_request(batch: Sequence[Measurement]) -> ReportUsageBulkRequest:
    """Up to 100 measurements as the sidecar takes them."""
    return ReportUsageBulkRequest(usages=map(usage_request, batch))


def events_request(batch: Sequence[Measurement]) -> ReportEventsRequest:
    """Up to 1,000 raw events as the sidecar takes them."""
    return ReportEventsRequest(events=map(event_message, batch))


def event_message(measurement: Measurement) -> Event:
    """A raw event; its key and time are those it was made with."""
    event = Event(
        event_name=measurement.event,
        customer_id=measurement.subject.customer_id,
        resource_id=measurement.subject.resource_id,
        idempotency_key=measurement.key,
        dimensions={name: _dimension(value) for name, value in measurement.dimensions},
    )
    event.timestamp.FromDatetime(measurement.timestamp)
    return event


def read_acknowledgement(message: Any) -> Acknowledged:
    """What a ReportUsageResponse says of the total."""
    start = _moment(message, "usage_period_start")
    return Acknowledged(
        current_usage=(
            message.current_usage if message.HasField("current_usage") else None
        ),
        period=None if start is None else start.timestamp(),
    )


def _dimension(value: Dimension) -> EventDimensionValue:
    if isinstance(value, bool):
        return EventDimensionValue(boolean_value=value)
    if isinstance(value, str):
        return EventDimensionValue(string_value=value)
    return EventDimensionValue(number_value=value)


def read_answer(message: Any) -> Answer:
    """An answer from a GetEntitlementResponse or an EntitlementV2: they are alike."""
    number: int = message.access_denied_reason
    denied = not message.has_access
    kind: Any = message.WhichOneof("entitlement")
    return Answer(
        has_access=message.has_access,
        reason=_REASONS.get(number, Reason.UNKNOWN) if denied else None,
        reason_number=number,
        is_fallback=message.is_fallback,
        entitlement=_READERS[kind](message) if kind in _READERS else None,
    )


def read_state(message: Any) -> Answers:
    """Answers from a GetEntitlementsStateV2Response; what has no id is left out."""
    found = ((_id_of(item), read_answer(item)) for item in message.entitlements)
    return _answers(found, message)


def read_list(message: Any) -> Answers:
    """Answers from a GetEntitlementsResponse, which has no verdicts: they are ours.

    What it lists is granted; what is metered must have something left, which is what a
    check without usage means.
    """
    found = ((_id_of(item), _listed(item)) for item in message.entitlements)
    return _answers(found, message)


def _answers(found: Iterable[tuple[str, Answer]], message: Any) -> Answers:
    number: int = message.access_denied_reason
    is_denied = message.HasField("access_denied_reason") and number != 0
    return Answers(
        by_id={name: answer for name, answer in found if name},
        reason=_REASONS.get(number, Reason.UNKNOWN) if is_denied else None,
    )


def _id_of(item: Any) -> str:
    kind: Any = item.WhichOneof("entitlement")
    if kind not in _READERS:
        return ""
    found: str = (
        item.credit.currency.currency_id
        if kind == "credit"
        else getattr(item, kind).feature.id
    )
    return found


def _listed(item: Any) -> Answer:
    kind: Any = item.WhichOneof("entitlement")
    entitlement = _READERS[kind](item) if kind in _READERS else None
    is_used_up = (
        entitlement is not None
        and entitlement.kind == "metered"
        and entitlement.remaining == 0
    )
    return Answer(
        has_access=not is_used_up,
        reason=Reason.REQUESTED_USAGE_EXCEEDING_LIMIT if is_used_up else None,
        reason_number=8 if is_used_up else 0,
        entitlement=entitlement,
    )


_BOOLEAN: Final = Entitlement(kind="boolean")


def _read_boolean(message: Any) -> Entitlement | None:
    return _BOOLEAN


def _read_numeric(message: Any) -> Entitlement | None:
    numeric = message.numeric
    return Entitlement(
        kind="numeric",
        value=numeric.value if numeric.HasField("value") else None,
        is_unlimited=numeric.is_unlimited,
    )


def _read_metered(message: Any) -> Entitlement | None:
    metered = message.metered
    return Entitlement(
        kind="metered",
        is_unlimited=metered.is_unlimited,
        usage_limit=metered.usage_limit if metered.HasField("usage_limit") else None,
        current_usage=metered.current_usage,
        has_soft_limit=metered.has_soft_limit,
        period_start=_moment(metered, "usage_period_start"),
        resets_at=_moment(metered, "usage_period_end"),
    )


def _read_enum(message: Any) -> Entitlement | None:
    return Entitlement(kind="enum", enum_values=tuple(message.enum.enum_values))


def _read_credit(message: Any) -> Entitlement | None:
    credit = message.credit
    return Entitlement(
        kind="credit",
        usage_limit=credit.usage_limit,
        current_usage=credit.current_usage,
        has_soft_limit=credit.has_soft_limit,
        resets_at=_moment(credit, "usage_period_end"),
    )


_READERS: Final = {
    "boolean": _read_boolean,
    "numeric": _read_numeric,
    "metered": _read_metered,
    "enum": _read_enum,
    "credit": _read_credit,
}


def _moment(message: Any, name: str) -> datetime | None:
    if not message.HasField(name):
        return None
    try:
        moment: datetime = getattr(message, name).ToDatetime(tzinfo=UTC)
    except ValueError:
        return None  # beyond what a datetime can say
    return moment
