"""Features over REST.

What is done is in `management.features`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, cast

from pydantic import Field, JsonValue

from sidecar_client.local.catalog import (
    Feature,
    UnitTransformation,
)
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.meters import (
    Meter,
    MeterData,
    meter_of,
    shown_meter,
)
from sidecar_client.local.http.rest.wire import (
    Body,
    Data,
    Listed,
    Many,
    NoBody,
    NoQuery,
    Paged,
    Range,
    Time,
    Wire,
    given,
    listed,
    within,
)
from sidecar_client.local.http.rest.words import (
    FeatureStatus,
    FeatureTypeName,
    MeterTypeName,
    feature_type,
    key_of,
    type_name,
)
from sidecar_client.local.management import features
from sidecar_client.local.management.about import Kept, Told
from sidecar_client.local.management.features import NewFeature, WantedFeatures
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.values import FeatureId, Metadata, Name, Text

endpoints = Endpoints()
_METERS: dict[MeterTypeName, Literal["fluctuating", "incremental"] | None] = {
    "None": None,
    "FLUCTUATING": "fluctuating",
    "INCREMENTAL": "incremental",
}
_METER_NAMES: dict[MeterTypeName, str] = {
    "None": "none",
    "FLUCTUATING": "fluctuating",
    "INCREMENTAL": "incremental",
}


class EnumOption(Body):
    """A value of an enum feature."""

    value: Name
    display_name: Text


class Transformation(Body):
    """From the units that are reported to those that are granted."""

    divide: Annotated[float, Field(gt=0)]
    round: Literal["UP", "DOWN"] = "UP"
    feature_units: Text | None = None
    feature_units_plural: Text | None = None


class _FeatureFields(Body):
    description: Text = ""
    enum_configuration: Annotated[
        tuple[EnumOption, ...], Field(strict=False, max_length=1000)
    ] = ()
    feature_units: Text = ""
    feature_units_plural: Text = ""
    metadata: Metadata = Field(default_factory=dict[str, str])
    meter: Meter | None = None
    unit_transformation: Transformation | None = None


class CreateFeature(_FeatureFields):
    """A feature to be defined."""

    id: FeatureId
    display_name: Text
    feature_type: FeatureTypeName
    feature_status: FeatureStatus = "ACTIVE"
    meter_type: MeterTypeName = "None"


class UpdateFeature(_FeatureFields):
    """What a feature is to be from now on; what is left out stays."""

    display_name: Text = ""


class ListFeatures(Paged):
    """Which features to list."""

    id: str | None = None
    feature_type: Many[FeatureTypeName] | None = None
    meter_type: Many[MeterTypeName] | None = None
    status: Many[FeatureStatus] | None = None
    created_at: Range | None = None


class EnumOptionData(Wire):
    """A value of an enum feature."""

    value: str
    display_name: str


class TransformationData(Wire):
    """From the units that are reported to those that are granted."""

    divide: float
    round: Literal["UP", "DOWN"]
    feature_units: str | None = None
    feature_units_plural: str | None = None


class FeatureData(Wire):
    """A feature."""

    id: str
    display_name: str
    description: str | None
    feature_type: FeatureTypeName
    meter_type: MeterTypeName
    feature_status: FeatureStatus
    feature_units: str | None
    feature_units_plural: str | None
    enum_configuration: list[EnumOptionData] | None
    meter: MeterData | None
    unit_transformation: TransformationData | None
    metadata: dict[str, str]
    created_at: Time
    updated_at: Time


@endpoints.post("/v1/features", status=201)
async def create_feature(asked: Asked[CreateFeature, NoQuery]) -> Data[FeatureData]:
    """Define a feature."""
    body = asked.body
    if body.feature_type != "NUMBER" and body.meter_type != "None":
        raise Refusal(
            "INVALID_ARGUMENT",
            f"meterType is {body.meter_type}; only features of the type NUMBER have a "
            "meter: leave it out.",
        )
    new = NewFeature(
        id=body.id,
        type=feature_type(body.feature_type, body.meter_type),
        name=body.display_name,
        description=body.description,
        units=body.feature_units,
        units_plural=body.feature_units_plural,
        meter=_METERS[body.meter_type],
        events=meter_of(body.meter),
        unit_transformation=_transformation(body.unit_transformation),
        values=tuple(option.value for option in body.enum_configuration),
        status="archived" if body.feature_status == "SUSPENDED" else "active",
        metadata=body.metadata,
        kept=_kept(body),
    )
    return Data(data=_shown(await features.create_feature(asked.parts.world, new)))


@endpoints.get("/v1/features")
async def list_features(asked: Asked[NoBody, ListFeatures]) -> Listed[FeatureData]:
    """List features by id."""
    query = asked.query
    page = await features.list_features(
        asked.parts.world,
        query.turn,
        WantedFeatures(fits=_fits(query), created=within(query.created_at)),
    )
    return listed(page.mapped(lambda items: [_shown(item) for item in items]))


@endpoints.get("/v1/features/{id}")
async def get_feature(asked: Asked[NoBody, NoQuery]) -> Data[FeatureData]:
    """Get a feature."""
    found = await features.get_feature(asked.parts.world, asked.path["id"])
    return Data(data=_shown(found))


@endpoints.patch("/v1/features/{id}")
async def update_feature(asked: Asked[UpdateFeature, NoQuery]) -> Data[FeatureData]:
    """Change a feature."""
    body = asked.body
    fields = body.model_fields_set
    changes = given(body, "description", "metadata")
    for name, field in (
        ("display_name", "name"),
        ("feature_units", "units"),
        ("feature_units_plural", "units_plural"),
    ):
        if name in fields:
            changes[field] = getattr(body, name)
    if "enum_configuration" in fields:
        changes["values"] = tuple(option.value for option in body.enum_configuration)
    if "meter" in fields:
        changes["events"] = meter_of(body.meter)
    if "unit_transformation" in fields:
        changes["unit_transformation"] = _transformation(body.unit_transformation)
    changed = await features.update_feature(
        asked.parts.world, asked.path["id"], changes, _kept(body)
    )
    return Data(data=_shown(changed))


@endpoints.post("/v1/features/{id}/archive")
async def archive_feature(asked: Asked[NoBody, NoQuery]) -> Data[FeatureData]:
    """Archive a feature."""
    archived = await features.archive_feature(asked.parts.world, asked.path["id"])
    return Data(data=_shown(archived))


@endpoints.post("/v1/features/{id}/unarchive")
async def unarchive_feature(asked: Asked[NoBody, NoQuery]) -> Data[FeatureData]:
    """Take an archived feature back."""
    back = await features.archive_feature(
        asked.parts.world, asked.path["id"], archived=False
    )
    return Data(data=_shown(back))


def _fits(query: ListFeatures) -> Callable[[Feature], bool]:
    def fits(feature: Feature) -> bool:
        meter = key_of(_METER_NAMES, feature.meter or "none")
        return (
            query.id in (None, feature.id)
            and (
                query.feature_type is None
                or type_name(feature.type) in query.feature_type
            )
            and (query.meter_type is None or meter in query.meter_type)
            and (query.status is None or _status(feature) in query.status)
        )

    return fits


def _status(feature: Feature) -> FeatureStatus:
    return "SUSPENDED" if feature.status == "archived" else "ACTIVE"


def _kept(body: _FeatureFields) -> Kept:
    """The names of enum values, which the catalog does not keep."""
    if "enum_configuration" not in body.model_fields_set:
        return {}
    names: dict[str, JsonValue] = {
        option.value: option.display_name for option in body.enum_configuration
    }
    return {"enumNames": names}


def _transformation(wanted: Transformation | None) -> UnitTransformation | None:
    if wanted is None:
        return None
    rounding: Literal["up", "down"] = "up" if wanted.round == "UP" else "down"
    return UnitTransformation(divide=wanted.divide, round=rounding)


def _shown(told: Told[Feature]) -> FeatureData:
    feature, about = told.value, told.about
    names = about.kept.get("enumNames")
    shown_names = cast("dict[str, str]", names) if isinstance(names, dict) else {}
    rounding = feature.unit_transformation
    return FeatureData(
        id=feature.id,
        display_name=feature.name or feature.id,
        description=feature.description or None,
        feature_type=type_name(feature.type),
        meter_type=key_of(_METER_NAMES, feature.meter or "none"),
        feature_status=_status(feature),
        feature_units=feature.units or None,
        feature_units_plural=feature.units_plural or None,
        enum_configuration=[
            EnumOptionData(value=value, display_name=shown_names.get(value, value))
            for value in feature.values
        ]
        or None,
        meter=shown_meter(feature.events),
        unit_transformation=TransformationData(
            divide=rounding.divide, round="UP" if rounding.round == "up" else "DOWN"
        )
        if rounding
        else None,
        metadata=feature.metadata,
        created_at=about.created,
        updated_at=about.updated,
    )
