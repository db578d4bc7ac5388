"""Answers that are given once under a key, and repeated."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sidecar_client.local.management.idempotency import Answers, Given
from sidecar_client.local.world import World
from tests.local.wire import Clock


class Backend:
    """Answers with a number that counts its answers."""

    def __init__(self, status: int = 201) -> None:
        self.count = 0
        self.status = status
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.asked: asyncio.Queue[int] = asyncio.Queue()

    async def __call__(self) -> Given:
        self.count += 1
        number = self.count
        self.asked.put_nowait(number)
        await self.may_go.wait()
        return Given(status=self.status, body=str(number))


async def test_a_key_stands_for_its_answer_for_24_hours(
    world: World, clock: Clock
) -> None:
    answers, backend = Answers(world), Backend()
    first = await answers.once("k", b"request", backend)
    assert first == Given(status=201, body="1")
    clock.now += timedelta(hours=24) - timedelta(seconds=1)
    again = await answers.once("k", b"request", backend)
    assert again == Given(status=201, body="1", is_repeated=True)
    clock.now += timedelta(seconds=1)
    assert await answers.once("k", b"request", backend) == Given(status=201, body="2")


async def test_another_request_may_not_use_the_key(world: World) -> None:
    answers, backend = Answers(world), Backend()
    await answers.once("k", b"request", backend)
    assert await answers.once("k", b"another", backend) == "another_request"
    assert backend.count == 1


async def test_what_is_being_answered_is_not_answered_beside(
    world: World, clock: Clock
) -> None:
    answers, backend = Answers(world), Backend()
    backend.may_go.clear()
    first = asyncio.create_task(answers.once("k", b"request", backend))
    await backend.asked.get()
    assert await answers.once("k", b"request", backend) == "being_answered"
    # Whoever takes so long has died: its request is taken over.
    clock.now += timedelta(minutes=1)
    second = asyncio.create_task(answers.once("k", b"request", backend))
    await backend.asked.get()
    backend.may_go.set()
    assert {(await first, await second)} == {
        (Given(status=201, body="1"), Given(status=201, body="2"))
    }


async def test_failures_are_not_kept(world: World) -> None:
    answers, backend = Answers(world), Backend(status=503)
    await answers.once("k", b"request", backend)
    assert await answers.once("k", b"request", backend) == Given(status=503, body="2")

    async def fail() -> Given:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await answers.once("other", b"request", fail)
    assert await answers.once("other", b"request", backend) == Given(
        status=503, body="3"
    )


async def test_what_is_too_old_is_forgotten_as_new_answers_come(
    world: World, clock: Clock
) -> None:
    answers, backend = Answers(world), Backend()
    for number in range(50):
        await answers.once(f"old-{number}", b"request", backend)
    clock.now += timedelta(hours=24)
    for number in range(8):
        await answers.once(f"new-{number}", b"request", backend)
    assert len(await world.store.scan("answer/")) == 8
