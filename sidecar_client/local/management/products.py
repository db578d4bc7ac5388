"""Products: defined, changed, archived, copied, listed.

What becomes of its plans and add-ons lives in `product_packages`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sidecar_client.local.catalog import CatalogIndex, Definitions, Plan, Product
from sidecar_client.local.customers import Customer
from sidecar_client.local.management.about import (
    Kept,
    Thing,
    Told,
    note_change,
    note_new,
    told,
)
from sidecar_client.local.management.definitions import define, definitions_of, put
from sidecar_client.local.management.missing import product_of
from sidecar_client.local.management.packages import DRAFT
from sidecar_client.local.management.pages import Page, Turn, page_of, records_of
from sidecar_client.local.management.product_packages import (
    packages_of,
    with_archived_packages,
    with_copies,
    with_product,
)
from sidecar_client.local.management.provisioning import product_id
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World

ProductStatus = Literal["published", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """What is to be defined."""

    id: str
    name: str
    description: str = ""
    multiple_subscriptions: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    kept: Kept = field(default_factory=dict[str, Any])


async def get_product(world: World, product_id: str) -> Told[Product]:
    """A product, archived or not."""
    product = product_of(await world.index(), product_id)
    return (await told(world, "product", {product.id: product}))[0]


async def list_products(
    world: World,
    turn: Turn,
    *,
    fits: Callable[[Told[Product]], bool] | None = None,
) -> Page[Told[Product]]:
    """Products by id."""
    products = dict(sorted((await world.index()).products.items()))
    fitting = [
        (item.value.id, item)
        for item in await told(world, "product", products)
        if fits is None or fits(item)
    ]
    page = await page_of(fitting, turn)
    return page.mapped(lambda items: [item for _, item in items])


def status_of(product: Told[Product]) -> ProductStatus:
    """Whether a product can be subscribed to."""
    return product.value.status


async def create_product(world: World, new: NewProduct) -> Told[Product]:
    """Define a product; its id must be free."""
    checked_id("product", new.id)

    async def work(transaction: Transaction) -> Told[Product]:
        product = Product(
            id=new.id,
            name=new.name,
            description=new.description,
            multiple_subscriptions=new.multiple_subscriptions,
            metadata=dict(new.metadata),
        )
        return await _add(transaction, product, new.kept)

    return await world.transact(work)


async def update_product(
    world: World, product_id: str, changes: Mapping[str, object], kept: Kept
) -> Told[Product]:
    """Change what is named in `changes`.

    Whether it has several subscriptions is fixed once it has any.
    """

    async def work(transaction: Transaction) -> Told[Product]:
        index = await transaction.index()
        product = product_of(index, product_id)
        changed = product.model_copy(update=dict(changes))
        if changed.multiple_subscriptions != product.multiple_subscriptions:
            await _check_free(world, index, product)
        definitions = await definitions_of(transaction)
        products = put(definitions.products, changed)
        define(transaction, definitions.model_copy(update={"products": products}))
        about = await note_change(transaction, "product", product_id, kept=kept)
        transaction.announce("product.updated", product_id=product_id)
        return Told(value=changed, about=about)

    return await world.transact(work)


async def archive_product(
    world: World, product_id: str, *, archived: bool = True
) -> Told[Product]:
    """Archive a product with its plans and add-ons, or take the product back.

    What was archived with it stays archived, until it is taken back itself.
    """

    async def work(transaction: Transaction) -> Told[Product]:
        product = product_of(await transaction.index(), product_id)
        if (product.status == "archived") == archived:
            state = "archived already" if archived else "not archived"
            raise Refusal("FAILED_PRECONDITION", f"product {product_id!r} is {state}.")
        definitions = before = await definitions_of(transaction)
        if archived:
            definitions = with_archived_packages(definitions, product)
        product = product.model_copy(
            update={"status": "archived" if archived else "published"}
        )
        products = put(definitions.products, product)
        define(transaction, definitions.model_copy(update={"products": products}))
        about = await note_change(transaction, "product", product_id)
        transaction.announce(
            f"product.{'archived' if archived else 'unarchived'}",
            product_id=product_id,
        )
        if archived:
            await _note_archived(transaction, product, before, definitions)
        return Told(value=product, about=about)

    return await world.transact(work)


async def _note_archived(
    transaction: Transaction, product: Product, before: Definitions, now: Definitions
) -> None:
    """Tell of each plan and add-on that was archived with its product."""
    drafts: dict[tuple[Thing, str], int | None] = {}
    versions = zip(packages_of(before, product), packages_of(now, product), strict=True)
    for old, new in versions:
        if old.status != new.status:
            thing: Thing = "plan" if isinstance(new, Plan) else "addon"
            drafts[thing, new.id] = new.version if old.status == "draft" else None
    for (thing, name), draft in drafts.items():
        await note_change(transaction, thing, name, kept={DRAFT: draft})
        transaction.announce(f"{thing}.archived", **{f"{thing}_id": name})


async def duplicate_product(
    world: World,
    product_id: str,
    target_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Told[Product]:
    """Copy a product and its latest plans and add-ons, as `TARGET-PLAN`."""
    checked_id("product", target_id)

    async def work(transaction: Transaction) -> Told[Product]:
        product = product_of(await transaction.index(), product_id)
        copy = product.model_copy(
            update={
                "id": target_id,
                "status": "published",
                "name": product.name if name is None else name,
                "description": (
                    product.description if description is None else description
                ),
            }
        )
        answer = await _add(transaction, copy, {})
        definitions = await definitions_of(transaction)
        define(transaction, with_copies(definitions, product, target_id))
        return answer

    return await world.transact(work)


async def _add(transaction: Transaction, product: Product, kept: Kept) -> Told[Product]:
    definitions = await definitions_of(transaction)
    if any(item.id == product.id for item in definitions.products):
        raise Refusal(
            "ALREADY_EXISTS",
            f"there is a product {product.id!r} already; update it, or use another id.",
        )
    define(transaction, with_product(definitions, product))
    about = note_new(transaction, "product", product.id, kept=kept)
    transaction.announce("product.created", product_id=product.id)
    return Told(value=product, about=about)


async def _check_free(world: World, index: CatalogIndex, product: Product) -> None:
    async for _, entry in records_of(world, "customer/"):
        customer = cast("Customer", entry.record)
        for subscription in customer.subscriptions:
            if product_id(index, subscription.plan) == product.id:
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"product {product.id!r} has subscriptions, such as "
                    f"{subscription.id!r}; whether it has several is fixed by now.",
                )
