"""What calls and changes tell the live feed and the metrics.

Reading requests, answers and announcements lives here; making them does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

import grpc
from google.protobuf.message import Message

from sidecar_client.local.feed import Fact, Feed
from sidecar_client.local.questions import FeatureRequest
from sidecar_client.local.world import Announcement
from sidecar_client.protocol import sidecar_pb2 as pb

if TYPE_CHECKING:
    from sidecar_client.local.metrics import Metrics

_CHECKS = (
    pb.GetEntitlementResponse,
    pb.GetBooleanEntitlementResponse,
    pb.GetNumericEntitlementResponse,
    pb.GetMeteredEntitlementResponse,
    pb.GetEnumEntitlementResponse,
)
_Checked = (
    pb.GetEntitlementResponse
    | pb.GetBooleanEntitlementResponse
    | pb.GetNumericEntitlementResponse
    | pb.GetMeteredEntitlementResponse
    | pb.GetEnumEntitlementResponse
    | pb.EntitlementV2
)
_PREFIX = "ACCESS_DENIED_REASON_"


class Watch:
    """Sees every call when it was answered or refused."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.metrics: Metrics | None = None
        """Where calls are counted; None as long as nobody could read them."""

    def ended(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Count a call, whatever its end."""
        if self.metrics is not None:
            self.metrics.rpc(method, code.name, seconds)

    def answered(self, method: str, request: Message, answer: Message) -> None:
        """Tell of what was asked and answered."""
        if isinstance(answer, _CHECKS):
            self._check(
                method, cast("FeatureRequest", request), cast("_Checked", answer)
            )
        elif isinstance(answer, pb.GetEntitlementV2Response):
            self._check(method, cast("FeatureRequest", request), answer.entitlement)
        elif isinstance(
            answer, pb.GetEntitlementsResponse | pb.GetEntitlementsStateV2Response
        ):
            self._list(method, request, answer)
        elif isinstance(request, pb.ReportUsageRequest):
            self._report(request, cast("pb.ReportUsageResponse", answer))
        elif isinstance(request, pb.ReportUsageBulkRequest):
            bulk = cast("pb.ReportUsageBulkResponse", answer)
            for usage, counted in zip(request.usages, bulk.usages, strict=False):
                self._report(usage, counted)
        elif isinstance(request, pb.ReportEventsRequest):
            self._events(request)
        else:
            self._feed.publish("reload", method=method, **_subject(request))

    def refused(
        self, method: str, request: Message | None, code: str, message: str
    ) -> None:
        """Tell of a call that was answered with an error."""
        subject = _subject(request or pb.ReportEventsRequest())
        self._feed.publish(
            "refusal", method=method, code=code, message=message, **subject
        )

    def announced(self, announcement: Announcement) -> None:
        """Tell of a change of the world."""
        facts = {
            name: told
            for name, value in announcement.facts.items()
            if name not in ("what", "customer_id", "resource_id", "changed")
            and (told := _fact(value)) is not None
        }
        self._feed.publish(
            "change",
            what=announcement.kind,
            customer_id=announcement.customer_id,
            resource_id=announcement.resource_id,
            **facts,
        )

    def _check(self, method: str, request: FeatureRequest, answer: _Checked) -> None:
        # Most calls are checks: their fields are read one by one, as that takes least.
        facts: dict[str, Fact] = {"method": method, "customer_id": request.customer_id}
        if resource := request.resource_id:
            facts["resource_id"] = resource
        if feature := request.feature_id:
            facts["feature_id"] = feature
        elif isinstance(request, pb.GetEntitlementV2Request):
            facts["currency_id"] = request.currency_id
        if request.HasField("options"):
            facts |= _options(request.options)
        facts["has_access"] = answer.has_access
        facts["reason"] = _reason(answer)
        self._feed.tell("check", facts)

    def _list(
        self,
        method: str,
        request: Message,
        answer: pb.GetEntitlementsResponse | pb.GetEntitlementsStateV2Response,
    ) -> None:
        self._feed.publish(
            "list",
            method=method,
            **_subject(request),
            count=len(answer.entitlements),
            reason=_reason(answer),
        )

    def _report(
        self, request: pb.ReportUsageRequest, answer: pb.ReportUsageResponse
    ) -> None:
        sets = request.update_behavior == pb.USAGE_UPDATE_BEHAVIOR_SET
        self._feed.publish(
            "report",
            **_subject(request),
            feature_id=request.feature_id,
            value=request.value,
            update="set" if sets else "delta",
            current_usage=_optional(answer, "current_usage"),
        )

    def _events(self, request: pb.ReportEventsRequest) -> None:
        customers = dict.fromkeys(event.customer_id for event in request.events)
        self._feed.publish(
            "events",
            count=len(request.events),
            names=tuple(dict.fromkeys(event.event_name for event in request.events)),
            customer_id=next(iter(customers)) if len(customers) == 1 else None,
        )


def _fact(value: object) -> Fact:
    """The value if a line of the feed can hold it; None for records and the like."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float) else None


def _subject(request: Message) -> Mapping[str, Fact]:
    return _told(request, ("customer_id", "resource_id"))


def _options(options: Message) -> Mapping[str, Fact]:
    asked: dict[str, Fact] = {}
    usage = _optional(options, "requested_usage")
    values = tuple(getattr(options, "requested_values", ()))
    if usage is not None:
        asked["requested_usage"] = usage
    if values:
        asked["requested_values"] = values
    return asked


def _told(message: Message, names: Sequence[str]) -> dict[str, Fact]:
    """The fields that say something, by their names."""
    return {name: value for name in names if (value := _optional(message, name))}


def _optional(message: Message, name: str) -> str | float | None:
    """A field's value; None if the message has no such field, or it is not set."""
    has_presence = _presences(type(message)).get(name)
    if has_presence is None or (has_presence and not message.HasField(name)):
        return None
    return cast("str | float", getattr(message, name))


_known: dict[type, Mapping[str, bool]] = {}


def _presences(kind: type[Message]) -> Mapping[str, bool]:
    """The fields of a kind of message, and whether they tell that they are not set."""
    found = _known.get(kind)
    if found is None:
        found = {field.name: field.has_presence for field in kind.DESCRIPTOR.fields}
        _known[kind] = found
    return found


def _reason(
    answer: _Checked | pb.GetEntitlementsResponse | pb.GetEntitlementsStateV2Response,
) -> str | None:
    if not answer.HasField("access_denied_reason"):
        return None
    return pb.AccessDeniedReason.Name(answer.access_denied_reason).removeprefix(_PREFIX)
