"""Usage and raw events over REST: reported, estimated, looked back on.

Reports are those that are made over gRPC, in other words.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import Field

from sidecar_client.local.evaluation import Subject
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Body,
    Data,
    NoBody,
    NoQuery,
    Query,
    Time,
    Wire,
)
from sidecar_client.local.management import usage
from sidecar_client.local.management.usage import Estimate, Hindrance
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import CustomerId, FeatureId, Moment, Name, ResourceId
from sidecar_client.protocol import sidecar_pb2 as pb

endpoints = Endpoints()
_BEHAVIORS = {
    "DELTA": pb.USAGE_UPDATE_BEHAVIOR_DELTA,
    "SET": pb.USAGE_UPDATE_BEHAVIOR_SET,
}
Dimensions = dict[Name, bool | float | str]
_MOST = 1_000_000


class Measurement(Body):
    """Usage that was calculated."""

    customer_id: CustomerId
    feature_id: FeatureId
    value: Annotated[int, Field(ge=-(2**53) + 1, lt=2**53)]
    resource_id: ResourceId | None = None
    update_behavior: Literal["DELTA", "SET"] = "DELTA"
    created_at: Moment | None = None
    dimensions: Dimensions = Field(default_factory=Dimensions)
    idempotency_key: Name | None = None


class ReportUsage(Body):
    """Usage to be reported, all of it or none."""

    usages: Annotated[
        tuple[Measurement, ...], Field(strict=False, min_length=1, max_length=100)
    ]


class RawEvent(Body):
    """Something that happened."""

    event_name: Name
    customer_id: CustomerId
    idempotency_key: Name
    resource_id: ResourceId | None = None
    dimensions: Dimensions = Field(default_factory=Dimensions)
    timestamp: Moment | None = None


class ReportEvents(Body):
    """Events to be reported, all of them or none."""

    events: Annotated[
        tuple[RawEvent, ...], Field(strict=False, min_length=1, max_length=1000)
    ]


class EstimateUsage(Body):
    """Usage that is only thought of."""

    customer_id: CustomerId
    feature_id: FeatureId
    value: Annotated[float, Field(ge=-_MOST, le=_MOST)]
    resource_id: ResourceId | None = None
    update_behavior: Literal["DELTA", "SET"] = "DELTA"
    dimensions: Dimensions = Field(default_factory=Dimensions)


class EstimateEvent(Body):
    """An event that is only thought of."""

    customer_id: CustomerId
    event_name: Name
    resource_id: ResourceId | None = None
    dimensions: Dimensions = Field(default_factory=Dimensions)


class Between(Query):
    """The time that is looked back on."""

    start_date: Moment
    end_date: Moment | None = None
    resource_id: ResourceId | None = None
    group_by: str | None = None


class MeasurementData(Wire):
    """Usage that is acknowledged."""

    id: str
    customer_id: str
    feature_id: str
    resource_id: str | None
    value: float
    current_usage: float
    created_at: Time
    timestamp: Time
    next_reset_date: Time | None
    usage_period_start: Time | None
    usage_period_end: Time | None


class MeasurementsData(Wire):
    """Usage that is acknowledged, as the second version tells it."""

    usages: list[MeasurementData]
    credits: None = None
    entities: None = None


class Nothing(Wire):
    """Nothing that needs to be told."""


class PointData(Wire):
    """What had been used at a time."""

    timestamp: Time
    value: float
    is_reset_point: bool


class TagData(Wire):
    """What a series is of."""

    key: str
    value: str


class SeriesData(Wire):
    """Usage over time."""

    tags: list[TagData]
    points: list[PointData]


class MarkerData(Wire):
    """A time at which usage started again from zero."""

    timestamp: Time
    type: Literal["PERIODIC_RESET", "SUBSCRIPTION_CHANGE_RESET"]


class HistoryData(Wire):
    """Usage over time, and when it started again."""

    markers: list[MarkerData]
    series: list[SeriesData]


class CostData(Wire):
    """What a feature would cost."""

    feature_id: str
    cost: float
    warning_code: Literal["UNSUPPORTED_AGGREGATION"] | None = None


class EstimateData(Wire):
    """What would become of the credits of a currency."""

    currency_id: str
    current_balance: float
    estimated_cost: float
    balance_after_estimate: float
    would_overdraft: bool
    breakdown: list[CostData]


class EstimatesData(Wire):
    """What something would cost, and what hinders telling."""

    estimates: list[EstimateData]
    warnings: list[Hindrance]


@endpoints.post("/v1/usage", status=201)
async def report_usage(
    asked: Asked[ReportUsage, NoQuery],
) -> Data[list[MeasurementData]]:
    """Report calculated usage; the next check sees it."""
    return Data(data=await _report(asked.parts, asked.body))


@endpoints.post("/v2/usage", status=201)
async def report_usage_v2(asked: Asked[ReportUsage, NoQuery]) -> Data[MeasurementsData]:
    """Report calculated usage, as the second version has it."""
    usages = await _report(asked.parts, asked.body)
    return Data(data=MeasurementsData(usages=usages))


@endpoints.post("/v1/events", status=201)
async def report_events(asked: Asked[ReportEvents, NoQuery]) -> Data[Nothing]:
    """Report raw events, which meters count."""
    events = [
        pb.Event(
            event_name=event.event_name,
            customer_id=event.customer_id,
            idempotency_key=event.idempotency_key,
            resource_id=event.resource_id,
            dimensions=_dimensions(event.dimensions),
            timestamp=_stamp(event.timestamp),
        )
        for event in asked.body.events
    ]
    await asked.parts.service.report_events(pb.ReportEventsRequest(events=events))
    return Data(data=Nothing())


@endpoints.get("/v1/usage/{customerId}/history/{featureId}")
async def get_usage_history(asked: Asked[NoBody, Between]) -> Data[HistoryData]:
    """Look back on the usage of a feature."""
    query, world = asked.query, asked.parts.world
    if query.group_by is not None:
        raise Refusal(
            "UNIMPLEMENTED",
            "groupBy: the local sidecar keeps no usage by dimensions; leave it out.",
        )
    points = await usage.usage_history(
        world,
        asked.path["customerId"],
        asked.path["featureId"],
        start=query.start_date,
        end=query.end_date or world.clock(),
        resource_id=query.resource_id,
    )
    series = SeriesData(
        tags=[],
        points=[
            PointData(timestamp=p.at, value=p.value, is_reset_point=p.is_reset)
            for p in points
        ],
    )
    markers = [
        MarkerData(
            timestamp=p.at,
            type="SUBSCRIPTION_CHANGE_RESET" if p.is_change else "PERIODIC_RESET",
        )
        for p in points
        if p.is_reset
    ]
    return Data(data=HistoryData(markers=markers, series=[series]))


@endpoints.post("/v1/usage/estimate")
async def estimate_usage(asked: Asked[EstimateUsage, NoQuery]) -> Data[EstimatesData]:
    """Tell what usage would cost in credits."""
    body = asked.body
    estimates, warnings = await usage.estimate_usage(
        asked.parts.world,
        Subject(customer_id=body.customer_id, resource_id=body.resource_id),
        body.feature_id,
        body.value,
    )
    return _estimates(estimates, warnings)


@endpoints.post("/v1/events/estimate")
async def estimate_event(asked: Asked[EstimateEvent, NoQuery]) -> Data[EstimatesData]:
    """Tell what an event would cost in credits."""
    body = asked.body
    estimates, warnings = await usage.estimate_event(
        asked.parts.world,
        Subject(customer_id=body.customer_id, resource_id=body.resource_id),
        body.event_name,
        body.dimensions,
    )
    return _estimates(estimates, warnings)


async def _report(parts: Parts, body: ReportUsage) -> list[MeasurementData]:
    requests = [
        pb.ReportUsageRequest(
            customer_id=item.customer_id,
            resource_id=item.resource_id,
            feature_id=item.feature_id,
            value=item.value,
            update_behavior=_BEHAVIORS[item.update_behavior],
            dimensions=_dimensions(item.dimensions),
            timestamp=_stamp(item.created_at),
        )
        for item in body.usages
    ]
    answer = await parts.service.report_usage_bulk(
        pb.ReportUsageBulkRequest(usages=requests),
        keys=[item.idempotency_key for item in body.usages],
    )
    now = parts.world.clock()
    return [
        _acknowledged(item, acknowledged, now)
        for item, acknowledged in zip(body.usages, answer.usages, strict=True)
    ]


def _acknowledged(
    item: Measurement, answer: pb.ReportUsageResponse, now: datetime
) -> MeasurementData:
    start = end = None
    if answer.HasField("usage_period_start"):
        start = answer.usage_period_start.ToDatetime(tzinfo=UTC)
        end = answer.usage_period_end.ToDatetime(tzinfo=UTC)
    return MeasurementData(
        id=answer.measurement_id,
        customer_id=item.customer_id,
        feature_id=item.feature_id,
        resource_id=item.resource_id,
        value=item.value,
        current_usage=answer.current_usage,
        created_at=now,
        timestamp=item.created_at or now,
        next_reset_date=end,
        usage_period_start=start,
        usage_period_end=end,
    )


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _dimensions(dimensions: Dimensions) -> dict[str, pb.EventDimensionValue]:
    return {name: _dimension(value) for name, value in dimensions.items()}


def _dimension(value: bool | float | str) -> pb.EventDimensionValue:
    if isinstance(value, bool):
        return pb.EventDimensionValue(boolean_value=value)
    if isinstance(value, str):
        return pb.EventDimensionValue(string_value=value)
    return pb.EventDimensionValue(number_value=value)


def _estimates(
    estimates: list[Estimate], warnings: list[Hindrance]
) -> Data[EstimatesData]:
    shown = [
        EstimateData(
            currency_id=item.currency_id,
            current_balance=item.balance,
            estimated_cost=item.cost,
            balance_after_estimate=item.balance - item.cost,
            would_overdraft=item.cost > item.balance,
            breakdown=[
                CostData(
                    feature_id=cost.feature_id,
                    cost=cost.amount,
                    warning_code=(
                        None if cost.is_supported else "UNSUPPORTED_AGGREGATION"
                    ),
                )
                for cost in item.costs
            ],
        )
        for item in estimates
    ]
    return Data(data=EstimatesData(estimates=shown, warnings=warnings))
