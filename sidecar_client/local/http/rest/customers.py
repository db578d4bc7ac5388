"""Customers and their resources over REST.

Bodies, answers and endpoints live here; what is done is in `management.customers`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sidecar_client.local.customers import Customer
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.wire import (
    Anything,
    Body,
    Data,
    Listed,
    Money,
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
from sidecar_client.local.management import customers
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.customers import NewCustomer
from sidecar_client.local.values import CustomerId, Metadata, Moment, Text

endpoints = Endpoints()
_KEPT = (
    "billing_currency",
    "billing_id",
    "coupon_id",
    "default_payment_method",
    "integrations",
    "language",
    "passthrough",
    "timezone",
)


class _CustomerFields(Body):
    name: Text | None = None
    email: Text | None = None
    metadata: Metadata | None = None
    billing_currency: Money | None = None
    billing_id: Text | None = None
    coupon_id: Text | None = None
    integrations: Anything = None
    language: Text | None = None
    passthrough: Anything = None
    timezone: Text | None = None


class ProvisionCustomer(_CustomerFields):
    """A customer to be made."""

    id: CustomerId
    default_payment_method: Anything = None

    def wanted(self) -> NewCustomer:
        """What it asks for."""
        return NewCustomer(
            id=self.id,
            name=self.name,
            email=self.email,
            metadata=self.metadata or {},
            kept=kept(self, *_KEPT),
        )


class UpdateCustomer(_CustomerFields):
    """What a customer is to be from now on; what is left out stays."""


class ImportedCustomer(Body):
    """A customer as it was elsewhere."""

    id: CustomerId
    name: Text | None
    email: Text | None
    billing_id: Text | None = None
    metadata: Metadata | None = None
    payment_method_id: Text | None = None
    salesforce_id: Text | None = None
    updated_at: Moment | None = None

    def wanted(self) -> NewCustomer:
        """What it asks for."""
        return NewCustomer(
            id=self.id,
            name=self.name,
            email=self.email,
            metadata=self.metadata or {},
            kept=kept(self, "billing_id", "payment_method_id", "salesforce_id"),
        )


class ImportCustomers(Body):
    """Customers to be taken over at once."""

    customers: Annotated[
        tuple[ImportedCustomer, ...],
        Field(strict=False, min_length=1, max_length=1000),
    ]
    integration_id: Text | None = None


class ListCustomers(Paged):
    """Which customers to list."""

    name: str | None = None
    email: str | None = None
    created_at: Range | None = None


class CustomerData(Wire):
    """A customer."""

    id: str
    name: str | None
    email: str | None
    metadata: dict[str, str]
    archived_at: Time | None
    created_at: Time
    updated_at: Time
    billing_currency: str | None = None
    billing_id: str | None = None
    coupon_id: str | None = None
    default_payment_method: Anything = None
    integrations: Anything = None
    language: str | None = None
    passthrough: Anything = None
    timezone: str | None = None


class NewCustomers(Wire):
    """Which of the imported customers were new."""

    new_customers: list[str]


class ResourceData(Wire):
    """A resource of a customer."""

    id: str
    created_at: Time
    updated_at: Time


def shown(customer: Told[Customer]) -> CustomerData:
    """A customer as an answer tells of it."""
    about = customer.about
    known = {field.alias for field in CustomerData.model_fields.values()}
    archived_at = customer.value.archived_at
    if customer.value.archived and archived_at is None:
        archived_at = about.updated
    return CustomerData.model_validate(
        {
            **{name: value for name, value in about.kept.items() if name in known},
            "id": customer.value.id,
            "name": customer.value.name,
            "email": customer.value.email,
            "metadata": customer.value.metadata,
            "archivedAt": archived_at,
            "createdAt": about.created,
            "updatedAt": about.updated,
        }
    )


@endpoints.post("/v1/customers", status=201)
async def provision_customer(
    asked: Asked[ProvisionCustomer, NoQuery],
) -> Data[CustomerData]:
    """Make a customer."""
    made = await customers.provision_customer(asked.parts.world, asked.body.wanted())
    return Data(data=shown(made))


@endpoints.get("/v1/customers/{id}")
async def get_customer(asked: Asked[NoBody, NoQuery]) -> Data[CustomerData]:
    """Get a customer."""
    found = await customers.get_customer(asked.parts.world, asked.path["id"])
    return Data(data=shown(found))


@endpoints.patch("/v1/customers/{id}")
async def update_customer(asked: Asked[UpdateCustomer, NoQuery]) -> Data[CustomerData]:
    """Change a customer."""
    changes = given(asked.body, "name", "email", "metadata")
    if changes.get("metadata", {}) is None:
        changes["metadata"] = {}
    changed = await customers.update_customer(
        asked.parts.world, asked.path["id"], changes, kept(asked.body, *_KEPT)
    )
    return Data(data=shown(changed))


@endpoints.get("/v1/customers")
async def list_customers(asked: Asked[NoBody, ListCustomers]) -> Listed[CustomerData]:
    """List customers by id."""
    query = asked.query
    page = await customers.list_customers(
        asked.parts.world,
        query.turn,
        name=query.name,
        email=query.email,
        created=within(query.created_at),
    )
    return listed(page.mapped(lambda items: [shown(item) for item in items]))


@endpoints.post("/v1/customers/{id}/archive")
async def archive_customer(asked: Asked[NoBody, NoQuery]) -> Data[CustomerData]:
    """Archive a customer."""
    archived = await customers.archive_customer(asked.parts.world, asked.path["id"])
    return Data(data=shown(archived))


@endpoints.post("/v1/customers/{id}/unarchive")
async def unarchive_customer(asked: Asked[NoBody, NoQuery]) -> Data[CustomerData]:
    """Take an archived customer back."""
    back = await customers.unarchive_customer(asked.parts.world, asked.path["id"])
    return Data(data=shown(back))


@endpoints.post("/v1/customers/import", status=201)
async def import_customers(
    asked: Asked[ImportCustomers, NoQuery],
) -> Data[NewCustomers]:
    """Take customers over at once."""
    wanted = [customer.wanted() for customer in asked.body.customers]
    new = await customers.import_customers(asked.parts.world, wanted)
    return Data(data=NewCustomers(new_customers=new))


@endpoints.get("/v1/customers/{id}/resources")
async def list_resources(asked: Asked[NoBody, Paged]) -> Listed[ResourceData]:
    """List the resources of a customer."""
    page = await customers.list_resources(
        asked.parts.world, asked.path["id"], asked.query.turn
    )
    return listed(
        page.mapped(
            lambda items: [
                ResourceData(
                    id=item.value,
                    created_at=item.about.created,
                    updated_at=item.about.updated,
                )
                for item in items
            ]
        )
    )
