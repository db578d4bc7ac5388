"""`stigg-guard catalog`: what people type about catalogs, and read."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given

from sidecar_client.local import load_catalog
from sidecar_client.local.catalog_text import as_mapping
from sidecar_client.local.command import stigg_guard
from sidecar_client.local.schema import catalog_schema
from tests.local.strategies import catalog_data
from tests.local.test_catalog_diff import TEXT, explored

BEFORE = json.dumps(TEXT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plans.json"
    path.write_text(BEFORE)
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(stigg_guard, ["catalog", *map(str, arguments)])


def test_validate_counts_what_is_in_files_and_folders(file: Path) -> None:
    other = file.parent / "deeper"
    other.mkdir()
    (other / "more.yaml").write_text("products: [{id: app}]\naddons: [{id: a}]\n")
    for paths in ([file, other], [file, other / "more.yaml"]):
        done = run("validate", *paths)
        assert done.exit_code == 0
        assert done.output == (
            f"{paths[0]}, {paths[1]} are fine: 3 features, 1 currency, 1 product,"
            " 3 plans, 1 add-on, 2 customers.\n"
        )
    (other / "more.yaml").write_text("features: [{id: sso, type: boolean}]")
    done = run("validate", file, other)
    assert done.exit_code == 2
    assert done.output == (
        f"Error: {other}/more.yaml:1: features[0].id: the id 'sso' is already taken in"
        f" features; use another (the other is at {file}:1)\n"
    )


def test_show_is_an_overview(file: Path) -> None:
    done = run("show", file)
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "Features",
        "  seats  metered fluctuating  seat",
        "  calls  metered incremental",
        "  sso    boolean",
        "",
        "Currencies",
        "  tokens",
        "",
        "Plans",
        "  team",
        "    seats  limit 5",
        "    sso    granted",
        "",
        "  team, version 2",
        "    seats  limit 6",
        "",
        "  free",
        "",
        "Customers",
        "  acme   team",
        "  other  no subscription",
    ]


def test_show_of_a_customer_is_all_about_it(file: Path) -> None:
    done = run("show", file, "--customer", "acme")
    assert done.exit_code == 0
    assert done.output.splitlines()[:11] == [
        "Customer acme",
        "Resources: site-1",
        "",
        "Entitlements now",
        "  seats  limit 6  1 used  plan team",
        "",
        "Subscriptions",
        "  s  team  active  2020-01-01 to ...",
        "",
        "Starting usage",
        "  seats  1  -",
    ]
    done = run("show", file, "--customer", "nobody")
    assert done.exit_code == 2
    assert done.output == (
        "Error: the catalog has no customer 'nobody'; its customers are: acme, other\n"
    )


def test_show_writes_one_file_of_several(file: Path) -> None:
    more = file.parent / "more.yaml"
    more.write_text("products: [{id: app}]\n")
    whole = load_catalog([file, more])
    for form, name in (("--yaml", "whole.yaml"), ("--json", "whole.json")):
        done = run("show", file, more, form)
        written = file.parent / name
        written.write_text(done.output)
        assert load_catalog(written) == whole
    assert "plan-revvenu-free" in run("show", "demo").output


def test_diff_tells_what_changed_in_words(file: Path) -> None:
    after = file.parent / "after.json"
    changed = json.loads(BEFORE)
    changed["plans"][0]["entitlements"]["seats"]["limit"] = 7
    del changed["customers"][1]
    after.write_text(json.dumps(changed))
    done = run("diff", file, after)
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "plan 'team': entitlement to 'seats' is limit 7 (was limit 5)",
        "customer 'other' is gone",
    ]
    same = run("diff", file, file)
    assert (same.exit_code, same.output) == (0, "")
    lines = [
        json.loads(line)
        for line in run("diff", file, after, "--json").output.splitlines()
    ]
    assert lines[0] == {
        "path": ["plans", "team", "entitlements", "seats"],
        "what": "value",
        "before": {"limit": 5.0},
        "after": {"limit": 7.0},
    }
    assert lines[1] == {
        "path": ["customers", "other"],
        "what": "value",
        "before": {},
        "after": None,
    }
    assert {line["what"] for line in lines} == {"value", "order"}


def test_diff_of_what_cannot_be_read_is_one_error(file: Path) -> None:
    done = run("diff", file, file.parent / "none.yaml")
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {file.parent}/none.yaml: cannot be read")


def test_schema_describes_every_field() -> None:
    schema = json.loads(run("schema").output)
    VALIDATOR.check_schema(schema)
    missing = [
        f"{name}.{field}"
        for name, model in (*schema["$defs"].items(), ("Catalog", schema))
        for field, said in model.get("properties", {}).items()
        if not said.get("description")
    ]
    assert not missing
    feature = schema["$defs"]["Feature"]["properties"]
    assert feature["meter"]["description"].startswith("What usage is, for metered")
    assert "$schema" in schema


VALIDATOR: Any = import_module("jsonschema").Draft202012Validator(catalog_schema())


@explored
@given(catalog_data())
def test_schema_takes_every_catalog(data: dict[str, Any]) -> None:
    said = json.dumps(data, default=lambda time: str(time.isoformat()))
    VALIDATOR.validate(json.loads(said))
    VALIDATOR.validate(as_mapping(load_catalog(data)))


WRONG: list[dict[str, Any]] = [
    {"feature": []},
    {"features": {}},
    {"features": [{"id": "f"}]},
    {"features": [{"id": "f", "type": "bool"}]},
    {"plans": [{"id": "p", "entitlements": {"f": 5}}]},
    {"plans": [{"id": "p", "entitlements": {"f": {"limit": -1}}}]},
    {"customers": [{"id": "c", "subscriptions": [{}]}]},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_schema_refuses_what_has_another_shape(wrong: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(wrong))
