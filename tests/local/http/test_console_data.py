"""What the console asks for and changes, as JSON: pages, bounds, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.http.conftest import Client
from tests.local.moving import Moving
from tests.local.wire import Clock, ask, check

FREE = "customer-demo-02"
TEMPLATES = "feature-01-templates"


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    # Its clock stands still, so that nothing changes but by what a test does.
    with LocalSidecar(http_port=0, clock=Clock()) as sidecar:
        yield sidecar


@pytest.fixture
def changing(sidecar: LocalSidecar, client_of: Client) -> httpx.Client:
    """A client of a sidecar that nobody else uses."""
    return client_of(sidecar)


def subscription(client: httpx.Client, customer: str) -> str:
    told: dict[str, Any] = client.get(f"/local/customers/{customer}").json()
    return str(told["subscriptions"][0]["id"])


def test_customers_are_listed_a_page_at_a_time(client: httpx.Client) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = client.get("/local/customers", params={"limit": 2, "after": after})
        seen += [item["id"] for item in page.json()["customers"]]
        after = page.json()["next"]
    assert seen == [f"customer-demo-0{n}" for n in range(1, 6)]


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("/local/customers", {"limit": "0"}, "limit is '0'; use a whole number from 1"),
        ("/local/customers", {"limit": "201"}, "use a whole number from 1 to 200"),
        ("/local/customers", {"limit": "٣"}, "use a whole number from 1 to 200"),
        ("/local/customers", {"search": "x" * 301}, "search has 301 characters; use"),
        ("/local/features", {"limit": "many"}, "limit is 'many'; use a whole number"),
        (
            f"/local/customers/{FREE}/entitlements",
            {"offset": "-1"},
            "offset is '-1'; use a whole number from 0",
        ),
    ],
)
def test_parameter_that_cannot_be_is_told(
    client: httpx.Client, path: str, params: dict[str, str], message: str
) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_entitlements_are_counted_and_cut(client: httpx.Client) -> None:
    path = "/local/customers/customer-demo-04/entitlements"
    told = client.get(path, params={"scope": "all", "offset": 8, "limit": 5}).json()
    assert (told["total"], told["granted"], len(told["items"])) == (10, 10, 2)
    denied = client.get(f"/local/customers/{FREE}/entitlements?scope=denied").json()
    reasons = {item["feature"]["id"]: item["reason"] for item in denied["items"]}
    assert reasons[TEMPLATES] == "REQUESTED_USAGE_EXCEEDING_LIMIT"
    assert reasons["feature-10-white-label"] == "REVOKED"
    assert reasons["feature-08-editors"] == "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"


def test_verdicts_are_those_of_the_protocol(
    running: LocalSidecar, client: httpx.Client
) -> None:
    for number in range(1, 6):
        customer = f"customer-demo-0{number}"
        path = f"/local/customers/{customer}/entitlements?scope=all"
        for item in client.get(path).json()["items"]:
            feature = item["feature"]["id"]
            reason = check(running, feature, customer_id=customer)
            assert item["reason"] == reason, (customer, feature)


def test_unknown_resource_is_a_reason_and_an_unknown_customer_is_none(
    client: httpx.Client,
) -> None:
    path = f"/local/customers/{FREE}/entitlements?resource=nowhere"
    assert client.get(path).json()["reason"] == "CUSTOMER_RESOURCE_NOT_FOUND"
    for path in ("/local/customers/nobody", "/local/customers/nobody/entitlements"):
        missing = client.get(path)
        assert missing.status_code == 404
        assert "there is no customer 'nobody'" in missing.json()["message"]
    assert client.get("/local/customers/%00").status_code == 400


def test_feature_that_was_typed_whole_comes_first(client: httpx.Client) -> None:
    found = client.get("/local/features", params={"search": "FEATURE-0", "limit": 3})
    assert len(found.json()["features"]) == 3
    exact = client.get("/local/features", params={"search": TEMPLATES}).json()
    assert exact["features"][0]["id"] == TEMPLATES


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("customers/nobody/archive", {}, 404, "there is no customer 'nobody'"),
        (f"customers/{FREE}/unarchive", {}, 409, "is not archived"),
        (f"customers/{FREE}/usage", {"feature": TEMPLATES}, 400, "value"),
        (
            f"customers/{FREE}/usage",
            {"feature": TEMPLATES, "value": -7},
            400,
            "feature-01-templates",
        ),
        (
            f"customers/{FREE}/credits",
            {"currency": "nope", "amount": 1},
            404,
            "there is no currency 'nope'",
        ),
        (
            f"customers/{FREE}/credits",
            {"currency": "nope", "amount": 0},
            400,
            "amount is 0",
        ),
        (
            f"customers/{FREE}/promotions",
            {"feature": TEMPLATES, "terms": {}},
            400,
            "granted without an amount",
        ),
        (
            f"customers/{FREE}/promotions",
            {"feature": "nope", "terms": {}},
            404,
            "there is no feature 'nope'",
        ),
        (
            f"customers/{FREE}/agreements",
            {"feature": TEMPLATES, "subscription": "customer-demo-01-subscription-1"},
            404,
            "has no subscription",
        ),
        (
            "plans/plan-revvenu-free/entitlements",
            {"feature": TEMPLATES, "terms": {"amount": -1}},
            400,
            "use 0 or more",
        ),
        ("plans/nope/entitlements", {"feature": TEMPLATES}, 404, "no plan 'nope'"),
    ],
)
def test_change_that_cannot_be_is_refused_and_changes_nothing(
    changing: httpx.Client,
    path: str,
    body: dict[str, object],
    status: int,
    message: str,
) -> None:
    before = changing.get("/local/catalog.yaml").text.partition("\n")[2]
    answer = changing.post(f"/local/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["message"]
    assert changing.get("/local/catalog.yaml").text.partition("\n")[2] == before


def test_limit_of_a_plan_is_changed_and_taken_out(
    sidecar: LocalSidecar, changing: httpx.Client
) -> None:
    path = "/local/plans/plan-revvenu-free/entitlements"
    wish = {"feature": TEMPLATES, "terms": {"amount": 7}}
    assert changing.post(path, json=wish).status_code == 200
    assert check(sidecar, TEMPLATES, customer_id=FREE, usage=1) is None
    gone = {"feature": TEMPLATES, "terms": None}
    assert changing.post(path, json=gone).status_code == 200
    reason = check(sidecar, TEMPLATES, customer_id=FREE)
    assert reason == "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"


def test_other_agreements_stay_when_one_is_made(
    sidecar: LocalSidecar, changing: httpx.Client
) -> None:
    sub, path = subscription(changing, FREE), f"/local/customers/{FREE}/agreements"
    for feature, terms in (
        (TEMPLATES, {"amount": 8}),
        ("feature-03-custom-domain", {}),
        ("feature-10-white-label", {}),
    ):
        asked = {"feature": feature, "subscription": sub, "terms": terms}
        assert changing.post(path, json=asked).status_code == 200
        assert check(sidecar, feature, customer_id=FREE) is None
    assert check(sidecar, TEMPLATES, customer_id=FREE, usage=2) is None
    back = {"feature": TEMPLATES, "subscription": sub, "terms": None}
    changing.post(path, json=back)
    assert check(sidecar, TEMPLATES, customer_id=FREE) is not None
    assert check(sidecar, "feature-03-custom-domain", customer_id=FREE) is None


def test_reports_of_the_console_are_in_the_feed_and_the_answers(
    sidecar: LocalSidecar, changing: httpx.Client
) -> None:
    wish = {"feature": TEMPLATES, "value": 2, "update": "set"}
    answer = changing.post(f"/local/customers/{FREE}/usage", json=wish)
    assert answer.json() == {"current_usage": 2.0}
    told = sidecar.feed.since(0).happenings[-1]
    assert told.kind == "report"
    assert told.facts["current_usage"] == 2.0
    request = pb.GetMeteredEntitlementRequest(customer_id=FREE, feature_id=TEMPLATES)
    assert ask(sidecar, request).entitlement.current_usage == 2


def test_feature_without_the_credits_it_costs_is_denied_until_some_are_granted(
    client_of: Client,
) -> None:
    world: dict[str, Any] = {
        "currencies": [{"id": "tokens"}],
        "features": [{"id": "images", "type": "metered", "meter": "incremental"}],
        "plans": [
            {
                "id": "p",
                "entitlements": {"images": {"unlimited": True}},
                "credit_rates": {"images": {"currency": "tokens", "rate": 2}},
            }
        ],
        "customers": [{"id": "c", "subscriptions": [{"plan": "p"}]}],
    }
    path = "/local/customers/c/entitlements"
    with LocalSidecar(world, http_port=0) as sidecar:
        client = client_of(sidecar)
        told = client.get(path).json()
        assert told["items"][0]["reason"] == "INSUFFICIENT_CREDITS"
        assert told["credits"] == []
        wish = {"currency": "tokens", "amount": 3}
        assert client.post("/local/customers/c/credits", json=wish).is_success
        told = client.get(path).json()
        assert told["items"][0]["has_access"] is True
        assert told["credits"][0]["remaining"] == 3


def test_page_and_its_files_are_served_and_nothing_beside_them(
    client: httpx.Client,
) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css")):
        answer = client.get(f"/console/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["content-security-policy"] == policy
    for path in ("/console/", "/console/../page.py", "/console/%2e%2e%2fpage.py"):
        assert client.get(path).status_code == 404


def test_entitlements_and_credits_are_of_one_moment_though_usage_comes_meanwhile(
    client_of: Client,
) -> None:
    world: dict[str, Any] = {
        "currencies": [{"id": "tokens"}],
        "features": [{"id": "calls", "type": "metered", "meter": "incremental"}],
        "plans": [
            {
                "id": "p",
                "entitlements": {"calls": {"unlimited": True}},
                "credits": {"tokens": {"amount": 10}},
                "credit_rates": {"calls": {"currency": "tokens", "rate": 2}},
            }
        ],
        "customers": [{"id": "c", "subscriptions": [{"plan": "p"}]}],
    }
    store = Moving()
    with LocalSidecar(world, store=store, http_port=0) as sidecar:
        client = client_of(sidecar)
        store.world = sidecar.world
        seen: list[object] = []
        for _ in range(2):
            told = client.get("/local/customers/c/entitlements").json()
            (calls,), (tokens,) = told["items"], told["credits"]
            seen.append((calls["usage"], calls["reason"], tokens["remaining"]))
        assert seen == [(0, None, 10), (5, "INSUFFICIENT_CREDITS", 0)]


PLANS_ONLY: dict[str, Any] = {
    "features": [{"id": "sso", "type": "boolean"}],
    "products": [{"id": "app"}, {"id": "past", "status": "archived"}],
    "plans": [
        {"id": "pro", "name": "Pro", "product": "app", "entitlements": {"sso": True}},
        {"id": "old", "product": "app", "status": "archived"},
        {"id": "next", "product": "app", "status": "draft"},
        {"id": "gone", "product": "past"},
    ],
}


def test_customers_are_made_and_subscribed_where_a_catalog_has_plans_alone(
    client_of: Client,
) -> None:
    with LocalSidecar(PLANS_ONLY, http_port=0) as sidecar:
        client = client_of(sidecar)
        plans = client.get("/local/definitions").json()["plans"]
        assert plans == [{"id": "pro", "name": "Pro", "trial_days": None}]
        made = client.post("/local/customers", json={"id": "acme", "name": "Acme"})
        assert (made.status_code, made.json()) == (200, {"id": "acme"})
        at = "/local/customers/acme/subscriptions"
        sub = client.post(at, json={"plan": "pro"}).json()["id"]
        assert check(sidecar, "sso", customer_id="acme") is None
        assert client.delete(f"{at}/{sub}").status_code == 200
        assert check(sidecar, "sso", customer_id="acme") == "NO_ACTIVE_SUBSCRIPTION"
        site = client.post(at, json={"plan": "pro", "resource": "site"})
        assert site.json()["message"].startswith("product 'app'")


def test_customers_and_subscriptions_that_cannot_be_are_refused(
    client_of: Client,
) -> None:
    with LocalSidecar(PLANS_ONLY, http_port=0) as sidecar:
        client = client_of(sidecar)
        for name in ("acme", "bee"):
            client.post("/local/customers", json={"id": name})
        at = "/local/customers/acme/subscriptions"
        sub = client.post(at, json={"plan": "pro"}).json()["id"]
        told = [
            client.post("/local/customers", json=wish)
            for wish in ({"id": "acme"}, {"id": "a/b"}, {"name": "x"})
        ]
        told += [
            client.post(at, json={"plan": plan})
            for plan in ("old", "next", "gone", "none")
        ]
        told.append(client.delete(f"/local/customers/bee/subscriptions/{sub}"))
        said = [str(item.json()["message"]) for item in told]
        statuses = [item.status_code for item in told]
        assert statuses == [409, 400, 400, 409, 409, 409, 404, 404]
        assert said[0].startswith("there is a customer 'acme' already")
        assert said[1].startswith("id: 'a/b' is no customer id")
        assert said[2:6] == [
            "id is missing; add it",
            "plan 'old' is archived; use another plan.",
            "plan 'next' is draft; publish it.",
            "product 'past' of 'gone' is archived; unarchive it first.",
        ]
        assert said[7] == f"customer 'bee' has no subscription '{sub}'."
        assert check(sidecar, "sso", customer_id="acme") is None
