"""What an override answers, and what is its own: no sidecar is contacted."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    Guard,
    Happening,
    Reason,
    Subject,
    currency,
    feature,
)
from stigg_guard.testing import (
    OverrideError,
    credits,
    denied,
    enum,
    metered,
    override_entitlements,
)

NOWHERE = "127.0.0.1:1"
ALICE = Subject("alice")
BOB = Subject("bob")


@pytest.fixture
def guard() -> Iterator[Guard]:
    """A guard whose sidecar, if it asked one, would not be there."""
    guard = Guard(target=NOWHERE, timeout=0.2, on_unavailable="deny")
    yield guard
    guard.close()


def test_true_grants_and_false_denies_as_if_it_were_for_sale(guard: Guard) -> None:
    with override_entitlements({"domain": True, "reports": False}):
        allowed, refused = guard.check(ALICE, "domain"), guard.check(ALICE, "reports")
    assert (allowed.allowed, allowed.source) == (True, "sidecar")
    assert refused.reason is Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    assert guard.denials.denial(refused).status == 402


def test_number_is_the_value_of_a_numeric_feature(guard: Guard) -> None:
    with override_entitlements({"size": 25}):
        assert guard.check(ALICE, feature("size", at_least=25))
        below = guard.check(ALICE, feature("size", at_least=26))
    assert below.reason is Reason.VALUE_BELOW_REQUIRED


def test_enum_allows_its_values_alone(guard: Guard) -> None:
    with override_entitlements({"region": enum("eu", "us")}):
        assert guard.check(ALICE, feature("region", values=["eu", "us"]))
        other = guard.check(ALICE, feature("region", values=["eu", "asia"]))
    assert other.reason is Reason.REQUESTED_VALUES_MISMATCH


def test_credits_are_those_of_a_currency(guard: Guard) -> None:
    with override_entitlements({"ai": credits(100, used=20)}):
        assert guard.check(ALICE, currency("ai", usage=80))
        over = guard.check(ALICE, currency("ai", usage=81))
    assert over.reason is Reason.INSUFFICIENT_CREDITS


@pytest.mark.parametrize(
    ("given", "status"),
    [(denied(), 402), (denied("REVOKED"), 403), (Reason.BUDGET_EXCEEDED, 402)],
)
def test_denied_is_for_the_reason_given(guard: Guard, given: Any, status: int) -> None:
    with override_entitlements({"domain": given}):
        decision = guard.check(ALICE, "domain")
    assert guard.denials.denial(decision).status == status


def test_true_grants_whatever_is_asked_of_it(guard: Guard) -> None:
    with override_entitlements({"it": True, "ai": True}):
        assert guard.check(ALICE, feature("it", usage=1000))
        assert guard.check(ALICE, feature("it", values=["eu"]))
        assert guard.check(ALICE, currency("ai", usage=5))
        with guard.metered(ALICE, "it", value=7):
            pass


def test_usage_is_counted_until_the_limit_and_begins_anew_afterwards(
    guard: Guard,
) -> None:
    six = override_entitlements({"templates": metered(limit=6, used=3)})
    for _ in range(2):
        with six:
            for _ in range(3):
                with guard.metered(ALICE, "templates"):
                    pass
            with pytest.raises(AccessDenied), guard.metered(ALICE, "templates"):
                pass
            assert six.used("templates", "alice") == 6
        six = six.fresh()


def test_usage_is_counted_for_each_customer_and_resource(guard: Guard) -> None:
    with override_entitlements({"templates": metered(limit=6, used=3)}) as six:
        guard.report(ALICE, "templates", 2)
        guard.report(Subject("alice", "site-1"), "templates", 1)
        assert six.used("templates", "alice") == 5
        assert six.used("templates", "alice", "site-1") == 4
        assert six.used("templates", "bob") == 3


def test_hold_of_a_request_in_flight_counts() -> None:
    guard = Guard(target=NOWHERE, holds_wait=0)
    limited = override_entitlements({"templates": metered(limit=1)})
    with limited, guard.metered(ALICE, "templates"):
        with pytest.raises(AccessDenied) as denied_one:
            with guard.metered(ALICE, "templates"):
                pass
    assert denied_one.value.decision.source == "holds"


def test_new_total_replaces_what_was_used(guard: Guard) -> None:
    with override_entitlements({"seats": metered(limit=6, used=3)}) as seats:
        with guard.metered(ALICE, "seats", value=5, update="set"):
            pass
        assert seats.used("seats", "alice") == 5
        with pytest.raises(AccessDenied):
            with guard.metered(ALICE, "seats", value=7, update="set"):
                pass


def test_units_are_given_back(guard: Guard) -> None:
    with override_entitlements({"seats": metered(limit=6, used=3)}) as seats:
        with guard.metered(ALICE, "seats", value=-2):
            pass
        assert seats.used("seats", "alice") == 1


def test_event_with_a_feature_uses_it_up(guard: Guard) -> None:
    with override_entitlements({"emails": metered(limit=2)}) as emails:
        for _ in range(2):
            with guard.metered(ALICE, "emails", event="email.sent"):
                pass
        assert emails.used("emails", "alice") == 2
        with pytest.raises(AccessDenied):
            with guard.metered(ALICE, "emails", event="email.sent"):
                pass


def test_soft_limit_may_be_exceeded_and_no_limit_never_ends(guard: Guard) -> None:
    soft = metered(limit=1, used=5, soft_limit=True)
    with override_entitlements({"soft": soft, "free": metered(used=5)}):
        assert guard.check(ALICE, feature("soft", usage=10))
        assert guard.check(ALICE, feature("free", usage=10**6))


def test_denial_tells_of_the_limit_and_its_reset(guard: Guard) -> None:
    then = datetime(2030, 1, 1, tzinfo=UTC)
    with override_entitlements({"t": metered(limit=6, used=6, resets_at=then)}):
        decision = guard.check(ALICE, "t")
    problem = guard.denials.denial(decision, accept="application/json").body.decode()
    assert '"usage_limit": 6' in problem
    assert "2030-01-01" in problem


def test_list_of_entitlements_is_that_of_the_overrides(guard: Guard) -> None:
    with override_entitlements(
        {"domain": True, "reports": False, "size": 25, "t": metered(6, used=4)}
    ):
        found = guard.entitlements(ALICE)
        guard.report(ALICE, "t")
        again = guard.entitlements(ALICE)
    assert set(found) == {"domain", "size", "t"}
    assert (found.has("domain"), found.has("reports")) == (True, False)
    assert (found.value("size"), found.remaining("t")) == (25, 2)
    assert again.remaining("t") == 1


def test_looking_for_what_is_not_overridden_in_the_list_fails(guard: Guard) -> None:
    with pytest.raises(OverrideError, match=r'"domian".*Did you mean "domain"'):
        with override_entitlements({"domain": True}):
            guard.entitlements(ALICE).has("domian")


def test_inner_override_wins_and_the_outer_one_answers_for_the_rest(
    guard: Guard,
) -> None:
    with override_entitlements({"a": True, "b": True, "t": metered(limit=3)}) as outer:
        with override_entitlements({"a": False}):
            assert not guard.check(ALICE, "a")
            assert guard.check(ALICE, "b")
            guard.report(ALICE, "t", 2)
        assert guard.check(ALICE, "a")
        assert outer.used("t", "alice") == 2
        assert not guard.check(ALICE, feature("t", usage=2))


def test_override_of_one_customer_leaves_the_others_to_the_outer_one(
    guard: Guard,
) -> None:
    site = Subject("bob", "site-1")
    with override_entitlements({"a": False}):
        with override_entitlements({"a": True}, customer="bob", resource="site-1"):
            assert guard.check(site, "a")
            assert not guard.check(BOB, "a")
        with override_entitlements({"a": True}, customer="bob"):
            assert guard.check(BOB, "a")
            assert guard.check(site, "a")
            assert not guard.check(ALICE, "a")


def test_decisions_that_are_remembered_are_the_overrides_own() -> None:
    guard = Guard(target=NOWHERE, timeout=0.2, remember=60, on_unavailable="deny")
    with override_entitlements({"a": True}):
        assert guard.check(ALICE, "a")
        with override_entitlements({"a": False}):
            assert not guard.check(ALICE, "a")
        assert guard.check(ALICE, "a")
    after = guard.check(ALICE, "a")
    assert (after.allowed, after.source) == (False, "policy")


def test_counts_are_the_overrides_own_and_hooks_the_guards(guard: Guard) -> None:
    seen: list[Happening] = []
    guard.on("measured", seen.append)
    with override_entitlements({"t": metered()}):
        guard.report(ALICE, "t")
        assert guard.counts["acknowledged"] == 1
    assert "acknowledged" not in guard.counts
    assert [happening.outcome for happening in seen] == ["measured"]


def test_override_ends_with_an_error(guard: Guard) -> None:
    with pytest.raises(KeyError), override_entitlements({"a": True}):
        raise KeyError
    assert guard.check(ALICE, "a").source == "policy"


def test_shadow_mode_and_the_switch_of_the_settings_still_hold() -> None:
    with override_entitlements({"a": False}):
        shadow = Guard(target=NOWHERE, shadow=True).check(ALICE, "a")
        off = Guard(target=NOWHERE, enabled=False).check(ALICE, "a")
    assert (shadow.allowed, shadow.is_shadow) == (False, True)
    assert off.allowed


def test_settings_of_features_still_hold() -> None:
    features = {"a": {"STATUS": 404, "MESSAGE": "There is no such thing."}}
    guard = Guard(target=NOWHERE, features=features)
    with override_entitlements({"a": False}):
        denial = guard.denials.denial(guard.check(ALICE, "a"))
    assert denial.status == 404


def test_nothing_is_kept_of_an_override_that_has_ended(guard: Guard) -> None:
    override = override_entitlements({"a": True})
    with override:
        guard.check(ALICE, "a")
    known = weakref.ref(override)
    del override
    gc.collect()
    assert known() is None


def test_request_ends_with_the_override_that_it_began_with(guard: Guard) -> None:
    with override_entitlements({"t": metered(limit=6)}) as six:
        block = guard.metered(ALICE, "t")
        block.__enter__()
    block.__exit__(None, None, None)
    assert six.used("t", "alice") == 1
    assert "measured" not in guard.counts


async def test_async_guard_asks_the_override(guard: Guard) -> None:
    async with override_entitlements({"t": metered(limit=1)}) as one:
        async with guard.aio.metered(ALICE, "t"):
            pass
        assert one.used("t", "alice") == 1
        assert not await guard.aio.check(ALICE, "t")
        assert (await guard.aio.entitlements(ALICE)).remaining("t") == 0


# What is not overridden


def test_unknown_feature_fails_where_it_is_asked_for(guard: Guard) -> None:
    with pytest.raises(OverrideError) as failed, override_entitlements({"domain": 1}):
        guard.check(ALICE, "domian")
    assert 'asks for "domian" of customer "alice"' in str(failed.value)
    assert 'Did you mean "domain"?' in str(failed.value)


def test_error_that_the_code_swallows_is_raised_at_the_end(guard: Guard) -> None:
    with pytest.raises(OverrideError), override_entitlements({"domain": True}):
        try:
            guard.check(ALICE, "reports")
        except Exception:
            pass


def test_other_error_of_the_test_is_told_of_it(guard: Guard) -> None:
    with pytest.raises(AssertionError, match="500 != 402") as failed:
        with override_entitlements({"domain": True}):
            try:
                guard.check(ALICE, "reports")
            except Exception:
                raise AssertionError("500 != 402") from None
    assert '"reports"' in failed.value.__notes__[0]


def test_usage_of_an_unknown_feature_fails_at_the_end(guard: Guard) -> None:
    with pytest.raises(OverrideError, match='"templates"'):
        with override_entitlements({"domain": True}):
            guard.report(ALICE, "templates")


def test_feature_of_another_customer_is_unknown(guard: Guard) -> None:
    with pytest.raises(OverrideError, match='"a" for customer "bob" only'):
        with override_entitlements({"a": True}, customer="bob"):
            guard.check(ALICE, "a")


@pytest.mark.parametrize(("unknown", "allowed"), [("deny", False), ("allow", True)])
def test_unknown_features_are_as_told(
    guard: Guard, unknown: Any, allowed: bool
) -> None:
    with override_entitlements({}, unknown=unknown):
        with override_entitlements({"a": True}):
            assert guard.check(ALICE, "b").allowed is allowed
            assert guard.entitlements(ALICE).has("b") is allowed
            assert guard.report(ALICE, "c") == "acknowledged"


def test_real_sidecar_is_asked_for_what_is_unknown_when_told_to() -> None:
    with LocalSidecar() as sidecar:
        guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
        customer = Subject("customer-demo-01")
        with override_entitlements({"extra": True}, unknown="ask"):
            assert guard.check(customer, "extra")
            assert guard.check(customer, "feature-03-custom-domain")
            assert not guard.check(customer, "feature-99-unknown")
            assert guard.report(customer, "feature-01-templates") == "acknowledged"
            assert guard.entitlements(customer).has("extra")
            assert guard.entitlements(customer).has("feature-03-custom-domain")
        assert sidecar.calls["GetEntitlement"] == 2
        assert sidecar.calls["ReportUsage"] == 1
        guard.close()


@pytest.mark.parametrize(
    ("given", "need", "cure"),
    [
        (True, feature("it", at_least=3), "a number, such as 3"),
        (25, feature("it", usage=1), "metered(limit=6, used=3)"),
        (True, currency("it", usage=1), None),
        (metered(5), currency("it", usage=1), "credits(100)"),
        (credits(5), feature("it", usage=1), "metered(limit=100)"),
        (enum("eu"), feature("it", usage=1), "metered(limit=6, used=3)"),
        (metered(5), feature("it", values=["eu"]), "enum('eu')"),
    ],
)
def test_override_that_does_not_fit_the_code_is_an_error_of_the_test(
    guard: Guard, given: Any, need: Any, cure: str | None
) -> None:
    if cure is None:
        with override_entitlements({"it": given}):
            assert guard.check(ALICE, need)
        return
    with pytest.raises(OverrideError) as failed, override_entitlements({"it": given}):
        guard.check(ALICE, need)
    assert f"override it with {cure}." in str(failed.value)


def test_type_mismatch_can_be_what_a_test_is_about(guard: Guard) -> None:
    with override_entitlements({"it": denied(Reason.FEATURE_TYPE_MISMATCH)}):
        assert guard.check(ALICE, "it").reason is Reason.FEATURE_TYPE_MISMATCH


# Bad input


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"region": "eu"}, r"enum\('eu'\)"),
        ({"region": None}, 'None for "region"; use True, False, a number'),
        ({"size": math.nan}, 'nan for "size"'),
        ({"": True}, "the feature ''; use its id"),
        (["a"], r"\['a'\]; use a mapping"),
    ],
)
def test_what_is_no_entitlement_is_refused(given: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        override_entitlements(given)


def test_options_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match='unknown is "error"; use "fail" or "deny"'):
        override_entitlements({}, unknown="error")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="says no customer"):
        override_entitlements({}, resource="site-1")
    with pytest.raises(ValueError, match="use a Reason"):
        denied("POOR")
    with pytest.raises(ValueError, match=r"use unavailable_sidecar\(\)"):
        denied(Reason.NO_VERDICT)
    with pytest.raises(ValueError, match="limit"):
        metered(limit=-1)
    with pytest.raises(ValueError, match="enum"):
        enum("")


def test_usage_can_be_asked_of_what_is_overridden_alone() -> None:
    override = override_entitlements({"a": metered(used=2)}, customer="bob")
    assert override.used("a") == 2
    with pytest.raises(ValueError, match='"b" is not overridden here'):
        override.used("b")
    with pytest.raises(ValueError, match="name the customer"):
        override_entitlements({"a": metered()}).used("a")


def test_override_is_entered_once() -> None:
    override = override_entitlements({})
    with override, pytest.raises(RuntimeError, match="make another"):
        override.enter()
