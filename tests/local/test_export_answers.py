"""A copy of a world, made from its export, answers what the world itself answers."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar_client.local import LocalSidecar
from sidecar_client.local.loading import read_catalog
from tests.local.wire import Clock
from tests.local.worlds import (
    DAY,
    EVENTFUL,
    WORLD,
    Api,
    Step,
    said,
    steps,
    subscribed,
    tried,
    used,
)


@contextmanager
def copied(sidecar: LocalSidecar, *, behind: timedelta) -> Generator[Api]:
    """Another sidecar, that serves what the first one exports, at the same time.

    It begins `behind` that time, as one does whose original had its clock moved.
    """
    text = httpx.get(f"{sidecar.http_url}/local/catalog.yaml").raise_for_status().text
    catalog = read_catalog(text, "catalog.yaml")
    clock = Clock(sidecar.clock() - behind)
    with LocalSidecar(catalog, clock=clock, http_port=0) as again, Api(again) as api:
        again.clock.advance(behind)
        yield api


BACK: list[Step] = [
    ("POST", "/v1/customers/acme/unarchive", {}),
    ("POST", "/v1/customers/bee/unarchive", {}),
    ("POST", "/v1/subscriptions", {"id": "b", "customerId": "bee", "planId": "free"}),
]
"""Those who left come back."""


@settings(max_examples=20)
@given(steps(), st.sampled_from([0 * DAY, DAY, 33 * DAY]), st.just(0 * DAY))
@example(EVENTFUL, 33 * DAY, 0 * DAY)
@example([*EVENTFUL, ("POST", "/v1/customers/bee/archive", {}), DAY], DAY, 0 * DAY)
@example(
    [
        used("bee", "seats", 3, None),
        ("POST", "/v1/customers/bee/archive", {}),
        used("acme", "calls", 30, None),
        said(20, 1),
        DAY,
    ],
    DAY,
    10_000 * DAY,
)
@example(
    [used("bee", "seats", 3, None), ("POST", "/v1/subscriptions/bees/cancel", {})],
    DAY,
    0 * DAY,
)
@example([used("acme", "calls", 30, None), DAY] * 2, DAY, 9 * DAY)
@example(
    [used("acme", "calls", 3, None), ("POST", "/v1/customers/acme/archive", {})],
    0 * DAY,
    0 * DAY,
)
@example([subscribed("bee", "pro", None), used("bee", "calls", 19, None)], DAY, 0 * DAY)
@example([said(16, 0), subscribed("acme", "pro", None)], 33 * DAY, 0 * DAY)
@example([tried("bee", 0, "CONVERT_TO_PAID", "MONTHLY")] * 2, DAY, 0 * DAY)
def test_copy_answers_as_the_original(
    played: list[Step], later: timedelta, behind: timedelta
) -> None:
    with (
        LocalSidecar(WORLD, clock=Clock(), http_port=0) as sidecar,
        Api(sidecar) as original,
    ):
        for step in played:
            original.do(step)
        with copied(sidecar, behind=behind) as copy:
            assert copy.told() == original.told()
            for api in (copy, original):
                api.sidecar.clock.advance(later)
            assert copy.told() == original.told()
            for api in (copy, original):
                for step in BACK:
                    api.do(step)
            assert copy.told() == original.told()
