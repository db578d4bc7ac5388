"""Connections of redis-py, each lent to one step at a time: a command, and its reply.

Its client does more around a command than a step of the holds takes. Where they lead to
and what waits how long is said in `redis_clients`; what errors mean, in `redis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

Argument: TypeAlias = str | bytes | float

_ALIKE: Final = 6
"""Arguments that commands begin with and most share: script, place and step."""


class RedisLines:
    """The connections of one process to one server, made as threads need them.

    One that was idle is looked at before it is lent again: the Redis may have ended it.
    None is lent again after anything but a whole reply.
    """

    def __init__(self, pool: Any) -> None:
        """Make connections as a pool of redis-py would, and keep them here."""
        from redis.exceptions import ConnectionError as GoneError
        from redis.exceptions import ResponseError

        self._pool = pool
        self._is_answer = ResponseError
        self._is_gone = (GoneError, OSError)
        # Threads append and pop without a lock.
        self._free: list[Any] = []

    def execute(self, *command: Argument) -> Any:
        """The reply to a command; an error that Redis replies is raised."""
        line = self._lend()
        try:
            line.send_packed_command((packed(command),))
            reply = line.read_response(disconnect_on_error=True)
        except self._is_answer:
            self._free.append(line)
            raise
        except BaseException:
            line.disconnect()
            raise
        self._free.append(line)
        return reply

    def execute_each(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The replies to commands that are sent at once; errors that Redis replies too.

        Whatever else goes wrong is raised: then nothing is known of any of them.
        """
        line = self._lend()
        replies: list[Any] = []
        try:
            line.send_packed_command((b"".join(map(packed, commands)),))
            for _ in commands:
                try:
                    replies.append(line.read_response(disconnect_on_error=True))
                except self._is_answer as error:
                    replies.append(error)
        except BaseException:
            line.disconnect()
            raise
        self._free.append(line)
        return replies

    def close(self) -> None:
        """Close what is not lent now."""
        while self._free:
            self._free.pop().disconnect()

    def _lend(self) -> Any:
        try:
            line = self._free.pop()
        except IndexError:
            line = self._pool.connection_class(**self._pool.connection_kwargs)
        else:
            try:
                if not line.can_read():
                    return line
            except self._is_gone:
                pass
            line.disconnect()
        line.connect()
        return line


def packed(command: tuple[Argument, ...]) -> bytes:
    """A command as Redis reads it."""
    rest = [_packed(argument) for argument in command[_ALIKE:]]
    return b"".join((b"*%d\r\n" % len(command), _start(command[:_ALIKE]), *rest))


@lru_cache(maxsize=4096)
def _start(arguments: tuple[Argument, ...]) -> bytes:
    return b"".join([_packed(argument) for argument in arguments])


def _packed(argument: Argument) -> bytes:
    if isinstance(argument, str):
        argument = argument.encode()
    elif not isinstance(argument, bytes):
        argument = repr(argument).encode()
    return b"$%d\r\n%b\r\n" % (len(argument), argument)
