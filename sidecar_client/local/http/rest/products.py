"""Products over REST.

What is done is in `management.products`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sidecar_client.local.catalog import Product
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Anything,
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
    kept,
    listed,
    within,
)
from sidecar_client.local.http.rest.words import key_of
from sidecar_client.local.management import products
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.products import NewProduct, ProductStatus
from sidecar_client.local.values import Metadata, ProductId, Text

endpoints = Endpoints()
_KEPT = ("product_settings", "usage_reset_cutoff_rule")
StatusName = Literal["PUBLISHED", "ARCHIVED"]
_STATUSES: dict[StatusName, ProductStatus] = {
    "PUBLISHED": "published",
    "ARCHIVED": "archived",
}


class CreateProduct(Body):
    """A product to be defined."""

    id: ProductId
    display_name: Text
    description: Text | None = None
    metadata: Metadata | None = None
    multiple_subscriptions: bool = False


class UpdateProduct(Body):
    """What a product is to be from now on; what is left out stays."""

    display_name: Text = ""
    description: Text | None = None
    metadata: Metadata | None = None
    multiple_subscriptions: bool = False
    product_settings: Anything = None
    usage_reset_cutoff_rule: Anything = None


class DuplicateProduct(Body):
    """What a copy of a product is to be called."""

    target_id: ProductId
    display_name: Text | None = None
    description: Text | None = None


class ListProducts(Paged):
    """Which products to list."""

    id: str | None = None
    status: Many[StatusName] | None = None
    created_at: Range | None = None


class ProductData(Wire):
    """A product."""

    id: str
    display_name: str
    description: str | None
    multiple_subscriptions: bool
    status: StatusName
    metadata: dict[str, str]
    product_settings: Anything = Field(default=None)
    created_at: Time
    updated_at: Time


@endpoints.post("/v1/products", status=201)
async def create_product(asked: Asked[CreateProduct, NoQuery]) -> Data[ProductData]:
    """Define a product."""
    body = asked.body
    new = NewProduct(
        id=body.id,
        name=body.display_name,
        description=body.description or "",
        multiple_subscriptions=body.multiple_subscriptions,
        metadata=body.metadata or {},
    )
    return Data(data=_shown(await products.create_product(asked.parts.world, new)))


@endpoints.get("/v1/products")
async def list_products(asked: Asked[NoBody, ListProducts]) -> Listed[ProductData]:
    """List products by id."""
    query = asked.query
    statuses = query.status and {_STATUSES[name] for name in query.status}
    created = within(query.created_at)

    def fits(product: Told[Product]) -> bool:
        return (
            query.id in (None, product.value.id)
            and (not statuses or products.status_of(product) in statuses)
            and (created is None or created(product.about.created))
        )

    page = await products.list_products(asked.parts.world, query.turn, fits=fits)
    return listed(page.mapped(lambda items: [_shown(item) for item in items]))


@endpoints.get("/v1/products/{id}")
async def get_product(asked: Asked[NoBody, NoQuery]) -> Data[ProductData]:
    """Get a product."""
    found = await products.get_product(asked.parts.world, asked.path["id"])
    return Data(data=_shown(found))


@endpoints.patch("/v1/products/{id}")
async def update_product(asked: Asked[UpdateProduct, NoQuery]) -> Data[ProductData]:
    """Change a product."""
    body = asked.body
    changes: dict[str, Any] = given(body, "multiple_subscriptions")
    if "display_name" in body.model_fields_set:
        changes["name"] = body.display_name
    if "description" in body.model_fields_set:
        changes["description"] = body.description or ""
    if "metadata" in body.model_fields_set:
        changes["metadata"] = body.metadata or {}
    changed = await products.update_product(
        asked.parts.world, asked.path["id"], changes, kept(body, *_KEPT)
    )
    return Data(data=_shown(changed))


@endpoints.post("/v1/products/{id}/archive")
async def archive_product(asked: Asked[NoBody, NoQuery]) -> Data[ProductData]:
    """Archive a product with its plans and add-ons."""
    archived = await products.archive_product(asked.parts.world, asked.path["id"])
    return Data(data=_shown(archived))


@endpoints.post("/v1/products/{id}/unarchive")
async def unarchive_product(asked: Asked[NoBody, NoQuery]) -> Data[ProductData]:
    """Take an archived product back."""
    back = await products.archive_product(
        asked.parts.world, asked.path["id"], archived=False
    )
    return Data(data=_shown(back))


@endpoints.post("/v1/products/{id}/duplicate", status=201)
async def duplicate_product(
    asked: Asked[DuplicateProduct, NoQuery],
) -> Data[ProductData]:
    """Copy a product with its plans and add-ons."""
    copy = await products.duplicate_product(
        asked.parts.world,
        asked.path["id"],
        asked.body.target_id,
        name=asked.body.display_name,
        description=asked.body.description,
    )
    return Data(data=_shown(copy))


def _shown(told: Told[Product]) -> ProductData:
    product, about = told.value, told.about
    return ProductData(
        id=product.id,
        display_name=product.name or product.id,
        description=product.description or None,
        multiple_subscriptions=product.multiple_subscriptions,
        status=key_of(_STATUSES, product.status),
        metadata=product.metadata,
        product_settings=about.kept.get("productSettings"),
        created_at=about.created,
        updated_at=about.updated,
    )
