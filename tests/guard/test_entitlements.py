"""All entitlements of a subject in one question, against real sidecars."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from sidecar_client import (
    AccessDeniedReason,
    BooleanEntitlement,
    CreditEntitlement,
    Entitlement,
    EntitlementCurrency,
    EntitlementFeature,
    EntitlementV2,
    EnumEntitlement,
    GetEntitlementsResponse,
    GetEntitlementsStateV2Response,
    MeteredEntitlement,
    NumericEntitlement,
)
from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AsyncGuard,
    Fallback,
    FeatureSettings,
    Guard,
    Reason,
    Settings,
    Subject,
    feature,
)
from stigg_guard.sidecar import _Age  # pyright: ignore[reportPrivateUsage]
from tests.scripted_sidecar import ScriptedSidecar

ESSENTIALS = Subject("customer-demo-01", "site-01")
FREE = Subject("customer-demo-02")
SCALE = Subject("customer-demo-04")

TEMPLATES = "feature-01-templates"
CAMPAIGNS = "feature-02-campaigns"
DOMAIN = "feature-03-custom-domain"
FORMATS = "feature-05-export-formats"
FILE_SIZE = "feature-06-max-file-size"
EDITORS = "feature-08-editors"
WHITE_LABEL = "feature-10-white-label"

NOBODY = "127.0.0.1:9"
"""Where no sidecar listens."""


def guard_of(target: str, **options: Any) -> Guard:
    return Guard(target=target, timeout=5, **options)


@pytest.fixture
def guard(sidecar: LocalSidecar) -> Iterator[Guard]:
    guard = guard_of(sidecar.target)
    yield guard
    guard.close()


@pytest.fixture
def asking(scripted: ScriptedSidecar) -> Iterator[Guard]:
    guard = guard_of(scripted.target)
    yield guard
    guard.close()


def boolean(name: str, **more: Any) -> EntitlementV2:
    return EntitlementV2(
        has_access=True,
        boolean=BooleanEntitlement(feature=EntitlementFeature(id=name)),
        **more,
    )


def metered(name: str, **more: Any) -> MeteredEntitlement:
    return MeteredEntitlement(feature=EntitlementFeature(id=name), **more)


def test_all_entitlements_take_one_call(guard: Guard, sidecar: LocalSidecar) -> None:
    found = guard.entitlements(ESSENTIALS)
    assert sorted(found) == [
        TEMPLATES,
        CAMPAIGNS,
        DOMAIN,
        "feature-04-analytics",
        FILE_SIZE,
        "feature-07-active-users",
    ]
    assert len(found) == 6
    assert found.subject == ESSENTIALS
    assert not found.is_fallback
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}


def test_customer_may_be_named_by_its_id_alone(guard: Guard) -> None:
    assert guard.entitlements("customer-demo-02").subject == FREE


def test_values_and_remains_are_numbers(guard: Guard) -> None:
    found = guard.entitlements(ESSENTIALS)
    assert found.value(FILE_SIZE) == 100
    assert (found.value(TEMPLATES), found.remaining(TEMPLATES)) == (6, 3)
    assert found[TEMPLATES].current_usage == 3
    assert found.value(DOMAIN) == found.remaining(DOMAIN) == 0
    assert found.remaining(FILE_SIZE) == 0


def test_what_is_unlimited_has_no_end(guard: Guard) -> None:
    found = guard.entitlements(SCALE)
    assert found.value(FILE_SIZE) == found.value(TEMPLATES) == math.inf
    assert found.remaining(TEMPLATES) == math.inf


def test_soft_limit_has_a_value_and_no_end(guard: Guard) -> None:
    found = guard.entitlements(SCALE)
    assert found.has(CAMPAIGNS)
    assert found.value(CAMPAIGNS) == 100
    assert found.remaining(CAMPAIGNS) == math.inf


def test_enum_values_are_listed(guard: Guard) -> None:
    assert guard.entitlements(SCALE).enum_values(FORMATS) == ("csv", "xlsx", "pdf")
    assert guard.entitlements(ESSENTIALS).enum_values(FORMATS) == ()


def test_reset_is_on_the_entitlement(guard: Guard) -> None:
    resets_at = guard.entitlements(ESSENTIALS)[CAMPAIGNS].resets_at
    assert resets_at is not None
    assert resets_at > datetime.now(UTC)


def test_used_up_feature_is_listed_and_not_had(guard: Guard) -> None:
    found = guard.entitlements(FREE)
    assert not found.has(TEMPLATES)
    assert (found.value(TEMPLATES), found.remaining(TEMPLATES)) == (6, 0)
    assert found[TEMPLATES].current_usage == 6


@pytest.mark.parametrize("name", [EDITORS, "no-such-feature", WHITE_LABEL])
def test_what_is_not_granted_is_absent(guard: Guard, name: str) -> None:
    found = guard.entitlements(FREE)
    assert name not in found
    assert not found.has(name)
    assert found.value(name) == found.remaining(name) == 0
    assert found.enum_values(name) == ()
    with pytest.raises(KeyError):
        found[name]


@pytest.mark.parametrize("subject", [ESSENTIALS, FREE, SCALE])
def test_has_says_what_a_check_says(guard: Guard, subject: Subject) -> None:
    found = guard.entitlements(subject)
    names = [*found, EDITORS, WHITE_LABEL, FORMATS, DOMAIN]
    assert {name: found.has(name) for name in names} == {
        name: guard.check(subject, name).allowed for name in names
    }


def test_decision_says_why_not(guard: Guard) -> None:
    found = guard.entitlements(FREE)
    assert found.decision(TEMPLATES).reason is Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert found.decision(WHITE_LABEL).reason is Reason.REVOKED
    absent = found.decision(EDITORS)
    assert absent.reason is Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    assert (absent.source, absent.is_fallback) == ("sidecar", False)
    assert found.decision("feature-07-active-users").allowed


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        ("nobody", Reason.CUSTOMER_NOT_FOUND),
        ("customer-demo-03", Reason.CUSTOMER_IS_ARCHIVED),
        ("customer-demo-05", Reason.NO_ACTIVE_SUBSCRIPTION),
    ],
)
def test_customer_without_anything_has_the_reason(
    guard: Guard, customer: str, reason: Reason
) -> None:
    found = guard.entitlements(customer)
    assert len(found) == 0
    assert found.reason is reason
    assert not found.is_fallback
    assert found.decision(DOMAIN).reason is reason


def test_entitlements_cannot_be_changed(guard: Guard) -> None:
    found: Any = guard.entitlements(FREE)
    with pytest.raises(TypeError):
        found[DOMAIN] = found[TEMPLATES]
    with pytest.raises(AttributeError):
        found.subject = None


@pytest.mark.parametrize("wrong", [None, "", 5, ["feature"]])
def test_wrong_feature_id_is_named_in_the_error(guard: Guard, wrong: Any) -> None:
    found = guard.entitlements(FREE)
    for ask in (found.has, found.value, found.remaining, found.decision):
        with pytest.raises(ValueError, match="the feature id is"):
            ask(wrong)


@pytest.mark.parametrize("wrong", [None, ""])
def test_nobody_is_no_subject(guard: Guard, wrong: Any) -> None:
    with pytest.raises(ValueError, match="give a Subject or a customer's id"):
        guard.entitlements(wrong)


def test_credits_are_listed_under_their_currency(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    credit = CreditEntitlement(
        currency=EntitlementCurrency(currency_id="tokens"),
        usage_limit=100,
        current_usage=130,
    )
    scripted.state = GetEntitlementsStateV2Response(
        entitlements=[
            EntitlementV2(
                has_access=False,
                access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_INSUFFICIENT_CREDITS,
                credit=credit,
            ),
            EntitlementV2(
                has_access=False,
                access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_REVOKED,
                numeric=NumericEntitlement(),
            ),
        ]
    )
    found = asking.entitlements("c")
    assert list(found) == ["tokens"]
    assert found["tokens"].kind == "credit"
    assert not found.has("tokens")
    assert (found.value("tokens"), found.remaining("tokens")) == (100, 0)


def test_nothing_remains_of_what_is_denied_for_another_cause(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    scripted.state = GetEntitlementsStateV2Response(
        entitlements=[
            EntitlementV2(
                has_access=False,
                access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_BUDGET_EXCEEDED,
                metered=metered("f", usage_limit=100, current_usage=50),
            ),
            EntitlementV2(
                has_access=False,
                access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_REVOKED,
                metered=metered("g"),
            ),
        ]
    )
    found = asking.entitlements("c")
    assert (found.value("f"), found.remaining("f")) == (100, 0)
    assert (found.value("g"), found.remaining("g")) == (0, 0)
    assert list(found) == ["f"]


def test_older_sidecar_is_asked_for_its_list_and_not_asked_twice(
    scripted: ScriptedSidecar, asking: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.listed = GetEntitlementsResponse(
        entitlements=[
            Entitlement(metered=metered("some", usage_limit=6, current_usage=5)),
            Entitlement(metered=metered("none", usage_limit=6, current_usage=6)),
            Entitlement(metered=metered("open", is_unlimited=True)),
            Entitlement(
                metered=metered(
                    "soft", usage_limit=1, current_usage=9, has_soft_limit=True
                )
            ),
            Entitlement(
                enum=EnumEntitlement(
                    feature=EntitlementFeature(id="enum"), enum_values=["eu"]
                )
            ),
        ]
    )
    found = [asking.entitlements("c") for _ in range(3)][-1]
    assert [name for name in found if found.has(name)] == [
        "some",
        "open",
        "soft",
        "enum",
    ]
    assert found.decision("none").reason is Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert scripted.calls == {"GetEntitlementsStateV2": 1, "GetEntitlements": 3}
    monkeypatch.setattr(_Age, "is_old", False)
    scripted.state = GetEntitlementsStateV2Response(entitlements=[boolean("new")])
    assert list(asking.entitlements("c")) == ["new"]


async def test_async_guard_says_the_same(scripted: ScriptedSidecar) -> None:
    scripted.listed = GetEntitlementsResponse(
        entitlements=[Entitlement(metered=metered("some", usage_limit=6))]
    )
    guard = AsyncGuard(target=scripted.target, timeout=5)
    for _ in range(2):
        assert (await guard.entitlements("c")).remaining("some") == 6
    assert scripted.calls == {"GetEntitlementsStateV2": 1, "GetEntitlements": 2}
    scripted.state = GetEntitlementsStateV2Response(entitlements=[boolean("new")])
    fresh = AsyncGuard(target=scripted.target, timeout=5)
    assert list(await fresh.entitlements("c")) == ["new"]
    await guard.aclose()
    await fresh.aclose()


def test_equal_questions_of_many_threads_share_one_call(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    scripted.state = GetEntitlementsStateV2Response(entitlements=[boolean("f")])
    scripted.held = {"GetEntitlementsStateV2"}
    scripted.gate.clear()
    begun = threading.Barrier(9)

    def ask() -> bool:
        begun.wait(10)
        return asking.entitlements("c").has("f")

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
        begun.wait(10)
        while not scripted.calls:
            pass
        scripted.gate.set()
        assert all(found.result(10) for found in asked)
    assert scripted.calls["GetEntitlementsStateV2"] < 8


async def test_equal_questions_of_many_tasks_share_one_call(
    sidecar: LocalSidecar,
) -> None:
    guard = AsyncGuard(target=sidecar.target, timeout=5)
    await asyncio.gather(*(guard.entitlements(FREE) for _ in range(64)))
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}
    await guard.aclose()


# Without a verdict


@pytest.mark.parametrize(("policy", "allowed"), [("allow", True), ("deny", False)])
def test_policy_answers_while_there_is_no_sidecar(policy: str, allowed: bool) -> None:
    guard = guard_of(NOBODY, on_unavailable=policy)
    found = guard.entitlements("c")
    assert found.is_fallback
    assert found.source == "policy"
    assert found.has("f") is allowed
    assert found.value("f") == found.remaining("f") == (math.inf if allowed else 0)
    assert len(found) == 0
    decision = found.decision("f")
    assert decision.allowed is allowed
    assert decision.is_fallback
    assert decision.reason is (None if allowed else Reason.NO_VERDICT)
    guard.close()


def test_settings_of_features_answer_before_the_policy() -> None:
    settings = Settings(
        target=NOBODY,
        on_unavailable="deny",
        features={
            "open": FeatureSettings(fallback=Fallback(has_access=True)),
            "shut": FeatureSettings(fallback=Fallback(has_access=False)),
            "size": FeatureSettings(fallback=Fallback(has_access=True, value=25)),
            "seats": FeatureSettings(
                fallback=Fallback(has_access=True, usage_limit=4),
                on_unavailable="deny",
            ),
            "places": FeatureSettings(
                fallback=Fallback(has_access=True, enum_values=("eu",))
            ),
            "allowed": FeatureSettings(on_unavailable="allow"),
        },
    )
    guard = Guard(settings)
    found = guard.entitlements("c")
    assert [name for name in settings.features if not found.has(name)] == ["shut"]
    assert found.value("open") == found.remaining("allowed") == math.inf
    assert found.value("size") == 25
    assert found.value("seats") == found.remaining("seats") == 4
    assert found.enum_values("places") == ("eu",)
    assert found.value("places") == found.remaining("shut") == 0
    assert not found.has("other")
    for name in (*settings.features, "other"):
        assert found.decision(name).allowed is guard.check(Subject("c"), name).allowed
    assert found.decision("size").source == "fallback"
    assert found.decision("other").source == "policy"
    guard.close()


def test_last_known_entitlements_stand_in_and_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with LocalSidecar() as sidecar:
        guard = guard_of(sidecar.target, on_unavailable="deny")
        assert not guard.entitlements(ESSENTIALS).is_fallback
    with caplog.at_level(logging.WARNING, logger="stigg_guard"):
        found = [guard.entitlements(ESSENTIALS) for _ in range(3)][-1]
    assert found.is_fallback
    assert found.source == "last_known"
    assert found.remaining(TEMPLATES) == 3
    assert not found.has(EDITORS)
    assert len(caplog.records) == 1
    assert guard.counts["unanswered"] == 3
    other = guard.entitlements(FREE)
    assert other.source == "policy"
    guard.forget(ESSENTIALS.customer_id)
    assert guard.entitlements(ESSENTIALS).source == "policy"
    guard.close()


def test_old_entitlements_do_not_stand_in() -> None:
    with LocalSidecar() as sidecar:
        guard = guard_of(sidecar.target, last_known_for=0)
        guard.entitlements(ESSENTIALS)
    assert guard.entitlements(ESSENTIALS).source == "policy"
    guard.close()


def test_sidecars_own_fallback_is_shown_as_one_and_not_kept(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    scripted.state = GetEntitlementsStateV2Response(
        entitlements=[boolean("f", is_fallback=True)]
    )
    found = asking.entitlements("c")
    assert found.has("f")
    assert found.is_fallback
    assert found.source == "sidecar_fallback"
    scripted.refusal = (grpc.StatusCode.UNAVAILABLE, "gone")
    assert asking.entitlements("c").source == "policy"


def test_sidecar_that_knows_nothing_is_no_verdict(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    scripted.state = GetEntitlementsStateV2Response(
        access_denied_reason=AccessDeniedReason.ACCESS_DENIED_REASON_UNKNOWN
    )
    found = asking.entitlements("c")
    assert found.is_fallback
    assert found.has("f")


def test_refused_question_is_nothing_and_no_outage(
    scripted: ScriptedSidecar, asking: Guard
) -> None:
    scripted.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "customer_id is bad")
    found = asking.entitlements("c")
    assert not found.is_fallback
    assert not found.has("f")
    assert found.decision("f").reason is Reason.UNKNOWN


def test_verdict_ends_an_outage(
    scripted: ScriptedSidecar, asking: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.state = GetEntitlementsStateV2Response(entitlements=[boolean("f")])
    scripted.refusal = (grpc.StatusCode.UNAVAILABLE, "gone")
    with caplog.at_level(logging.INFO, logger="stigg_guard"):
        asking.check(Subject("c"), feature("f"))
        asking.entitlements("c")
        scripted.refusal = None
        asking.entitlements("c")
    assert "gives verdicts again" in caplog.text
