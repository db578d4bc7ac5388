"""A copy of a world that nobody uses, pulled over REST, answers as the world itself."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import stigg
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.local.pull import pull
from tests.local.wire import Clock
from tests.local.worlds import DAY, UNUSED, WORLD, Api, Step, changes, tried


@contextmanager
def pulled(sidecar: LocalSidecar) -> Generator[Api]:
    """Another sidecar, that serves what is pulled from the first, at the same time."""
    with stigg.Stigg(api_key="any", base_url=sidecar.http_url) as client:
        found = pull(client, with_customers=True)
    assert found.notes == []
    clock = Clock(sidecar.clock())
    with (
        LocalSidecar(load_catalog(found.data), clock=clock, http_port=0) as again,
        Api(again) as api,
    ):
        yield api


def told(api: Api) -> Any:
    """What is answered, without what the vendor's client does not read, or is over."""
    return _comparable(api.told())


def _comparable(answer: Any) -> Any:
    if isinstance(answer, list):
        items = cast("Sequence[Any]", answer)
        return sorted((_comparable(i) for i in items if not _is_over(i)), key=str)
    if not isinstance(answer, dict):
        return answer
    said = cast("Mapping[str, Any]", answer)
    left_out = {"planVersion"}
    if said.get("status") in ("ACTIVE", "EXPIRED", "CANCELED"):
        left_out |= {"trial", "trialEndDate"}
    if said.get("status") in ("EXPIRED", "CANCELED"):
        left_out |= {"endDate"}
    return {k: _comparable(v) for k, v in said.items() if k not in left_out}


def _is_over(item: Any) -> bool:
    return "featureId" in item and item["status"] == "Expired"


@settings(max_examples=20)
@given(changes(), st.sampled_from([timedelta(0), DAY, 33 * DAY]))
@example(UNUSED, 33 * DAY)
@example([*UNUSED, ("POST", "/v1/customers/bee/archive", {}), DAY], DAY)
@example([tried("bee", 0, "CONVERT_TO_PAID", "MONTHLY"), 10 * DAY], DAY)
def test_pulled_copy_answers_as_the_original(
    played: list[Step], later: timedelta
) -> None:
    with (
        LocalSidecar(WORLD, clock=Clock(), http_port=0) as sidecar,
        Api(sidecar) as original,
    ):
        for step in played:
            original.do(step)
        with pulled(sidecar) as copy:
            assert told(copy) == told(original)
            for api in (copy, original):
                api.sidecar.clock.advance(later)
            assert told(copy) == told(original)
