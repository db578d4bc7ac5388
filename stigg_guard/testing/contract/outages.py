"""What holds when the sidecar gives no verdict: the same in every framework.

What becomes of usage then is in `metering`.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.fixtures import Build
from stigg_guard.testing.contract.routes import AT_LIMIT, WITHIN


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A target that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def down(sidecar: LocalSidecar) -> str:
    """A target where nothing listens."""
    sidecar.stop()
    return sidecar.target


def test_unreachable_sidecar_lets_through_by_default(build: Build, down: str) -> None:
    assert build(target=down).get("/domain", AT_LIMIT).status == 200


def test_unreachable_sidecar_denies_when_told_to(build: Build, down: str) -> None:
    response = build(target=down, on_unavailable="deny").get("/domain", WITHIN)
    assert response.status == 503
    assert response.headers["retry-after"] == "5"
    assert response.json["reason"] == "NO_VERDICT"


def test_view_and_feature_have_policies_of_their_own(build: Build, down: str) -> None:
    client = build(
        target=down, features={"feature-03-custom-domain": {"ON_UNAVAILABLE": "deny"}}
    )
    assert client.get("/deny", WITHIN).status == 503
    assert client.get("/own-fallback", WITHIN).status == 503
    assert client.get("/domain", WITHIN).status == 503
    assert client.get("/files", WITHIN).status == 200


def test_silent_sidecar_costs_no_more_than_the_deadline(
    build: Build, nowhere: str
) -> None:
    client = build(target=nowhere, timeout=0.2, on_unavailable="deny")
    client.get("/plain", WITHIN)
    started = time.perf_counter()
    assert client.get("/domain", WITHIN).status == 503
    assert 0.1 < time.perf_counter() - started < 2


def test_last_known_decision_stands_in(build: Build, sidecar: LocalSidecar) -> None:
    client = build(target=sidecar.target, timeout=5, on_unavailable="deny")
    assert client.get("/domain", WITHIN).status == 200
    assert client.get("/domain", AT_LIMIT).status == 402
    sidecar.stop()
    assert client.get("/domain", WITHIN).status == 200
    assert client.get("/domain", AT_LIMIT).status == 402
    assert client.get("/files", WITHIN).status == 503


def test_last_known_decision_does_not_stand_in_when_turned_off(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(
        target=sidecar.target, timeout=5, on_unavailable="deny", last_known_for=0
    )
    assert client.get("/domain", WITHIN).status == 200
    sidecar.stop()
    assert client.get("/domain", WITHIN).status == 503


def test_application_recovers_within_half_a_second_of_the_sidecar(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(
        target=sidecar.target, timeout=1, on_unavailable="deny", last_known_for=0
    )
    assert client.get("/domain", WITHIN).status == 200
    sidecar.stop()
    assert client.get("/domain", WITHIN).status == 503
    sidecar.start()
    back = time.perf_counter()
    while client.get("/domain", WITHIN).status != 200:
        assert time.perf_counter() - back < 0.5
    assert client.get("/domain", AT_LIMIT).status == 402


def test_outage_is_logged_once_and_so_is_its_end(
    build: Build, sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    client = build(target=sidecar.target, timeout=1)
    client.get("/domain", WITHIN)
    sidecar.stop()
    with caplog.at_level(logging.INFO, logger="stigg_guard"):
        for _ in range(5):
            assert client.get("/domain", WITHIN).status == 200
        sidecar.start()
        deadline = time.perf_counter() + 5
        while "again" not in caplog.text and time.perf_counter() < deadline:
            client.get("/domain", WITHIN)
    messages = [
        record.message for record in caplog.records if record.name == "stigg_guard"
    ]
    assert len([text for text in messages if "No verdict" in text]) == 1
    assert len([text for text in messages if "gives verdicts again" in text]) == 1


def test_something_that_is_no_sidecar_is_an_outage_and_no_error_of_the_server(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        target = f"127.0.0.1:{server.getsockname()[1]}"
        client = build(target=target, timeout=0.3, on_unavailable="deny")
        assert client.get("/domain", WITHIN).status == 503
    assert target in caplog.text
