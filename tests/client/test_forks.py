"""Forked children ask as their parents do, or are told why they cannot; none hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.client.servers import Server

OF_PARENT = ["parent sync allowed", "parent async allowed"]
OF_CHILD = ["child sync allowed", "child async allowed", "child ended with 0"]


def lines_of(way: str, **environment: str) -> list[str]:
    with Server() as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.client.scripts.forks", way, server.target],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("fork_support", ["0", "1"])
def test_a_client_built_before_a_fork_works_in_the_child(fork_support: str) -> None:
    assert lines_of("cold", GRPC_ENABLE_FORK_SUPPORT=fork_support) == OF_CHILD


def test_a_client_used_before_a_fork_works_in_child_and_parent() -> None:
    assert lines_of("warm") == [*OF_PARENT, *OF_CHILD, *OF_PARENT]


def test_a_fork_amid_calls_breaks_neither_child_nor_parent() -> None:
    assert lines_of("busy") == [*OF_CHILD * 5, "parent sync allowed"]


@pytest.mark.skipif(
    tuple(map(int, version("grpcio").split(".")[:2])) < (1, 85),
    reason="older grpcio may abort the child of a fork inside a loop: seen on 1.68.1",
)
def test_a_fork_inside_an_event_loop_breaks_neither_child_nor_parent() -> None:
    assert lines_of("idle_loop") == [*OF_CHILD, "parent async allowed"]


def test_a_fork_beside_a_running_loop_is_a_clear_error_in_the_child() -> None:
    refused, ended, parent = lines_of("running_loop")
    assert refused.startswith("child async ConfigurationError this process was forked")
    assert "use SyncStigg here" in refused
    assert (ended, parent) == ("child ended with 0", "parent async allowed")


def test_a_warm_fork_without_grpcs_fork_support_is_a_clear_error_in_the_child() -> None:
    lines = lines_of("warm", GRPC_ENABLE_FORK_SUPPORT="0")
    for line in lines[2:4]:
        assert "ConfigurationError" in line
        assert "GRPC_ENABLE_FORK_SUPPORT off" in line
    assert lines[4:] == ["child ended with 0", *OF_PARENT]
