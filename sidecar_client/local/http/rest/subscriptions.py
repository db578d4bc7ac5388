"""The endpoints of subscriptions.

What they take and answer is in modules beside; what is done is in `management`.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.entitlements import state_of
from sidecar_client.local.http.rest.subscription_answers import (
    InvoiceData,
    PeriodData,
    PreviewData,
    ProvisionedData,
    SubscriptionData,
    TaskData,
    shown,
)
from sidecar_client.local.http.rest.subscription_bodies import (
    AgreedCredits,
    Agreements,
    CancelSubscription,
    DelegateSubscription,
    ImportSubscriptions,
    ListSubscriptions,
    MigrateSubscription,
    PreviewSubscription,
    ProvisionSubscription,
    TransferSubscription,
    UpdateSubscription,
    bought,
    budget_of,
    catalog_period,
)
from sidecar_client.local.http.rest.wire import (
    Data,
    Listed,
    NoBody,
    NoQuery,
    given,
    kept,
    listed,
    within,
)
from sidecar_client.local.http.rest.words import PRICINGS, STATUSES, translated
from sidecar_client.local.management import moves, provisioning, subscriptions
from sidecar_client.local.management.billing_periods import billing_period
from sidecar_client.local.management.subscriptions import (
    CancellationTime,
    Owned,
    Wanted,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.refusal import Refusal

endpoints = Endpoints()
_TIMES: dict[str, CancellationTime] = {
    "IMMEDIATE": "immediate",
    "END_OF_BILLING_PERIOD": "end_of_billing_period",
    "SPECIFIC_DATE": "specific_date",
}


@endpoints.post("/v1/subscriptions", status=201)
async def provision_subscription(
    asked: Asked[ProvisionSubscription, NoQuery],
) -> Data[ProvisionedData]:
    """Subscribe a customer to a plan."""
    parts, body = asked.parts, asked.body
    new = replace(
        body.wanted(),
        id=body.id,
        budget=budget_of(body.budget),
        end=body.cancellation_date,
        entitlements=_agreed(body.entitlements),
        metadata=body.metadata,
    )
    made = await provisioning.provision_subscription(parts.world, new)
    customer_id = made.customer.id
    subscription = made.subscription
    state = await state_of(parts, customer_id, subscription.value.resource)
    index = await parts.world.index()
    told = shown(index, customer_id, subscription, parts.world.clock())
    return Data(
        data=ProvisionedData(
            id=told.id,
            subscription=told,
            entitlements=state.entitlements,
            is_scheduled=made.is_scheduled,
        )
    )


@endpoints.post("/v1/subscriptions/preview")
async def preview_subscription(
    asked: Asked[PreviewSubscription, NoQuery],
) -> Data[PreviewData]:
    """Tell what a subscription would be, without making it."""
    made = await provisioning.preview_subscription(
        asked.parts.world, asked.body.wanted()
    )
    subscription = made.subscription.value
    period = billing_period(subscription, asked.parts.world.clock())
    range_ = PeriodData(start=period.start, end=period.end)
    invoice = InvoiceData(billing_period_range=range_)
    return Data(
        data=PreviewData(
            immediate_invoice=invoice,
            recurring_invoice=invoice,
            billing_period_range=range_,
            has_scheduled_updates=made.is_scheduled,
        )
    )


@endpoints.get("/v1/subscriptions/{id}")
async def get_subscription(asked: Asked[NoBody, NoQuery]) -> Data[SubscriptionData]:
    """Get a subscription."""
    owned = await subscriptions.get_subscription(asked.parts.world, asked.path["id"])
    return await _answer(asked.parts, owned)


@endpoints.get("/v1/subscriptions")
async def list_subscriptions(
    asked: Asked[NoBody, ListSubscriptions],
) -> Listed[SubscriptionData]:
    """List subscriptions by customer."""
    world, query = asked.parts.world, asked.query
    page = await subscriptions.list_subscriptions(
        world,
        query.turn,
        Wanted(
            customer_id=query.customer_id,
            plan_id=query.plan_id,
            resource_id=query.resource_id,
            statuses=translated(STATUSES, query.status),
            pricing=translated(PRICINGS, query.pricing_type),
            created=within(query.created_at),
        ),
    )
    index, now = await world.index(), world.clock()
    return listed(
        page.mapped(
            lambda items: [
                shown(
                    index,
                    item.customer_id,
                    item.subscription,
                    now,
                    with_entitlements=False,
                )
                for item in items
            ]
        )
    )


@endpoints.patch("/v1/subscriptions/{id}")
async def update_subscription(
    asked: Asked[UpdateSubscription, NoQuery],
) -> Data[SubscriptionData]:
    """Change a subscription."""
    body = asked.body
    if body.schedule_strategy != "IMMEDIATE":
        raise Refusal(
            "UNIMPLEMENTED",
            f"scheduleStrategy is {body.schedule_strategy}; the local sidecar changes "
            "a subscription at once: leave it out, or use IMMEDIATE.",
        )
    changes = given(body, "metadata")
    fields = body.model_fields_set
    if "addons" in fields:
        changes["addons"] = tuple(bought(addon) for addon in body.addons)
    if "billing_period" in fields:
        changes["billing_period"] = catalog_period(body.billing_period)
    if "budget" in fields:
        changes["budget"] = budget_of(body.budget)
    if "cancellation_date" in fields:
        changes["end"] = body.cancellation_date
        changes["canceled_at"] = body.cancellation_date and asked.parts.world.clock()
        changes["cancel_reason"] = body.cancellation_date and "scheduled_cancellation"
    if body.trial_end_date is not None:
        changes["trial_end"] = body.trial_end_date
    agreed = _agreed(body.entitlements) if "entitlements" in fields else None
    owned = await subscriptions.update_subscription(
        asked.parts.world,
        asked.path["id"],
        changes,
        entitlements=agreed,
        kept=kept(body, "minimum_spend", "salesforce_id"),
    )
    return await _answer(asked.parts, owned)


@endpoints.post("/v1/subscriptions/{id}/cancel")
async def cancel_subscription(
    asked: Asked[CancelSubscription, NoQuery],
) -> Data[SubscriptionData]:
    """Cancel a subscription."""
    body = asked.body
    owned = await subscriptions.cancel_subscription(
        asked.parts.world,
        asked.path["id"],
        time=_TIMES[body.cancellation_time] if body.cancellation_time else None,
        end=body.end_date,
    )
    return await _answer(asked.parts, owned)


@endpoints.post("/v1/subscriptions/{id}/migrate")
async def migrate_subscription(
    asked: Asked[MigrateSubscription, NoQuery],
) -> Data[SubscriptionData]:
    """Move a subscription to the latest version of its plan."""
    if asked.body.subscription_migration_time != "IMMEDIATE":
        raise Refusal(
            "UNIMPLEMENTED",
            "subscriptionMigrationTime is END_OF_BILLING_PERIOD; the local sidecar "
            "migrates a subscription at once: leave it out, or use IMMEDIATE.",
        )
    owned = await subscriptions.migrate_subscription(
        asked.parts.world, asked.path["id"]
    )
    return await _answer(asked.parts, owned)


@endpoints.post("/v1/subscriptions/{id}/transfer")
async def transfer_subscription(
    asked: Asked[TransferSubscription, NoQuery],
) -> Data[SubscriptionData]:
    """Give a subscription to another resource."""
    owned = await moves.transfer_subscription(
        asked.parts.world, asked.path["id"], asked.body.destination_resource_id
    )
    return await _answer(asked.parts, owned)


@endpoints.post("/v1/subscriptions/{id}/delegate")
async def delegate_subscription(
    asked: Asked[DelegateSubscription, NoQuery],
) -> Data[SubscriptionData]:
    """Give a subscription to another customer."""
    owned = await moves.delegate_subscription(
        asked.parts.world, asked.path["id"], asked.body.target_customer_id
    )
    return await _answer(asked.parts, owned)


@endpoints.post("/v1/subscriptions/import", status=201)
async def import_subscriptions(
    asked: Asked[ImportSubscriptions, NoQuery],
) -> Data[TaskData]:
    """Take subscriptions over at once."""
    wanted = [item.wanted() for item in asked.body.subscriptions]
    await moves.import_subscriptions(asked.parts.world, wanted)
    return Data(data=TaskData(task_id=str(uuid4())))


async def _answer(parts: Parts, owned: Owned) -> Data[SubscriptionData]:
    index = await parts.world.index()
    told = shown(index, owned.customer_id, owned.subscription, parts.world.clock())
    return Data(data=told)


def _agreed(agreements: Agreements) -> dict[str, Terms]:
    terms: dict[str, Terms] = {}
    for at, agreed in enumerate(agreements):
        if isinstance(agreed, AgreedCredits):
            raise Refusal(
                "UNIMPLEMENTED",
                f"entitlements.{at}: the local sidecar knows credits of plans and "
                "grants, not of a single subscription; grant them instead.",
            )
        terms[agreed.id] = agreed.terms
    return terms
