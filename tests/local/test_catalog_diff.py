"""What differs between catalogs: found, told in words, and made to a third one."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from sidecar_client.local import Catalog, load_catalog
from sidecar_client.local.catalog_diff import changed, diff, merged
from sidecar_client.local.catalog_text import as_json, as_mapping, as_yaml
from sidecar_client.local.catalog_words import changes_in_words
from sidecar_client.local.loading import read_catalog
from tests.local.strategies import catalogs

EXAMPLES = 2000 if os.environ.get("EXPLORE") else 20
explored = settings(
    max_examples=EXAMPLES,
    derandomize="EXPLORE" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TEXT: dict[str, Any] = {
    "features": [
        {"id": "seats", "type": "metered", "meter": "fluctuating", "units": "seat"},
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "sso", "type": "boolean"},
    ],
    "currencies": [{"id": "tokens"}],
    "plans": [
        {"id": "team", "entitlements": {"seats": {"limit": 5}, "sso": True}},
        {"id": "team", "version": 2, "entitlements": {"seats": {"limit": 6}}},
        {"id": "free"},
    ],
    "customers": [
        {
            "id": "acme",
            "resources": ["site-1"],
            "subscriptions": [{"id": "s", "plan": "team"}],
            "usage": [{"feature": "seats", "value": 1}],
            "metadata": {"region": "eu"},
        },
        {"id": "other"},
    ],
}


def edited(**parts: Any) -> Catalog:
    """The catalog above with other parts."""
    return load_catalog(TEXT | parts)


def items(part: str, at: int, **change: Any) -> dict[str, Any]:
    """The items of a part, one of them changed."""
    found = list(TEXT[part])
    found[at] = found[at] | change
    return {part: found}


BASE = load_catalog(TEXT)


@explored
@given(catalogs(), catalogs())
def test_changes_made_to_the_first_catalog_give_the_second(
    first: Catalog, second: Catalog
) -> None:
    changes = diff(first, second)
    assert changed(first, changes) == second
    assert bool(changes) == (first != second) or not changes_only_orders(first, second)
    assert bool(changes_in_words(changes)) == bool(changes)
    assert not diff(first, first)


def changes_only_orders(first: Catalog, second: Catalog) -> bool:
    """Whether they differ at all beside the order of keys in mappings."""
    return as_json(first) == as_json(second)


@explored
@given(catalogs(), catalogs())
def test_what_both_changed_from_nothing_is_merged_once(
    first: Catalog, second: Catalog
) -> None:
    assert merged(Catalog(), first, Catalog()) == first
    assert merged(first, first, second) == second
    assert merged(first, second, first) == second
    assert merged(first, second, second) == second


@explored
@given(catalogs())
def test_catalog_is_read_as_it_was_written(catalog: Catalog) -> None:
    assert read_catalog(as_yaml(catalog), "plans.yaml") == catalog
    assert read_catalog(as_json(catalog), "plans.json") == catalog
    assert load_catalog(as_mapping(catalog)) == catalog
    assert load_catalog(catalog) == catalog


def test_signs_that_yaml_would_fold_or_drop_are_kept() -> None:
    names = ["a\x85b", "a\u2028b", "\u2029", "\ufeff", "\x7f\x00", "'x' \"y\"", "yes"]
    products = [{"id": f"p{at}", "name": name} for at, name in enumerate(names)]
    catalog = load_catalog({"products": products})
    assert read_catalog(as_yaml(catalog), "plans.yaml") == catalog
    assert read_catalog(as_json(catalog), "plans.json") == catalog


def test_yaml_is_written_as_a_person_would() -> None:
    assert as_yaml(BASE).splitlines() == [
        "features:",
        "- {id: seats, type: metered, units: seat, meter: fluctuating}",
        "- {id: calls, type: metered, meter: incremental}",
        "- {id: sso, type: boolean}",
        "",
        "currencies:",
        "- {id: tokens}",
        "",
        "plans:",
        "- id: team",
        "  entitlements:",
        "    seats: {limit: 5}",
        "    sso: true",
        "- id: team",
        "  version: 2",
        "  entitlements:",
        "    seats: {limit: 6}",
        "- {id: free}",
        "",
        "customers:",
        "- id: acme",
        "  resources: [site-1]",
        "  subscriptions:",
        "  - {id: s, plan: team}",
        "  usage:",
        "  - {feature: seats, value: 1}",
        "  metadata: {region: eu}",
        "- {id: other}",
    ]
    assert as_yaml(Catalog()) == "{}\n"
    assert json.loads(as_json(BASE)) == as_mapping(BASE)


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (
            items("features", 0, units="user"),
            "feature 'seats': units is 'user' (was 'seat')",
        ),
        (items("features", 2, units="x"), "feature 'sso': units is 'x'"),
        (
            {"features": [*TEXT["features"], {"id": "audit", "type": "boolean"}]},
            "feature 'audit' is new (boolean)",
        ),
        (
            items("plans", 0, entitlements={"seats": {"unlimited": True}, "sso": True}),
            "plan 'team': entitlement to 'seats' is unlimited (was limit 5)",
        ),
        (
            items("plans", 1, entitlements={"seats": {"limit": 7}}),
            "plan 'team' version 2: entitlement to 'seats' is limit 7 (was limit 6)",
        ),
        (
            items("plans", 2, entitlements={"sso": False}),
            "plan 'free': entitlement to 'sso' is revoked",
        ),
        (
            items("plans", 0, entitlements={"seats": {"limit": 5}}),
            "plan 'team': entitlement to 'sso' is gone (was granted)",
        ),
        (
            items(
                *("plans", 2),
                entitlements={
                    "calls": {
                        "limit": 1000,
                        "reset_period": "month",
                        "reset_anchor": "start_of_month",
                        "soft_limit": True,
                    }
                },
            ),
            "plan 'free': entitlement to 'calls' is limit 1,000 each month from start"
            " of month (soft)",
        ),
        (
            items("plans", 2, credits={"tokens": {"amount": 5, "cadence": "year"}}),
            "plan 'free': credits 'tokens' is 5 each year",
        ),
        ({"plans": TEXT["plans"][:2]}, "plan 'free' is gone"),
        (
            {"customers": TEXT["customers"][:1]},
            "customer 'other' is gone",
        ),
        (
            items("customers", 0, archived=True),
            "customer 'acme': archived is yes",
        ),
        (
            items("customers", 0, metadata={"region": "us"}),
            "customer 'acme': metadata 'region' is 'us' (was 'eu')",
        ),
        (
            items("customers", 0, resources=["site-1", "site-2"]),
            "customer 'acme': resource 'site-2' is new",
        ),
        (
            items("customers", 1, subscriptions=[{"id": "t", "plan": "free"}]),
            "customer 'other': subscription 't' is new (plan 'free')",
        ),
        (
            items(
                "customers", 0, subscriptions=[{"id": "s", "plan": "free"}], usage=[]
            ),
            "customer 'acme', subscription 's': plan is 'free' (was 'team')",
        ),
        (
            items("customers", 0, usage=[{"feature": "seats", "value": 4}]),
            "customer 'acme', starting usage of 'seats': value is 4 (was 1)",
        ),
        (
            items(
                "customers", 1, credits=[{"id": "g", "currency": "tokens", "amount": 9}]
            ),
            "customer 'other': credits 'g' is new (9 of 'tokens')",
        ),
        (
            items(
                "customers",
                1,
                credits=[{"currency": "tokens", "amount": 9, "type": "overdraft"}],
            ),
            "customer 'other': credits 'other-grant-1' is new (9 of 'tokens' owed)",
        ),
        (
            items("customers", 1, promotions=[{"feature": "sso", "entitlement": True}]),
            "customer 'other': promotion of 'sso' is new (granted)",
        ),
        (
            {"features": TEXT["features"][::-1]},
            "the features are in another order",
        ),
    ],
)
def test_change_is_told_in_words(after: dict[str, Any], line: str) -> None:
    assert line in changes_in_words(diff(BASE, edited(**after)))


def test_part_that_comes_or_goes_is_told_once() -> None:
    after = edited(customers=TEXT["customers"][1:])
    assert changes_in_words(diff(BASE, after)) == ["customer 'acme' is gone"]
    assert changes_in_words(diff(after, BASE)) == ["customer 'acme' is new"]


def test_what_others_changed_stays_unless_the_catalog_changed_it_too() -> None:
    ours = edited(
        **items("features", 0, units="chair", name="Seats"),
        plans=[*TEXT["plans"], {"id": "made-elsewhere"}],
        customers=[
            TEXT["customers"][0]
            | {"subscriptions": [{"id": "s", "plan": "free"}]}
            | {"usage": []},
            {"id": "newcomer", "subscriptions": [{"plan": "free"}]},
        ],
    )
    new = edited(
        **items("features", 0, units="desk"),
        plans=[TEXT["plans"][0], TEXT["plans"][2], {"id": "pro"}],
        customers=[
            TEXT["customers"][0] | {"archived": True},
            TEXT["customers"][1] | {"archived": True},
        ],
    )
    found = merged(BASE, new, ours)
    assert (found.features[0].units, found.features[0].name) == ("desk", "Seats")
    assert [(plan.id, plan.version) for plan in found.plans] == [
        *(("team", 1), ("free", 1), ("pro", 1), ("made-elsewhere", 1))
    ]
    acme, newcomer = found.customers
    assert (acme.archived, acme.subscriptions[0].plan) == (True, "free")
    assert newcomer.id == "newcomer", "and what was removed elsewhere stays removed"


def test_part_that_the_catalog_removed_goes_with_what_others_added_to_it() -> None:
    ours = edited(**items("customers", 0, metadata={"region": "eu", "by": "api"}))
    new = edited(customers=TEXT["customers"][1:])
    assert merged(BASE, new, ours) == new
