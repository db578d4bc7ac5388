"""The core and a naive evaluator say the same about any catalog, usage and time."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sidecar_client.local.catalog import CatalogIndex
from sidecar_client.local.evaluation import (
    Subject,
    Verdict,
    billed_counter_at,
    counter_at,
    judge,
    standing,
)
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.records import Usage
from tests.local.catalogs import FEATURES, METERED, Written, catalogs, small, times
from tests.local.naive import Naive, at

RESOURCES = (None, "r")
reports = st.lists(
    st.tuples(times, st.sampled_from(METERED), st.sampled_from(RESOURCES), small),
    min_size=4,
    max_size=12,
)
requests = st.sampled_from([None, 0, 1, 2.5])
wishes = st.lists(st.sampled_from(["csv", "xlsx", "pdf"]), max_size=2)


class Real:
    """The core, with records in a dictionary."""

    def __init__(self, written: Written) -> None:
        catalog = load_catalog(written)
        self.index = CatalogIndex.of(catalog)
        (self.customer,) = catalog.customers
        self.records: dict[str, BaseModel | None] = {}

    def report(
        self, feature: str, resource: str | None, value: float, now: datetime
    ) -> None:
        subject = Subject(customer_id="c", resource_id=resource)
        found = standing(self.index, self.customer, subject, feature, now)
        if found.grant is not None:
            counter, _ = counter_at(found, subject, now)
            for key in {counter, billed_counter_at(found, subject, now) or counter}:
                before = self.records.get(key.name)
                total = before.total if isinstance(before, Usage) else 0.0
                self.records[key.name] = Usage(total=total + value)

    def verdict(
        self,
        feature: str,
        resource: str | None,
        now: datetime,
        requested: float | None,
        values: list[str],
    ) -> Verdict:
        subject = Subject(customer_id="c", resource_id=resource)
        found = standing(self.index, self.customer, subject, feature, now)
        needed = {key.name for key in found.needs}
        # What the core says that it does not need, it does not get.
        records = {name: self.records.get(name) for name in needed}
        return judge(found, records, requested_usage=requested, requested_values=values)


def shown(naive: Naive, feature: str, resource: str | None, now: datetime) -> Any:
    """What the naive evaluator grants: the number, whether it is soft, the usage."""
    won = naive.winner(feature, resource, now)
    assert won is not None
    said = won[0]
    used = 0.0
    if feature in METERED:
        used = naive.units(feature, naive.place(feature, won, now)[0])
    number = None if said.get("unlimited") else said.get("value", said.get("limit"))
    values = set(naive.values(feature, resource, now))
    return (
        number,
        said.get("unlimited", False),
        said.get("soft_limit", False),
        used,
        (values),
    )


def told(verdict: Verdict) -> Any:
    grant = verdict.standing.grant
    assert grant is not None
    said = grant.entitlement
    number = said.limit if said.value is None else said.value
    values = set(verdict.standing.values)
    return number, said.unlimited, said.soft_limit, verdict.usage, values


@given(catalogs(), reports, requests, wishes)
def test_core_says_what_the_naive_evaluator_says(
    written: Written, reported: list[Any], requested: float | None, values: list[str]
) -> None:
    naive, real = Naive(written), Real(written)
    for time, feature, resource, value in sorted(reported, key=lambda item: item[0]):
        naive.report(feature, resource, value, at(time))
        real.report(feature, resource, value, at(time))
    moments = {at(time) for time, *_ in reported}
    features = [item["id"] for item in FEATURES]
    for now, feature, resource in product(moments, features, RESOURCES):
        expected = naive.reason(feature, resource, now, requested, values)
        verdict = real.verdict(feature, resource, now, requested, values)
        assert verdict.reason == expected
        if verdict.standing.grant is not None:
            assert told(verdict) == shown(naive, feature, resource, now)
