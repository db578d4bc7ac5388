"""The script that tries the local sidecar: checks, denials, reports and errors.

Every peer and our own client make the same calls on a sidecar that began alike, so they
must get the same. What the wire can carry beyond that is tried by `echo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client import (
    EnumEntitlementOptions,
    Event,
    EventDimensionValue,
    GetBooleanEntitlementRequest,
    GetEntitlementOptions,
    GetEntitlementRequest,
    GetEntitlementsRequest,
    GetEntitlementsStateV2Request,
    GetEntitlementV2Request,
    GetEnumEntitlementRequest,
    GetMeteredEntitlementRequest,
    GetNumericEntitlementRequest,
    MeteredEntitlementOptions,
    ReloadEntitlementsRequest,
    ReportEventsRequest,
    ReportUsageBulkRequest,
    ReportUsageRequest,
    UsageUpdateBehavior,
)
from sidecar_client.methods import SERVICE
from tests.interop.calls import Call

CATALOG: Final = Path(__file__).parent / "catalog.yaml"
NOW: Final = datetime(2026, 2, 28, 22, 30, 15, 250_000, tzinfo=UTC)

_CUSTOMERS = ("acme", "acme/site-1", "acme/site-9", "spent", "old", "gone", "nobody")
_PAYING = ("rich", "rich/site-1", "short")
"""Those who have credits, charges and a budget."""
_COSTING = ("answers", "pages", "tokens", "coins")
_FEATURES = ("seats", "calls", "exports", "domain", "regions", "size", "none")
_IDS = ("", "grün", "日本", "a b", "x" * 256, "-x", "\n")
_SET = UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_SET
_DELTA = UsageUpdateBehavior.USAGE_UPDATE_BEHAVIOR_DELTA


def clock() -> datetime:
    """The time that every sidecar of the comparison is told."""
    return NOW


def calls() -> list[Call]:
    """The whole script."""
    return [
        *_about_the_server(),
        *_checks(),
        *_lists(),
        *_reports(),
        *_many_events(),
        *_checks(" after reports"),
        *_credits_and_budgets(),
        *_refused(),
    ]


def events(count: int) -> list[Event]:
    """Raw events that differ in everything, with texts of many languages."""
    return [
        Event(
            event_name="api-call",
            customer_id="acme",
            idempotency_key=f"key-{number}-☕",
            resource_id="site-1" if number % 2 else None,
            timestamp=_before(minutes=number),
            dimensions={
                "wo": EventDimensionValue(string_value=f"Zürich 東京 {number}"),
                "größe": EventDimensionValue(number_value=number / 7),
                "neu": EventDimensionValue(boolean_value=number % 3 == 0),
            },
        )
        for number in range(count)
    ]


def _about_the_server() -> Iterator[Call]:
    for service in ("", SERVICE, "no.such.Service"):
        yield Call(name=f"health of {service!r}", operation="health", method=service)
    yield Call(name="list of services", operation="services", method="")
    yield Call(name="files of the service", operation="file", method=SERVICE)


def _checks(when: str = "") -> Iterator[Call]:
    for who in _CUSTOMERS:
        customer, _, resource = who.partition("/")
        for feature in _FEATURES:
            yield _call(
                f"{who} {feature}{when}",
                GetEntitlementRequest(
                    customer_id=customer,
                    feature_id=feature,
                    resource_id=resource or None,
                    options=GetEntitlementOptions(
                        requested_usage=2, requested_values=["eu", "us"]
                    ),
                ),
            )
            yield from _typed(f"{who} {feature}{when}", customer, resource, feature)


def _typed(name: str, customer: str, resource: str, feature: str) -> Iterator[Call]:
    whose: dict[str, Any] = {"customer_id": customer, "feature_id": feature}
    if resource:
        whose["resource_id"] = resource
    yield _call(name, GetBooleanEntitlementRequest(**whose))
    yield _call(name, GetNumericEntitlementRequest(**whose))
    yield _call(
        name,
        GetMeteredEntitlementRequest(
            **whose, options=MeteredEntitlementOptions(requested_usage=1.5)
        ),
    )
    yield _call(
        name,
        GetEnumEntitlementRequest(
            **whose, options=EnumEntitlementOptions(requested_values=["eu", "größe"])
        ),
    )
    yield _call(name, GetEntitlementV2Request(**whose))
    whose["currency_id"] = whose.pop("feature_id")
    yield _call(f"{name} as a currency", GetEntitlementV2Request(**whose))


def _credits_and_budgets() -> Iterator[Call]:
    """What is left, what it denies, and what reports leave of it."""
    yield from _asked_of_the_paying("")
    for feature in ("answers", "pages"):
        for customer in ("rich", "short"):
            name = f"{feature} of {customer}"
            yield _call(name, _report(customer, feature, 3.5))
    yield from _asked_of_the_paying(" after reports")
    yield from _lists(_PAYING)


def _asked_of_the_paying(when: str) -> Iterator[Call]:
    for who in _PAYING:
        customer, _, resource = who.partition("/")
        for name in _COSTING:
            yield from _typed(f"{who} {name}{when}", customer, resource, name)


def _lists(customers: Sequence[str] = _CUSTOMERS) -> Iterator[Call]:
    for who in customers:
        customer, _, resource = who.partition("/")
        whose: dict[str, Any] = {"customer_id": customer}
        if resource:
            whose["resource_id"] = resource
        yield _call(who, GetEntitlementsRequest(**whose))
        yield _call(who, GetEntitlementsStateV2Request(**whose))
        yield _call(who, ReloadEntitlementsRequest(**whose))


def _reports() -> Iterator[Call]:
    seats = ReportUsageRequest(
        customer_id="acme",
        feature_id="seats",
        value=1,
        dimensions={"für": EventDimensionValue(string_value="Größe ☕")},
    )
    calls = ReportUsageRequest(
        customer_id="acme",
        resource_id="site-1",
        feature_id="calls",
        value=12.5,
        update_behavior=_DELTA,
        timestamp=_before(days=1, microseconds=1),
    )
    total = ReportUsageRequest(
        customer_id="acme", feature_id="exports", value=7, update_behavior=_SET
    )
    yield _call("a delta", seats)
    yield _call("a delta of a resource, at a time", calls)
    yield _call("a total", total)
    yield _call("several", ReportUsageBulkRequest(usages=[seats, calls, total]))


def _many_events() -> Iterator[Call]:
    thousand = ReportEventsRequest(events=events(1000))
    yield _call("1,000 events", thousand)
    yield _call("1,000 events again", thousand)
    yield _call("no events", ReportEventsRequest())


def _refused() -> Iterator[Call]:
    """Every method with what it refuses; the status tells why, in ASCII."""
    for bad in _IDS:
        yield _call(f"customer {bad!r}", GetEntitlementsRequest(customer_id=bad))
        yield _call(
            f"feature {bad!r}",
            GetEntitlementRequest(customer_id="acme", feature_id=bad),
        )
    both = GetEntitlementV2Request(
        customer_id="acme", feature_id="seats", currency_id="credits"
    )
    yield _call("a feature and a currency", both)
    yield _call("a report below nothing", _report("acme", "seats", -1000))
    for usage in (-1.0, float("nan"), float("inf"), 1e308):
        options = MeteredEntitlementOptions(requested_usage=usage)
        yield _call(
            f"requested usage of {usage}",
            GetMeteredEntitlementRequest(
                customer_id="acme", feature_id="seats", options=options
            ),
        )
        yield _call(f"a report of {usage}", _report("acme", "seats", usage))
    yield _call("a report of a boolean", _report("acme", "domain"))
    yield _call("a report of no customer", _report("nobody", "seats"))
    yield _call("a report of no feature", _report("acme", "none"))
    yield _call("a report of no plan", _report("gone", "seats"))
    usages = [_report("acme", "seats"), _report("acme", "domain")]
    yield _call("a bad one of several", ReportUsageBulkRequest(usages=usages))
    yield _call("no usages", ReportUsageBulkRequest())
    unnamed = Event(event_name="", customer_id="acme", idempotency_key="1")
    yield _call("an unnamed event", ReportEventsRequest(events=[unnamed]))


def _before(**ago: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(NOW - timedelta(**ago))
    return moment


def _report(customer: str, feature: str, value: float = 1) -> ReportUsageRequest:
    return ReportUsageRequest(customer_id=customer, feature_id=feature, value=value)


def _call(name: str, request: Message) -> Call:
    method = type(request).__name__.removesuffix("Request")
    return Call(name=f"{method}: {name}", method=method, request=request)
