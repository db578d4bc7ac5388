"""Local sidecars whose usage outlives them, or is shared with others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from uuid import uuid4

import grpc
import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.stores.file import FileStore
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.stores.redis import RedisStore
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import ask, refusal
from tests.redis_server import RedisServer, redis_server

CUSTOMER, RESOURCE, FEATURE = "customer-demo-01", "site-01", "feature-01-templates"


def measured(value: float) -> pb.ReportUsageRequest:
    return pb.ReportUsageRequest(
        customer_id=CUSTOMER, resource_id=RESOURCE, feature_id=FEATURE, value=value
    )


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server("--appendonly", "no") as server:
        yield server


@pytest.fixture(params=["file", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return str(tmp_path / "sidecar.db")
    server: RedisServer = request.getfixturevalue("redis")
    return f"{server.url}?prefix={uuid4().hex}"


def usage(sidecar: LocalSidecar) -> float:
    answer = ask(
        sidecar,
        pb.GetMeteredEntitlementRequest(
            customer_id=CUSTOMER, resource_id=RESOURCE, feature_id=FEATURE
        ),
    )
    return cast("pb.GetMeteredEntitlementResponse", answer).entitlement.current_usage


def report(sidecar: LocalSidecar, value: float) -> None:
    ask(sidecar, measured(value))


def test_usage_goes_on_in_a_sidecar_that_starts_later(place: str) -> None:
    with LocalSidecar(store=place) as first:
        assert usage(first) == 3
        report(first, 2)
    with LocalSidecar(store=place) as second:
        assert usage(second) == 5
        report(second, -1)
    # The same object may be started again, too.
    with first:
        assert usage(first) == 4


def test_sidecars_at_the_same_place_count_together(place: str) -> None:
    with LocalSidecar(store=place) as one, LocalSidecar(store=place) as other:
        report(one, 2)
        assert usage(other) == 5
        report(other, 1)
        assert usage(one) == 6


def test_store_may_be_an_object_or_a_path(tmp_path: Path) -> None:
    memory = MemoryStore()
    with LocalSidecar(store=memory) as first:
        report(first, 2)
    with LocalSidecar(store=memory) as second:
        assert usage(second) == 5
    with LocalSidecar(store=tmp_path / "a.db") as third:
        report(third, 2)
    with LocalSidecar(store=FileStore(tmp_path / "a.db")) as fourth:
        assert usage(fourth) == 5


@pytest.mark.parametrize("store", [5, "redis", object(), b"x.db"])
def test_what_is_no_store_is_refused(store: object) -> None:
    with pytest.raises(ConfigurationError, match="use memory, a file such as"):
        LocalSidecar(store=store)  # type: ignore[arg-type]


def test_store_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    sidecar = LocalSidecar(store=tmp_path / "notes.txt")
    with pytest.raises(ConfigurationError, match="is a file of something else"):
        sidecar.start()
    (tmp_path / "notes.txt").unlink()
    with sidecar:
        assert usage(sidecar) == 3


def test_calls_during_an_outage_of_the_store_are_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with LocalSidecar(store=FileStore(path, busy_timeout=0.05)) as sidecar:
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            code, told = refusal(sidecar, measured(1))
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "has been locked by another process" in told
            assert usage(sidecar) == 3
        other.close()
        report(sidecar, 1)
        assert usage(sidecar) == 4


def test_failures_of_redis_are_told_in_the_feed() -> None:
    with redis_server("--appendonly", "no") as server:
        store = RedisStore(server.url, patience=0.1)
        with LocalSidecar(store=store) as sidecar:
            heard: list[str] = []
            sidecar.feed.listen(lambda happening: heard.append(happening.kind))
            server.stop()
            code, told = refusal(sidecar, measured(1))
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "look whether it runs and can be reached" in told
    assert "redis_error" in heard
