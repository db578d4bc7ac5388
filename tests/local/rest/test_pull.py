"""`stigg-guard catalog pull`: a catalog from the management API, ours for a model."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.local.catalog_diff import diff
from sidecar_client.local.command import stigg_guard
from sidecar_client.local.pulled_customers import Customers
from sidecar_client.local.pulled_definitions import (
    charges_of,
    feature_of,
    plan_of,
    terms_of,
)
from tests.cli_runner import telling_runner
from tests.local.wire import Clock

CATALOG: dict[str, Any] = {
    "features": [
        {
            "id": "calls",
            "type": "metered",
            "meter": "incremental",
            "name": "Calls",
            "units": "call",
            "units_plural": "calls",
            "events": {
                "event": "api.call",
                "aggregation": "sum",
                "field": "size",
                "filters": [
                    {
                        "conditions": [
                            {"field": "region", "operator": "equals", "value": "eu"},
                            {"field": "size", "operator": "greater_than", "value": 5},
                        ]
                    },
                    {
                        "conditions": [
                            {"field": "kind", "operator": "in", "values": ["a", "b"]}
                        ]
                    },
                ],
            },
        },
        {
            "id": "seats",
            "type": "metered",
            "meter": "fluctuating",
            "unit_transformation": {"divide": 2, "round": "down"},
        },
        {"id": "size", "type": "numeric", "description": "Of a file"},
        {"id": "export", "type": "enum", "values": ["csv", "pdf"]},
        {"id": "sso", "type": "boolean", "metadata": {"team": "auth"}},
    ],
    "currencies": [
        {"id": "tokens", "name": "Tokens", "unit_singular": "token"},
        {"id": "coins", "status": "archived", "archived_at": "2023-05-01"},
    ],
    "products": [
        {"id": "app", "name": "App"},
        {"id": "sites", "multiple_subscriptions": True},
        {"id": "past", "status": "archived"},
    ],
    "plans": [
        {"id": "old", "product": "past", "status": "archived"},
        {"id": "free", "product": "app", "entitlements": {"seats": {"limit": 1}}},
        {
            "id": "pro",
            "product": "app",
            "name": "Pro",
            "parent": "free",
            "pricing": "paid",
            "trial_days": 14,
            "addons": [],
            "entitlements": {
                "calls": {
                    "limit": 1000,
                    "soft_limit": True,
                    "reset_period": "month",
                    "reset_anchor": "start_of_month",
                },
                "seats": {"unlimited": True},
                "size": {"value": 25},
                "export": {"values": ["csv"]},
                "sso": True,
            },
            "credits": {"tokens": {"amount": 100, "cadence": "year"}},
            "credit_rates": {"calls": {"currency": "tokens", "rate": 2}},
            "charges": {"seats": {"price": 9.5}},
        },
        {
            "id": "site",
            "product": "sites",
            "pricing": "paid",
            "entitlements": {
                "seats": {"limit": 3, "reset_period": "week", "reset_anchor": "monday"},
                "size": {"unlimited": True},
                "sso": False,
            },
        },
    ],
    "addons": [
        {
            "id": "more",
            "product": "app",
            "max_quantity": 5,
            "entitlements": {
                "seats": {"limit": 10, "behavior": "override"},
                "calls": {"limit": 5},
            },
        }
    ],
    "customers": [
        {
            "id": "acme",
            "name": "Acme",
            "email": "a@acme.example",
            "resources": ["site-1"],
            "subscriptions": [
                {
                    "id": "s-1",
                    "plan": "free",
                    "start": "2023-01-15",
                    "addons": [{"id": "more", "quantity": 2}],
                    "budget": {"limit": 50, "soft_limit": True},
                },
                {
                    "id": "s-2",
                    "plan": "site",
                    "resource": "site-1",
                    "start": "2023-03-01",
                    "end": "2030-01-01",
                },
            ],
            "promotions": [
                {"feature": "sso", "entitlement": True, "start": "2023-02-01"},
                {
                    "feature": "size",
                    "entitlement": {"value": 99},
                    "start": "2023-02-01",
                    "end": "2024-02-01",
                },
            ],
            "credits": [
                {
                    "id": "g-1",
                    "currency": "tokens",
                    "amount": 40,
                    "type": "promotional",
                    "name": "Hello",
                    "priority": 3,
                    "spent": 15,
                    "cost": 2.5,
                    "effective": "2023-01-01",
                    "expires": "2031-01-01",
                },
                {
                    "id": "g-2",
                    "currency": "tokens",
                    "amount": 7,
                    "name": "Site",
                    "resource": "site-1",
                },
            ],
            "metadata": {"region": "eu"},
        },
        {"id": "old", "archived": True, "archived_at": "2023-09-01"},
        {
            "id": "bee",
            "subscriptions": [
                {
                    "id": "b-1",
                    "plan": "pro",
                    "start": "2023-01-15",
                    "end": "2023-08-15",
                    "status": "canceled",
                    "canceled_at": "2023-08-15",
                    "cancel_reason": "scheduled_cancellation",
                },
                {
                    "id": "b-2",
                    "plan": "pro",
                    "start": "2023-09-01",
                    "billing_period": "annually",
                    "paying_customer": "acme",
                },
                {
                    "id": "b-3",
                    "plan": "old",
                    "start": "2029-01-01",
                    "trial_end": "2029-02-01",
                    "trial_end_behavior": "convert_to_paid",
                    "status": "in_trial",
                },
            ],
            "promotions": [
                {
                    "feature": "export",
                    "entitlement": {"values": ["csv"]},
                    "start": "2023-02-01",
                    "end": "2024-02-01",
                    "period": "one_year",
                    "visible": False,
                }
            ],
        },
    ],
}


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    """An environment with a bit of everything."""
    with LocalSidecar(CATALOG, clock=Clock(), http_port=0) as running:
        yield running


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STIGG_API_KEY", "STIGG_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str | Path, **environ: str) -> Result:
    words = ["catalog", "pull", *map(str, arguments)]
    return CliRunner().invoke(stigg_guard, words, env=environ)


def test_pulled_catalog_is_that_of_the_environment(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    out = tmp_path / "pulled.yaml"
    key = "a-secret-key"
    assert sidecar.http_url
    done = telling_runner().invoke(
        stigg_guard,
        [
            *("catalog", "pull", "--url", sidecar.http_url, "--customers"),
            *("--out", str(out)),
        ],
        env={"STIGG_API_KEY": key},
    )
    assert done.exit_code == 0, done.stderr
    changes = diff(load_catalog(CATALOG), load_catalog(out))
    assert [change for change in changes if not change.is_order] == []
    assert done.stdout == ""
    assert done.stderr == (
        f"{out} written: 5 features, 2 currencies, 3 products, 4 plans, 1 add-on,"
        " 3 customers.\n"
    )
    first, second, *_ = out.read_text().splitlines()
    assert first.startswith(f"# Pulled from {sidecar.http_url} at ")
    assert second == "features:"
    assert key not in out.read_text() + done.stdout + done.stderr


def test_customers_are_left_where_nobody_asks_for_them(sidecar: LocalSidecar) -> None:
    assert sidecar.http_url
    done = run("--url", sidecar.http_url, "--api-key", "k")
    assert done.exit_code == 0, done.output
    assert "customers:" not in done.stdout
    assert "plans:" in done.stdout


def test_pulled_catalog_is_json_by_its_name(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    out = tmp_path / "pulled.json"
    assert sidecar.http_url
    assert run("--url", sidecar.http_url, "--api-key", "k", "--out", out).exit_code == 0
    assert len(json.loads(out.read_text())["plans"]) == 4


def test_file_that_is_there_is_written_over_by_force_alone(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    out = tmp_path / "plans.yaml"
    out.write_text("mine")
    assert sidecar.http_url
    words = ("--url", sidecar.http_url, "--api-key", "k", "--out", out)
    done = run(*words)
    assert (done.exit_code, out.read_text()) == (2, "mine")
    assert done.output == (
        f"Error: {out} is there already; give another --out, or --force to write over"
        " it\n"
    )
    assert run(*words, "--force").exit_code == 0
    assert load_catalog(out).plans
    assert [path.name for path in tmp_path.iterdir()] == ["plans.yaml"]


def of(**facts: Any) -> Any:
    """An answer of the API with these facts; the others are null."""
    return SimpleNamespace(**dict.fromkeys(_FIELDS) | facts)


_FIELDS = (
    *("id", "description", "display_name", "usage_limit", "has_unlimited_usage"),
    *("has_soft_limit", "enum_values", "reset_period", "reset_period_configuration"),
    *("feature_units", "feature_units_plural", "unit_transformation", "metadata"),
    *("enum_configuration", "feature_status", "parent_plan_id", "product_id"),
    *("pricing_type", "default_trial_config", "compatible_addon_ids", "status"),
    *("credit_rate", "price", "feature_id", "value", "values"),
    *("name", "email", "archived_at", "resource_id", "period", "is_visible"),
)


def test_what_a_catalog_cannot_say_is_noted() -> None:
    notes: list[str] = []
    name = of(field="eventName", operation="EQUALS", value="a")
    other = of(field="eventName", operation="EQUALS", value="b")
    meter = of(
        aggregation=of(function="COUNT", field=None),
        filters=[of(conditions=[name]), of(conditions=[other])],
    )
    number = {"feature_type": "NUMBER", "meter_type": "INCREMENTAL"}
    feature = feature_of(of(id="f", display_name="F", meter=meter, **number), notes)
    assert feature == {
        "id": "f",
        "type": "metered",
        "name": "F",
        "meter": "incremental",
    }
    plan = of(id="p", display_name="p", version_number=3, parent_plan_id="draft")
    assert plan_of(plan, {"p"}, [], notes) == {"id": "p", "version": 3}
    for said, kind in ((of(is_granted=True), "metered"), (of(is_granted=True), None)):
        assert terms_of(said, kind, "plan 'p': 'f'", notes) is None
    tiers = of(feature_id="f", billing_model="USAGE_BASED")
    assert (
        charges_of([tiers], {"f": "metered"}, "plan 'p'", notes, with_credits=True)
        == {}
    )
    assert notes == [
        "feature 'f' counts 2 kinds of events, and a catalog can say one: it is counted"
        " from reports instead",
        "plan 'p' inherits from 'draft', which is not published",
        "plan 'p': 'f' is granted without an amount: it is left out",
        "plan 'p': 'f' is no feature that the API lists: it is left out",
        "plan 'p': 'f' is charged by tiers: it is left out",
    ]


def test_what_holds_of_grants_and_promotions_is_taken() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    notes: list[str] = []
    known = Customers(
        types={"sso": "boolean"},
        plans={},
        addons=(),
        currencies=("tokens",),
        notes=notes,
    )
    paid = {"grant_type": "PAID", "currency_id": "tokens", "effective_at": start}
    paid |= {"amount": 40, "priority": 0, "expire_at": end, "cost": of(amount=0)}
    promoted = {"feature_id": "sso", "start_date": start, "end_date": end}
    found = known.customer_of(
        of(id="c"),
        resources=[],
        subscriptions=[of(id="s", plan_id="draft")],
        promotions=[
            of(**promoted, status="Paused"),
            of(**promoted, status="Expired"),
        ],
        grants=[
            of(id="g", **paid, consumed_amount=15),
            of(id="spent", **paid, consumed_amount=40),
            of(id="void", **paid, consumed_amount=0, status="VOIDED"),
            of(id="made", **paid | {"grant_type": "RECURRING"}, consumed_amount=0),
            of(id="else", **paid | {"currency_id": "x"}, consumed_amount=0),
        ],
    )
    grants = [(item["id"], item["amount"], item["spent"]) for item in found["credits"]]
    assert grants == [("g", 40, 15), ("spent", 40, 40)]
    (promotion,) = found["promotions"]
    assert (promotion["status"], promotion["entitlement"]) == ("paused", True)
    assert notes == [
        "customer 'c' subscribes to 'draft', which is not published: left out",
        "customer 'c' has credits of 'x', which is no currency: left out",
    ]


def test_filter_of_the_name_alone_lets_every_event_in() -> None:
    name = of(field="eventName", operation="EQUALS", value="hit")
    size = of(field="size", operation="LESS_THAN", value="5")
    filters = [of(conditions=[name]), of(conditions=[name, size])]
    meter = of(aggregation=of(function="MAX", field="size"), filters=filters)
    number = {"feature_type": "NUMBER", "meter_type": "INCREMENTAL"}
    found = feature_of(of(id="f", display_name="f", meter=meter, **number), [])
    assert found["events"] == {"event": "hit", "aggregation": "max", "field": "size"}


def test_key_is_asked_for_and_urls_are_checked(tmp_path: Path) -> None:
    done = run()
    assert done.exit_code == 2
    assert done.output == (
        "Error: no key is given for the API; set STIGG_API_KEY, or give --api-key\n"
    )
    done = run("--url", "api.stigg.io", "--api-key", "k")
    assert done.exit_code == 2
    assert done.output.startswith("Error: --url is 'api.stigg.io'; use a URL such as")
    done = run("--api-key", "k", "--out", tmp_path / "no" / "plans.yaml")
    assert done.exit_code == 2
    assert "is no folder; make it" in done.output


def test_refusal_names_what_was_asked(sidecar: LocalSidecar) -> None:
    assert sidecar.http_url
    done = run("--url", f"{sidecar.http_url}/elsewhere", "--api-key", "k")
    assert done.exit_code == 1
    asked = f"{sidecar.http_url}/elsewhere/api/v1/features?limit=100"
    assert done.output.startswith(f"Error: GET {asked} was refused:")
    assert len(done.output.splitlines()) == 1


def test_unreachable_api_is_status_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    done = run("--url", url, "--api-key", "k")
    assert done.exit_code == 3
    assert done.output.startswith(f"Error: {url}")
    assert done.output.endswith("; check --url\n")


def test_missing_client_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stigg", None)
    done = run("--api-key", "k")
    assert done.exit_code == 2
    assert done.output.startswith("Error: `catalog pull` needs the vendor's client")
    assert "pip install 'stigg-guard[api]'" in done.output
