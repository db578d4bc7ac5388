"""Requirements become sidecar calls here, and the sidecar's answers become ours.

The one module of stigg_guard that knows the wire. What answers lead to is in `judge`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sidecar_client import (
    AccessDeniedReason,
    EventDimensionValue,
    GetEntitlementOptions,
    GetEntitlementRequest,
    GetEntitlementV2Request,
    ReportUsageRequest,
    Stigg,
    SyncStigg,
    UsageUpdateBehavior,
)
from stigg_guard.decision import Answer, Entitlement, NoAnswer, Reason
from stigg_guard.errors import SidecarError, SidecarRejected
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Dimension, Question
from stigg_guard.subject import Subject

_PREFIX: Final = "ACCESS_DENIED_REASON_"
_REASONS: Final = {
    number: Reason(name.removeprefix(_PREFIX))
    for name, number in AccessDeniedReason.items()
}

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


class SyncSidecar:
    """Asks and reports over a synchronous client; failures are values."""

    def __init__(self, client: SyncStigg) -> None:
        self.client = client

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

    def report(self, measurement: Measurement) -> NoAnswer | None:
        """Report usage; None once it is acknowledged."""
        try:
            self.client.report_usage(usage_request(measurement))
        except (SidecarError, ValueError) as error:
            return no_answer(error)
        return None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self.client.close()


class AsyncSidecar:
    """Asks and reports over an asynchronous client; failures are values."""

    def __init__(self, client: Stigg) -> None:
        self.client = client

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

    async def report(self, measurement: Measurement) -> NoAnswer | None:
        """Report usage; None once it is acknowledged."""
        try:
            await self.client.report_usage(usage_request(measurement))
        except (SidecarError, ValueError) as error:
            return no_answer(error)
        return None

    async def aclose(self) -> None:
        """Close the connection; the next call opens it again."""
        await self.client.aclose()


def no_answer(error: SidecarError | ValueError) -> NoAnswer:
    """A failed call as a value; a `ValueError` says that it cannot even be written."""
    if isinstance(error, ValueError):
        return NoAnswer(cause=f"it cannot be sent: {error!r}", refused=True)
    refused = isinstance(error, SidecarRejected) and error.code in _FAULTS
    return NoAnswer(cause=str(error), refused=refused)


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
    return ReportUsageRequest(
        customer_id=measurement.subject.customer_id,
        resource_id=measurement.subject.resource_id,
        feature_id=measurement.feature_id,
        value=measurement.value,
        update_behavior=update,
        dimensions={name: _dimension(value) for name, value in measurement.dimensions},
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
