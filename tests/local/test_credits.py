"""Credits: how wallets are spent, what feeds them, and what they allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.checking import Checks
from sidecar_client.local.credits import (
    Recurring,
    advanced,
    balance,
    consumed,
    granted,
    owing,
    voided,
)
from sidecar_client.local.customers import CreditGrant
from sidecar_client.local.evaluation import Reason, Subject
from sidecar_client.local.export import exported
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.populate import populate
from sidecar_client.local.records import Wallet, wallet_key
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import Transaction, World
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.moving import Moving
from tests.local.wire import NOW, Clock, ask, check, reason_of

DAY = timedelta(days=1)


def grant(name: str, amount: float = 10, **fields: Any) -> CreditGrant:
    return CreditGrant(id=name, currency="tokens", amount=amount, **fields)


def holding(*grants: CreditGrant) -> Wallet:
    wallet = Wallet()
    for item in grants:
        wallet = granted(wallet, item, (), NOW)
    return wallet


def spent(wallet: Wallet) -> dict[str, float]:
    return {str(held.grant.id): held.consumed for held in wallet.grants}


def monthly(amount: float = 100, **fields: Any) -> Recurring:
    told: dict[str, Any] = {
        "id": "sub.plan",
        "currency": "tokens",
        "cadence": "month",
        "soft_limit": False,
        "begun": datetime(2023, 1, 31, tzinfo=UTC),
    }
    return Recurring(amount=amount, **(told | fields))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"priority": 1}, {"priority": 2, "expires": NOW + DAY}),
        ({"expires": NOW + DAY}, {"expires": NOW + 2 * DAY, "type": "promotional"}),
        ({"expires": NOW + DAY}, {"type": "promotional"}),
        ({"type": "promotional"}, {"type": "paid", "effective": NOW - 9 * DAY}),
        ({"effective": NOW - 2 * DAY}, {"effective": NOW - DAY}),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_grants_are_spent_in_the_burn_order(
    first: dict[str, Any], second: dict[str, Any], *, reverse: bool
) -> None:
    both = [grant("first", **first), grant("second", **second)]
    wallet = Wallet()
    for later, item in enumerate(reversed(both) if reverse else both):
        wallet = granted(wallet, item, (), NOW + later * timedelta(microseconds=1))
    wallet = consumed(wallet, 12, (), NOW + timedelta(seconds=1))
    assert spent(wallet) == {"first": 10, "second": 2}


def test_of_grants_that_are_equal_the_older_is_spent_first() -> None:
    wallet = granted(holding(grant("old")), grant("new"), (), NOW + DAY)
    assert spent(consumed(wallet, 4, (), NOW + DAY)) == {"old": 4, "new": 0}


def test_ledger_has_an_entry_for_each_grant_that_is_touched() -> None:
    wallet = consumed(holding(grant("a"), grant("b")), 12, (), NOW, feature_id="f")
    assert [
        (entry.kind, entry.amount, entry.grant_id, entry.balance, entry.feature_id)
        for entry in wallet.ledger
    ] == [
        ("granted", 10, "a", 10, None),
        ("granted", 10, "b", 20, None),
        ("consumed", 10, "a", 10, "f"),
        ("consumed", 2, "b", 8, "f"),
    ]


def test_more_than_the_balance_is_overdrawn_and_settled_by_later_grants() -> None:
    wallet = consumed(holding(grant("a")), 16, (), NOW)
    assert balance(wallet, (), NOW).remaining == -6
    assert wallet.ledger[-1].kind == "overdrawn"
    wallet = granted(wallet, grant("b", 4), (), NOW)
    assert (wallet.debt, balance(wallet, (), NOW).remaining) == (2, -2)
    wallet = granted(wallet, grant("c", 10), (), NOW)
    assert (wallet.debt, balance(wallet, (), NOW).remaining) == (0, 8)
    assert spent(wallet) == {"a": 10, "b": 4, "c": 2}
    assert [e.amount for e in wallet.ledger if e.kind == "settled"] == [4, 2]


def test_what_is_owed_from_before_is_settled_by_what_is_left() -> None:
    wallet = owing(holding(grant("a", 10)), 14, (), NOW)
    assert (wallet.debt, spent(wallet)) == (4, {"a": 10})
    assert owing(wallet, -3, (), NOW).debt == 1
    assert owing(wallet, -9, (), NOW).debt == 0
    assert balance(wallet, (monthly(100),), NOW).remaining == 96


def test_grant_counts_from_its_effective_date_until_it_expires() -> None:
    wallet = holding(grant("a", effective=NOW + DAY, expires=NOW + 2 * DAY))
    for days, remaining in ((0, 0), (1, 10), (2, 0)):
        assert balance(wallet, (), NOW + days * DAY).remaining == remaining
    wallet = consumed(wallet, 3, (), NOW + DAY)
    wallet = advanced(wallet, (), NOW + 3 * DAY)
    assert [(e.kind, e.amount, e.at) for e in wallet.ledger] == [
        ("granted", 10, NOW + DAY),
        ("consumed", 3, NOW + DAY),
        ("expired", 7, NOW + 2 * DAY),
    ]


def test_grant_that_takes_effect_later_settles_then() -> None:
    wallet = consumed(holding(grant("a", 5, effective=NOW + DAY)), 2, (), NOW)
    assert balance(wallet, (), NOW).remaining == -2
    assert balance(wallet, (), NOW + DAY).remaining == 3


def test_voided_grant_cannot_be_spent() -> None:
    wallet = voided(consumed(holding(grant("a")), 4, (), NOW), "a", NOW)
    assert balance(wallet, (), NOW).granted == 0
    assert (wallet.ledger[-1].kind, wallet.ledger[-1].amount) == ("voided", 6)


def test_credits_are_given_back_to_what_was_spent_last() -> None:
    wallet = consumed(holding(grant("a"), grant("b", 5)), 18, (), NOW)
    wallet = consumed(wallet, -5, (), NOW)
    assert (wallet.debt, spent(wallet)) == (0, {"a": 10, "b": 3})
    wallet = consumed(wallet, -99, (), NOW)
    assert spent(wallet) == {"a": 0, "b": 0}


def test_recurring_credits_come_anew_with_each_window() -> None:
    sources = (monthly(100),)
    wallet = consumed(Wallet(), 30, sources, datetime(2023, 11, 30, 12, tzinfo=UTC))
    found = balance(wallet, sources, datetime(2023, 12, 1, tzinfo=UTC))
    assert (found.granted, found.consumed) == (100, 30)
    assert found.period_end == datetime(2023, 12, 31, tzinfo=UTC)
    found = balance(wallet, sources, datetime(2023, 12, 31, tzinfo=UTC))
    assert (found.granted, found.consumed) == (100, 0)


@pytest.mark.parametrize("months", [0, 1, 2])
def test_first_credits_of_a_new_source_settle_what_is_owed(months: int) -> None:
    owed = consumed(Wallet(), 5, (), NOW)
    sources = (monthly(20, begun=NOW + DAY),)
    found = balance(owed, sources, NOW + 2 * DAY + months * 31 * DAY)
    # Only in the month in which it came: the next one's credits are all there.
    assert (found.granted, found.consumed) == (20, 5 if months == 0 else 0)


def test_old_source_that_a_wallet_never_met_settles_from_the_last_change_on() -> None:
    owed = consumed(Wallet(), 45, (), NOW)
    sources = (monthly(20),)
    later = advanced(owed, sources, NOW + 62 * DAY)
    assert [e.amount for e in later.ledger if e.kind == "settled"] == [20, 20, 5]
    assert len(advanced(Wallet(), sources, NOW).grants) == 1


def test_recurring_credits_of_months_that_passed_settle_what_is_owed() -> None:
    sources = (monthly(10),)
    wallet = consumed(Wallet(), 35, sources, NOW)
    assert wallet.debt == 25
    later = advanced(wallet, sources, datetime(2024, 2, 29, tzinfo=UTC))
    assert later.debt == 0
    assert balance(later, sources, datetime(2024, 2, 29, tzinfo=UTC)).remaining == 5
    assert [e.amount for e in later.ledger if e.kind == "settled"] == [10, 10, 5]


def test_credits_of_a_month_to_come_do_not_count_when_the_clock_is_put_back() -> None:
    sources = (monthly(100),)
    wallet = consumed(Wallet(), 80, sources, NOW)
    wallet = consumed(wallet, 1, sources, NOW + 31 * DAY)
    assert balance(wallet, sources, NOW).remaining == 20
    assert balance(consumed(wallet, 5, sources, NOW), sources, NOW).remaining == 15


def test_sums_of_decimals_come_out_as_decimals() -> None:
    wallet = holding(grant("a", 115))
    for _ in range(25):
        wallet = consumed(wallet, 0.1, (), NOW)
    assert balance(wallet, (), NOW).consumed == 2.5
    assert wallet.ledger[-1].balance == 112.5


def test_recurring_credits_end_with_their_subscription() -> None:
    wallet = consumed(Wallet(), 30, (monthly(),), NOW)
    assert balance(wallet, (), NOW).granted == 0


def test_wallet_that_time_does_not_change_stays_the_same() -> None:
    sources = (monthly(),)
    wallet = advanced(holding(grant("a")), sources, NOW)
    assert advanced(wallet, sources, NOW + timedelta(seconds=1)) is wallet


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(1, 50), st.integers(0, 5)),
        st.tuples(st.just("consume"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 20), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
def test_nothing_is_spent_twice_and_nothing_is_lost(
    steps: list[tuple[str, int, int]],
) -> None:
    wallet, now, spent_in_all = Wallet(), NOW, 0.0
    sources = (monthly(20),)
    for number, (step, amount, extra) in enumerate(steps):
        if step == "grant":
            expires = now + extra * DAY if extra else None
            wallet = granted(
                wallet, grant(f"g{number}", amount, expires=expires), sources, now
            )
        elif step == "consume":
            wallet = consumed(wallet, amount, sources, now)
            spent_in_all += amount
        else:
            now += amount * DAY
        held = wallet.grants
        assert sum(item.consumed for item in held) + wallet.debt == pytest.approx(
            spent_in_all
        )
        assert all(0 <= item.consumed <= item.grant.amount for item in held)
        if wallet.debt:
            at = advanced(wallet, sources, now)
            active = [i for i in at.grants if i.begun and i.over is None]
            assert all(i.consumed == i.grant.amount for i in active) or not at.debt
        if wallet.ledger:
            last = advanced(wallet, sources, now).ledger[-1]
            assert balance(wallet, sources, now).remaining == pytest.approx(
                last.balance
            )


CATALOG: dict[str, Any] = {
    "features": [
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {
            "id": "words",
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "said", "aggregation": "sum", "field": "n"},
        },
    ],
    "currencies": [
        {
            "id": "tokens",
            "name": "Tokens",
            "unit_plural": "tokens",
            "metadata": {"icon": "T"},
        },
        {"id": "other"},
    ],
    "plans": [
        {
            "id": "base",
            "credits": {"tokens": {"amount": 10}},
            "credit_rates": {"words": {"currency": "tokens", "rate": 0.5}},
        },
        {
            "id": "team",
            "parent": "base",
            "entitlements": {"calls": {"limit": 100}, "words": {"unlimited": True}},
            "credit_rates": {"calls": {"currency": "tokens", "rate": 2}},
        },
        {
            "id": "soft",
            "parent": "team",
            "entitlements": {"calls": {"limit": 100}, "words": {"unlimited": True}},
            "credits": {"tokens": {"amount": 10, "soft_limit": True}},
            "credit_rates": {"calls": {"currency": "tokens", "rate": 2}},
        },
    ],
    "addons": [{"id": "more", "credits": {"tokens": {"amount": 5}}}],
}


def served(clock: Clock, **customer: Any) -> LocalSidecar:
    told = {"id": "c", "subscriptions": [{"plan": "team"}]} | customer
    return LocalSidecar(CATALOG | {"customers": [told]}, clock=clock)


def credits_of(
    sidecar: LocalSidecar, currency: str = "tokens", **fields: Any
) -> pb.EntitlementV2:
    usage = fields.pop("usage", None)
    answer: pb.GetEntitlementV2Response = ask(
        sidecar,
        pb.GetEntitlementV2Request(
            customer_id="c",
            currency_id=currency,
            options=pb.GetEntitlementOptions(requested_usage=usage),
            **fields,
        ),
    )
    return answer.entitlement


def use(sidecar: LocalSidecar, value: float) -> None:
    ask(
        sidecar,
        pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=value),
    )


def test_balance_of_a_currency_is_told(clock: Clock) -> None:
    addons = [{"id": "more", "quantity": 2}]
    more = {"currency": "tokens", "amount": 4}
    with served(
        clock, subscriptions=[{"plan": "team", "addons": addons}], credits=[more]
    ) as sidecar:
        use(sidecar, 3)
        answer = credits_of(sidecar)
    assert answer.has_access
    credit = answer.credit
    assert (credit.usage_limit, credit.current_usage, credit.remaining) == (24, 6, 18)
    assert (credit.currency.currency_id, credit.currency.display_name) == (
        "tokens",
        "Tokens",
    )
    assert credit.currency.unit_plural == "tokens"
    assert credit.currency.additional_meta_data["icon"] == "T"
    assert credit.usage_period_end.ToDatetime(UTC) > NOW
    assert not credit.has_soft_limit


def test_balance_covers_what_is_requested(clock: Clock) -> None:
    with served(clock) as sidecar:
        assert credits_of(sidecar, usage=10).has_access
        refused = credits_of(sidecar, usage=10.5)
        assert (refused.has_access, reason_of(refused)) == (
            False,
            "INSUFFICIENT_CREDITS",
        )
        assert refused.credit.remaining == 10


@pytest.mark.parametrize("currency", ["other", "unknown"])
def test_currency_of_which_there_is_nothing_is_not_found(
    clock: Clock, currency: str
) -> None:
    with served(clock) as sidecar:
        assert reason_of(credits_of(sidecar, currency)) == "ENTITLEMENT_NOT_FOUND"


def test_feature_that_costs_credits_is_denied_without_them(clock: Clock) -> None:
    with served(clock) as sidecar:
        assert check(sidecar, "calls", usage=5) is None
        assert check(sidecar, "calls", usage=6) == "INSUFFICIENT_CREDITS"
        use(sidecar, 4)
        assert check(sidecar, "calls") is None
        assert check(sidecar, "calls", usage=2) == "INSUFFICIENT_CREDITS"
        use(sidecar, 3)
        assert check(sidecar, "calls") == "INSUFFICIENT_CREDITS"
        assert credits_of(sidecar).credit.remaining == -4
        use(sidecar, -7)
        assert credits_of(sidecar).credit.remaining == 10


def test_soft_limit_of_credits_lets_the_feature_go_on(clock: Clock) -> None:
    with served(clock, subscriptions=[{"plan": "soft"}]) as sidecar:
        use(sidecar, 50)
        assert check(sidecar, "calls", usage=5) is None
        answer = credits_of(sidecar)
        assert answer.has_access
        assert answer.credit.has_soft_limit
        assert answer.credit.remaining == -90


def test_events_spend_credits_at_the_rate_of_the_inherited_plan(clock: Clock) -> None:
    with served(clock) as sidecar:
        for key in ("1", "1", "2"):
            said = pb.Event(
                event_name="said",
                customer_id="c",
                idempotency_key=key,
                dimensions={"n": pb.EventDimensionValue(number_value=3)},
            )
            ask(sidecar, pb.ReportEventsRequest(events=[said]))
        assert credits_of(sidecar).credit.current_usage == 3


def test_state_lists_currencies_and_denies_what_credits_do_not_cover(
    clock: Clock,
) -> None:
    with served(clock) as sidecar:
        use(sidecar, 5)
        state: pb.GetEntitlementsStateV2Response = ask(
            sidecar, pb.GetEntitlementsStateV2Request(customer_id="c")
        )
    told = {
        item.WhichOneof("entitlement"): reason_of(item) for item in state.entitlements
    }
    assert told == {"metered": "INSUFFICIENT_CREDITS", "credit": "INSUFFICIENT_CREDITS"}


def test_credits_of_a_resource_are_its_own(clock: Clock) -> None:
    with served(
        clock,
        resources=["r", "s"],
        subscriptions=[{"plan": "team"}, {"plan": "soft", "resource": "r"}],
        credits=[{"currency": "tokens", "amount": 3, "resource": "r"}],
    ) as sidecar:
        assert credits_of(sidecar).credit.usage_limit == 10
        assert credits_of(sidecar, resource_id="r").credit.usage_limit == 13
        assert credits_of(sidecar, resource_id="s").credit.usage_limit == 10


def test_credits_are_granted_once_over_restarts(clock: Clock) -> None:
    sidecar = served(clock, credits=[{"currency": "tokens", "amount": 3}])
    for _ in range(2):
        with sidecar:
            assert credits_of(sidecar).credit.usage_limit == 13


@pytest.mark.parametrize("calls", [0, 3, 8, 20])
async def test_served_export_knows_what_was_spent(clock: Clock, calls: int) -> None:
    grants = [{"currency": "tokens", "amount": 6, "name": "gift"}]
    asked = pb.GetEntitlementV2Request(customer_id="c", currency_id="tokens")

    async def told(sidecar: LocalSidecar) -> pb.EntitlementV2:
        return (await sidecar.service.get_entitlement_v2(asked)).entitlement

    async with served(clock, credits=grants) as sidecar:
        await sidecar.service.report_usage(
            pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=calls)
        )
        before, catalog = await told(sidecar), await exported(sidecar.world)
    async with LocalSidecar(catalog, clock=clock) as again:
        after = await told(again)
    assert after == before


async def moving(clock: Clock) -> World:
    """A world whose usage changes between one reading and the next."""
    store = Moving()
    world = World(store, clock=clock)
    told = {"id": "c", "subscriptions": [{"plan": "team"}]}
    await populate(world, load_catalog(CATALOG | {"customers": [told]}))
    store.world = world
    return world


async def test_answer_is_of_one_moment_though_usage_comes_meanwhile(
    clock: Clock,
) -> None:
    world, customer = await moving(clock), Subject(customer_id="c")
    verdict = await Checks(world).feature(customer, "calls")
    assert (verdict.usage, verdict.reason) == (0, None)
    verdict = await Checks(world).feature(customer, "calls")
    assert (verdict.usage, verdict.reason) == (5, "INSUFFICIENT_CREDITS")


async def test_state_is_of_one_moment_though_usage_comes_meanwhile(
    clock: Clock,
) -> None:
    world, customer = await moving(clock), Subject(customer_id="c")

    async def state() -> tuple[float, Reason | None, float]:
        answer = await Checks(world).state(customer)
        calls = next(
            item
            for item in answer.features
            if item.standing.feature and item.standing.feature.id == "calls"
        )
        (tokens,) = answer.credits
        assert tokens.standing is not None
        return calls.usage, calls.reason, tokens.standing.balance.remaining

    assert await state() == (0, None, 10)
    assert await state() == (5, "INSUFFICIENT_CREDITS", 0)


async def test_what_a_catalog_says_is_owed_is_owed_once_and_can_be_edited(
    clock: Clock,
) -> None:
    world = World(MemoryStore(), clock=clock)

    async def owed(*debts: float, **customer: Any) -> float:
        told = [{"currency": "other", "type": "overdraft", "amount": d} for d in debts]
        whole = CATALOG | {"customers": [{"id": "c", "credits": told, **customer}]}
        await populate(world, load_catalog(whole))
        wallet = await world.read(wallet_key("c", None, "other"))
        return wallet.debt if wallet else 0

    async def use_more(transaction: Transaction) -> None:
        key = wallet_key("c", None, "other")
        wallet = await transaction.read(key) or Wallet()
        transaction.write(key, consumed(wallet, 2, (), NOW))

    assert await owed(5) == 5
    await world.transact(use_more)
    assert await owed(5, name="C") == 7
    assert await owed(8) == 10
    assert await owed(1, 1) == 4
    assert await owed() == 2


@pytest.mark.parametrize(
    ("grant", "problem"),
    [
        ({"amount": 5, "spent": 6}, "6 credits of 5 are spent; use at most the amount"),
        ({"amount": 5, "type": "recurring"}, "made by the sidecar itself"),
    ],
)
def test_grant_that_cannot_be_is_told(grant: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        served(Clock(), credits=[{"currency": "tokens", **grant}])
    assert problem in str(caught.value)
