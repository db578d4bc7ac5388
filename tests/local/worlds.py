"""Random worlds that are made over REST, and what one answers about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self, cast

import httpx
from hypothesis import strategies as st

from sidecar_client.local import LocalSidecar
from tests.local.wire import NOW

DAY = timedelta(days=1)
Step = tuple[str, str, Mapping[str, Any]] | timedelta
WORLD: dict[str, Any] = {
    "features": [
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {
            "id": "words",
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "said", "aggregation": "sum", "field": "n"},
        },
        {"id": "sso", "type": "boolean"},
    ],
    "currencies": [{"id": "tokens"}, {"id": "points"}],
    "products": [{"id": "app"}, {"id": "sites", "multiple_subscriptions": True}],
    "plans": [
        {"id": "free", "product": "app", "entitlements": {"seats": {"limit": 5}}},
        {
            "id": "pro",
            "product": "app",
            "pricing": "paid",
            "trial_days": 14,
            "entitlements": {
                "calls": {"limit": 50, "reset_period": "day"},
                "words": {"unlimited": True, "reset_period": "week"},
            },
            "credits": {"tokens": {"amount": 20}},
            "credit_rates": {"words": {"currency": "tokens", "rate": 2}},
            "charges": {"calls": {"price": 1, "included": 10}},
        },
        {
            "id": "site",
            "product": "sites",
            "pricing": "paid",
            "entitlements": {"calls": {"limit": 50}},
            "credits": {"tokens": {"amount": 30, "soft_limit": True}},
            "credit_rates": {"calls": {"currency": "tokens", "rate": 1}},
        },
    ],
    "customers": [
        {
            "id": "acme",
            "name": "Acme",
            "resources": ["shop"],
            "subscriptions": [
                {"id": "own", "plan": "pro", "budget": {"limit": 25}},
                {"id": "shop", "plan": "site", "resource": "shop"},
            ],
            "credits": [{"id": "gift", "currency": "tokens", "amount": 15, "spent": 4}],
        },
        {"id": "bee", "subscriptions": [{"id": "bees", "plan": "free"}]},
    ],
}
# No catalog tells when something was made, nor since when something is owed.
_LEFT_OUT = frozenset({"createdAt", "updatedAt"})
_OF_DEBTS = _LEFT_OUT | {"effectiveAt"}


class Api:
    """The REST side of a sidecar."""

    def __init__(self, sidecar: LocalSidecar) -> None:
        self.sidecar = sidecar
        headers = {"X-API-KEY": "any"}
        self._http = httpx.Client(base_url=f"{sidecar.http_url}/api", headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def do(self, step: Step) -> httpx.Response | None:
        """Let time pass, or send a request, which may be refused."""
        if isinstance(step, timedelta):
            self.sidecar.clock.advance(step)
            return None
        method, path, body = step
        json = None if method == "GET" else body
        answer = self._http.request(method, path, json=json)
        assert answer.status_code < 500, answer.text
        return answer

    def told(self) -> dict[str, Any]:
        """What all questions are answered, by their paths."""
        paths = [*_PATHS]
        for customer in ("acme", "bee"):
            paths += [path.format(customer) for path in _CUSTOMER_PATHS]
        return {path: comparable(self._asked(path)) for path in paths}

    def _asked(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()["data"]


_PATHS = (
    "/v1/features",
    "/v1/products",
    "/v1/plans",
    "/v1/credits/custom-currencies?status=ACTIVE,ARCHIVED",
    "/v1/customers",
)
_CUSTOMER_PATHS = (
    "/v1/subscriptions?customerId={}",
    "/v1/customers/{}/promotional-entitlements",
    "/v1/customers/{}/resources",
    "/v1/customers/{}/entitlements",
    "/v1/customers/{}/entitlements?resourceId=shop",
    "/v1/customers/{}/entitlements/check?currencyId=tokens",
    "/v1/customers/{}/entitlements/check?featureId=calls",
    "/v1/credits/grants?customerId={}",
    "/v1/credits/grants?customerId={}&resourceId=shop",
)


def comparable(answer: Any) -> Any:
    """An answer without what no catalog tells."""
    if isinstance(answer, list):
        items = cast("Sequence[Any]", answer)
        return sorted((comparable(i) for i in items if not _is_over(i)), key=str)
    if not isinstance(answer, dict):
        return answer
    told = cast("Mapping[str, Any]", answer)
    left_out = _OF_DEBTS if told.get("grantType") == "OVERDRAFT" else _LEFT_OUT
    return {k: comparable(v) for k, v in told.items() if k not in left_out}


def _is_over(item: Any) -> bool:
    return "grantType" in item and item["status"] not in ("ACTIVE", "SCHEDULED")


def used(customer: str, feature: str, value: int, resource: str | None) -> Step:
    usage = {"customerId": customer, "featureId": feature, "value": value}
    if resource:
        usage["resourceId"] = resource
    return "POST", "/v1/usage", {"usages": [usage]}


def said(words: int, key: int) -> Step:
    event = {
        "customerId": "acme",
        "eventName": "said",
        "idempotencyKey": str(key),
        "dimensions": {"n": words},
    }
    return "POST", "/v1/events", {"events": [event]}


def _consumed(amount: float, key: int, resource: str | None) -> Step:
    body = {"customerId": "acme", "currencyId": "tokens", "amount": amount}
    body["idempotencyKey"] = str(key)
    return (
        "POST",
        "/v1/credits/consumption",
        body | ({"resourceId": resource} if resource else {}),
    )


def _granted(amount: int, after: int, lasts: int | None) -> Step:
    begins = NOW + after * DAY
    expires = {"expireAt": (begins + lasts * DAY).isoformat()} if lasts else {}
    return (
        "POST",
        "/v1/credits/grants",
        {
            "customerId": "acme",
            "currencyId": "tokens",
            "amount": amount,
            "displayName": "Gift",
            "grantType": "PROMOTIONAL",
            "effectiveAt": begins.isoformat(),
            **expires,
        },
    )


def _promoted(period: str, visible: bool) -> Step:
    ends = {"customEndDate": (NOW + 90 * DAY).isoformat()} if period == "custom" else {}
    promotion = {"featureId": "sso", "period": period, "isVisible": visible, **ends}
    body = {"promotionalEntitlements": [promotion]}
    return "POST", "/v1/customers/bee/promotional-entitlements", body


def subscribed(customer: str, plan: str, payer: str | None) -> Step:
    paying = {"payingCustomerId": payer} if payer else {}
    body = {"customerId": customer, "planId": plan, **paying}
    return "POST", "/v1/subscriptions", body


def tried(customer: str, starts: int, behavior: str, period: str) -> Step:
    """A trial of 9 days, or one that begins later, and what becomes of it."""
    begins = NOW + starts * DAY
    trial = {
        "isTrial": True,
        "trialEndBehavior": behavior,
        "trialEndDate": (begins + 9 * DAY).isoformat(),
    }
    body = {
        "customerId": customer,
        "planId": "pro",
        "billingPeriod": period,
        "startDate": begins.isoformat(),
        "trialOverrideConfiguration": trial,
    }
    return "POST", "/v1/subscriptions", body


def _plain(method: str, *paths: str) -> st.SearchStrategy[Step]:
    return st.sampled_from([(method, path, {}) for path in paths])


def steps() -> st.SearchStrategy[list[Step]]:
    """What may happen to the world."""
    return st.lists(st.one_of(_changes(), _uses()), max_size=10)


def changes() -> st.SearchStrategy[list[Step]]:
    """What may happen to the world while nobody uses anything."""
    return st.lists(_changes(), max_size=10)


def _uses() -> st.SearchStrategy[Step]:
    keys = st.integers(0, 10**9)
    places = st.sampled_from([None, "shop"])
    amounts = st.integers(0, 60)
    return st.one_of(
        st.builds(
            used,
            st.sampled_from(["acme", "bee"]),
            st.sampled_from(["seats", "calls"]),
            st.integers(-3, 30),
            places,
        ),
        st.builds(said, st.integers(0, 20), keys),
        st.builds(_consumed, amounts, keys, places),
    )


def _changes() -> st.SearchStrategy[Step]:
    step: st.SearchStrategy[Any] = st.one_of(
        st.sampled_from([DAY / 2, DAY, 9 * DAY, 40 * DAY]),
        st.builds(
            _granted, st.integers(1, 60), st.integers(0, 50), st.sampled_from([None, 5])
        ),
        st.builds(
            _promoted,
            st.sampled_from(["1 week", "1 month", "1 year", "lifetime", "custom"]),
            st.booleans(),
        ),
        st.builds(
            subscribed,
            st.sampled_from(["acme", "bee"]),
            st.sampled_from(["free", "pro"]),
            st.sampled_from([None, "acme"]),
        ),
        st.builds(
            tried,
            st.sampled_from(["acme", "bee"]),
            st.sampled_from([0, 5, 50]),
            st.sampled_from(["CONVERT_TO_PAID", "CANCEL_SUBSCRIPTION"]),
            st.sampled_from(["MONTHLY", "ANNUALLY"]),
        ),
        _plain(
            "POST",
            "/v1/customers/bee/archive",
            "/v1/customers/bee/unarchive",
            "/v1/products/sites/archive",
            "/v1/products/sites/unarchive",
            "/v1/credits/custom-currencies/points/archive",
            "/v1/credits/custom-currencies/points/unarchive",
            "/v1/subscriptions/own/cancel",
            "/v1/subscriptions/bees/cancel",
            "/v1/subscriptions/shop/cancel",
            "/v1/plans/pro/draft",
        ),
        st.just(
            ("POST", "/v1/subscriptions/own/delegate", {"targetCustomerId": "bee"})
        ),
    )
    return step


EVENTFUL: list[Step] = [
    ("POST", "/v1/products/sites/archive", {}),
    ("POST", "/v1/credits/custom-currencies/points/archive", {}),
    _promoted("1 month", visible=False),
    _consumed(50, 1, None),
    _consumed(40, 2, "shop"),
    used("acme", "calls", 30, None),
    DAY,
    used("acme", "calls", 30, None),
    ("POST", "/v1/subscriptions/own/delegate", {"targetCustomerId": "bee"}),
    ("POST", "/v1/subscriptions/bees/cancel", {}),
    subscribed("acme", "pro", None),
    subscribed("acme", "free", "bee"),
    DAY,
]
"""Something of everything."""
UNUSED: list[Step] = [
    step
    for step in EVENTFUL
    if isinstance(step, timedelta)
    or step[1] not in ("/v1/usage", "/v1/events", "/v1/credits/consumption")
]
"""The same, without what anybody uses."""
