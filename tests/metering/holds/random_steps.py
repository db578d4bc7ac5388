"""Strategies for random steps on a few places, keys and periods."""

from __future__ import annotations

from hypothesis import strategies as st

from stigg_guard.metering.holds.base import (
    Fence,
    GiveBack,
    Keep,
    Lift,
    Op,
    Peek,
    Place,
    Renew,
    Settle,
    Take,
    Want,
)

ONE_CUSTOMERS = (Place("a", None, "f"), Place("a", "site", "f"))
PLACES = (*ONE_CUSTOMERS, Place("b", None, "f"))
KEYS = ("k", "l", "m", "n")
TOKENS = ("t", "u")

# Multiples of a half: their sums are exact in any order.
amounts = st.integers(0, 12).map(lambda number: number / 2)
changes = st.integers(-6, 12).map(lambda number: number / 2)
keys = st.sampled_from(KEYS)
updates = st.sampled_from(["delta", "delta", "set"])
periods = st.sampled_from([None, 100.0, 100.0, 200.0, 300.0])


def _wants(places: st.SearchStrategy[Place]) -> st.SearchStrategy[Want]:
    return st.builds(
        Want,
        place=places,
        key=keys,
        units=amounts,
        limit=st.sampled_from([3.0, 6.0, 6.0, float("inf")]),
        usage=st.none() | amounts,
        period=periods,
        update=updates,
        is_fresh=st.sampled_from([True, True, False]),
    )


def steps(
    leases: st.SearchStrategy[float],
    youths: st.SearchStrategy[float],
    among: tuple[Place, ...] = PLACES,
) -> st.SearchStrategy[Op]:
    """Any step; times and places are drawn from what is given."""
    places = st.sampled_from(among)
    wants = _wants(places)
    takes = st.builds(Take, wants=st.lists(wants, max_size=3).map(tuple), lease=leases)
    return st.one_of(
        takes,
        takes,
        st.builds(Peek, place=places),
        st.builds(
            Settle,
            place=places,
            key=keys,
            units=changes,
            young_for=youths,
            total=st.none() | amounts,
            update=updates,
            period=periods,
        ),
        st.builds(GiveBack, place=places, keys=st.lists(keys, max_size=2).map(tuple)),
        st.builds(
            Renew,
            place=places,
            units=st.lists(st.tuples(keys, amounts), max_size=2).map(tuple),
            lease=leases,
            period=periods,
        ),
        st.builds(
            Keep,
            place=places,
            key=keys,
            units=st.none() | changes,
            mode=st.sampled_from(["open", "sending", "stored", "doubtful"]),
            lease=leases,
            period=periods,
            only_if_lost=st.booleans(),
            only_if_open=st.booleans(),
        ),
        st.builds(Fence, place=places, token=st.sampled_from(TOKENS), lease=leases),
        st.builds(
            Lift,
            place=places,
            token=st.sampled_from(TOKENS),
            total=st.none() | amounts,
            young_for=youths,
        ),
    )
