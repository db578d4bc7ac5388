"""The contract of the hold stores, one clause a test, on every store."""

from __future__ import annotations

from typing import cast

import pytest

from stigg_guard.metering.holds.base import (
    Fence,
    GiveBack,
    Keep,
    Lift,
    Mode,
    Place,
    Renew,
    Standing,
    Taken,
)
from tests.metering.holds.stores import INFINITE, OTHER, PLACE, Store, want


def test_a_unit_counts_from_its_grant(store: Store) -> None:
    assert store.take(want("a", 2, usage=3)).granted

    standing = store.standing()
    assert (standing.counted, standing.held, standing.open) == (5, 2, 1)


def test_nothing_is_known_of_a_place_that_nobody_took_of(store: Store) -> None:
    assert store.standing() == Standing()


def test_exactly_the_limit_is_granted(store: Store) -> None:
    granted = [store.take(want()).granted for _ in range(9)]

    assert granted == [True] * 6 + [False] * 3


def test_a_granted_take_tells_the_numbers_before_it(store: Store) -> None:
    store.take(want(units=2, usage=1))

    assert store.take(want(usage=1)) == Taken(counted=3, held=2)


def test_a_refused_take_of_held_units_may_wait_for_them(store: Store) -> None:
    store.take(want(units=4, usage=2))

    refused = store.take(want(units=2, usage=2))

    assert refused == Taken(refusal="held", refused=PLACE, counted=6, held=4)


def test_a_refused_take_of_used_units_waits_in_vain(store: Store) -> None:
    store.take(want(units=4, usage=2))

    refused = store.take(want(units=5, usage=2))

    assert refused == Taken(refusal="used", refused=PLACE, counted=6, held=4)


def test_a_refused_take_holds_nothing(store: Store) -> None:
    store.take(want("a", 7))

    assert store.standing().held == 0
    assert store.take(want(units=6)).granted


def test_sums_of_floats_do_not_refuse_what_is_left(store: Store) -> None:
    for _ in range(10):
        assert store.take(want(units=0.1, limit=1)).granted

    assert store.take(want(units=0.1, limit=1)).refusal == "held"
    assert store.take(want(units=1e-8, limit=1)).refusal == "held"


def test_an_infinite_limit_refuses_nothing_and_is_counted(store: Store) -> None:
    for _ in range(3):
        assert store.take(want(units=1e12, limit=INFINITE)).granted

    assert store.standing().held == 3e12


def test_a_key_that_is_held_is_granted_what_it_holds(store: Store) -> None:
    store.take(want("a", 6))

    assert store.take(want("a", 3)).granted
    assert store.standing().held == 6


def test_a_want_that_adds_nothing_is_granted_over_the_limit(store: Store) -> None:
    assert store.take(want("a", 0, usage=9)).granted
    assert store.take(want("b", 4, usage=9, update="set")).granted
    assert store.standing().held == 0


def test_all_wants_are_held_or_none(store: Store) -> None:
    seat = want("seat", place=OTHER, limit=0)

    refused = store.take(want("a"), seat)

    assert refused == Taken(refusal="used", refused=OTHER)
    assert store.standing().held == 0
    assert store.standing(OTHER).held == 0


def test_a_refused_take_leaves_what_its_keys_held_before(store: Store) -> None:
    store.take(want("a"))

    store.take(want("a"), want("seat", place=OTHER, limit=0))

    assert store.standing().held == 1


def test_wants_of_one_place_add_up(store: Store) -> None:
    refused = store.take(want("a", 4), want("b", 3))

    assert refused == Taken(refusal="used", refused=PLACE)
    assert store.take(want("a", 4), want("b", 2)).granted
    assert store.standing().held == 6


def test_wants_of_several_customers_are_held_or_none(store: Store) -> None:
    others = [Place(name, "site", "templates") for name in "zyxwab"]
    wants = [want(f"key-{place.customer_id}", place=place) for place in others]
    last = want("last", place=Place("zz", None, "seats"), limit=0)

    assert store.take(*wants, last).refused == last.place
    assert all(store.standing(place).held == 0 for place in others)

    assert store.take(*wants).granted
    assert all(store.standing(place).held == 1 for place in others)


def test_a_take_of_nothing_is_granted(store: Store) -> None:
    assert store.take().granted


def test_places_do_not_share_units(store: Store) -> None:
    twins = [
        Place("a", None, "f"),
        Place("a", "", "f"),
        Place("a", "f", "f"),
        Place("a:", "f", "f"),
        Place("", None, "f"),
        Place("{a}", None, "f"),
        Place("%", None, "f"),
        Place("ä", "€", "a:b/c d"),
    ]
    for units, place in enumerate(twins, start=1):
        store.take(want(place=place, units=units, limit=INFINITE))

    assert [store.standing(place).held for place in twins] == list(range(1, 9))


def test_usage_of_others_counts_as_soon_as_it_is_told(store: Store) -> None:
    store.take(want())

    assert store.take(want(usage=6)).refusal == "used"


def test_usage_that_lags_is_not_believed_while_ours_is_young(store: Store) -> None:
    for number in range(6):
        store.take(want(f"key-{number}"))
        store.settle(f"key-{number}")

    assert store.take(want(usage=0)) == Taken(refusal="used", refused=PLACE, counted=6)


def test_usage_that_others_took_back_is_believed(store: Store) -> None:
    store.take(want("a", 2, usage=4))
    store.settle("a", 2, young_for=0)

    assert store.take(want(units=3, usage=3)).granted


def test_an_old_answer_lowers_nothing(store: Store) -> None:
    store.take(want("a", 2, usage=4))
    store.settle("a", 2, young_for=0)

    assert store.take(want(usage=3, is_fresh=False)).refusal == "used"
    assert store.take(want(usage=6.5, is_fresh=False)).counted == 6.5


def test_a_take_that_asked_nobody_is_judged_by_what_is_counted(store: Store) -> None:
    store.take(want(units=4, usage=2))

    assert store.take(want(usage=None, period=None)).refusal == "held"


def test_settling_takes_a_unit_from_held_and_not_from_counted(store: Store) -> None:
    store.take(want("a", 2, usage=1))
    store.settle("a", 2)

    standing = store.standing()
    assert (standing.counted, standing.held, standing.open) == (3, 0, 0)


@pytest.mark.parametrize(("used", "counted"), [(5, 6), (1, 2), (0, 1), (-1, 0)])
def test_what_was_really_used_counts(store: Store, used: float, counted: float) -> None:
    store.take(want("a", 2, usage=1))
    store.settle("a", used)

    assert store.standing().counted == counted


def test_units_that_were_given_back_are_not_young(store: Store) -> None:
    store.take(want("a", 0, usage=5))
    store.settle("a", -3)
    store.take(want("b", 2, usage=2))

    assert store.standing().counted == 4


def test_a_settlement_of_a_lost_hold_counts_all_the_same(store: Store) -> None:
    store.take(want("a", usage=1))
    store.settle("lost", 2)

    assert store.standing().counted == 4


def test_a_settlement_makes_an_account_of_its_total(store: Store) -> None:
    store.settle("a", 2, total=5)
    store.settle("b", 2, place=OTHER)

    assert store.standing() == Standing(counted=5)
    assert store.standing(OTHER) == Standing(counted=2)


def test_only_a_lost_hold_is_held_again(store: Store) -> None:
    again = Keep(place=PLACE, key="a", units=1, mode="stored", only_if_lost=True)
    store.take(want("a", 2))
    store.perform(again)
    assert store.standing().open == 1

    store.perform(GiveBack(place=PLACE, keys=("a",)))
    store.perform(again)
    assert store.standing() == Standing(counted=1, held=1, expected=0, period=100)


def test_only_an_open_hold_is_kept_as_one_that_waits(store: Store) -> None:
    waits = Keep(place=PLACE, key="a", units=None, mode="stored", only_if_open=True)
    store.perform(waits)
    assert store.standing() == Standing()
    store.take(want("a", 2))
    store.perform(Keep(place=PLACE, key="a", units=2, mode="sending"))
    store.perform(waits)
    assert store.standing().open == 1

    store.perform(Keep(place=PLACE, key="a", units=2, mode="open"))
    store.perform(waits)
    assert (store.standing().open, store.standing().held) == (0, 2)


@pytest.mark.parametrize("mode", ["stored", "doubtful"])
def test_what_waits_is_in_no_usage_that_the_sidecar_tells(
    store: Store, mode: Mode
) -> None:
    store.take(want("a", usage=0, limit=100))
    store.perform(GiveBack(place=PLACE, keys=("a",)))
    store.settle("late", 0)  # after which nobody knows the total
    store.perform(Keep(place=PLACE, key="row", units=1, mode=mode, period=100))
    # Others, who are dead now, reported five.
    assert store.take(want(usage=5)).refusal == "held"

    assert store.standing().counted == 6


def test_a_total_that_was_found_holds_all_that_was_doubtful(store: Store) -> None:
    store.take(want("a", usage=5, limit=100))
    store.perform(Keep(place=PLACE, key="a", units=1, mode="doubtful"))
    store.take(want("b", usage=6, limit=100))
    store.perform(GiveBack(place=PLACE, keys=("b",)))
    store.perform(Fence(place=PLACE, token="t", lease=10))
    store.settle("a", young_for=60)
    store.perform(Lift(place=PLACE, token="t", total=6))

    assert store.standing() == Standing(counted=6, expected=6, period=100)


def test_what_was_used_before_an_account_was_lost_is_added(store: Store) -> None:
    store.perform(Renew(place=PLACE, units=(("a", 2),), lease=30, period=100))
    store.take(want("b", 1, usage=3))

    assert store.standing().counted == 6
    assert store.take(want(usage=3)).refusal == "held"


def test_a_settlement_of_an_earlier_period_does_not_count(store: Store) -> None:
    store.take(want("a", period=200))
    store.settle("lost", 3, period=100)

    assert store.standing().counted == 1


def test_a_settlement_of_a_later_period_begins_it(store: Store) -> None:
    store.take(want("a", 4, period=100))
    store.settle("lost", 3, period=200, total=3)

    assert store.standing() == Standing(counted=3, period=200)


def test_a_new_period_begins_with_the_usage_that_is_told(store: Store) -> None:
    store.take(want("a", 2, usage=4, period=100))
    store.settle("a", 2)
    store.take(want("b", usage=0, period=200))

    assert store.standing() == Standing(
        counted=1, held=1, open=1, expected=0, period=200
    )


def test_a_new_period_drops_the_holds_of_the_former(store: Store) -> None:
    store.take(want("a", 6, period=100))

    assert store.take(want("b", 6, period=200)).granted
    store.perform(GiveBack(place=PLACE, keys=("a",)))
    assert store.standing().counted == 6
    # Nobody knows in which period the dropped one arrives.
    assert store.standing().expected is None


def test_a_late_answer_of_the_former_period_is_not_believed(store: Store) -> None:
    store.take(want(usage=1, period=200))

    assert store.take(want(usage=6, period=100)).granted
    assert store.standing().counted == 3


def test_an_answer_without_a_period_leaves_the_accounts(store: Store) -> None:
    store.take(want("a", 2, period=200))

    assert store.take(want(usage=0, period=None)).granted
    assert store.standing().counted == 3
    assert store.standing().period == 200


def test_a_set_holds_the_increase(store: Store) -> None:
    store.take(want("a", 5, usage=3, update="set"))

    assert (store.standing().counted, store.standing().held) == (5, 2)
    assert store.take(want("b", 7, usage=3, update="set")).refusal == "used"
    assert store.take(want("c", 6, usage=3, update="set")).refusal == "held"


def test_a_set_increases_over_what_is_used_and_not_over_what_is_held(
    store: Store,
) -> None:
    store.take(want(units=2, usage=1))
    store.take(want("a", 3, usage=2, update="set"))

    assert (store.standing().counted, store.standing().held) == (4, 3)


@pytest.mark.parametrize(("total", "counted"), [(5, 5), (4, 4), (6, 6), (1, 1)])
def test_a_settled_set_counts_the_new_total(
    store: Store, total: float, counted: float
) -> None:
    store.take(want("a", 5, usage=3, update="set"))
    store.settle("a", total, update="set")

    assert (store.standing().counted, store.standing().held) == (counted, 0)


def test_a_settled_set_of_a_lost_hold_lowers_nothing(store: Store) -> None:
    store.take(want("a", 2, usage=3))
    store.settle("lost", 1, update="set")
    assert store.standing().counted == 5

    store.settle("lost", 4, update="set")
    assert store.standing().counted == 6


def test_giving_back_frees_the_units(store: Store) -> None:
    store.take(want("a", 4))
    store.take(want("b", 2))

    store.perform(GiveBack(place=PLACE, keys=("a", "b", "never")))

    assert store.standing() == Standing(expected=0, period=100)
    assert store.take(want(units=6)).granted


def test_giving_back_where_nothing_is_makes_nothing(store: Store) -> None:
    store.perform(GiveBack(place=PLACE, keys=("a",)))

    assert store.standing() == Standing()


def test_expected_follows_what_the_sidecar_acknowledged(store: Store) -> None:
    store.take(want("a", usage=2), want("b", usage=2))
    assert store.standing().expected == 2

    store.settle("a", 1, total=9)
    assert store.standing().expected == 3

    store.settle("b", 1, total=4)
    assert store.standing().expected == 4

    store.take(want("c", usage=4))
    store.settle("c", 1, total=9)
    assert store.standing().expected == 9


def test_a_hold_that_the_usage_shows_already_is_not_counted_twice(
    store: Store,
) -> None:
    # After a restart, while the row of another process is delivered.
    store.perform(Keep(place=PLACE, key="row", units=1, mode="sending", period=100))
    assert store.take(want("a", usage=5)).refusal == "held"

    store.settle("row", 1, total=5)

    assert store.take(want("a", usage=5)).granted


def test_a_total_that_is_older_than_another_is_not_expected(store: Store) -> None:
    store.take(want("a", usage=2), want("b", usage=2))

    # Both were reported: first a, then b; b is settled first.
    store.settle("b", 1, total=4)
    store.settle("a", 1, total=3)

    assert store.standing().expected == 4


def test_a_set_beside_other_holds_leaves_expected_unknown(store: Store) -> None:
    store.take(want("a", usage=2), want("b", usage=2))

    store.settle("a", 5, total=5, update="set")
    assert store.standing().expected is None

    store.settle("b", 1, total=6)
    assert store.standing().expected is None

    store.take(want("c", limit=100, usage=6))
    store.settle("c", 1, total=7)
    assert store.standing().expected == 7


@pytest.mark.parametrize("mode", ["sending", "doubtful"])
def test_a_total_beside_a_hold_under_way_is_not_expected(
    store: Store, mode: Mode
) -> None:
    store.take(want("a", usage=2), want("b", usage=2))
    store.perform(Keep(place=PLACE, key="b", units=1, mode=mode))

    store.settle("a", 1, total=9)

    assert store.standing().expected == 3


def test_a_total_beside_a_stored_hold_is_expected(store: Store) -> None:
    store.take(want("b", usage=2))
    store.perform(Keep(place=PLACE, key="b", units=1, mode="stored"))

    store.take(want("a", usage=2))
    store.settle("a", 1, total=9)

    assert store.standing().expected == 9


def test_renewing_holds_a_lost_hold_again_over_the_limit(store: Store) -> None:
    store.take(want("a", 6))
    units = (("a", 6.0), ("lost", 2.0))

    store.perform(Renew(place=PLACE, units=units, lease=30, period=100))

    standing = store.standing()
    assert (standing.counted, standing.held, standing.open) == (8, 8, 2)


def test_renewing_for_an_earlier_period_does_nothing(store: Store) -> None:
    store.take(want("a", period=200))

    store.perform(Renew(place=PLACE, units=(("lost", 2),), lease=30, period=100))

    assert store.standing().held == 1


@pytest.mark.parametrize(
    ("mode", "is_open", "doubtful"),
    [("open", 1, 0), ("sending", 1, 0), ("stored", 0, 0), ("doubtful", 0, 1)],
)
def test_keeping_changes_the_mode_of_a_hold(
    store: Store, mode: Mode, is_open: int, doubtful: int
) -> None:
    store.take(want("a", 2))

    assert store.perform(Keep(place=PLACE, key="a", units=2, mode=mode)) is True

    assert store.standing() == Standing(
        counted=2, held=2, open=is_open, doubtful=doubtful, expected=0, period=100
    )


def test_keeping_changes_the_units_of_a_hold(store: Store) -> None:
    store.take(want("a", 2, usage=1))

    store.perform(Keep(place=PLACE, key="a", units=4, mode="stored"))
    assert (store.standing().counted, store.standing().held) == (5, 4)

    store.perform(Keep(place=PLACE, key="a", units=None, mode="doubtful"))
    assert (store.standing().counted, store.standing().held) == (5, 4)


def test_keeping_what_gives_back_holds_nothing(store: Store) -> None:
    store.take(want("a", 0, usage=3))

    store.perform(Keep(place=PLACE, key="a", units=-2, mode="stored"))
    assert (store.standing().counted, store.standing().held) == (3, 0)

    store.settle("a", -2)
    assert store.standing().counted == 1


def test_keeping_holds_a_lost_hold_again(store: Store) -> None:
    store.take(want(usage=1))

    store.perform(Keep(place=PLACE, key="lost", units=3, mode="stored", period=100))
    store.perform(Keep(place=PLACE, key="bare", units=None, mode="sending"))
    store.perform(Keep(place=PLACE, key="past", units=3, mode="stored", period=50))

    standing = store.standing()
    assert (standing.counted, standing.held, standing.open) == (5, 4, 2)


def test_a_settled_stored_hold_counts_once(store: Store) -> None:
    store.take(want("a", 2))
    store.perform(Keep(place=PLACE, key="a", units=2, mode="stored"))
    store.perform(Keep(place=PLACE, key="a", units=2, mode="sending"))
    store.settle("a", 2, total=2)

    assert store.standing() == Standing(counted=2, expected=2, period=100)


def test_a_fence_keeps_new_holds_out(store: Store) -> None:
    store.take(want("a", usage=1))
    fenced = store.perform(Fence(place=PLACE, token="t", lease=30))

    assert fenced == Standing(counted=2, held=1, open=1, expected=1, period=100)
    assert store.take(want("b")).refusal == "fenced"
    assert store.take(want("b", 99)).refusal == "fenced"
    assert store.take(want("a")).granted
    assert store.take(want(place=OTHER)).granted


def test_a_fence_tells_which_holds_are_doubtful(store: Store) -> None:
    store.take(want("b", 2), want("c"))
    store.perform(Keep(place=PLACE, key="b", units=2, mode="doubtful"))
    store.perform(Keep(place=PLACE, key="c", units=1, mode="stored"))
    store.perform(Keep(place=PLACE, key="a", units=-1, mode="doubtful"))

    fenced = cast("Standing", store.perform(Fence(place=PLACE, token="t", lease=30)))

    assert list(fenced.doubts) == [("a", 0), ("b", 2)]
    assert not store.standing().doubts


def test_a_fence_keeps_rows_from_being_sent(store: Store) -> None:
    store.take(want("a"))
    store.perform(Fence(place=PLACE, token="t", lease=30))

    sent = store.perform(Keep(place=PLACE, key="a", units=5, mode="sending"))

    assert sent is False
    assert store.standing().held == 1
    assert store.perform(Keep(place=PLACE, key="a", units=1, mode="stored")) is True


def test_a_fence_of_another_token_stands(store: Store) -> None:
    first = Fence(place=PLACE, token="t", lease=30)
    assert store.perform(first) == Standing()

    assert store.perform(Fence(place=PLACE, token="u", lease=30)) is None
    store.perform(Lift(place=PLACE, token="u", total=5))

    assert store.take(want()).refusal == "fenced"
    assert store.perform(first) is not None


def test_lifting_a_fence_believes_the_total_that_was_found(store: Store) -> None:
    store.take(want("a", 2))
    store.settle("a", 2)
    store.perform(Fence(place=PLACE, token="t", lease=30))

    store.perform(Lift(place=PLACE, token="t", total=4))

    assert store.standing() == Standing(counted=4, expected=4, period=100)
    assert store.take(want(units=2)).granted


def test_lifting_beside_a_doubtful_hold_expects_what_it_did(store: Store) -> None:
    store.take(want("a", 2))
    store.perform(Keep(place=PLACE, key="a", units=2, mode="doubtful"))
    store.perform(Fence(place=PLACE, token="t", lease=30))

    store.perform(Lift(place=PLACE, token="t", total=4))

    assert store.standing().expected == 0


def test_a_lifted_fence_can_be_put_up_by_another(store: Store) -> None:
    store.perform(Fence(place=PLACE, token="t", lease=30))
    store.perform(Lift(place=PLACE, token="t", total=None))

    assert store.perform(Fence(place=PLACE, token="u", lease=30)) == Standing()


def test_an_old_answer_counts_beside_what_a_lost_account_holds(store: Store) -> None:
    store.perform(Renew(place=PLACE, units=(("a", 2),), lease=30, period=100))

    store.take(want("b", 1, usage=3, is_fresh=False))
    assert store.standing().counted == 6
    store.take(want("c", 0, usage=1, is_fresh=False))
    assert store.standing().counted == 6
    store.take(want("d", 0, usage=2))
    assert store.standing().counted == 5
