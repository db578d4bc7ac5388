"""Commits that producers share: who commits, and how each learns how it ended."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import pytest

from stigg_guard.metering.outbox.base import OutboxUnavailable
from stigg_guard.metering.outbox.group_commit import MOST_AT_ONCE, GroupCommit


class Disk:
    """Remembers what was committed, by which thread; its commits can be held up."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.threads: list[threading.Thread] = []
        self.room: float = math.inf
        self.begun = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def commit(self, items: Sequence[int]) -> None:
        self.begun.set()
        assert self.goes_on.wait(30)
        if len(self.commits) >= self.room:
            raise OutboxUnavailable("the disk is full")
        self.commits.append(list(items))
        self.threads.append(threading.current_thread())

    def hold(self) -> None:
        self.begun.clear()
        self.goes_on.clear()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def group(disk: Disk) -> GroupCommit[int]:
    return GroupCommit(disk.commit)


def start_put(group: GroupCommit[int], disk: Disk) -> threading.Thread:
    """A producer whose commit has begun and is held up."""
    disk.hold()
    producer = threading.Thread(target=group.put, args=([0],))
    producer.start()
    assert disk.begun.wait(30)
    return producer


def test_lone_producer_commits_itself(group: GroupCommit[int], disk: Disk) -> None:
    group.put([1])
    group.put([2])
    assert disk.commits == [[1], [2]]
    assert set(disk.threads) == {threading.current_thread()}


def test_what_comes_during_a_commit_shares_the_next(
    group: GroupCommit[int], disk: Disk
) -> None:
    producer = start_put(group, disk)
    futures = [group.submit([number]) for number in range(1, 100)]
    disk.goes_on.set()
    for future in futures:
        assert future.result(timeout=30) is None
    producer.join()
    assert [item for commit in disk.commits for item in commit] == list(range(100))
    assert len(disk.commits) <= 3
    group.close()


def test_shared_commit_has_a_bound(group: GroupCommit[int], disk: Disk) -> None:
    producer = start_put(group, disk)
    future = group.submit([1] * MOST_AT_ONCE)
    group.submit([2])
    future = group.submit([3])
    disk.goes_on.set()
    future.result(timeout=30)
    producer.join()
    assert max(len(commit) for commit in disk.commits) == MOST_AT_ONCE
    group.close()


def test_everyone_learns_of_a_failure_with_an_error_of_their_own(
    group: GroupCommit[int], disk: Disk
) -> None:
    producer = start_put(group, disk)
    caught: list[BaseException] = []

    def produce() -> None:
        try:
            group.put([1])
        except OutboxUnavailable as error:
            caught.append(error)

    others = [threading.Thread(target=produce) for _ in range(4)]
    for other in others:
        other.start()
    futures = [group.submit([2]) for _ in range(4)]
    disk.room = 1
    disk.goes_on.set()
    producer.join()
    for other in others:
        other.join()
    errors = [future.exception(timeout=30) for future in futures]
    group.close()
    assert [str(error) for error in (*caught, *errors)] == ["the disk is full"] * 8
    assert len(set(map(id, (*caught, *errors)))) == 8


def test_error_reaches_the_producer_and_the_next_put_goes_on(
    group: GroupCommit[int], disk: Disk
) -> None:
    disk.room = 0
    with pytest.raises(OutboxUnavailable, match="the disk is full"):
        group.put([1])
    with pytest.raises(OutboxUnavailable, match="the disk is full"):
        group.submit([1]).result(timeout=30)
    disk.room = math.inf
    group.put([2])
    group.submit([3]).result(timeout=30)
    assert disk.commits == [[2], [3]]
    group.close()


def test_future_cannot_be_cancelled(group: GroupCommit[int], disk: Disk) -> None:
    producer = start_put(group, disk)
    future = group.submit([1])
    assert not future.cancel()
    disk.goes_on.set()
    producer.join()
    assert future.result(timeout=30) is None
    group.close()


def test_close_commits_what_waits_and_ends_the_thread(
    group: GroupCommit[int], disk: Disk
) -> None:
    threads = threading.active_count()
    futures = [group.submit([number]) for number in range(50)]
    group.close()
    assert all(future.done() for future in futures)
    assert threading.active_count() == threads
    group.submit([50]).result(timeout=30)
    group.close()
    assert [item for commit in disk.commits for item in commit] == list(range(51))
