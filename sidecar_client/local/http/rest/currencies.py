"""Custom currencies of credits over REST.

What is done is in `management.currencies`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sidecar_client.local.catalog import Currency, Plan
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Body,
    Data,
    Listed,
    Many,
    NoBody,
    NoQuery,
    Paged,
    Time,
    Wire,
    kept,
    listed,
)
from sidecar_client.local.http.rest.words import translated
from sidecar_client.local.management import currencies
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.currencies import CurrencyStatus, NewCurrency
from sidecar_client.local.values import CurrencyId, Metadata, Text

endpoints = Endpoints()
StatusName = Literal["ACTIVE", "ARCHIVED"]
_STATUSES: dict[StatusName, CurrencyStatus] = {
    "ACTIVE": "active",
    "ARCHIVED": "archived",
}


class Units(Body):
    """What one and many of it are called."""

    singular: Text
    plural: Text


class CreateCurrency(Body):
    """A currency to be defined."""

    id: CurrencyId
    display_name: Text
    description: Text | None = None
    metadata: Metadata = Field(default_factory=dict[str, str])
    symbol: Text | None = None
    units: Units | None = None


class UpdateCurrency(Body):
    """What a currency is to be from now on; what is left out stays."""

    display_name: Text = ""
    description: Text | None = None
    metadata: Metadata | None = None
    symbol: Text | None = None
    units: Units | None = None


class ListCurrencies(Paged):
    """Which currencies to list; those that are not archived, by default."""

    status: Many[StatusName] | None = None


class UnitsData(Wire):
    """What one and many of it are called."""

    singular: str | None
    plural: str | None


class CurrencyData(Wire):
    """A custom currency."""

    id: str
    display_name: str
    description: str | None
    symbol: str | None = None
    units: UnitsData | None
    metadata: dict[str, str]
    archived_at: Time | None
    created_at: Time
    updated_at: Time


class UserData(Wire):
    """A plan or add-on that uses a currency."""

    id: str
    display_name: str
    type: Literal["PLAN", "ADDON"]


@endpoints.post("/v1/credits/custom-currencies", status=201)
async def create_custom_currency(
    asked: Asked[CreateCurrency, NoQuery],
) -> Data[CurrencyData]:
    """Define a currency."""
    body = asked.body
    new = NewCurrency(
        id=body.id,
        name=body.display_name,
        description=body.description,
        unit_singular=body.units.singular if body.units else None,
        unit_plural=body.units.plural if body.units else None,
        metadata=body.metadata,
        kept=kept(body, "symbol"),
    )
    return Data(data=_shown(await currencies.create_currency(asked.parts.world, new)))


@endpoints.get("/v1/credits/custom-currencies")
async def list_custom_currencies(
    asked: Asked[NoBody, ListCurrencies],
) -> Listed[CurrencyData]:
    """List currencies by id."""
    page = await currencies.list_currencies(
        asked.parts.world,
        asked.query.turn,
        statuses=translated(_STATUSES, asked.query.status),
    )
    return listed(page.mapped(lambda items: [_shown(item) for item in items]))


@endpoints.patch("/v1/credits/custom-currencies/{id}")
async def update_custom_currency(
    asked: Asked[UpdateCurrency, NoQuery],
) -> Data[CurrencyData]:
    """Change a currency."""
    body = asked.body
    fields = body.model_fields_set
    changes: dict[str, Any] = {}
    if "display_name" in fields:
        changes["name"] = body.display_name
    if "description" in fields:
        changes["description"] = body.description
    if "metadata" in fields:
        changes["metadata"] = body.metadata or {}
    if "units" in fields:
        changes["unit_singular"] = body.units.singular if body.units else None
        changes["unit_plural"] = body.units.plural if body.units else None
    changed = await currencies.update_currency(
        asked.parts.world, asked.path["id"], changes, kept(body, "symbol")
    )
    return Data(data=_shown(changed))


@endpoints.post("/v1/credits/custom-currencies/{id}/archive")
async def archive_custom_currency(asked: Asked[NoBody, NoQuery]) -> Data[CurrencyData]:
    """Archive a currency that nothing uses."""
    archived = await currencies.archive_currency(asked.parts.world, asked.path["id"])
    return Data(data=_shown(archived))


@endpoints.post("/v1/credits/custom-currencies/{id}/unarchive")
async def unarchive_custom_currency(
    asked: Asked[NoBody, NoQuery],
) -> Data[CurrencyData]:
    """Take an archived currency back."""
    back = await currencies.archive_currency(
        asked.parts.world, asked.path["id"], archived=False
    )
    return Data(data=_shown(back))


@endpoints.get("/v1/credits/custom-currencies/{id}/associated-entities")
async def list_currency_associated_entities(
    asked: Asked[NoBody, NoQuery],
) -> Data[list[UserData]]:
    """List the plans and add-ons that use a currency."""
    index = await asked.parts.world.index()
    currency = currencies.currency_of(index, asked.path["id"])
    return Data(
        data=[
            UserData(
                id=item.id,
                display_name=item.name or item.id,
                type="PLAN" if isinstance(item, Plan) else "ADDON",
            )
            for item in currencies.using(index, currency.id)
        ]
    )


def _shown(told: Told[Currency]) -> CurrencyData:
    currency, about = told.value, told.about
    archived_at = currency.archived_at
    if currency.status == "archived" and archived_at is None:
        archived_at = about.updated
    symbol = about.kept.get("symbol")
    has_units = currency.unit_singular or currency.unit_plural
    units = UnitsData(singular=currency.unit_singular, plural=currency.unit_plural)
    return CurrencyData(
        id=currency.id,
        display_name=currency.name or currency.id,
        description=currency.description,
        symbol=symbol if isinstance(symbol, str) else None,
        units=units if has_units else None,
        metadata=currency.metadata,
        archived_at=archived_at,
        created_at=about.created,
        updated_at=about.updated,
    )
