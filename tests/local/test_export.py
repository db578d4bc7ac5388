"""The state as a catalog: what was changed is in it, and it can be served again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import Clock, ask, check

WORLD: dict[str, Any] = {
    "currencies": [{"id": "tokens"}],
    "features": [
        {"id": "seats", "type": "metered", "meter": "fluctuating"},
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {
            "id": "logins",
            "type": "metered",
            "meter": "incremental",
            "events": {"event": "login"},
        },
        {
            "id": "storage",
            "type": "metered",
            "meter": "incremental",
            "unit_transformation": {"divide": 1000},
        },
        {"id": "domain", "type": "boolean"},
    ],
    "plans": [
        {
            "id": "team",
            "entitlements": {
                "seats": {"limit": 5},
                "calls": {"limit": 10, "reset_period": "month"},
                "logins": {"limit": 10, "reset_period": "month"},
                "storage": {"limit": 7},
                "domain": True,
            },
        }
    ],
    "customers": [
        {
            "id": "acme",
            "resources": ["site"],
            "subscriptions": [{"plan": "team", "start": "2023-01-31"}],
            "credits": [{"currency": "tokens", "amount": 20}],
        },
        {"id": "gone", "archived": True},
    ],
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


@pytest.fixture
def played(stack: ExitStack) -> LocalSidecar:
    """A world in which something has happened."""
    sidecar = stack.enter_context(LocalSidecar(WORLD, clock=Clock(), http_port=0))
    report(sidecar, "calls", 4)
    sidecar.clock.advance(timedelta(days=40))
    for feature, value in (("seats", 3), ("calls", 2), ("storage", 2500)):
        report(sidecar, feature, value)
    events = [
        pb.Event(event_name="login", customer_id="acme", idempotency_key=str(key))
        for key in range(6)
    ]
    ask(sidecar, pb.ReportEventsRequest(events=events))
    return sidecar


def report(sidecar: LocalSidecar, feature: str, value: float) -> None:
    ask(
        sidecar,
        pb.ReportUsageRequest(customer_id="acme", feature_id=feature, value=value),
    )


def exported(sidecar: LocalSidecar) -> str:
    answer = httpx.get(f"{sidecar.http_url}/local/catalog.yaml").raise_for_status()
    assert 'filename="catalog.yaml"' in answer.headers["content-disposition"]
    return answer.text


def test_state_is_served_again_as_it_was(
    played: LocalSidecar, stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(exported(played), "utf-8")
    again = stack.enter_context(
        LocalSidecar(path, clock=Clock(played.clock()), http_port=0)
    )
    for request in (
        pb.GetEntitlementsStateV2Request(customer_id="acme"),
        pb.GetEntitlementsStateV2Request(customer_id="acme", resource_id="site"),
        pb.GetEntitlementsStateV2Request(customer_id="gone"),
    ):
        assert ask(again, request) == ask(played, request)
    assert check(again, "calls", customer_id="acme", usage=8) is None
    assert check(again, "calls", customer_id="acme", usage=9) is not None
    assert exported(again) == exported(played)


def test_text_says_when_it_was_so_and_is_short(played: LocalSidecar) -> None:
    text = exported(played)
    assert text.startswith("# The state of a local sidecar at 2024-01-10 00:00:00 UTC.")
    assert "domain: true\n" in text
    assert "seats: {limit: 5}\n" in text
    assert "value: 4\n" not in text, "usage of an earlier period is left out"


def test_grants_are_told_in_full(played: LocalSidecar, tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(exported(played), "utf-8")
    acme = next(c for c in load_catalog(path).customers if c.id == "acme")
    assert [grant.amount for grant in acme.credits] == [20]


def test_world_without_anything_is_an_empty_catalog() -> None:
    with LocalSidecar({}, http_port=0) as sidecar:
        assert exported(sidecar).endswith("{}\n")
