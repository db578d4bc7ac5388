"""Answers that are given once and repeated: what an idempotency key stands for.

How requests and answers look over HTTP does not matter here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Literal, cast

from sidecar_client.local.records import Answer, Key, answer_key
from sidecar_client.local.world import Transaction, World

KEPT_FOR = timedelta(hours=24)
_ANSWERED_WITHIN = timedelta(minutes=1)
"""After so long, whoever was answering is taken to be gone."""
_SWEPT = 20

Conflict = Literal["another_request", "being_answered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer: its status and its body."""

    status: int
    body: str
    is_repeated: bool = False


class Answers:
    """The answers of a world that keys stand for, for 24 hours of its clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._swept = ""

    async def once(
        self, key: str, request: bytes, answer: Callable[[], Awaitable[Given]]
    ) -> Given | Conflict:
        """What was answered under the key, or what is now.

        An answer that tells of a failure of ours (5xx) is not kept.
        """
        name = answer_key(_digest(key.encode()))
        asked = _digest(request)
        found = await self._begin(name, asked)
        if found is not None:
            return found
        try:
            given = await answer()
        except BaseException:
            await self._forget(name)
            raise
        await self._keep(name, asked, given)
        await self._sweep()
        return given

    async def _begin(self, name: Key[Answer], asked: str) -> Given | Conflict | None:
        async def work(transaction: Transaction) -> Given | Conflict | None:
            known = await transaction.read(name)
            age = transaction.now - known.at if known else KEPT_FOR
            if known is not None and age < KEPT_FOR:
                if known.asked != asked:
                    return "another_request"
                if known.status is not None:
                    return Given(status=known.status, body=known.body, is_repeated=True)
                if age < _ANSWERED_WITHIN:
                    return "being_answered"
            transaction.write(name, Answer(at=transaction.now, asked=asked))
            return None

        return await self._world.transact(work)

    async def _keep(self, name: Key[Answer], asked: str, given: Given) -> None:
        if given.status >= 500:
            await self._forget(name)
            return

        async def work(transaction: Transaction) -> None:
            answer = Answer(
                at=transaction.now, asked=asked, status=given.status, body=given.body
            )
            transaction.write(name, answer)

        await self._world.transact(work)

    async def _forget(self, name: Key[Answer]) -> None:
        async def work(transaction: Transaction) -> None:
            transaction.remove(name)

        await self._world.transact(work)

    async def _sweep(self) -> None:
        """Forget some of what is too old: more than comes in with one answer."""
        found = await self._world.store.scan("answer/", after=self._swept, limit=_SWEPT)
        now = self._world.clock()
        for name, entry in found:
            if now - cast("Answer", entry.record).at >= KEPT_FOR:
                await self._forget(Key(name, Answer))
        self._swept = found[-1][0] if len(found) == _SWEPT else ""


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=16).hexdigest()
