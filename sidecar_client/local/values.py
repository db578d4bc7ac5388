"""The values that a catalog is written in: ids, times, texts, words of the field.

How one value may look lives here; the parts made of them do not.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from sidecar_client.local.identifiers import MAX_LENGTH, Kind, id_pattern, id_problem
from sidecar_client.local.shown import printable, shown, written

FeatureType = Literal["boolean", "numeric", "metered", "enum"]
ResetPeriod = Literal["hour", "day", "week", "month", "year"]
AnchorRule = Literal[
    "subscription_start",
    "start_of_month",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
]
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
TIME_RANGE = "use a time between the years 1970 and 9000"
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def _id(kind: Kind) -> AfterValidator:
    def check(value: str) -> str:
        if problem := id_problem(kind, value):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _id_schema(kind: Kind) -> WithJsonSchema:
    """What tools are told of it that only read a schema."""
    return WithJsonSchema(
        {"type": "string", "pattern": id_pattern(kind), "maxLength": MAX_LENGTH}
    )


def _text(value: str) -> str:
    """Half of a surrogate pair, as an escape can write it, fits into no answer."""
    if printable(value) != value:
        raise ValueError(f"{shown(value)} is no valid Unicode; remove what is not")
    return value


def _moment(value: object) -> object:
    """Dates and ISO texts become aware UTC times; everything else is left to fail."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        # Compared first: the edges of the calendar have no time in other zones.
        if not EARLIEST <= aware < LATEST:
            raise ValueError(f"{value} is out of range; {TIME_RANGE}")
        return aware.astimezone(UTC)
    return value


def _zoned(value: object) -> datetime:
    """A time that says its zone; a number is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise ValueError(
            f"is {written(value)}; use a time with its zone, such as "
            "2026-01-31T12:00:00Z"
        )
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"is {written(value)}; {TIME_RANGE}")
    return moment.astimezone(UTC)


CustomerId = Annotated[str, _id("customer"), _id_schema("customer")]
ResourceId = Annotated[str, _id("resource"), _id_schema("resource")]
FeatureId = Annotated[str, _id("feature"), _id_schema("feature")]
PlanId = Annotated[str, _id("plan"), _id_schema("plan")]
ProductId = Annotated[str, _id("product"), _id_schema("product")]
AddonId = Annotated[str, _id("add-on"), _id_schema("add-on")]
CurrencyId = Annotated[str, _id("currency"), _id_schema("currency")]
SubscriptionId = Annotated[str, _id("subscription"), _id_schema("subscription")]
GrantId = Annotated[str, _id("grant"), _id_schema("grant")]
Moment = Annotated[datetime, Field(strict=True), BeforeValidator(_moment)]
ZonedMoment = Annotated[datetime, BeforeValidator(_zoned)]
"""A time that says its zone."""
Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_text)]
Metadata = dict[Text, Text]


class Part(BaseModel):
    """A part of a catalog: what it does not know, it refuses."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )
