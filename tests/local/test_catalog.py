"""Catalogs: what is read, and what is wrong with the others, on which line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import Catalog, LocalSidecar, load_catalog

GOOD = """\
features:
  - {id: seats, type: metered, meter: fluctuating}
  - {id: sso, type: boolean}
  - {id: export, type: enum, values: [csv, pdf]}
plans:
  - id: team
    entitlements:
      seats: {limit: 5}
      sso: true
      export: {values: [csv]}
customers:
  - id: acme@example.com
    resources: [site-1]
    subscriptions:
      - plan: team
        start: 2024-01-31
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "plans.yaml"
    path.write_text(text)
    return path


def error_of(folder: Path, text: str) -> list[str]:
    """The lines of the error, without the name of the file."""
    path = written(folder, text)
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_file_becomes_a_catalog(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, GOOD))
    assert [feature.id for feature in catalog.features] == ["seats", "sso", "export"]
    assert catalog.plans[0].entitlements["seats"].limit == 5
    assert catalog.plans[0].entitlements["sso"].granted
    start = catalog.customers[0].subscriptions[0].start
    assert start.isoformat() == "2024-01-31T00:00:00+00:00"


def test_times_are_understood_in_their_zone() -> None:
    subscription = {"plan": "p", "start": "2024-01-31T02:00:00+03:00"}
    catalog = load_catalog(
        {
            "plans": [{"id": "p"}],
            "customers": [{"id": "c", "subscriptions": [subscription]}],
        }
    )
    start = catalog.customers[0].subscriptions[0].start
    assert start.isoformat() == "2024-01-30T23:00:00+00:00"


def test_nothing_is_the_demo_catalog() -> None:
    assert [customer.id for customer in load_catalog().customers] == [
        f"customer-demo-0{number}" for number in range(1, 6)
    ]


def test_empty_catalog_is_written_and_an_empty_file_is_none(tmp_path: Path) -> None:
    assert load_catalog(written(tmp_path, "{}\n")) == Catalog()
    with pytest.raises(ConfigurationError, match=r":1: is empty; write features, pl"):
        load_catalog(written(tmp_path, "# nothing yet\n"))


def test_catalog_made_in_python_is_checked_too() -> None:
    broken = Catalog.model_validate(
        {"customers": [{"id": "c", "subscriptions": [{"plan": "nope"}]}]}
    )
    with pytest.raises(ConfigurationError, match="there is no plan 'nope'"):
        LocalSidecar(broken)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: cannot be read"):
        load_catalog(tmp_path / "none.yaml")


def test_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        load_catalog(path)


def test_every_problem_is_listed(tmp_path: Path) -> None:
    text = GOOD.replace("limit: 5", "value: 5").replace("plan: team", "plan: pro")
    assert [line.split(":")[0] for line in error_of(tmp_path, text)] == ["8", "15"]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        pytest.param(
            "sso: true",
            "sso2: true",
            9,
            "plans[0].entitlements.sso2: there is no feature 'sso2'; "
            "define it under features or use one of: seats, sso, export",
            id="unknown feature in a plan",
        ),
        pytest.param(
            "id: sso",
            "id: seats",
            3,
            "features[1].id: the id 'seats' is already taken in features; use another "
            "(the other is on line 2)",
            id="duplicate id",
        ),
        pytest.param(
            "type: boolean",
            "type: bool",
            3,
            "features[1].type: is 'bool'; "
            "use 'boolean', 'numeric', 'metered' or 'enum'",
            id="unknown type",
        ),
        pytest.param(
            "limit: 5",
            "limit: '5'",
            8,
            "plans[0].entitlements.seats.limit: is '5'; use a number",
            id="wrong type",
        ),
        pytest.param(
            "limit: 5",
            "limit: true",
            8,
            "plans[0].entitlements.seats.limit: is true; use a number",
            id="boolean for a number",
        ),
        pytest.param(
            "limit: 5",
            "limit: .inf",
            8,
            "plans[0].entitlements.seats.limit: is Infinity; use a finite number",
            id="infinite limit",
        ),
        pytest.param(
            "limit: 5",
            "limit: -1",
            8,
            "plans[0].entitlements.seats.limit: is -1; use 0 or more",
            id="negative limit",
        ),
        pytest.param(
            "limit: 5",
            "limits: 5",
            8,
            "plans[0].entitlements.seats.limits: `limits` is not a key here; remove it",
            id="unknown key",
        ),
        pytest.param(
            "limit: 5",
            "",
            8,
            "plans[0].entitlements.seats: 'seats' is granted without an amount; "
            "add `limit: NUMBER` or `unlimited: true`",
            id="no amount",
        ),
        pytest.param(
            "limit: 5",
            "limit: 5, unlimited: true",
            8,
            "plans[0].entitlements.seats: 'seats' is unlimited and has an amount; "
            "keep one of the two",
            id="unlimited and limited",
        ),
        pytest.param(
            "limit: 5",
            "granted: false, limit: 5",
            8,
            "plans[0].entitlements.seats: 'seats' is revoked (`granted: false`) and "
            "still has limit; keep one of the two",
            id="revoked and limited",
        ),
        pytest.param(
            "limit: 5",
            "limit: 5, reset_period: month, reset_anchor: monday",
            8,
            "plans[0].entitlements.seats: `reset_anchor` of 'seats' is a weekday; "
            "it needs a weekly reset",
            id="weekday in a month",
        ),
        pytest.param(
            "values: [csv]}",
            "values: [doc]}",
            10,
            "plans[0].entitlements.export: 'doc' is no value of 'export'; use csv, pdf",
            id="unknown enum value",
        ),
        pytest.param(
            ", meter: fluctuating",
            "",
            2,
            "features[0]: the metered feature 'seats' has no meter; "
            "add `meter: fluctuating` or `meter: incremental`",
            id="metered without a meter",
        ),
        pytest.param(
            "acme@example.com",
            "'acme corp'",
            12,
            "customers[0].id: 'acme corp' is no customer id; start with a letter or "
            "digit, then use letters, digits, _, |, ., @ and -",
            id="invalid customer id",
        ),
        pytest.param(
            "id: team",
            "id: a@b",
            6,
            "plans[0].id: 'a@b' is no plan id; start with a letter or digit, "
            "then use letters, digits, _, |, . and -",
            id="only customers may have an at sign",
        ),
        pytest.param(
            "plan: team",
            "plan: pro",
            15,
            "customers[0].subscriptions[0].plan: there is no plan 'pro'; "
            "define it under plans or use one of: team",
            id="unknown plan",
        ),
        pytest.param(
            "start: 2024-01-31",
            "start: 2024-02-31",
            16,
            "customers[0].subscriptions[0].start: is '2024-02-31'; "
            "use a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z",
            id="no such day",
        ),
        pytest.param(
            "start: 2024-01-31",
            "start: 0001-01-01T00:00:00+14:00",
            16,
            "customers[0].subscriptions[0].start: 0001-01-01 00:00:00+14:00 is out of "
            "range; use a time between the years 1970 and 9000",
            id="before the calendar",
        ),
        pytest.param(
            "start: 2024-01-31",
            "resource: site-2",
            16,
            "customers[0].subscriptions[0].resource: there is no resource 'site-2'; "
            "define it under resources or use one of: site-1",
            id="unknown resource",
        ),
        pytest.param(
            "    resources: [site-1]",
            "    usage: [{feature: sso, value: 1}]",
            13,
            "customers[0].usage[0].feature: 'sso' is boolean; "
            "only a metered feature has usage",
            id="usage of a boolean feature",
        ),
        pytest.param(
            "resources: [site-1]",
            "resources: [site-1, site-1]",
            13,
            "customers[0].resources[1]: the resource 'site-1' is named twice; "
            "name it once",
            id="resource named twice",
        ),
        pytest.param(
            "id: team",
            "name: team",
            6,
            "plans[0].id: `id` is missing; add it",
            id="missing id",
        ),
    ],
)
def test_problem_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert GOOD.count(old) == 1
    assert f"{line}: {message}" in error_of(tmp_path, GOOD.replace(old, new))


MISSHAPEN: list[tuple[object, str]] = [
    ({1: 2}, "[1]: the key 1 is no text; put it in quotes"),
    (
        {"plans": [{"id": "p", "entitlements": {3: True}}]},
        "plans[0].entitlements[3]: the key 3 is no text; put it in quotes",
    ),
    (
        {"plans": [{"id": "p", "entitlements": {"a b": True}}]},
        "plans[0].entitlements.a b: 'a b' is no feature id; start with a letter or "
        "digit, then use letters, digits, _, |, . and -",
    ),
    ({"features": None}, "features: is empty (null); use a list"),
    ({"features": [3]}, "features[0]: is 3; use a mapping"),
    ({"features": 10**6000}, "features: is an integer of 6001 digits; use a list"),
    (
        {"plans": [{"id": "p", "entitlements": []}]},
        "plans[0].entitlements: is []; use a mapping",
    ),
    (
        {"customers": [{"id": "c", "archived": 1}]},
        "customers[0].archived: is 1; use true or false",
    ),
    (
        {"features": [{"id": "f", "type": "enum", "values": [""]}]},
        "features[0].values[0]: is ''; use a text that is not empty",
    ),
    (
        {"features": [{"id": "f", "type": "boolean", "units": "\ud800"}]},
        "features[0].units: '\\ud800' is no valid Unicode; remove what is not",
    ),
    (
        {"features": [{"id": "f", "type": "boolean", "\ud800": 1}]},
        "features[0]: is '\\ud800'; use a text of valid Unicode characters",
    ),
    *(
        ({"plans": [{"id": "p", "entitlements": {"f": told}}]}, message)
        for told, message in [
            ({"value": 1.5}, "value: is 1.5; use a whole number"),
            ({"value": 2**31}, "value: is 2147483648; use less than 2147483648"),
            (
                {"reset_anchor": "noday"},
                "entitlements.f.reset_anchor: is 'noday'; use 'subscription_start',"
                " 'start_of_month', 'monday', 'tuesday', 'wednesday', 'thursday', "
                "'friday', 'saturday' or 'sunday' or a date or time such as ",
            ),
            (
                {"reset_anchor": "0001-01-01"},
                "entitlements.f.reset_anchor: 0001-01-01 00:00:00 is out of range;",
            ),
        ]
    ),
]


@pytest.mark.parametrize(("catalog", "message"), MISSHAPEN)
def test_shape_is_told_in_words_of_the_catalog(catalog: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(catalog)
    told = str(caught.value)
    assert message in told
    assert len(told.splitlines()) == 1
    for leak in (
        "Keys should",
        "valid tuple",
        "valid dict",
        "Input should",
        "function-",
    ):
        assert leak not in told


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (line,) = error_of(tmp_path, GOOD.replace("type: boolean}", "type: boolean"))
    assert line.startswith("4:5: is not YAML: expected")


def test_key_written_twice_is_told_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("      sso: true\n", "      sso: true\n      sso: false\n")
    assert error_of(tmp_path, text) == [
        "7: plans[0].entitlements: 'sso' is written twice, again on line 10; "
        "write it once"
    ]


def test_file_must_be_a_mapping(tmp_path: Path) -> None:
    assert error_of(tmp_path, "- features\n") == [
        "1: is a list; write a mapping with features, plans and customers"
    ]


def test_problem_of_an_overridden_merge_is_told_where_it_is_written(
    tmp_path: Path,
) -> None:
    merged = "features:\n- &f {id: a, type: boolean}\n- <<: *f\n  id: b\n  type: bool\n"
    (line,) = error_of(tmp_path, merged)
    assert line.startswith("5: features[1].type: is 'bool'; use 'boolean'")


def test_long_values_are_shown_in_short(tmp_path: Path) -> None:
    long = "k" * 100_000
    lines = error_of(tmp_path, f'features: [{{id: {long}}}]\n? "{long}"\n: [{long}]\n')
    assert len(lines) == 3
    assert all(len(line) < 700 for line in lines)


def test_many_problems_are_cut_short() -> None:
    features = [{"id": f"f{n}", "type": "metered"} for n in range(30)]
    with pytest.raises(ConfigurationError, match=r"\.\.\. and 10 more$"):
        load_catalog({"features": features})


WORLD: dict[str, Any] = {
    "features": [
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "domain", "type": "boolean"},
    ],
    "currencies": [{"id": "tokens"}],
    "products": [{"id": "app"}],
    "plans": [
        {"id": "team", "version": 1, "entitlements": {"calls": {"limit": 5}}},
        {"id": "team", "version": 2, "entitlements": {"calls": {"limit": 9}}},
        {"id": "pro", "parent": "team", "addons": ["more"]},
    ],
    "addons": [
        {"id": "more", "entitlements": {"calls": {"limit": 1}}, "max_quantity": 3},
        {"id": "other"},
    ],
    "customers": [
        {"id": "acme", "subscriptions": [{"plan": "pro"}, {"plan": "team"}]},
    ],
}


def test_whole_world_loads_and_every_subscription_has_an_id() -> None:
    catalog = load_catalog(WORLD)
    (acme,) = catalog.customers
    assert [sub.id for sub in acme.subscriptions] == [
        "acme-subscription-1",
        "acme-subscription-2",
    ]
    written = catalog.model_dump(mode="json", exclude_defaults=True)
    assert load_catalog(written) == catalog


def with_change(part: str, at: int, change: dict[str, Any]) -> dict[str, Any]:
    items = list(WORLD[part])
    items[at] = items[at] | change
    return WORLD | {part: items}


@pytest.mark.parametrize(
    ("part", "at", "change", "problem"),
    [
        ("plans", 1, {"version": 1}, "the id 'team' is already taken in plans"),
        ("plans", 0, {"version": 2}, "version 2 of 'team' is already taken in plans"),
        ("plans", 2, {"parent": "pro"}, "inherits from itself (pro from pro)"),
        ("plans", 1, {"parent": "pro"}, "inherits from itself (team from pro from t"),
        ("plans", 2, {"parent": "none"}, "parent: there is no plan 'none'"),
        ("plans", 2, {"addons": ["none"]}, "addons[0]: there is no addon 'none'"),
        ("plans", 2, {"product": "none"}, "product: there is no product 'none'"),
        (
            "plans",
            2,
            {"credits": {"x": {"amount": 1}}},
            "there is no currency 'x'; define it under currencies",
        ),
        (
            "plans",
            2,
            {"charges": {"domain": {"price": 1}}},
            "'domain' is boolean;",
        ),
        (
            "plans",
            2,
            {"credit_rates": {"calls": {"currency": "x", "rate": 1}}},
            "there is no currency 'x'",
        ),
        ("addons", 0, {"entitlements": {"x": True}}, "there is no feature 'x'"),
        ("features", 0, {"events": {"event": "e", "field": "x"}}, "needs no field"),
        (
            "features",
            0,
            {"events": {"event": "e", "aggregation": "sum"}},
            "add `field: NAME`",
        ),
        ("features", 1, {"events": {"event": "e"}}, "cannot be counted from events"),
        ("features", 1, {"unit_transformation": {"divide": 2}}, "no units to transfo"),
    ],
)
def test_definitions_that_do_not_fit_are_told(
    part: str, at: int, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(with_change(part, at, change))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"operator": "in"}, "add `values: [...]`"),
        ({"operator": "equals", "values": [1]}, "no use for `values`"),
        ({"operator": "equals"}, "add `value: ...`"),
        ({"operator": "is_null", "value": 1}, "no use for a `value`"),
        ({"operator": "less_than", "value": "x"}, "use a number as `value`"),
        ({"operator": "less_than", "value": True}, "use a number as `value`"),
        ({"operator": "contains", "value": 1.0}, "use a text as `value`"),
    ],
)
def test_condition_of_events_that_cannot_be_is_told(
    condition: dict[str, Any], problem: str
) -> None:
    events = {
        "event": "e",
        "filters": [{"conditions": [{"field": "f", **condition}]}],
    }
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(with_change("features", 0, {"events": events}))
    assert "features[0].events.filters[0].conditions[0]" in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("customer", "problem"),
    [
        (
            {"subscriptions": [{"plan": "team", "plan_version": 3}]},
            "has no version 3",
        ),
        (
            {"subscriptions": [{"plan": "team", "addons": [{"id": "x"}]}]},
            "there is no addon 'x'",
        ),
        (
            {"subscriptions": [{"plan": "pro", "addons": [{"id": "other"}]}]},
            "'other' does not fit the plan 'pro'",
        ),
        (
            {
                "subscriptions": [
                    {"plan": "pro", "addons": [{"id": "more", "quantity": 4}]}
                ]
            },
            "can be bought 3 times, not 4",
        ),
        (
            {"subscriptions": [{"plan": "pro", "trial_end": "2030-01-01"}]},
            "use `status: in_trial`",
        ),
        (
            {"subscriptions": [{"id": "s", "plan": "pro"}, {"id": "s", "plan": "pro"}]},
            "the id 's' is already taken in subscriptions of 'acme'",
        ),
        (
            {"promotions": [{"feature": "x", "entitlement": True}]},
            "there is no feature 'x'",
        ),
        (
            {"promotions": [{"feature": "calls", "entitlement": False}]},
            "a promotion cannot revoke",
        ),
        (
            {"promotions": [{"feature": "calls", "entitlement": True}]},
            "granted without an amount",
        ),
        ({"credits": [{"currency": "x", "amount": 1}]}, "there is no currency 'x'"),
        (
            {"credits": [{"currency": "tokens", "amount": 1, "type": "recurring"}]},
            "made by the sidecar itself",
        ),
        (
            {
                "credits": [
                    {
                        "currency": "tokens",
                        "amount": 5,
                        "type": "overdraft",
                        "spent": 5,
                    }
                ]
            },
            "credits[0].spent: an overdraft is what is owed",
        ),
        (
            {"archived_at": "2026-01-01"},
            "not archived has no time at which it was; remove it, or use `archived: t",
        ),
        (
            {
                "promotions": [
                    {
                        "feature": "calls",
                        "entitlement": {"limit": 1},
                        "period": "custom",
                    }
                ]
            },
            "promotions[0].period: a period is only told, and `end` says when a "
            "promotion is over; for custom say the `end`",
        ),
        (
            {"credits": [{"currency": "tokens", "amount": 1, "expires": "2019-01-01"}]},
            "expires before it takes effect",
        ),
        (
            {"credits": [{"currency": "tokens", "amount": 1, "resource": "r"}]},
            "there is no resource 'r'",
        ),
    ],
)
def test_customer_that_does_not_fit_is_told(
    customer: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(WORLD | {"customers": [{"id": "acme", **customer}]})
    assert problem in str(caught.value)
