"""Units are held while views run: the same in every framework.

What is reported afterwards is in `metering`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.routes import AT_LIMIT, WITHIN
from stigg_guard.testing.contract.usage import used


def test_parallel_requests_are_granted_what_is_left_and_no_more(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    with ThreadPoolExecutor(max_workers=30) as threads:
        asked = [threads.submit(client.post, "/templates", WITHIN) for _ in range(30)]
        statuses = sorted(one.result().status for one in asked)
    assert statuses == [200] * 3 + [402] * 27
    assert used(sidecar, WITHIN) == 6
    assert sidecar.calls["ReportUsage"] == 3


def test_parallel_requests_that_fail_leave_everything_to_others(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    paths = [f"/templates?{how}" for how in ("raise=1", "status=400", "status=500")]
    with ThreadPoolExecutor(max_workers=12) as threads:
        for one in [threads.submit(client.post, path, WITHIN) for path in paths * 4]:
            assert one.result().status in (400, 500)
    assert client.post("/three", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6


def test_more_units_than_are_left_are_denied_and_hold_nothing(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/doubled", WITHIN).status == 402
    assert client.post("/three", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6


def test_unit_that_a_view_gives_back_needs_no_room(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates", AT_LIMIT).status == 402
    assert client.post("/deleted", AT_LIMIT).status == 200
    assert used(sidecar, AT_LIMIT) == 5
    assert client.post("/templates", AT_LIMIT).status == 200


def test_view_that_fails_to_give_back_changes_nothing(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/deleted?status=500", AT_LIMIT).status == 500
    assert used(sidecar, AT_LIMIT) == 6
