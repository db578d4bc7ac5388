"""Shadow mode, the kill switch, exemptions and answers: the same in every framework.

Who may without all of these is in `guarding`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.fixtures import Build
from stigg_guard.testing.contract.routes import (
    ARCHIVED,
    AT_LIMIT,
    DOMAIN,
    TEMPLATES,
    WITHIN,
    always,
)
from stigg_guard.testing.contract.usage import used

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def shadow(build: Build, sidecar: LocalSidecar) -> BehaviourClient:
    """The application, all of it in shadow mode."""
    return build(target=sidecar.target, timeout=5, write_timeout=5, shadow=True)


# Shadow mode


@pytest.mark.parametrize(
    ("path", "customer"),
    [
        ("/domain", AT_LIMIT),
        ("/domain", ARCHIVED),
        ("/domain", "customer-nobody-knows"),
        ("/domain", None),
        ("/all", AT_LIMIT),
        ("/unknown", WITHIN),
        ("/ruled/7", AT_LIMIT),
        ("/templates", AT_LIMIT),
        ("/templates", None),
        ("/templates", ARCHIVED),
        ("/required", AT_LIMIT),
    ],
)
def test_application_in_shadow_mode_lets_every_denied_request_through(
    shadow: BehaviourClient, path: str, customer: str | None
) -> None:
    response = shadow.get(path, customer)
    assert (response.status, response.json) == (200, {"ok": True})


def test_shadow_mode_asks_as_often_as_for_an_allowed_request(
    shadow: BehaviourClient, sidecar: LocalSidecar
) -> None:
    shadow.get("/domain", AT_LIMIT)
    assert sidecar.calls == {"GetEntitlement": 1}


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"shadow": True}, 200),
        ({"shadow": False}, 402),
        ({"features": {DOMAIN: {"SHADOW": True}}}, 200),
        ({"shadow": True, "features": {DOMAIN: {"SHADOW": False}}}, 402),
        ({"shadow": True, "features": {TEMPLATES: {"SHADOW": False}}}, 200),
    ],
)
def test_shadow_of_the_feature_is_nearer_than_that_of_the_application(
    build: Build, sidecar: LocalSidecar, settings: Mapping[str, Any], status: int
) -> None:
    client = build(target=sidecar.target, timeout=5, **settings)
    assert client.get("/domain", AT_LIMIT).status == status


def test_shadow_of_a_view_or_rule_is_the_nearest(
    build: Build, sidecar: LocalSidecar
) -> None:
    in_shadow = {DOMAIN: {"SHADOW": True}}
    client = build(target=sidecar.target, timeout=5, features=in_shadow)
    assert client.get("/domain", AT_LIMIT).status == 200
    assert client.get("/shadow-off", AT_LIMIT).status == 402
    other = build(target=sidecar.target, timeout=5)
    assert other.get("/shadow", AT_LIMIT).status == 200
    assert other.get("/domain", AT_LIMIT).status == 402


def test_all_needs_that_are_not_in_shadow_mode_still_hold(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(
        target=sidecar.target,
        timeout=5,
        features={"feature-04-analytics": {"SHADOW": True}},
    )
    # /all asks for analytics first, then for a custom domain.
    response = client.get("/all", AT_LIMIT)
    assert (response.status, response.json["feature_id"]) == (402, DOMAIN)
    assert client.get("/all").status == 403  # nobody


def test_metered_view_in_shadow_mode_reports_what_was_used_over_the_limit(
    shadow: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert [shadow.post("/three", WITHIN).status for _ in range(3)] == [200] * 3
    assert used(sidecar, WITHIN) == 3 + 3 * 3


def test_metered_view_in_shadow_mode_reports_nothing_where_nobody_is_entitled(
    shadow: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert shadow.post("/templates").status == 200
    assert shadow.post("/templates", ARCHIVED).status == 200
    assert shadow.post("/mismatch", WITHIN).status == 200
    assert sidecar.calls["ReportUsage"] == 0


def test_without_a_verdict_shadow_mode_lets_through_what_the_policy_denies(
    build: Build,
) -> None:
    client = build(target="127.0.0.1:1", timeout=0.2, shadow=True)
    assert client.get("/deny", WITHIN).status == 200


def test_shadow_denials_are_logged_once_with_what_would_have_been_answered(
    shadow: BehaviourClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="stigg_guard"):
        for _ in range(5):
            shadow.get("/domain", AT_LIMIT)
    said = [r.getMessage() for r in caplog.records if r.name == "stigg_guard"]
    assert len(said) == 1
    assert f"{DOMAIN}: denied, NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION" in said[0]
    assert "would have been answered with 402" in said[0]
    assert AT_LIMIT not in said[0]


# The kill switch


def test_guard_that_is_switched_off_asks_denies_and_reports_nothing(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, enabled=False)
    for path in ("/domain", "/templates", "/ruled/7", "/required"):
        assert client.get(path, AT_LIMIT).status == 200
    assert client.get("/domain").status == 200  # nobody
    assert client.get("/at-the-end?chunks=2", AT_LIMIT).status == 200
    assert not sidecar.calls


def test_kill_switch_is_looked_at_for_every_request(
    build: Build, sidecar: LocalSidecar
) -> None:
    switch = {"is_on": True}
    client = build(target=sidecar.target, timeout=5, enabled=lambda: switch["is_on"])
    assert client.get("/domain", AT_LIMIT).status == 402
    switch["is_on"] = False
    assert client.get("/domain", AT_LIMIT).status == 200
    switch["is_on"] = True
    assert client.get("/domain", AT_LIMIT).status == 402


def test_environment_switches_off_where_the_settings_say_nothing(
    build: Build, sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STIGG_GUARD_ENABLED", "false")
    assert build(target=sidecar.target).get("/domain", AT_LIMIT).status == 200
    told = build(target=sidecar.target, timeout=5, enabled=True)
    assert told.get("/domain", AT_LIMIT).status == 402


# Exemptions, messages, statuses


def test_exempt_request_is_asked_nothing_and_reports_nothing(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, exempt_when=always)
    assert client.get("/domain", AT_LIMIT).status == 200
    assert client.get("/ruled/7").status == 200
    assert client.post("/templates", AT_LIMIT).status == 200
    assert not sidecar.calls


def test_message_of_the_view_is_nearer_than_that_of_the_feature(
    build: Build, sidecar: LocalSidecar
) -> None:
    said = {DOMAIN: {"MESSAGE": "Domains come with <Essentials>."}}
    client = build(target=sidecar.target, timeout=5, features=said)
    of_feature = client.get("/domain", AT_LIMIT)
    assert of_feature.json["detail"] == "Domains come with <Essentials>."
    of_view = client.get("/shadow-off", AT_LIMIT)
    assert of_view.json["detail"] == "Domains are for teams."
    page = client.get("/domain", AT_LIMIT, Accept=BROWSER)
    assert b"Domains come with &lt;Essentials&gt;." in page.body
    # It is about the plan: other reasons keep their own words.
    assert client.get("/domain", ARCHIVED).json["detail"] == "This account is archived."


def test_status_of_a_feature_holds_for_each_of_its_denials(
    build: Build, sidecar: LocalSidecar
) -> None:
    own = {DOMAIN: {"STATUS": 404, "STATUSES": {"CUSTOMER_IS_ARCHIVED": 410}}}
    client = build(target=sidecar.target, timeout=5, features=own, on_denied=451)
    assert client.get("/domain", AT_LIMIT).status == 404
    assert client.get("/domain", ARCHIVED).status == 410
    assert client.get("/teapot", AT_LIMIT).status == 418
    assert client.get("/templates", AT_LIMIT).status == 451


# Redirects


def test_browser_is_redirected_and_other_clients_get_the_problem(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, on_denied="/plans/")
    for accept in ("application/json", "*/*"):
        problem = client.get("/domain", AT_LIMIT, Accept=accept)
        assert problem.status == 402
        assert problem.headers["content-type"] == "application/problem+json"
        assert "location" not in problem.headers
    sent = client.get("/domain", AT_LIMIT, Accept=BROWSER)
    assert (sent.status, sent.body) == (303, b"")
    location, _, query = sent.headers["location"].partition("?")
    assert location == "/plans/"
    assert query in ("", "next=/domain")
    assert sent.headers["cache-control"] == "no-store"
    assert "accept" in sent.headers["vary"].lower()


def test_redirect_of_a_view_is_nearest_and_keeps_its_own_query(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, on_denied="/plans/")
    sent = client.get("/redirect", AT_LIMIT, Accept=BROWSER)
    assert (sent.status, sent.headers["location"]) == (303, "https://pay.example/?a=b")


def test_without_a_verdict_nobody_is_sent_to_pay(build: Build) -> None:
    client = build(
        target="127.0.0.1:1", timeout=0.2, on_denied="/plans/", on_unavailable="deny"
    )
    response = client.get("/domain", WITHIN, Accept=BROWSER)
    assert response.status == 503
    assert "location" not in response.headers


# Caches


def test_response_of_a_guarded_view_is_private(client: BehaviourClient) -> None:
    for path in ("/domain", "/templates", "/exempt-when", "/ruled/7"):
        assert client.get(path, WITHIN).headers["cache-control"] == "private"
    streamed = client.get("/at-the-end?chunks=2", WITHIN)
    assert streamed.headers["cache-control"] == "private"
    assert "cache-control" not in client.get("/plain", WITHIN).headers


def test_cache_control_of_the_view_is_left_alone(client: BehaviourClient) -> None:
    response = client.get("/domain?cache=public,max-age=60", WITHIN)
    assert response.headers["cache-control"] == "public,max-age=60"


def test_cache_control_of_the_view_that_names_no_one_is_made_private(
    client: BehaviourClient,
) -> None:
    response = client.get("/domain?cache=max-age=60", WITHIN)
    said = response.headers["cache-control"].split(",")
    assert {word.strip() for word in said} == {"max-age=60", "private"}


@pytest.mark.parametrize(
    ("setting", "header"), [(None, None), ("no-store", "no-store")]
)
def test_application_says_what_caches_may_do(
    build: Build, sidecar: LocalSidecar, setting: str | None, header: str | None
) -> None:
    client = build(target=sidecar.target, timeout=5, cache_control=setting)
    assert client.get("/domain", WITHIN).headers.get("cache-control") == header


def test_denial_is_stored_by_nobody(client: BehaviourClient) -> None:
    for accept in ("application/json", BROWSER):
        response = client.get("/domain", AT_LIMIT, Accept=accept)
        assert response.headers["cache-control"] == "no-store"
        assert "Accept" in response.headers["vary"].split(", ")


# Who asks

PLANS = {
    "features": [
        {"id": DOMAIN, "type": "boolean"},
        {"id": TEMPLATES, "type": "metered", "meter": "fluctuating"},
    ],
    "plans": [
        {"id": "with-domain", "entitlements": {DOMAIN: True}},
        {"id": "without", "entitlements": {TEMPLATES: {"limit": 3}}},
    ],
    "customers": [
        {
            "id": "agency",
            "resources": ["site-a", "site-b"],
            "subscriptions": [
                {"plan": "without", "resource": "site-a"},
                {"plan": "with-domain", "resource": "site-b"},
            ],
        }
    ],
}


def test_each_resource_of_a_customer_has_its_own_answer(build: Build) -> None:
    with LocalSidecar(PLANS) as sidecar:
        client = build(target=sidecar.target, timeout=5)
        assert client.get("/of-a-site", "agency").status == 200
        for site, status in (("site-a", 402), ("site-b", 200), ("site-x", 403)):
            answered = client.get("/of-the-site", "agency", X_Site=site)
            assert (site, answered.status) == (site, status)
        whole = client.get("/of-the-site", "agency")
        assert whole.json["reason"] == "NO_ACTIVE_SUBSCRIPTION"
        by_request = client.get("/domain", "agency", X_Resource="site-b")
        assert by_request.status == 200


def test_impersonated_customer_is_asked_about_and_uses(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/acting", AT_LIMIT).status == 402
    assert client.post("/acting", AT_LIMIT, X_Acting_For=WITHIN).status == 200
    assert (used(sidecar, WITHIN), used(sidecar, AT_LIMIT)) == (4, 6)


def test_request_without_a_customer_is_denied_before_anybody_is_asked(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    for path in ("/domain", "/templates", "/any", "/ruled/7"):
        response = client.get(path)
        assert (response.status, response.json["reason"]) == (403, "NO_CUSTOMER")
    assert not sidecar.calls
