"""What the queries and mutations of the schema do, each by the name of its field.

They read inputs and show results; the work is that of `management` and of the methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import TypeAdapter, ValidationError

from sidecar_client.local.customers import AddonQuantity, Budget, PromotionPeriod
from sidecar_client.local.http.graphql.checks import entitlement_view, reason_of
from sidecar_client.local.http.graphql.moments import moment_of
from sidecar_client.local.http.graphql.views import (
    View,
    addon_view,
    customer_view,
    given_view,
    plan_view,
    subscription_view,
)
from sidecar_client.local.management import customers, promotions, subscriptions
from sidecar_client.local.management.packages import ADDONS, PLANS
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    TrialWish,
    new_subscription_id,
    provision_subscription,
    subscribed,
)
from sidecar_client.local.management.terms import Terms
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.service import SidecarService
from sidecar_client.local.shape import unfit
from sidecar_client.local.shown import written
from sidecar_client.local.values import Metadata
from sidecar_client.local.world import Transaction, World
from sidecar_client.protocol import sidecar_pb2 as pb

Input = Mapping[str, Any]
_Value = TypeVar("_Value")
_METADATA = TypeAdapter(Metadata)
_NO_USE = ("billingId", "couponRefId", "salesforceId")
_PERIODS: dict[str, PromotionPeriod] = {
    "ONE_WEEK": "one_week",
    "ONE_MONTH": "one_month",
    "SIX_MONTH": "six_months",
    "ONE_YEAR": "one_year",
    "LIFETIME": "lifetime",
    "CUSTOM": "custom",
}


class Operations:
    """The fields of `Query` and `Mutation`, for one sidecar."""

    def __init__(self, world: World, service: SidecarService) -> None:
        self._world = world
        self._service = service

    def fields(self) -> dict[str, Callable[..., Awaitable[object]]]:
        """The functions by the names of the fields."""
        return {
            "getCustomerByRefId": self._get_customer,
            "getActiveSubscriptions": self._active_subscriptions,
            "getSubscription": self._get_subscription,
            "entitlement": self._entitlement,
            "cachedEntitlements": self._entitlements,
            "entitlementsState": self._state,
            "provisionCustomer": self._provision_customer,
            "updateOneCustomer": self._update_customer,
            "archiveCustomer": self._archive_customer,
            "provisionSubscription": self._provision_subscription,
            "provisionSubscriptionV2": self._provision_subscription,
            "cancelSubscription": self._cancel_subscription,
            "migrateSubscriptionToLatest": self._migrate_subscription,
            "grantPromotionalEntitlements": self._grant,
            "revokePromotionalEntitlement": self._revoke,
            "unarchivePlan": self._unarchive_plan,
            "unarchiveAddon": self._unarchive_addon,
            "createUsageMeasurement": self._report_usage,
            "reportEvent": self._report_events,
        }

    async def _get_customer(self, _: object, input: Input) -> View | None:  # noqa: A002
        try:
            return await self._customer(input["customerId"])
        except Refusal as refusal:
            if refusal.code == "NOT_FOUND":
                return None
            raise

    async def _active_subscriptions(self, _: object, input: Input) -> list[View]:  # noqa: A002
        found = await customers.get_customer(self._world, input["customerId"])
        resources = set(cast("list[str]", input.get("resourceIds") or []))
        if input.get("resourceId"):
            resources.add(input["resourceId"])
        index, now = await self._world.index(), self._world.clock()
        shown_customer = customer_view(index, found, now)
        return [
            subscription_view(index, shown_customer, item, now)
            for item in found.value.subscriptions
            if item.holds(now) and (not resources or item.resource in resources)
        ]

    async def _get_subscription(self, _: object, input: Input) -> View | None:  # noqa: A002
        try:
            found = await subscriptions.get_subscription(
                self._world, input["subscriptionId"]
            )
        except Refusal as refusal:
            if refusal.code == "NOT_FOUND":
                return None
            raise
        return await self._subscription(found)

    async def _entitlement(self, _: object, query: Input) -> View:
        asked = cast("Input", query.get("options") or {})
        values = cast("list[str]", asked.get("requestedValues") or [])
        resource_id = query.get("resourceId")
        answer = await self._service.get_entitlement_v2(
            pb.GetEntitlementV2Request(
                customer_id=query["customerId"],
                feature_id=query["featureId"],
                resource_id=resource_id,
                options=pb.GetEntitlementOptions(
                    requested_usage=asked.get("requestedUsage"), requested_values=values
                ),
            )
        )
        view = entitlement_view(answer.entitlement, query["customerId"], resource_id)
        view["requestedUsage"] = asked.get("requestedUsage")
        view["requestedValues"] = list(values) or None
        return view

    async def _entitlements(self, _: object, query: Input) -> list[View]:
        state = await self._state(_, query)
        found = cast("list[View]", state["entitlements"])
        return [item for item in found if item["__typename"] == "Entitlement"]

    async def _state(self, _: object, query: Input) -> View:
        customer_id, resource_id = query["customerId"], query.get("resourceId")
        state = await self._service.get_entitlements_state_v2(
            pb.GetEntitlementsStateV2Request(
                customer_id=customer_id, resource_id=resource_id
            )
        )
        return {
            "entitlements": [
                entitlement_view(item, customer_id, resource_id)
                for item in state.entitlements
            ],
            "accessDeniedReason": reason_of(state),
        }

    async def _provision_customer(self, _: object, input: Input) -> View:  # noqa: A002
        customer_id = _customer_id(input) or f"customer-{uuid4().hex[:12]}"
        wish = cast("Input", input.get("subscriptionParams") or {})
        planned = None
        if wish.get("planId"):
            planned = _new_subscription({**wish, "customerId": customer_id})
        new = customers.NewCustomer(
            id=customer_id,
            name=input.get("name"),
            email=input.get("email"),
            metadata=_metadata(input) or {},
            kept=_kept(input),
        )
        made = None
        if planned is not None:
            made = planned.id or new_subscription_id(planned.plan_id)

        async def provision(transaction: Transaction) -> None:
            await customers.provisioned(transaction, new)
            if planned is not None and made is not None:
                await subscribed(self._world, transaction, planned, made)

        await self._world.transact(provision)
        view = await self._customer(customer_id)
        strategy = "REQUESTED_PLAN" if made else "SKIPPED_SUBSCRIPTION_CREATION"
        return {
            "customer": view,
            "subscriptionDecisionStrategy": strategy,
            "subscription": _among(view, made),
        }

    async def _update_customer(self, _: object, input: Input) -> View:  # noqa: A002
        customer_id = _customer_id(input)
        if customer_id is None:
            raise Refusal("INVALID_ARGUMENT", "customerId is missing; give one.")
        changes = {name: input[name] for name in ("name", "email") if name in input}
        if "additionalMetaData" in input:
            changes["metadata"] = _metadata(input) or {}
        await customers.update_customer(self._world, customer_id, changes, _kept(input))
        return await self._customer(customer_id)

    async def _archive_customer(self, _: object, input: Input) -> View:  # noqa: A002
        await customers.archive_customer(self._world, input["customerId"])
        return await self._customer(input["customerId"])

    async def _provision_subscription(self, _: object, input: Input) -> View:  # noqa: A002
        made = await provision_subscription(self._world, _new_subscription(input))
        view = await self._customer(made.customer.id)
        subscription = made.subscription.value
        pending = subscription.status == "payment_pending"
        return {
            "id": subscription.id,
            "status": "PAYMENT_REQUIRED" if pending else "SUCCESS",
            "checkoutUrl": None,
            "isScheduled": made.is_scheduled,
            "subscription": _among(view, subscription.id),
        }

    async def _cancel_subscription(self, _: object, input: Input) -> View:  # noqa: A002
        name = input.get("subscriptionId") or input.get("subscriptionRefId")
        if not name:
            raise Refusal("INVALID_ARGUMENT", "subscriptionRefId is missing; give one.")
        when = input.get("subscriptionCancellationTime")
        found = await subscriptions.cancel_subscription(
            self._world,
            name,
            time=when.lower() if when else None,
            end=moment_of(input, "endDate"),
        )
        return await self._subscription(found)

    async def _migrate_subscription(self, _: object, input: Input) -> View:  # noqa: A002
        found = await subscriptions.migrate_subscription(
            self._world, input["subscriptionId"]
        )
        return await self._subscription(found)

    async def _grant(self, _: object, input: Input) -> list[View]:  # noqa: A002
        wishes = [_promotion(item) for item in input["promotionalEntitlements"]]
        given = await promotions.grant_promotions(
            self._world, input["customerId"], wishes
        )
        index = await self._world.index()
        return [given_view(index, item) for item in given]

    async def _revoke(self, _: object, input: Input) -> View:  # noqa: A002
        given = await promotions.revoke_promotion(
            self._world, input["customerId"], input["featureId"]
        )
        return given_view(await self._world.index(), given)

    async def _unarchive_plan(self, _: object, input: Input) -> View:  # noqa: A002
        back = await PLANS.unarchive(self._world, input["id"])
        return plan_view(await self._world.index(), back.value)

    async def _unarchive_addon(self, _: object, input: Input) -> View:  # noqa: A002
        back = await ADDONS.unarchive(self._world, input["id"])
        return addon_view(await self._world.index(), back.value)

    async def _report_usage(self, _: object, input: Input) -> View:  # noqa: A002
        behavior = input.get("updateBehavior") or "DELTA"
        answer = await self._service.report_usage(
            pb.ReportUsageRequest(
                customer_id=input["customerId"],
                feature_id=input["featureId"],
                resource_id=input.get("resourceId"),
                value=input["value"],
                update_behavior=f"USAGE_UPDATE_BEHAVIOR_{behavior}",
                timestamp=_timestamp(input, "createdAt"),
            )
        )
        return {
            "id": answer.measurement_id,
            "customerId": answer.customer_id,
            "resourceId": input.get("resourceId"),
            "featureId": answer.feature_id,
            "currentUsage": answer.current_usage,
        }

    async def _report_events(self, _: object, input: Input) -> str:  # noqa: A002
        events = [_event(item, at) for at, item in enumerate(input["usageEvents"])]
        await self._service.report_events(pb.ReportEventsRequest(events=events))
        return "OK"

    async def _customer(self, customer_id: str) -> View:
        found = await customers.get_customer(self._world, customer_id)
        return customer_view(await self._world.index(), found, self._world.clock())

    async def _subscription(self, owned: subscriptions.Owned) -> View:
        view = await self._customer(owned.customer_id)
        found = _among(view, owned.subscription.value.id)
        assert found is not None
        return found


def _among(customer: View, subscription_id: str | None) -> View | None:
    found = cast("list[View]", customer["subscriptions"])
    return next((item for item in found if item["id"] == subscription_id), None)


def _customer_id(input: Input) -> str | None:  # noqa: A002
    name = input.get("customerId") or input.get("refId")
    return name or None


def _new_subscription(input: Input) -> NewSubscription:  # noqa: A002
    budget = input.get("budget")
    return NewSubscription(
        customer_id=input["customerId"],
        plan_id=input["planId"],
        id=input.get("subscriptionId") or input.get("refId"),
        resource_id=input.get("resourceId"),
        billing_period=(
            "annually" if input.get("billingPeriod") == "ANNUALLY" else "monthly"
        ),
        addons=tuple(_addon(item) for item in input.get("addons") or ()),
        budget=(
            _checked(Budget, limit=budget["limit"], soft_limit=budget["hasSoftLimit"])
            if budget
            else None
        ),
        start=moment_of(input, "startDate"),
        trial=TrialWish(is_trial=False) if input.get("skipTrial") else None,
        metadata=_metadata(input) or {},
        kept={"unitQuantity": input["unitQuantity"]} if "unitQuantity" in input else {},
    )


def _addon(item: Input) -> AddonQuantity:
    return _checked(AddonQuantity, id=item["addonId"], quantity=item["quantity"])


def _promotion(item: Input) -> promotions.NewPromotion:
    period = item.get("resetPeriod")
    return promotions.NewPromotion(
        feature_id=item["featureId"],
        terms=Terms(
            amount=item.get("usageLimit"),
            unlimited=item.get("hasUnlimitedUsage") or False,
            soft_limit=item.get("hasSoftLimit") or False,
            reset_period=period.lower() if period else None,
            values=tuple(item.get("enumValues") or ()),
        ),
        period=_PERIODS[item["period"]],
        end=moment_of(item, "customEndDate"),
        visible=item.get("isVisible") is not False,
    )


def _event(item: Input, at: int) -> pb.Event:
    dimensions: dict[str, pb.EventDimensionValue] = {}
    where = f"usageEvents[{at}].dimensions"
    given: object = item.get("dimensions") or {}
    if not isinstance(given, dict):
        raise Refusal(
            "INVALID_ARGUMENT", f"{where} is {written(given)}; use an object."
        )
    for name, value in cast("dict[str, object]", given).items():
        match value:
            case bool():
                dimensions[name] = pb.EventDimensionValue(boolean_value=value)
            case int() | float():
                dimensions[name] = pb.EventDimensionValue(number_value=value)
            case str():
                dimensions[name] = pb.EventDimensionValue(string_value=value)
            case _:
                raise Refusal(
                    "INVALID_ARGUMENT",
                    f"{where}[{name!r}] is {written(value)}; use a string, a number or "
                    "a boolean.",
                )
    return pb.Event(
        event_name=item["eventName"],
        customer_id=item["customerId"],
        idempotency_key=item["idempotencyKey"],
        resource_id=item.get("resourceId"),
        dimensions=dimensions,
        timestamp=_timestamp(item, "timestamp"),
    )


def _timestamp(given: Input, name: str) -> Timestamp | None:
    moment = moment_of(given, name)
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def _metadata(input: Input) -> Metadata | None:  # noqa: A002
    told = input.get("additionalMetaData")
    if told is None:
        return None
    try:
        return _METADATA.validate_python(told, strict=True)
    except ValidationError:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"additionalMetaData is {written(told)}; use an object of texts.",
        ) from None


def _kept(input: Input) -> dict[str, Any]:  # noqa: A002
    return {name: input[name] for name in _NO_USE if input.get(name) is not None}


def _checked(kind: type[_Value], **fields: object) -> _Value:
    try:
        return kind(**fields)
    except ValidationError as error:
        problem = next(unfit(error, fields, whole="input"))
        raise Refusal("INVALID_ARGUMENT", f"{problem}.") from None
