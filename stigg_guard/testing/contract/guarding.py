"""Who may and who may not: the same in every framework.

What is reported of those who may is in `metering`.
"""

from __future__ import annotations

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.fixtures import Build
from stigg_guard.testing.contract.routes import (
    ARCHIVED,
    AT_LIMIT,
    FILE_SIZE,
    TEMPLATES,
    WITHIN,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_entitled_customer_reaches_the_view(client: BehaviourClient) -> None:
    response = client.get("/domain", WITHIN)
    assert (response.status, response.json) == (200, {"ok": True})


@pytest.mark.parametrize(
    ("path", "customer", "status", "reason"),
    [
        ("/domain", AT_LIMIT, 402, "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"),
        ("/domain", ARCHIVED, 403, "CUSTOMER_IS_ARCHIVED"),
        ("/domain", "customer-nobody-knows", 403, "CUSTOMER_NOT_FOUND"),
        ("/domain", None, 403, "NO_CUSTOMER"),
        ("/files", AT_LIMIT, 402, "VALUE_BELOW_REQUIRED"),
        ("/huge", WITHIN, 402, "VALUE_BELOW_REQUIRED"),
        ("/ten", WITHIN, 402, "REQUESTED_USAGE_EXCEEDING_LIMIT"),
        ("/unknown", WITHIN, 403, "FEATURE_NOT_FOUND"),
        ("/mismatch", WITHIN, 403, "FEATURE_TYPE_MISMATCH"),
        ("/all", AT_LIMIT, 402, "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"),
        ("/ruled/7", AT_LIMIT, 402, "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"),
    ],
)
def test_denial_has_the_status_and_reason_of_the_table(
    client: BehaviourClient, path: str, customer: str | None, status: int, reason: str
) -> None:
    response = client.get(path, customer)
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json["status"] == status
    assert response.json["reason"] == reason


def test_problem_document_says_what_is_known_and_never_who_asked(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, upgrade_url="/plans/")
    response = client.get("/ten", WITHIN)
    assert response.json == {
        "type": "urn:stigg-guard:denial:requested-usage-exceeding-limit",
        "title": "Limit reached",
        "status": 402,
        "detail": "This would exceed the limit of the current plan.",
        "reason": "REQUESTED_USAGE_EXCEEDING_LIMIT",
        "feature_id": TEMPLATES,
        "requested_usage": 10,
        "current_usage": 3.0,
        "usage_limit": 6.0,
        "upgrade_url": "/plans/",
    }
    assert response.headers["cache-control"] == "no-store"
    assert WITHIN.encode() not in response.body


def test_browser_gets_a_page_with_the_way_to_upgrade(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, upgrade_url="/plans/")
    response = client.get("/ten", WITHIN, Accept=BROWSER)
    assert response.status == 402
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert b'href="/plans/"' in response.body
    assert b"3 of 6 used" in response.body


def test_browser_is_redirected_when_the_application_wants_that(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(
        target=sidecar.target, timeout=5, upgrade_url="/plans/", html="redirect"
    )
    response = client.get("/ten", WITHIN, Accept=BROWSER)
    assert (response.status, response.headers["location"]) == (303, "/plans/")
    assert client.get("/ten", WITHIN).status == 402


def test_request_without_customer_is_answered_as_the_application_chose(
    build: Build, sidecar: LocalSidecar
) -> None:
    assert (
        build(target=sidecar.target, no_customer="unauthorized").get("/domain").status
        == 401
    )
    login = build(target=sidecar.target, no_customer="login", login_url="/login/")
    response = login.get("/domain", Accept=BROWSER)
    location, _, query = response.headers["location"].partition("?")
    assert (response.status, location) == (303, "/login/")
    assert query in ("", "next=/domain")  # where the framework has that convention
    assert login.get("/domain").status == 401


def test_status_of_a_reason_is_overridden_by_application_feature_and_view(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(
        target=sidecar.target,
        timeout=5,
        statuses={"CUSTOMER_IS_ARCHIVED": 410, "VALUE_BELOW_REQUIRED": 451},
        features={FILE_SIZE: {"STATUSES": {"VALUE_BELOW_REQUIRED": 413}}},
    )
    assert client.get("/domain", ARCHIVED).status == 410
    assert client.get("/files", AT_LIMIT).status == 413
    assert client.get("/teapot", AT_LIMIT).status == 418


def test_one_of_several_features_is_enough_for_requires_any(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.get("/any", WITHIN).status == 200
    assert sidecar.calls["GetEntitlement"] == 2  # the third was not needed


def test_guarded_view_is_one_rpc(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    client.get("/domain", WITHIN)
    assert sidecar.calls == {"GetEntitlement": 1}


def test_same_question_twice_in_a_request_is_asked_once(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.get("/twice", WITHIN).status == 200
    assert sidecar.calls == {"GetEntitlement": 1}


def test_next_request_asks_again(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    client.get("/domain", WITHIN)
    client.get("/domain", WITHIN)
    assert sidecar.calls == {"GetEntitlement": 2}


def test_remembered_decision_is_not_asked_again(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, remember=60)
    for _ in range(3):
        assert client.get("/domain", WITHIN).status == 200
    assert sidecar.calls == {"GetEntitlement": 1}


def test_metered_decision_is_never_remembered(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, remember=60)
    statuses = [client.post("/templates", WITHIN).status for _ in range(4)]
    assert statuses == [200, 200, 200, 402]


def test_customer_and_exemption_of_a_view_win(client: BehaviourClient) -> None:
    assert client.get("/for-one", AT_LIMIT).status == 200
    assert client.get("/exempt-when", AT_LIMIT).status == 200


def test_resource_of_the_request_is_asked_about(client: BehaviourClient) -> None:
    assert client.get("/domain", WITHIN, X_Resource="site-01").status == 200
    response = client.get("/domain", WITHIN, X_Resource="site-nobody-knows")
    assert response.json["reason"] == "CUSTOMER_RESOURCE_NOT_FOUND"


def test_rule_holds_for_its_methods_and_paths_only(client: BehaviourClient) -> None:
    assert client.get("/ruled/7", WITHIN).status == 200
    assert client.get("/ruled/7", AT_LIMIT).status == 402
    assert client.post("/ruled/7", AT_LIMIT).status == 200
    assert client.get("/plain", AT_LIMIT).status == 200


def test_exempt_view_is_free_of_rules(client: BehaviourClient) -> None:
    if not client.has_decorators:
        assert client.get("/plain").status == 200
        return
    assert client.get("/ruled/exempt", AT_LIMIT).status == 200


def test_view_that_asks_the_guard_itself_is_answered_alike(
    client: BehaviourClient,
) -> None:
    assert client.get("/required", WITHIN).status == 200
    response = client.get("/required", AT_LIMIT)
    assert (response.status, response.json["reason"]) == (
        402,
        "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION",
    )


def test_invalid_customer_id_is_denied_and_no_error_of_the_server(
    client: BehaviourClient,
) -> None:
    response = client.get("/domain", "-not an id!")
    assert (response.status, response.json["reason"]) == (403, "UNKNOWN")


def test_preflight_is_never_blocked(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    response = client.request(
        "OPTIONS",
        "/domain",
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "GET",
        },
    )
    assert response.status in (200, 204)
    assert not sidecar.calls


@pytest.mark.parametrize("path", ["/domain", "/templates", "/any"])
def test_preflight_tells_nothing_of_what_a_guard_protects(
    client: BehaviourClient, sidecar: LocalSidecar, path: str
) -> None:
    headers = {"Access-Control-Request-Method": "GET"}
    response = client.request("OPTIONS", path, headers=headers)
    assert b"ok" not in response.body
    assert sidecar.calls["ReportUsage"] == 0


def test_outer_decorator_keeps_its_answer(client: BehaviourClient) -> None:
    assert client.get("/hidden", WITHIN).status == 404


def test_id_that_no_message_can_carry_is_denied(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    response = client.get("/domain", "c" * 300)
    assert (response.status, response.json["reason"]) == (403, "UNKNOWN")


def test_head_is_checked_like_get(client: BehaviourClient) -> None:
    assert client.request("HEAD", "/domain", customer=WITHIN).status == 200
    denied = client.request("HEAD", "/domain", customer=AT_LIMIT)
    assert (denied.status, denied.body) == (402, b"")


def test_websocket_handshake_is_guarded(client: BehaviourClient) -> None:
    if not client.has_websockets:
        assert client.get("/domain", WITHIN).status == 200
        return
    assert client.handshake("/ws", customer=WITHIN).status == 101
    assert client.handshake("/ws", customer=AT_LIMIT).status == 402
    assert client.handshake("/ws", customer=ARCHIVED).status == 403
