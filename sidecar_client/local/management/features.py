"""Features: defined, changed, archived, listed.

What plans say of them lives in `package_entitlements`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sidecar_client.local.catalog import EventMeter, Feature, UnitTransformation
from sidecar_client.local.management.about import (
    Kept,
    Told,
    note_archived,
    note_change,
    note_new,
    told,
)
from sidecar_client.local.management.definitions import define, definitions_of, put
from sidecar_client.local.management.missing import feature_of
from sidecar_client.local.management.pages import Page, Turn, page_of
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.values import FeatureType
from sidecar_client.local.world import Transaction, World


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeature:
    """What is to be defined."""

    id: str
    type: FeatureType
    name: str
    description: str = ""
    units: str = ""
    units_plural: str = ""
    meter: Literal["fluctuating", "incremental"] | None = None
    events: EventMeter | None = None
    unit_transformation: UnitTransformation | None = None
    values: tuple[str, ...] = ()
    status: Literal["active", "archived"] = "active"
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFeatures:
    """Which features to list; None for every one."""

    fits: Callable[[Feature], bool] | None = None
    created: Callable[[datetime], bool] | None = None


async def get_feature(world: World, feature_id: str) -> Told[Feature]:
    """A feature, archived or not."""
    feature = feature_of(await world.index(), feature_id)
    return (await told(world, "feature", {feature.id: feature}))[0]


async def list_features(
    world: World, turn: Turn, wanted: WantedFeatures
) -> Page[Told[Feature]]:
    """Features by id."""
    named = sorted((await world.index()).features.items())
    fitting = {
        name: feature
        for name, feature in named
        if wanted.fits is None or wanted.fits(feature)
    }
    everything = [
        (item.value.id, item)
        for item in await told(world, "feature", fitting)
        if wanted.created is None or wanted.created(item.about.created)
    ]
    page = await page_of(everything, turn)
    return page.mapped(lambda items: [item for _, item in items])


async def create_feature(world: World, new: NewFeature) -> Told[Feature]:
    """Define a feature; its id must be free."""
    checked_id("feature", new.id)

    async def work(transaction: Transaction) -> Told[Feature]:
        definitions = await definitions_of(transaction)
        if any(feature.id == new.id for feature in definitions.features):
            raise Refusal(
                "ALREADY_EXISTS",
                f"there is a feature {new.id!r} already; update it, or use another id.",
            )
        feature = Feature(
            id=new.id,
            type=new.type,
            name=new.name,
            description=new.description,
            units=new.units,
            units_plural=new.units_plural,
            meter=new.meter,
            events=new.events,
            unit_transformation=new.unit_transformation,
            values=new.values,
            status=new.status,
            metadata=dict(new.metadata),
        )
        features = (*definitions.features, feature)
        define(transaction, definitions.model_copy(update={"features": features}))
        about = note_new(transaction, "feature", new.id, kept=new.kept)
        transaction.announce("feature.created", feature_id=new.id)
        return Told(value=feature, about=about)

    return await world.transact(work)


async def update_feature(
    world: World, feature_id: str, changes: Mapping[str, object], kept: Kept
) -> Told[Feature]:
    """Change what is named in `changes`; what does not fit the type is refused."""

    async def work(transaction: Transaction) -> Told[Feature]:
        feature = feature_of(await transaction.index(), feature_id)
        changed = feature.model_copy(update=dict(changes))
        await _write(transaction, changed)
        about = await note_change(transaction, "feature", feature_id, kept=kept)
        transaction.announce("feature.updated", feature_id=feature_id)
        return Told(value=changed, about=about)

    return await world.transact(work)


async def archive_feature(
    world: World, feature_id: str, *, archived: bool = True
) -> Told[Feature]:
    """Archive a feature, or take it back: plans can no longer be given it anew."""

    async def work(transaction: Transaction) -> Told[Feature]:
        feature = feature_of(await transaction.index(), feature_id)
        status = "archived" if archived else "active"
        if feature.status == status:
            raise Refusal(
                "FAILED_PRECONDITION", f"feature {feature_id!r} is {status} already."
            )
        changed = feature.model_copy(update={"status": status})
        await _write(transaction, changed)
        about = await note_archived(
            transaction, "feature", feature_id, archived=archived
        )
        transaction.announce(
            f"feature.{'archived' if archived else 'unarchived'}",
            feature_id=feature_id,
        )
        return Told(value=changed, about=about)

    return await world.transact(work)


async def _write(transaction: Transaction, feature: Feature) -> None:
    definitions = await definitions_of(transaction)
    features = put(definitions.features, feature)
    define(transaction, definitions.model_copy(update={"features": features}))
