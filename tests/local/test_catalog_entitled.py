"""What a customer of a catalog has: as a sidecar that serves it would answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar_client.local import load_catalog
from sidecar_client.local.catalog_entitled import entitled

CATALOG: dict[str, Any] = {
    "features": [
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "sso", "type": "boolean"},
        {"id": "audit", "type": "boolean"},
        {"id": "size", "type": "numeric"},
        {"id": "regions", "type": "enum", "values": ["eu", "us", "ap"]},
    ],
    "currencies": [{"id": "tokens"}],
    "plans": [
        {
            "id": "base",
            "entitlements": {
                "size": {"value": 25},
                "audit": {"granted": False},
                "regions": {"values": ["eu"]},
            },
        },
        {
            "id": "team",
            "parent": "base",
            "entitlements": {
                "seats": {"limit": 5},
                "calls": {"limit": 10, "reset_period": "month"},
            },
        },
        {"id": "site", "entitlements": {"regions": {"values": ["us"]}}},
    ],
    "addons": [{"id": "more", "entitlements": {"seats": {"limit": 10}}}],
}
ACME: dict[str, Any] = {
    "id": "acme",
    "resources": ["site-1", "site-2"],
    "subscriptions": [
        {
            "id": "s",
            "plan": "team",
            "start": "2024-01-01",
            "addons": [{"id": "more", "quantity": 2}],
        },
        {"id": "t", "plan": "site", "resource": "site-1", "start": "2024-01-01"},
    ],
    "promotions": [{"feature": "sso", "entitlement": True, "start": "2024-02-01"}],
    "usage": [
        {"feature": "seats", "value": 25},
        {"feature": "calls", "value": 3, "at": "2024-01-15"},
    ],
    "credits": [
        {
            "id": "g",
            "currency": "tokens",
            "amount": 10,
            "spent": 4,
            "effective": "2024-01-01",
        }
    ],
}


def told(customer: dict[str, Any], day: datetime) -> dict[str, list[tuple[str, ...]]]:
    catalog = load_catalog({**CATALOG, "customers": [customer]})
    return {
        title: [tuple(row) for row in rows]
        for title, rows in entitled(catalog, clock=lambda: day)
    }


def test_each_feature_is_told_with_use_and_source() -> None:
    found = told(ACME, datetime(2024, 1, 20, tzinfo=UTC))
    assert list(found) == ["Entitlements now", "Entitlements of site-1 now"]
    assert found["Entitlements now"] == [
        (
            "seats",
            "limit 25",
            "25 used",
            "plan team + 2 x add-on more",
            "denied: used up",
        ),
        ("calls", "limit 10 each month", "3 used", "plan team", ""),
        ("size", "value 25", "", "inherited from plan base", ""),
        ("audit", "revoked", "", "inherited from plan base", ""),
        ("regions", "eu", "", "inherited from plan base", ""),
        ("tokens", "6 of 10 credits left", "", "", ""),
    ]
    of_site = {row[0]: row[1:] for row in found["Entitlements of site-1 now"]}
    assert of_site["regions"][0] == "us, eu"


def test_it_is_told_as_of_now() -> None:
    found = told(ACME, datetime(2024, 2, 20, tzinfo=UTC))["Entitlements now"]
    rows = {row[0]: row[1:] for row in found}
    assert rows["calls"] == ("limit 10 each month", "0 used", "plan team", "")
    assert rows["sso"] == ("granted", "", "a promotion", "")
    assert told(ACME, datetime(2023, 12, 1, tzinfo=UTC))["Entitlements now"] == [
        ("none: no active subscription",)
    ]


@pytest.mark.parametrize(
    ("customer", "told_of_it"),
    [
        ({"id": "new"}, "none: no active subscription"),
        ({"id": "old", "archived": True}, "none: customer is archived"),
    ],
)
def test_customer_that_has_nothing_is_told_why(
    customer: dict[str, Any], told_of_it: str
) -> None:
    found = told(customer, datetime(2024, 1, 1, tzinfo=UTC))
    assert found == {"Entitlements now": [(told_of_it,)]}


def test_resources_are_told_up_to_a_bound() -> None:
    names = [f"r{number}" for number in range(30)]
    customer = {
        "id": "big",
        "resources": names,
        "subscriptions": [{"plan": "site", "resource": name} for name in names],
    }
    found = told(customer, datetime(2024, 1, 1, tzinfo=UTC))
    assert len(found) == 22
    assert found["Entitlements of others"] == [("... of 10 more resources",)]
