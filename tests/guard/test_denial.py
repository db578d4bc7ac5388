"""The denial table, its overrides, and the form each client gets."""

from __future__ import annotations

import json
import logging
import pickle
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sidecar_client import (
    AccessDeniedReason,
    CreditEntitlement,
    EntitlementV2,
    GetEntitlementResponse,
    MeteredEntitlement,
)
from stigg_guard import (
    AccessDenied,
    Decision,
    FeatureSettings,
    Guard,
    Reason,
    Subject,
    currency,
    feature,
)
from stigg_guard.denial import TABLE, DenialPolicy, prefers_html
from stigg_guard.view import Redirect, Template
from tests.scripted_sidecar import ScriptedSidecar

SUBJECT = Subject("customer-demo-01")

# architecture.md, "The HTTP contract": numbers of the protocol and their statuses.
STATUS_OF_NUMBER = {
    0: 403,  # UNSPECIFIED
    1: 403,  # UNKNOWN
    2: 403,  # CUSTOMER_IS_ARCHIVED
    3: 403,  # CUSTOMER_NOT_FOUND
    4: 403,  # CUSTOMER_RESOURCE_NOT_FOUND
    5: 403,  # FEATURE_NOT_FOUND
    6: 402,  # NO_ACTIVE_SUBSCRIPTION
    7: 402,  # NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    8: 402,  # REQUESTED_USAGE_EXCEEDING_LIMIT
    9: 402,  # BUDGET_EXCEEDED
    10: 402,  # REQUESTED_VALUES_MISMATCH
    11: 403,  # FEATURE_TYPE_MISMATCH
    12: 402,  # INSUFFICIENT_CREDITS
    13: 403,  # REVOKED
    14: 402,  # ENTITLEMENT_NOT_FOUND
    15: 403,  # not known yet
    4711: 403,
}


def test_every_reason_of_the_protocol_is_in_this_test() -> None:
    assert set(AccessDeniedReason.values()) <= set(STATUS_OF_NUMBER)


@pytest.mark.parametrize(("number", "status"), STATUS_OF_NUMBER.items())
def test_reason_of_a_sidecar_gets_its_status(
    scripted: ScriptedSidecar, number: int, status: int
) -> None:
    scripted.answer = _denied(number)
    guard = Guard(target=scripted.target, timeout=5)
    decision = guard.check(SUBJECT, feature("feature-01"))
    denial = guard.denials.denial(decision)
    assert not decision.allowed
    assert denial.status == status
    expected = (
        AccessDeniedReason.Name(number).removeprefix("ACCESS_DENIED_REASON_")
        if number < 15
        else "UNKNOWN"
    )
    assert denial.problem["reason"] == expected
    assert json.loads(denial.body) == denial.problem
    guard.close()


def test_number_that_is_not_known_yet_is_told_in_the_explanation(
    scripted: ScriptedSidecar,
) -> None:
    scripted.answer = _denied(15)
    guard = Guard(target=scripted.target, timeout=5)
    decision = guard.check(SUBJECT, feature("feature-01"))
    assert decision.reason_number == 15
    assert "UNKNOWN 15" in decision.explanation
    guard.close()


@pytest.mark.parametrize("number", [5, 11])
def test_wrong_deployment_is_logged_as_an_error(
    scripted: ScriptedSidecar, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.answer = _denied(number)
    guard = Guard(target=scripted.target, timeout=5)
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        guard.check(SUBJECT, feature("feature-01"))
    assert "differs between the code and the catalog" in caplog.text
    guard.close()


def test_credits_that_do_not_suffice_are_402(scripted: ScriptedSidecar) -> None:
    scripted.credit = EntitlementV2(
        has_access=False,
        access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_INSUFFICIENT_CREDITS,
        credit=CreditEntitlement(usage_limit=100, current_usage=95, remaining=5),
    )
    guard = Guard(target=scripted.target, timeout=5)
    decision = guard.check(SUBJECT, currency("credits", usage=10))
    denial = guard.denials.denial(decision)
    assert denial.status == 402
    assert denial.problem["currency_id"] == "credits"
    assert denial.problem["current_usage"] == 95
    assert denial.problem["usage_limit"] == 100
    assert scripted.calls == {"GetEntitlementV2": 1}
    guard.close()


def test_end_of_the_usage_period_is_told(scripted: ScriptedSidecar) -> None:
    metered = MeteredEntitlement(usage_limit=6, current_usage=6)
    metered.usage_period_end.FromDatetime(datetime(2023, 12, 21, tzinfo=UTC))
    scripted.answer = GetEntitlementResponse(
        has_access=False,
        access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_REQUESTED_USAGE_EXCEEDING_LIMIT,
        metered=metered,
    )
    guard = Guard(target=scripted.target, timeout=5)
    denial = guard.denials.denial(guard.check(SUBJECT, feature("f", usage=1)))
    assert denial.problem["resets_at"] == "2023-12-21T00:00:00+00:00"
    guard.close()


def test_every_reason_has_a_line_in_the_table() -> None:
    assert set(TABLE) == set(Reason)


def test_type_of_a_problem_is_stable_and_its_base_can_be_chosen() -> None:
    policy = DenialPolicy(type_base="https://example.com/denials/")
    denial = policy.denial(_decision(Reason.BUDGET_EXCEEDED))
    assert denial.problem["type"] == "https://example.com/denials/budget-exceeded"


def test_absent_members_are_left_out() -> None:
    denial = DenialPolicy().denial(_decision(Reason.REVOKED))
    assert set(denial.problem) == {
        "type",
        "title",
        "status",
        "detail",
        "reason",
        "feature_id",
    }


def test_upgrade_url_is_only_offered_where_paying_helps() -> None:
    policy = DenialPolicy(upgrade_url="/plans/")
    paid = policy.denial(_decision(Reason.NO_ACTIVE_SUBSCRIPTION))
    assert paid.problem["upgrade_url"] == "/plans/"
    revoked = policy.denial(_decision(Reason.REVOKED))
    assert "upgrade_url" not in revoked.problem


def test_outage_is_503_and_says_when_to_try_again() -> None:
    denial = DenialPolicy(retry_after=7).denial(_decision(Reason.NO_VERDICT))
    assert (denial.status, denial.headers["Retry-After"]) == (503, "7")


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/problem+json, text/html;q=0.9", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
        ("TEXT/HTML; Q=1", True),
    ],
)
def test_client_gets_html_only_when_it_prefers_it(
    accept: str | None, html: bool
) -> None:
    assert prefers_html(accept) is html
    denial = DenialPolicy().denial(_decision(Reason.REVOKED), accept=accept)
    assert denial.headers["Content-Type"].startswith("text/html") is html


def test_redirect_goes_into_a_header_whatever_its_letters() -> None:
    policy = DenialPolicy(upgrade_url="/pläne/?a=b&c=%20", html="redirect")
    decision = _decision(Reason.NO_ACTIVE_SUBSCRIPTION)
    denial = policy.denial(decision, accept="text/html")
    assert denial.headers["Location"] == "/pl%C3%A4ne/?a=b&c=%20"


def test_status_of_a_view_wins_over_the_way_to_log_in() -> None:
    policy = DenialPolicy(no_customer="login", login_url="/login/")
    decision = _decision(Reason.NO_CUSTOMER)
    denial = policy.denial(decision, accept="text/html", view=404)
    assert (denial.status, "Location" in denial.headers) == (404, False)


def test_page_escapes_what_it_shows() -> None:
    policy = DenialPolicy(upgrade_url='/plans/"><script>')
    decision = _decision(Reason.NO_ACTIVE_SUBSCRIPTION)
    body = policy.denial(decision, accept="text/html").body
    assert b"<script>" not in body


def _denied(number: int) -> GetEntitlementResponse:
    raw = b"\x18" + _varint(number)  # field 3, access_denied_reason
    return GetEntitlementResponse.FromString(raw)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _decision(reason: Reason) -> Decision:
    return Decision(
        allowed=False,
        requirement=feature("feature-01"),
        subject=SUBJECT,
        reason=reason,
    )


# What a view or application wants in place of the table

DENIED = Decision(
    allowed=False,
    requirement=feature("feature-01"),
    subject=SUBJECT,
    reason=Reason.NO_ACTIVE_SUBSCRIPTION,
)
HTML = "text/html"


@pytest.mark.parametrize(
    ("url", "back", "location"),
    [
        ("/plans/", None, "/plans/"),
        ("/plans/", "/reports/", "/plans/?next=/reports/"),
        ("/plans/?a=1", "/r?x=1&y=2", "/plans/?a=1&next=/r%3Fx%3D1%26y%3D2"),
        ("/plans/?next=/home/", "/reports/", "/plans/?next=/home/"),
        ("/plans/#pro", "/reports/", "/plans/?next=/reports/#pro"),
        ("https://pay.example/", "/reports/", "https://pay.example/"),
        ("//pay.example/", "/reports/", "//pay.example/"),
        ("/pläne/", None, "/pl%C3%A4ne/"),
    ],
)
def test_redirect_carries_the_way_back_within_the_site(
    url: str, back: str | None, location: str
) -> None:
    view = Redirect(url)
    denial = DenialPolicy().denial(DENIED, accept=HTML, view=view, back=back)
    assert (denial.status, denial.headers["Location"]) == (303, location)
    other = DenialPolicy().denial(DENIED, view=view, back=back)
    assert (other.status, "Location" in other.headers) == (402, False)


def test_login_comes_before_the_redirect_of_a_view() -> None:
    policy = DenialPolicy(no_customer="login", login_url="/login/")
    nobody = replace(DENIED, subject=None, reason=Reason.NO_CUSTOMER)
    denial = policy.denial(nobody, accept=HTML, view=Redirect("/plans/"), back="/a/")
    assert denial.headers["Location"] == "/login/?next=/a/"


def test_template_is_named_for_browsers_with_the_status_of_the_denial() -> None:
    features = {"feature-01": FeatureSettings(status=404)}
    policy = DenialPolicy(template="site.html", features=features)
    own = policy.denial(DENIED, accept=HTML, view=Template("own.html"))
    assert (own.status, own.template) == (404, "own.html")
    assert policy.denial(DENIED, accept=HTML).template == "site.html"
    assert policy.denial(DENIED, accept="application/json").template is None


def test_nearest_word_answers() -> None:
    guard = Guard(on_denied=_answer, features={"feature-01": {"STATUS": 404}})
    assert guard.wanted(AccessDenied(DENIED)) == 404
    assert guard.wanted(AccessDenied(DENIED, 451)) == 451
    other = replace(DENIED, requirement=feature("feature-02"))
    assert guard.wanted(AccessDenied(other)) is _answer
    mapping = {Reason.REVOKED: 418}
    assert guard.wanted(AccessDenied(other, mapping)) is _answer
    revoked = replace(other, reason=Reason.REVOKED)
    assert guard.wanted(AccessDenied(revoked, mapping)) == 418


def _answer(request: object, decision: Decision) -> None:
    """An application's own answer."""


@pytest.mark.parametrize("reason", Reason)
def test_message_speaks_of_plans_where_paying_would_help(reason: Reason) -> None:
    denied = replace(DENIED, reason=reason)
    said = DenialPolicy().problem(denied, 402, "Pro has it.")["detail"]
    is_about_plans = TABLE[reason].status == 402
    assert said == ("Pro has it." if is_about_plans else TABLE[reason].detail)


def test_denial_that_travels_keeps_its_message() -> None:
    error = pickle.loads(pickle.dumps(AccessDenied(DENIED, _answer, "Pro has it.")))
    assert (error.decision, error.message) == (DENIED, "Pro has it.")
