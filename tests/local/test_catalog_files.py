"""Catalogs of several files and of folders, and of JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.local.catalog_files import found_files
from sidecar_client.local.loading import load
from tests.local.wire import check

FEATURES = "features:\n  - {id: seats, type: metered, meter: fluctuating}\n"
MORE = "features:\n  - {id: sso, type: boolean}\n  - {id: audit, type: boolean}\n"
PLANS = "plans:\n  - id: team\n    entitlements: {seats: {limit: 5}, sso: true}\n"
CUSTOMERS = "customers:\n  - {id: acme, subscriptions: [{plan: team}]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog in four files."""
    for name, text in [
        *(("1-features.yaml", FEATURES), ("2-more.yml", MORE)),
        *(("plans.yaml", PLANS), ("zz-customers.yaml", CUSTOMERS)),
    ]:
        (tmp_path / name).write_text(text)
    return tmp_path


def error_of(*paths: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(paths)
    return str(caught.value).splitlines()


def test_folder_is_one_catalog_of_its_files_by_name(folder: Path) -> None:
    (folder / "notes.txt").write_text("no catalog")
    (folder / ".hidden.yaml").write_text("no: catalog")
    (folder / "deeper").mkdir()
    catalog = load_catalog(folder)
    assert [item.id for item in catalog.features] == ["seats", "sso", "audit"]
    assert [item.id for item in catalog.customers] == ["acme"]
    assert load(folder).origin == str(folder)
    with LocalSidecar(folder) as sidecar:
        assert check(sidecar, "sso", customer_id="acme") is None


def test_several_paths_are_one_catalog_each_file_read_once(folder: Path) -> None:
    plans, other = folder / "plans.yaml", folder / "elsewhere.json"
    catalog = load_catalog([plans, folder, str(plans)])
    assert [item.id for item in catalog.plans] == ["team"]
    other.write_text(json.dumps({"plans": [{"id": "free"}]}))
    found = load([other, folder])
    assert [item.id for item in found.catalog.plans] == ["free", "team"]
    assert found.origin == f"{other}, {folder}"
    assert found_files([folder]) == sorted(folder.iterdir())


def test_same_id_in_two_files_is_told_with_both_places(folder: Path) -> None:
    (folder / "3.yaml").write_text("features:\n\n  - {id: sso, type: boolean}\n")
    assert error_of(folder) == [
        f"{folder}/3.yaml:3: features[0].id: the id 'sso' is already taken in features;"
        f" use another (the other is at {folder}/2-more.yml:2)"
    ]


def test_subscription_of_two_customers_is_told_with_both_places(folder: Path) -> None:
    customers = "customers:\n  - {id: %s, subscriptions: [{id: s, plan: team}]}\n"
    (folder / "c1.yaml").write_text(customers % "one")
    (folder / "c2.yaml").write_text(customers % "two")
    (line,) = error_of(folder)
    assert line.startswith(f"{folder}/c2.yaml:2: customers[0].subscriptions[0].id: ")
    assert line.endswith(f"(the other is at {folder}/c1.yaml:2)")


def test_problem_is_told_with_the_file_it_is_in(folder: Path) -> None:
    (folder / "plans.yaml").write_text(PLANS.replace("sso", "ssso"))
    (line,) = error_of(folder)
    assert line.startswith(f"{folder}/plans.yaml:3: plans[0].entitlements.ssso: there")
    (folder / "plans.yaml").write_text(PLANS)
    (folder / "zz-customers.yaml").write_text(CUSTOMERS + "cats: []\n")
    (folder / "2-more.yml").write_text(MORE.replace("boolean}", "bool}", 1))
    first, second = error_of(folder)
    assert first.startswith(f"{folder}/2-more.yml:2: features[0].type: is 'bool'; use")
    assert second == (
        f"{folder}/zz-customers.yaml:3: cats: `cats` is not a key here; remove it"
    )


def test_part_that_is_no_list_cannot_be_put_together(folder: Path) -> None:
    (folder / "3.yaml").write_text("features:\nplans: {}\n")
    assert error_of(folder) == [
        f"{folder}/3.yaml:1: features: is empty (null); use a list",
        f"{folder}/3.yaml:2: plans: is {{}}; use a list",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"features": [{"id": "f",\n\t"type": "bool"}]}', ":2: features[0].type: is"),
        ('{"features": [{"id": "f" "type"]}', ":1:26: is not JSON: Expecting ',' del"),
        ('{"features": [],\n"features": []}', ":1: 'features' is written twice, again"),
        ("features: []", ":1:1: is not JSON: Expecting value"),
        ("[]", ":1: is a list; write a mapping with features, plans and customers"),
        (
            '{"customers": [{"id": "c", "archived": NaN}]}',
            ":1: customers[0].archived: is",
        ),
        ("[" * 100, ":1:51: is nested too deeply; write it flatter"),
        ("[" * 100_000, ":1:51: is nested too deeply; write it flatter"),
        ('{"a": ' + "9" * 5000 + "}", "cannot be read"),
        ('{"' + "k" * 2000 + '": ' + "[" * 100_000, "cannot be read"),
    ],
)
def test_problem_of_json_is_told_with_its_line(
    text: str, error: str, tmp_path: Path
) -> None:
    path = tmp_path / "plans.json"
    path.write_text(text)
    (line, *_) = error_of(path)
    assert line.startswith(str(path))
    assert error in line
    assert len(line) < 700


def test_json_is_read_as_json_has_it(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    feature = {"id": "f", "type": "boolean", "name": "\x7f\t😀/é"}
    limits = {"m": {"limit": 1e3}}
    metered = {"id": "m", "type": "metered", "meter": "incremental"}
    data = {
        "features": [feature, metered],
        "plans": [{"id": "p", "entitlements": limits, "metadata": {"k" * 2000: ""}}],
    }
    for text in (json.dumps(data, indent="\t"), json.dumps(data, ensure_ascii=False)):
        path.write_text(f"\ufeff{text}", "utf-8")
        catalog = load_catalog(path)
        assert catalog.features[0].name == "\x7f\t😀/é"
        assert catalog.plans[0].entitlements["m"].limit == 1000


def test_folder_without_catalogs_and_no_path_at_all_are_errors(tmp_path: Path) -> None:
    assert error_of(tmp_path) == [
        f"{tmp_path}: has no file that ends with .yaml, .yml, .json; put one there, or"
        " give the path of a file"
    ]
    assert error_of() == ["no file is named for the catalog; give one, or leave it out"]
    assert error_of(tmp_path / "none.yaml") == [
        f"{tmp_path}/none.yaml: cannot be read (No such file or directory); give the"
        " path of a YAML file"
    ]
