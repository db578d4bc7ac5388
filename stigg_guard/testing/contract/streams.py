"""Streamed responses: when and by what they are measured, in every framework.

What is measured of other responses is in `metering`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.hanging_up import hang_up_amid
from stigg_guard.testing.contract.routes import WITHIN
from stigg_guard.testing.contract.usage import used

POLICIES = [("/at-the-start", 4), ("/at-the-end", 4), ("/by-what-was-sent", 5)]


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it comes about within so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(("path", "usage"), POLICIES)
def test_stream_that_was_sent_is_measured_by_its_policy(
    client: BehaviourClient, sidecar: LocalSidecar, path: str, usage: float
) -> None:
    response = client.get(f"{path}?chunks=2", WITHIN)
    assert (response.status, response.body) == (200, b"0123456789" * 2)
    assert used(sidecar, WITHIN) == usage
    assert sidecar.calls["ReportUsage"] == 1


def test_usage_of_a_stream_is_acknowledged_before_its_end_is_told(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    statuses = [client.get("/at-the-end?chunks=1", WITHIN).status for _ in range(4)]
    assert statuses == [200, 200, 200, 402]
    assert used(sidecar, WITHIN) == 6


@pytest.mark.parametrize(("path", "usage"), [("/at-the-start", 4), ("/at-the-end", 3)])
def test_stream_that_breaks_is_measured_by_its_policy(
    client: BehaviourClient, sidecar: LocalSidecar, path: str, usage: float
) -> None:
    client.get(f"{path}?chunks=5&breaks_after=1", WITHIN)
    assert used(sidecar, WITHIN) == usage


def test_stream_that_breaks_is_measured_by_what_was_sent(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    client.get("/by-what-was-sent?chunks=5&breaks_after=2", WITHIN)
    assert used(sidecar, WITHIN) == 5
    assert sidecar.calls["ReportUsage"] == 1


def test_stream_that_breaks_gives_its_hold_back(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    for _ in range(3):
        client.get("/at-the-end?chunks=5&breaks_after=1", WITHIN)
    assert client.post("/three", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6


@pytest.mark.parametrize("path", ["/at-the-start", "/at-the-end"])
def test_failed_status_of_a_stream_is_not_metered(
    client: BehaviourClient, sidecar: LocalSidecar, path: str
) -> None:
    assert client.get(f"{path}?chunks=2&status=404", WITHIN).status == 404
    assert used(sidecar, WITHIN) == 3
    assert client.post("/three", WITHIN).status == 200


def test_response_that_is_not_streamed_is_measured_by_all_of_it(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    response = client.get("/by-what-was-sent", WITHIN)
    assert used(sidecar, WITHIN) == 3 + len(response.body) / 10


def test_response_that_is_not_streamed_ends_at_once(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/at-the-end", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 4


def test_each_of_several_decorators_measures_by_its_own_policy(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    client.get("/streamed-twice?chunks=2", WITHIN)
    assert used(sidecar, WITHIN) == 3 + 1 + 2
    assert sidecar.calls["ReportUsage"] == 2


def test_function_that_fails_does_not_break_what_is_sent(
    client: BehaviourClient, sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        response = client.get("/by-a-broken-function?chunks=3", WITHIN)
    assert response.body == b"0123456789" * 3
    assert "it cannot be measured: ZeroDivisionError()" in caplog.text
    assert client.post("/three", WITHIN).status == 200  # nothing is held for it
    assert used(sidecar, WITHIN) == 6


def test_view_that_says_what_it_used_wins_over_what_was_sent(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    client.get("/by-what-was-sent?chunks=1&use=2", WITHIN)
    assert used(sidecar, WITHIN) == 5


def test_client_that_hangs_up_is_metered_by_the_start_alone(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    with client.serving() as port:
        hang_up_amid(port, "/at-the-start?chunks=inf", WITHIN, after=20)
    assert used(sidecar, WITHIN) == 4
    assert sidecar.calls["ReportUsage"] == 1


def test_client_that_hangs_up_is_not_metered_where_the_end_counts(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    with client.serving() as port:
        hang_up_amid(port, "/at-the-end?chunks=inf", WITHIN, after=20)
    assert used(sidecar, WITHIN) == 3
    # Its hold is given back.
    assert eventually(lambda: client.post("/three", WITHIN).status == 200)
    assert sidecar.calls["ReportUsage"] == 1


def test_client_that_hangs_up_is_metered_once_by_what_was_sent(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    with client.serving() as port:
        hang_up_amid(port, "/by-what-was-sent?chunks=inf", WITHIN, after=20)
        assert eventually(lambda: used(sidecar, WITHIN) > 3)
    assert used(sidecar, WITHIN) >= 5
    assert sidecar.calls["ReportUsage"] == 1


def test_websocket_is_metered_by_what_it_sent(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    if not client.has_websockets:
        assert client.get("/at-the-end?chunks=1", WITHIN).status == 200
    else:
        assert client.handshake("/counted-ws", customer=WITHIN).body == b"hello"
    assert eventually(lambda: used(sidecar, WITHIN) == 4)
