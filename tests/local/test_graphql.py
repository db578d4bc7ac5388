"""GraphQL: provisioning and asking, by the vendor's documents, over a real port."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sidecar_client.local import LocalSidecar
from tests.local.wire import NOW, Clock, check

SLIM_CUSTOMER = """
fragment SlimCustomerFragment on Customer {
  id name email createdAt updatedAt refId billingId additionalMetaData
}
"""
# What an application of the SDK page sends, with the fields that a client asks for.
PROVISION_CUSTOMER = (
    """
mutation ProvisionCustomer($input: ProvisionCustomerInput!) {
  provisionCustomer(input: $input) {
    customer { ...SlimCustomerFragment customerId }
    subscriptionDecisionStrategy
    subscription { subscriptionId status plan { refId } }
  }
}
"""
    + SLIM_CUSTOMER
)
PROVISION_SUBSCRIPTION = """
mutation ProvisionSubscription($input: ProvisionSubscriptionInput!) {
  provisionSubscription: provisionSubscriptionV2(input: $input) {
    checkoutUrl
    status
    subscription {
      id refId status additionalMetaData billingId billingLinkUrl effectiveEndDate
      currentBillingPeriodEnd pricingType
      resource { resourceId }
      plan { id refId displayName basePlan { refId } entitlements { featureId } }
      addons { quantity addon { id refId } }
      customer { id refId }
    }
  }
}
"""
ENTITLEMENT = """
query GetEntitlement($query: FetchEntitlementQuery!) {
  entitlement(query: $query) {
    isGranted accessDeniedReason customerId resourceId usageLimit hasUnlimitedUsage
    currentUsage requestedUsage nextResetDate resetPeriod enumValues
    feature { featureType meterType featureUnits displayName refId }
  }
}
"""


class Api:
    """The GraphQL side of a sidecar."""

    def __init__(self, sidecar: LocalSidecar) -> None:
        self.sidecar = sidecar

    def post(self, document: str, **variables: Any) -> httpx.Response:
        body = {"query": document, "variables": variables}
        return httpx.post(f"{self.sidecar.http_url}/graphql", json=body)

    def ask(self, document: str, **variables: Any) -> Any:
        answer = self.post(document, **variables)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body["errors"]
        (data,) = body["data"].values()
        return data

    def error(self, document: str, **variables: Any) -> tuple[str, str]:
        (error,) = self.post(document, **variables).json()["errors"]
        return error["extensions"]["code"], error["message"]


@pytest.fixture
def api(clock: Clock) -> Iterator[Api]:
    with LocalSidecar(clock=clock, http_port=0) as sidecar:
        yield Api(sidecar)


def test_customer_is_provisioned_and_subscribed_as_on_the_sdk_page(api: Api) -> None:
    made = api.ask(
        PROVISION_CUSTOMER, input={"name": "New", "email": "new@example.com"}
    )
    customer_id = made["customer"]["customerId"]
    assert made["customer"]["email"] == "new@example.com"
    assert made["customer"]["createdAt"] == "2023-12-01T00:00:00.000+00:00"
    assert made["subscriptionDecisionStrategy"] == "SKIPPED_SUBSCRIPTION_CREATION"
    assert check(api.sidecar, "feature-03-custom-domain", customer_id=customer_id) == (
        "NO_ACTIVE_SUBSCRIPTION"
    )
    subscribed = api.ask(
        PROVISION_SUBSCRIPTION,
        input={
            "customerId": customer_id,
            "planId": "plan-revvenu-essentials",
            "billingPeriod": "MONTHLY",
            "unitQuantity": 2,
        },
    )
    assert subscribed["status"] == "SUCCESS"
    subscription = subscribed["subscription"]
    assert subscription["plan"]["refId"] == "plan-revvenu-essentials"
    assert subscription["customer"]["refId"] == customer_id
    assert subscription["currentBillingPeriodEnd"] == "2024-01-01T00:00:00.000+00:00"
    assert (
        check(api.sidecar, "feature-03-custom-domain", customer_id=customer_id) is None
    )


def test_customer_can_be_subscribed_as_it_is_provisioned(api: Api) -> None:
    made = api.ask(
        PROVISION_CUSTOMER,
        input={
            "customerId": "new",
            "additionalMetaData": {"team": "red"},
            "subscriptionParams": {"planId": "plan-revvenu-free"},
        },
    )
    assert made["customer"]["additionalMetaData"] == {"team": "red"}
    assert made["subscriptionDecisionStrategy"] == "REQUESTED_PLAN"
    assert made["subscription"]["status"] == "ACTIVE"
    assert made["subscription"]["plan"] == {"refId": "plan-revvenu-free"}


def test_customer_is_not_made_when_its_subscription_cannot_be(api: Api) -> None:
    code, message = api.error(
        PROVISION_CUSTOMER,
        input={"customerId": "new", "subscriptionParams": {"planId": "none"}},
    )
    assert code == "NOT_FOUND"
    assert "'none'" in message
    query = 'query { getCustomerByRefId(input: {customerId: "new"}) { id } }'
    assert api.ask(query) is None


def test_entitlement_is_told_as_a_check_tells_it(api: Api) -> None:
    told: Any = api.ask(
        ENTITLEMENT,
        query={
            "customerId": "customer-demo-01",
            "featureId": "feature-07-active-users",
            "options": {"requestedUsage": 1},
        },
    )
    assert told == {
        "isGranted": True,
        "accessDeniedReason": None,
        "customerId": "customer-demo-01",
        "resourceId": None,
        "usageLimit": 25000,
        "hasUnlimitedUsage": False,
        "currentUsage": 1,
        "requestedUsage": 1,
        "nextResetDate": "2023-12-21T00:00:00.000+00:00",
        "resetPeriod": "MONTH",
        "enumValues": None,
        "feature": {
            "featureType": "NUMBER",
            "meterType": "Incremental",
            "featureUnits": "active user",
            "displayName": "feature-07-active-users",
            "refId": "feature-07-active-users",
        },
    }


@pytest.mark.parametrize(
    ("customer", "feature", "reason"),
    [
        ("customer-demo-03", "feature-04-analytics", "CustomerIsArchived"),
        ("customer-demo-02", "feature-10-white-label", "Revoked"),
        ("customer-demo-02", "feature-99", "FeatureNotFound"),
        ("customer-demo-05", "feature-04-analytics", "NoActiveSubscription"),
        ("customer-demo-02", "feature-01-templates", "RequestedUsageExceedingLimit"),
    ],
)
def test_denial_is_told_with_its_reason(
    api: Api, customer: str, feature: str, reason: str
) -> None:
    told = api.ask(ENTITLEMENT, query={"customerId": customer, "featureId": feature})
    assert (told["isGranted"], told["accessDeniedReason"]) == (False, reason)


def test_state_lists_features_of_every_type(api: Api) -> None:
    state = api.ask(
        """query ($query: FetchEntitlementsQuery!) {
          entitlementsState(query: $query) {
            accessDeniedReason
            entitlements {
              ... on Entitlement {
                isGranted usageLimit enumValues feature { refId }
              }
            }
          }
        }""",
        query={"customerId": "customer-demo-04"},
    )
    assert state["accessDeniedReason"] is None
    listed: list[dict[str, Any]] = state["entitlements"]
    told = {item["feature"]["refId"]: item for item in listed}
    assert len(told) == 10
    assert told["feature-05-export-formats"]["enumValues"] == ["csv", "xlsx", "pdf"]
    assert told["feature-09-backups"]["usageLimit"] == 30


def templates(api: Api, usage: float | None = None) -> str | None:
    return check(
        api.sidecar,
        "feature-01-templates",
        customer_id="customer-demo-02",
        usage=usage,
    )


def test_promotion_is_granted_and_revoked(api: Api) -> None:
    given = api.ask(
        """mutation ($input: GrantPromotionalEntitlementsInput!) {
          grantPromotionalEntitlements(input: $input) {
            featureId status usageLimit endDate feature { refId }
          }
        }""",
        input={
            "customerId": "customer-demo-02",
            "promotionalEntitlements": [
                {
                    "featureId": "feature-01-templates",
                    "period": "ONE_WEEK",
                    "usageLimit": 10,
                },
                {"featureId": "feature-03-custom-domain", "period": "LIFETIME"},
            ],
        },
    )
    assert [item["status"] for item in given] == ["Active", "Active"]
    assert given[0]["endDate"] == "2023-12-08T00:00:00.000+00:00"
    assert templates(api, usage=4) is None
    revoke = """mutation ($input: RevokePromotionalEntitlementInput!) {
      revokePromotionalEntitlement(input: $input) { id featureId }
    }"""
    api.ask(
        revoke,
        input={"customerId": "customer-demo-02", "featureId": "feature-01-templates"},
    )
    assert templates(api) == "REQUESTED_USAGE_EXCEEDING_LIMIT"


def test_subscription_is_listed_fetched_and_canceled(api: Api) -> None:
    (active,) = api.ask(
        """query ($input: GetActiveSubscriptionsInput!) {
          getActiveSubscriptions(input: $input) { id status startDate }
        }""",
        input={"customerId": "customer-demo-01"},
    )
    assert active["startDate"] == "2023-07-21T00:00:00.000+00:00"
    canceled = api.ask(
        """mutation ($input: SubscriptionCancellationInput!) {
          cancelSubscription(input: $input) { id status customer { refId } }
        }""",
        input={
            "subscriptionRefId": active["id"],
            "subscriptionCancellationTime": "IMMEDIATE",
        },
    )
    assert (canceled["id"], canceled["status"]) == (active["id"], "CANCELED")
    fetched = api.ask(
        """query ($input: GetSubscriptionInput!) {
          getSubscription(input: $input) { status }
        }""",
        input={"subscriptionId": active["id"]},
    )
    assert fetched == {"status": "CANCELED"}


def test_usage_and_events_are_reported(api: Api) -> None:
    measured = api.ask(
        """mutation ($input: UsageMeasurementCreateInput!) {
          createUsageMeasurement(input: $input) { currentUsage featureId }
        }""",
        input={
            "customerId": "customer-demo-01",
            "featureId": "feature-01-templates",
            "value": 2,
        },
    )
    assert measured == {"currentUsage": 5, "featureId": "feature-01-templates"}
    api.ask(
        """mutation ($input: UsageEventsReportInput!) { reportEvent(input: $input) }""",
        input={
            "usageEvents": [
                {
                    "customerId": "customer-demo-01",
                    "eventName": "login",
                    "idempotencyKey": "1",
                    "dimensions": {"n": 1.5, "eu": True, "who": "x"},
                    "timestamp": (NOW - timedelta(hours=1)).isoformat(),
                }
            ]
        },
    )
    (event,) = api.sidecar.events
    assert event.dimensions["n"].number_value == 1.5
    assert event.dimensions["eu"].boolean_value is True
    assert event.dimensions["who"].string_value == "x"
    assert event.timestamp.seconds == int(NOW.timestamp()) - 3600


def asked(count: int, first: int = 0) -> str:
    """So many fields of `Query`."""
    return " ".join(
        f'a{n}: getSubscription(input: {{subscriptionId: "s"}}) {{ id }}'
        for n in range(first, first + count)
    )


CHAIN = "query { ...F0 } " + " ".join(
    f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(1200)
)


@pytest.mark.parametrize(
    "query",
    [
        f"query {{ ...F }} fragment F on Query {{ {asked(51)} }}",
        f"query {{ ... {{ {asked(51)} }} }}",
        f"query {{ ... on Query {{ ... {{ {asked(30)} }} }} {asked(21, 30)} }}",
        f"query {{ ...F {asked(17, 34)} }} fragment F on Query {{ ...G {asked(17)} }}"
        f"fragment G on Query {{ {asked(17, 17)} }}",
        f"query {{ ...F ...F }} fragment F on Query {{ ...F {asked(51)} }}",
    ],
)
def test_fields_are_counted_where_they_are_spread(api: Api, query: str) -> None:
    answer = api.post(query)
    assert answer.status_code == 400
    assert "asks for 51 fields; ask for at most 50" in answer.text


def test_fragment_that_is_spread_twice_is_carried_out_once(api: Api) -> None:
    fragment = f"fragment F on Query {{ {asked(50)} }}"
    answer = api.post(f"query {{ ...F ...F }} {fragment}")
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 50


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("query {", "Syntax Error"),
        (CHAIN + f" fragment F1200 on Query {{ {asked(1)} }}", "nested too deeply"),
        ("query { ...F } fragment F on Query { ...F }", "Cannot spread fragment 'F'"),
        ("query { ...F }", "Unknown fragment 'F'"),
        ("query { nothing }", "Cannot query field 'nothing' on type 'Query'"),
        ("fragment F on Customer { id }", "never used"),
        ("query " + "{ a " * 6000, "nested too deeply"),
        ("query { " + "a " * 10_000 + "}", "10000 tokens"),
        ("subscription { a }", "subscription"),
        (f"query {{ {asked(51)} }}", "asks for 51 fields; ask for at most 50"),
    ],
)
def test_document_that_cannot_be_carried_out_is_told(
    api: Api, query: str, message: str
) -> None:
    answer = api.post(query)
    assert answer.status_code == 400
    assert message in answer.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"customerId": "a b"}, "'a b'"),
        ({"customerId": "customer-demo-01"}, "already"),
        ({"customerId": "x", "additionalMetaData": [1]}, "additionalMetaData is [1]"),
    ],
)
def test_customer_that_cannot_be_is_told(
    api: Api, fields: dict[str, Any], message: str
) -> None:
    _, told = api.error(PROVISION_CUSTOMER, input=fields)
    assert message in told


def test_time_that_is_none_is_told(api: Api) -> None:
    _, told = api.error(
        PROVISION_SUBSCRIPTION,
        input={
            "customerId": "customer-demo-01",
            "planId": "plan-revvenu-free",
            "startDate": "tomorrow",
        },
    )
    assert "startDate is 'tomorrow'; use a time such as" in told


def test_failure_inside_is_told_without_its_text(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(api.sidecar.world.store, "read", fail)
    query = 'query { getCustomerByRefId(input: {customerId: "c"}) { id } }'
    code, told = api.error(query)
    assert (code, told) == (
        "INTERNAL",
        "This failed inside the local sidecar; its log says why.",
    )


def test_schema_can_be_introspected(api: Api) -> None:
    told = api.ask("query { __schema { queryType { name } } }")
    assert told == {"queryType": {"name": "Query"}}


def test_archived_plans_and_addons_are_taken_back(clock: Clock) -> None:
    catalog = {
        "plans": [{"id": "team", "status": "archived"}],
        "addons": [{"id": "more", "status": "archived"}],
    }
    plan = """mutation ($input: UnArchivePlanInput!) {
      unarchivePlan(input: $input) { refId status }
    }"""
    addon = """mutation ($input: AddonUnArchiveInput!) {
      unarchiveAddon(input: $input) { refId status }
    }"""
    with LocalSidecar(catalog, clock=clock, http_port=0) as sidecar:
        api = Api(sidecar)
        back = api.ask(plan, input={"id": "team"})
        assert back == {"refId": "team", "status": "PUBLISHED"}
        back = api.ask(addon, input={"id": "more", "environmentId": "any"})
        assert back == {"refId": "more", "status": "PUBLISHED"}
        code, message = api.error(plan, input={"id": "team"})
    assert (code, message) == ("FAILED_PRECONDITION", "plan 'team' is not archived.")
