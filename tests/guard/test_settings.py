"""Settings from every door: what is taken, and the one error for what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stigg_guard import ConfigurationError, Guard, Reason, Settings
from stigg_guard.requirement import Fallback


def customer_of(request: object) -> str:
    return "customer-demo-01"


NOT_A_FUNCTION = "nothing to call"


def test_defaults_are_the_documented_ones() -> None:
    settings = Settings.from_mapping({})
    assert settings.target == "127.0.0.1:80"
    assert (settings.timeout, settings.write_timeout) == (0.25, 2.0)
    assert settings.on_unavailable == "allow"
    assert (settings.last_known_for, settings.remember) == (3600, 0)
    assert settings.rules == ()


def test_customer_may_be_a_dotted_path() -> None:
    settings = Settings.from_mapping({"CUSTOMER": f"{__name__}.customer_of"})
    assert settings.customer is not None
    assert settings.customer(None) == "customer-demo-01"


def test_features_and_statuses_become_objects() -> None:
    settings = Settings.from_mapping(
        {
            "STATUSES": {"REVOKED": 451},
            "FEATURES": {"f": {"UPGRADE_URL": "/f/", "FALLBACK": True}},
        }
    )
    assert settings.statuses == {Reason.REVOKED: 451}
    assert settings.features["f"].upgrade_url == "/f/"
    assert settings.features["f"].fallback == Fallback(has_access=True)


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"ON_UNAVAILABLE": "maybe"},
        'STIGG_GUARD["ON_UNAVAILABLE"] is "maybe"; use "allow" or "deny".',
    ),
    (
        {"TARGT": "x"},
        'STIGG_GUARD["TARGT"] is not a setting. Did you mean STIGG_GUARD["TARGET"]?',
    ),
    ({"target": "x"}, "is not a setting"),
    ({"COLOUR": "red"}, "The settings are: TARGET, CUSTOMER, TIMEOUT"),
    ({"TARGET": ""}, 'STIGG_GUARD["TARGET"] is ""; use'),
    ({"TARGET": "sidecar"}, '"host:port"'),
    ({"TARGET": 80}, 'STIGG_GUARD["TARGET"] is 80; use'),
    (
        {"TIMEOUT": 0},
        'STIGG_GUARD["TIMEOUT"] is 0; use a number of seconds above 0',
    ),
    ({"TIMEOUT": "fast"}, '"fast"; use a number of seconds'),
    ({"TIMEOUT": True}, "True; use a number of seconds"),
    ({"TIMEOUT": float("nan")}, "nan; use a finite number"),
    (
        {"LAST_KNOWN_FOR": -1},
        "-1; use a finite number of seconds that is 0 or more",
    ),
    ({"REMEMBER": "10"}, '"10"; use a number of seconds'),
    ({"REMEMBER_CUSTOMERS": 0}, "0; use a whole number"),
    ({"CUSTOMER": "nowhere.at_all"}, '"nowhere" does not import'),
    ({"CUSTOMER": "customer_of"}, "full dotted path"),
    ({"CUSTOMER": f"{__name__}.missing"}, 'has no "missing"'),
    ({"CUSTOMER": f"{__name__}.NOT_A_FUNCTION"}, "not a function"),
    ({"CUSTOMER": 7}, "7; use a function"),
    ({"STATUSES": {"TIRED": 402}}, '"TIRED" is not a reason; the reasons are'),
    ({"STATUSES": {"REVOKED": 200}}, "REVOKED is 200; use an HTTP status"),
    ({"FEATURES": {"f": {"COLOR": 1}}}, '"f" has "COLOR"'),
    ({"FEATURES": {"f": {"ON_UNAVAILABLE": "x"}}}, 'use "allow" or "deny"'),
    ({"FEATURES": {"f": {"STATUS": 200}}}, "STATUS is 200; use an HTTP status"),
    ({"FEATURES": {"f": {"SHADOW": "on"}}}, "SHADOW is 'on'; use True or False"),
    ({"FEATURES": {"f": {"MESSAGE": ""}}}, "MESSAGE is ''; use a sentence"),
    ({"SHADOW": "on"}, 'STIGG_GUARD["SHADOW"] is "on"; use True or False'),
    ({"EXEMPT_WHEN": "staff"}, '["EXEMPT_WHEN"] is "staff"; use the full dotted path'),
    ({"CACHE_CONTROL": ""}, '["CACHE_CONTROL"] is ""; use a non-empty string'),
    ({"CACHE_CONTROL": "a\r\nB: c"}, "use what the header may say"),
    ({"ON_DENIED": "/two words"}, "has no spaces or control characters"),
    ({"NO_CUSTOMER": "login"}, 'there is no STIGG_GUARD["LOGIN_URL"]'),
    ({"HTML": "redirect"}, 'there is no STIGG_GUARD["UPGRADE_URL"]'),
    ({"CATALOG": "plans.yaml"}, 'a catalog is for the target "local"'),
    ({"LOCAL_PORT": 70000}, "70000; use a port"),
    ({"ON_DENIED": 200}, "200; use an HTTP status"),
    ({"RULES": {"path": "/x"}}, "use a list of rules"),
    ({"RULES": [{"path": "/x"}]}, "rule 0: it names nothing to ask for"),
    (
        {"RULES": [{"path": "/x", "feature": "f", "meters": "g"}]},
        "feature and meters to ask for; name exactly one",
    ),
    ({"RULES": [{"path": "x", "feature": "f"}]}, 'begins with "/"'),
    ({"RULES": [{"feature": "f"}]}, "neither path nor name"),
    ({"RULES": [{"path": "/*", "feature": "f"}]}, "matches every request"),
    ({"RULES": [{"path": "/<path:p>", "feature": "f"}]}, "matches every request"),
    ({"RULES": [{"path": "/a*b", "feature": "f"}]}, "can match no request"),
    ({"RULES": [{"path": "/x?y", "feature": "f"}]}, "can match no request"),
    ({"RULES": [{"path": "/x", "methods": [], "feature": "f"}]}, "matches nothing"),
    ({"RULES": [{"path": "/x", "methods": ["FETCH"], "feature": "f"}]}, "'FETCH'"),
    ({"RULES": [{"path": "/x", "methods": "GET", "feature": "f"}]}, '["GET"]'),
    ({"RULES": [{"path": "/x", "feature": ""}]}, "the feature id is ''"),
    ({"RULES": [{"path": "/x", "methods": 5, "feature": "f"}]}, "methods is 5; give a"),
    (
        {"RULES": [{"path": "/x", "methods": iter(["GET"]), "feature": "f"}]},
        'give a list, such as ["POST"]',
    ),
    (
        {"RULES": [{"path": "/x", "feature": "f", "value": 1}]},
        '"value" is not a key',
    ),
    ({"RULES": [{"path": "/x", "meters": "f", "value": "1"}]}, "value is '1'"),
    ({"RULES": ["/x"]}, "rule 0: '/x' is not a mapping"),
]


@pytest.mark.parametrize(("mapping", "message"), BAD)
def test_bad_setting_is_one_error_with_the_key_the_value_and_the_cure(
    mapping: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_mapping(mapping)
    assert message in str(raised.value)


def test_options_are_named_as_they_were_written() -> None:
    with pytest.raises(ConfigurationError, match=r"Guard\(on_unavailable=\.\.\.\) is"):
        Guard(on_unavailable="maybe")
    with pytest.raises(ConfigurationError, match=r"Did you mean Guard\(target"):
        Guard(targt="127.0.0.1:80")


def test_environment_is_read_by_type() -> None:
    settings = Settings.from_env(
        {
            "STIGG_GUARD_TARGET": "unix:/run/sidecar.sock",
            "STIGG_GUARD_TIMEOUT": "0.5",
            "STIGG_GUARD_REMEMBER_CUSTOMERS": "7",
            "STIGG_GUARD_RULES": '[{"path": "/api/", "feature": "f"}]',
            "HOME": "/root",
        }
    )
    assert settings.target == "unix:/run/sidecar.sock"
    assert (settings.timeout, settings.remember_customers) == (0.5, 7)
    assert settings.rules[0].path == "/api/"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"STIGG_GUARD_TIMEOUT": "soon"},
            'STIGG_GUARD_TIMEOUT is "soon"; use a number',
        ),
        ({"STIGG_GUARD_RULES": "[{"}, "STIGG_GUARD_RULES is not JSON"),
        ({"STIGG_GUARD_TIMOUT": "1"}, "Did you mean STIGG_GUARD_TIMEOUT?"),
    ],
)
def test_bad_variable_is_one_error(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_env(environ)
    assert message in str(raised.value)


def test_root_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "root.pem"
    guard = Guard(target="127.0.0.1:80", root_certificates=str(missing))
    with pytest.raises(ConfigurationError, match=r"root\.pem.*give the path of a PEM"):
        _ = guard.sidecar
