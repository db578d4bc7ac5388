"""Things that are asked for by an id: the thing, or a refusal that names it.

Only finding lives here; what is done with a thing does not.
"""

from __future__ import annotations

from sidecar_client.local.catalog import Addon, CatalogIndex, Feature, Plan, Product
from sidecar_client.local.customers import Customer
from sidecar_client.local.identifiers import Kind
from sidecar_client.local.records import customer_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.world import Transaction, World


def missing(kind: Kind, name: str) -> Refusal:
    """The refusal for a thing that is not there."""
    return Refusal(
        "NOT_FOUND", f"there is no {kind} {name!r}; create it, or use another id."
    )


async def customer_of(reader: World | Transaction, customer_id: str) -> Customer:
    """The customer, archived or not."""
    checked_id("customer", customer_id)
    customer = await reader.read(customer_key(customer_id))
    if customer is None:
        await reader.index()  # Raises where the store has lost everything.
        raise missing("customer", customer_id)
    return customer


async def index_and_customer_of(
    world: World, customer_id: str
) -> tuple[CatalogIndex, Customer]:
    """What is defined, and the customer, archived or not, in one reading."""
    checked_id("customer", customer_id)
    index, customer = await world.index_and_customer(customer_id)
    if customer is None:
        raise missing("customer", customer_id)
    return index, customer


async def live_customer(transaction: Transaction, customer_id: str) -> Customer:
    """The customer, which is not archived."""
    customer = await customer_of(transaction, customer_id)
    if customer.archived:
        raise Refusal(
            "FAILED_PRECONDITION",
            f"customer {customer_id!r} is archived; unarchive it first.",
        )
    return customer


def feature_of(index: CatalogIndex, feature_id: str) -> Feature:
    """The feature, archived or not."""
    checked_id("feature", feature_id)
    if feature := index.features.get(feature_id):
        return feature
    raise missing("feature", feature_id)


def product_of(index: CatalogIndex, product_id: str) -> Product:
    """The product."""
    checked_id("product", product_id)
    if product := index.products.get(product_id):
        return product
    raise missing("product", product_id)


def product_of_package(index: CatalogIndex, package: Plan | Addon) -> str | None:
    """The product a package belongs to; None where a catalog has none."""
    return package.product or next(iter(index.products), None)


def check_product(index: CatalogIndex, package: Plan | Addon) -> None:
    """Refuse what an archived product does not take: packages and subscriptions."""
    product = index.products.get(product_of_package(index, package) or "")
    if product is not None and product.status == "archived":
        raise Refusal(
            "FAILED_PRECONDITION",
            f"product {product.id!r} of {package.id!r} is archived; unarchive it "
            "first.",
        )


def is_subscribable(index: CatalogIndex, plan: Plan) -> bool:
    """Whether the latest version of a plan can be subscribed to."""
    product = index.products.get(product_of_package(index, plan) or "")
    is_open = product is None or product.status == "published"
    return is_open and plan.status == "published"


def subscribable(index: CatalogIndex, plan_id: str) -> Plan:
    """The latest version of a plan that can be subscribed to."""
    checked_id("plan", plan_id)
    plan = index.plans.get(plan_id)
    if plan is None:
        raise missing("plan", plan_id)
    if plan.status != "published":
        cure = "publish it" if plan.status == "draft" else "use another plan"
        raise Refusal(
            "FAILED_PRECONDITION", f"plan {plan_id!r} is {plan.status}; {cure}."
        )
    check_product(index, plan)
    return plan
