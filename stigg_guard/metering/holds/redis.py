"""Holds kept in Redis, for all processes and hosts that share it.

The rule is the script `ledger.lua`; where the Redis is, is `redis_address`'s.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from stigg_guard.metering.holds.base import Holds, HoldsUnavailable, Op
from stigg_guard.metering.holds.redis_address import RedisAddress
from stigg_guard.metering.holds.redis_clients import TIMEOUTS, Client, check, client
from stigg_guard.metering.holds.redis_errors import unavailable
from stigg_guard.metering.holds.redis_form import (
    Argument,
    Call,
    conversation,
    only_call,
    reply_to,
    script,
)
from stigg_guard.metering.holds.redis_lines import RedisLines
from stigg_guard.metering.holds.talk import Talk

MOST_AT_ONCE: Final = 32
"""Steps of one event loop under way: each takes a connection."""


class _Script:
    """The script, and the errors that mean that it could not be run."""

    def __init__(self, url: str, prefix: str) -> None:
        self.address = RedisAddress.parse(url, setting="HOLDS")
        check(self.address, setting="HOLDS")
        from redis.exceptions import (
            NoScriptError,
            RedisClusterException,
            RedisError,
        )

        self.is_unknown = NoScriptError
        self.failures = (
            RedisError,
            RedisClusterException,
            OSError,
            TimeoutError,
            # Of redis-py 5 for a cluster that serves no slot.
            IndexError,
        )
        timeout = self.address.options.get("socket_timeout")
        self.timeout = float(timeout or TIMEOUTS["socket_timeout"])
        self.prefix = prefix
        self.text = script()
        # Redis names scripts so; nothing is kept secret by it.
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def unavailable(self, error: Exception) -> HoldsUnavailable:
        """The error of the stores for one of redis-py."""
        outage = unavailable(error, self.address.location)
        outage.__cause__ = error
        return outage


class RedisHolds(Holds):
    """A hold store for threads, shared through Redis.

    It takes `redis://`, `rediss://`, `unix://`, `redis+sentinel://` and
    `redis+cluster://`. Its Redis must not evict, `maxmemory-policy noeviction`: what is
    evicted is counted no more. Holds survive its restart only with `appendonly yes`.
    All who share an account must use one `prefix`.

    Connections are made by the first step in each process. A step takes about a second
    at most before it raises `HoldsUnavailable`, and is never tried twice. When a reply
    is lost, the same `Take` again is granted what it holds.
    """

    def __init__(self, url: str, *, prefix: str = "stigg_guard") -> None:
        self._script = _Script(url, prefix)
        self.location = self._script.address.location
        """Its URL for messages, without passwords."""
        self.forget()
        _stores.add(self)

    def forget(self) -> None:
        """Begin anew in a child, without closing what its parent uses."""
        self._lock = threading.Lock()
        self._connected: _Connected | None = None

    def perform(self, op: Op) -> object:
        """Carry one step out; one round trip, or one for each customer of a `Take`."""
        call = only_call(op, self._script.prefix)
        if call is not None:
            try:
                reply = self._run(call)
            except self._script.failures as error:
                raise self._script.unavailable(error) from error
            return reply_to(op, reply)
        talk = Talk(conversation(op, self._script.prefix))
        while (call := talk.step) is not None:
            try:
                reply = self._run(call)
            except self._script.failures as error:
                talk.failed(self._script.unavailable(error))
            else:
                talk.went(reply)
        return talk.reply

    def perform_each(self, ops: Sequence[Op]) -> Sequence[HoldsUnavailable | None]:
        """Carry steps out: in one round trip, where Redis is a single server."""
        calls = [call for op in ops if (call := only_call(op, self._script.prefix))]
        try:
            lines = (self._connected or self._connect()).lines
            if lines is None or len(calls) < len(ops):
                return super().perform_each(ops)
            replies = lines.execute_each(
                [("EVALSHA", self._script.sha, *_sent(call)) for call in calls]
            )
        except self._script.failures as error:
            return [self._script.unavailable(error)] * len(ops)
        return [self._outage(op, reply) for op, reply in zip(ops, replies, strict=True)]

    def _outage(self, op: Op, reply: object) -> HoldsUnavailable | None:
        if isinstance(reply, self._script.is_unknown):
            return super().perform_each([op])[0]
        if isinstance(reply, self._script.failures):
            return self._script.unavailable(reply)
        return None

    def close(self) -> None:
        """Close this process's connections; the next step opens them again."""
        with self._lock:
            opened, self._connected = self._connected, None
        if opened is not None:
            opened.close()

    def _run(self, call: Call) -> Any:
        execute = (self._connected or self._connect()).execute
        sent = _sent(call)
        try:
            return execute("EVALSHA", self._script.sha, *sent)
        except self._script.is_unknown:
            return execute("EVAL", self._script.text, *sent)

    def _connect(self) -> _Connected:
        with self._lock:
            if self._connected is None:
                self._connected = _Connected.to(self._script.address)
            return self._connected


def _sent(call: Call) -> tuple[Argument, ...]:
    return (len(call.keys), *call.keys, *call.arguments)


class _Connected(NamedTuple):
    """What one process has: a client, and how a command is carried out."""

    client: Client
    lines: RedisLines | None

    @classmethod
    def to(cls, address: RedisAddress) -> _Connected:
        made = client(address)
        if address.kind != "server" or "max_connections" in address.options:
            # Where to, or how many connections: that is its client's to decide.
            return cls(made, None)
        return cls(made, RedisLines(made.commands.connection_pool))

    @property
    def execute(self) -> Callable[..., Any]:
        if self.lines is not None:
            return self.lines.execute
        execute: Callable[..., Any] = self.client.commands.execute_command
        return execute

    def close(self) -> None:
        if self.lines is not None:
            self.lines.close()
        self.client.close()


class _OfLoop(NamedTuple):
    """What one event loop has: a client, and places for steps under way."""

    client: Client
    places: asyncio.Semaphore


class AsyncRedisHolds:
    """A hold store for event loops, shared through Redis; see `RedisHolds`.

    A loop carries out at most 32 steps at a time; the others wait for their turn, about
    as long as for an answer. Every loop has connections of its own. Those of a loop
    that was closed are dropped when another one first needs some; `aclose` closes them
    in time.
    """

    def __init__(self, url: str, *, prefix: str = "stigg_guard") -> None:
        self._script = _Script(url, prefix)
        self.location = self._script.address.location
        """Its URL for messages, without passwords."""
        self.forget()
        _stores.add(self)

    def forget(self) -> None:
        """Begin anew in a child, without closing what its parent uses."""
        self._clients: dict[asyncio.AbstractEventLoop, _OfLoop] = {}

    async def perform(self, op: Op) -> object:
        """Carry one step out; one round trip, or one for each customer of a `Take`."""
        talk = Talk(conversation(op, self._script.prefix))
        while (call := talk.step) is not None:
            try:
                reply = await self._run(call)
            except self._script.failures as error:
                talk.failed(self._script.unavailable(error))
            else:
                talk.went(reply)
        return talk.reply

    async def aclose(self) -> None:
        """Close the running loop's connections; its next step opens them again."""
        opened = self._clients.pop(asyncio.get_running_loop(), None)
        if opened is not None:
            await opened.client.aclose()

    async def _run(self, call: Call) -> Any:
        opened = self._connected()
        if opened.places.locked():
            async with asyncio.timeout(self._script.timeout):
                await opened.places.acquire()
        else:
            # Never suspends, as it is not locked.
            await opened.places.acquire()
        try:
            # Connections of redis-py 5.3 to 7 are made one after the other.
            async with asyncio.timeout(2 * self._script.timeout):
                return await self._ask(opened.client.commands, call)
        finally:
            opened.places.release()

    async def _ask(self, commands: Any, call: Call) -> Any:
        count, sent = len(call.keys), (*call.keys, *call.arguments)
        try:
            return await commands.evalsha(self._script.sha, count, *sent)
        except self._script.is_unknown:
            return await commands.eval(self._script.text, count, *sent)

    def _connected(self) -> _OfLoop:
        loop = asyncio.get_running_loop()
        known = self._clients.get(loop)
        if known is not None:
            return known
        for other in list(self._clients):
            if other.is_closed():
                self._clients.pop(other, None)
        opened = _OfLoop(
            client(self._script.address, "redis.asyncio"),
            asyncio.Semaphore(MOST_AT_ONCE),
        )
        return self._clients.setdefault(loop, opened)


_stores: weakref.WeakSet[RedisHolds | AsyncRedisHolds] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store.forget()


os.register_at_fork(after_in_child=_after_fork)
