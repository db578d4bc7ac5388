"""Subscriptions and entitlements, by the vendor's client."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
import stigg
from stigg.types.v1.customers.promotional_entitlement_create_params import (
    PromotionalEntitlement,
)

from tests.local.wire import NOW, Clock

DAY = timedelta(days=1)


def granted(client: stigg.Stigg, customer: str, feature: str, usage: int = 1) -> object:
    return client.v1.customers.check_entitlement(
        customer, feature_id=feature, requested_usage=usage
    ).data.is_granted


def test_a_customer_has_what_it_is_subscribed_to(client: stigg.Stigg) -> None:
    made = client.v1.subscriptions.provision(
        id="mine",
        customer_id="acme",
        plan_id="team",
        billing_period="ANNUALLY",
        addons=[{"id": "more-seats", "quantity": 2}],
        entitlements=[{"id": "size", "type": "FEATURE", "usage_limit": 7}],
        budget={"limit": 100, "has_soft_limit": False},
        metadata={"a": "b"},
        applied_coupon={"coupon_id": "SAVE20"},
    ).data
    assert (made.status, made.is_scheduled) == ("SUCCESS", False)
    assert made.subscription is not None
    sub = made.subscription
    assert (sub.id, sub.status, sub.pricing_type) == ("mine", "ACTIVE", "PAID")
    assert (sub.start_date, sub.current_billing_period_start) == (NOW, NOW)
    assert sub.addons is not None
    assert [(addon.id, addon.quantity) for addon in sub.addons] == [("more-seats", 2)]
    assert made.entitlements is not None
    limits = {
        item.feature.id: item.usage_limit
        for item in made.entitlements
        if item.type == "FEATURE" and item.feature
    }
    assert limits == {"seats": 70, "size": 7}
    assert client.v1.subscriptions.retrieve("mine").data.plan_id == "team"
    state = client.v1.customers.retrieve_entitlements("acme").data
    assert state.access_denied_reason is None
    assert {item.is_granted for item in state.entitlements} == {True}
    assert granted(client, "acme", "seats", 70)
    assert not granted(client, "acme", "seats", 71)


def test_denials_tell_their_reason(client: stigg.Stigg) -> None:
    check = client.v1.customers.check_entitlement

    def reason(customer: str, feature: str) -> str | None:
        return check(customer, feature_id=feature).data.access_denied_reason

    assert reason("nobody", "seats") == "CustomerNotFound"
    assert reason("acme", "seats") == "NoActiveSubscription"
    assert reason("acme", "nothing") == "FeatureNotFound"
    assert reason("old", "sso") == "NoFeatureEntitlementInSubscription"
    credit = check("acme", currency_id="tokens").data
    assert (credit.type, credit.access_denied_reason) == (
        "CREDIT",
        "EntitlementNotFound",
    )
    state = client.v1.customers.retrieve_entitlements("nobody").data
    assert (state.access_denied_reason, state.entitlements) == ("CustomerNotFound", [])
    with pytest.raises(stigg.BadRequestError, match="featureId and currencyId"):
        check("acme")


def test_requested_values_are_compared(client: stigg.Stigg) -> None:
    client.v1.customers.promotional_entitlements.create(
        "acme", promotional_entitlements=[promotion("export", enum_values=["csv"])]
    )
    check = client.v1.customers.check_entitlement
    assert check("acme", feature_id="export", requested_values=["csv"]).data.is_granted
    denied = check("acme", feature_id="export", requested_values=["csv", "pdf"]).data
    assert denied.access_denied_reason == "RequestedValuesMismatch"


def test_a_subscription_is_changed_and_canceled(
    client: stigg.Stigg, clock: Clock
) -> None:
    provision = client.v1.subscriptions.provision
    provision(id="mine", customer_id="acme", plan_id="team")
    update = client.v1.subscriptions.update
    changed = update(
        "mine", addons=[{"id": "more-seats", "quantity": 1}], budget=None
    ).data
    assert changed.addons is not None
    assert len(changed.addons) == 1
    scheduled = update("mine", cancellation_date=NOW + 3 * DAY).data
    assert scheduled.cancellation_date == NOW + 3 * DAY
    assert update("mine", cancellation_date=None).data.cancellation_date is None
    with pytest.raises(stigg.InternalServerError, match="changes a subscription at on"):
        client.with_options(max_retries=0).v1.subscriptions.update(
            "mine", schedule_strategy="END_OF_BILLING_PERIOD"
        )
    canceled = client.v1.subscriptions.cancel("mine").data
    assert (canceled.status, canceled.cancel_reason) == (
        "ACTIVE",
        "ScheduledCancellation",
    )
    assert canceled.end_date is not None
    clock.now = canceled.end_date
    assert client.v1.subscriptions.retrieve("mine").data.status == "CANCELED"
    with pytest.raises(stigg.BadRequestError, match="is canceled"):
        client.v1.subscriptions.cancel("mine")


def test_a_trial_is_told_as_one(client: stigg.Stigg, clock: Clock) -> None:
    made = client.v1.subscriptions.provision(
        id="trial",
        customer_id="acme",
        plan_id="pro",
        trial_override_configuration={
            "is_trial": True,
            "trial_end_date": NOW + 2 * DAY,
            "trial_end_behavior": "CONVERT_TO_PAID",
        },
    ).data.subscription
    assert made is not None
    assert (made.status, made.trial_end_date) == ("IN_TRIAL", NOW + 2 * DAY)
    assert made.trial is not None
    assert made.trial.trial_end_behavior == "CONVERT_TO_PAID"
    assert made.effective_end_date is None
    clock.now = NOW + 2 * DAY
    assert client.v1.subscriptions.retrieve("trial").data.status == "ACTIVE"


def test_subscriptions_go_elsewhere_and_come_from_elsewhere(
    client: stigg.Stigg,
) -> None:
    subscriptions = client.v1.subscriptions
    subscriptions.provision(
        id="mine", customer_id="acme", plan_id="site", resource_id="one"
    )
    moved = subscriptions.transfer("mine", destination_resource_id="two").data
    assert moved.resource_id == "two"
    given = subscriptions.delegate("mine", target_customer_id="old").data
    assert (given.customer_id, given.paying_customer_id) == ("old", "acme")
    assert [r.id for r in client.v1.customers.list_resources("acme")] == ["one", "two"]
    task = subscriptions.import_(
        subscriptions=[
            {"id": "i", "customer_id": "acme", "plan_id": "team", "start_date": NOW}
        ]
    )
    assert task.data.task_id
    listed = subscriptions.list(status=["ACTIVE"], pricing_type=["PAID"], limit=1)
    assert [(s.id, s.customer_id) for s in listed] == [("i", "acme"), ("mine", "old")]
    assert [s.id for s in subscriptions.list(customer_id="acme")] == ["i"]
    assert subscriptions.migrate("i").data.id == "i"


def test_a_preview_makes_nothing(client: stigg.Stigg) -> None:
    told = client.v1.subscriptions.preview(customer_id="acme", plan_id="team").data
    assert (told.immediate_invoice.total, told.has_scheduled_updates) == (0, False)
    assert list(client.v1.subscriptions.list(customer_id="acme")) == []
    with pytest.raises(stigg.NotFoundError, match="no plan 'nothing'"):
        client.v1.subscriptions.preview(customer_id="acme", plan_id="nothing")


def promotion(feature: str, **more: object) -> PromotionalEntitlement:
    """A promotion, with all the fields that the client's types want."""
    none = dict.fromkeys(
        (
            "custom_end_date",
            "enum_values",
            "has_soft_limit",
            "has_unlimited_usage",
            "is_visible",
            "monthly_reset_period_configuration",
            "reset_period",
            "usage_limit",
            "weekly_reset_period_configuration",
            "yearly_reset_period_configuration",
        )
    )
    made = {**none, "feature_id": feature, "period": "1 month", **more}
    return cast("PromotionalEntitlement", made)


async def test_promotions_are_granted_listed_and_revoked(
    async_client: stigg.AsyncStigg,
) -> None:
    promotions = async_client.v1.customers.promotional_entitlements
    made = await promotions.create(
        "acme",
        promotional_entitlements=[
            promotion(
                "seats",
                usage_limit=5,
                reset_period="MONTH",
                monthly_reset_period_configuration={"according_to": "StartOfTheMonth"},
            ),
            promotion("sso", period="lifetime"),
        ],
    )
    seats, sso = made.data
    assert (seats.usage_limit, seats.period, seats.status) == (5, "1 month", "Active")
    assert seats.reset_period_configuration is not None
    assert seats.reset_period_configuration.according_to == "StartOfTheMonth"
    assert (sso.end_date, sso.is_visible) == (None, True)
    state = await async_client.v1.customers.retrieve_entitlements("acme")
    assert {item.is_granted for item in state.data.entitlements} == {True}
    assert [p.feature_id async for p in promotions.list("acme", limit=1)] == [
        "seats",
        "sso",
    ]
    assert [
        p.feature_id async for p in promotions.list("acme", status=["Paused"])
    ] == []
    gone = await promotions.revoke("seats", id="acme")
    assert gone.data.id == seats.id
    with pytest.raises(stigg.NotFoundError, match="no promotional entitlement"):
        await promotions.revoke("seats", id="acme")
