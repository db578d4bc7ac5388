"""The connection of an outbox to its Redis: made at first use, anew in a forked child.

What is asked over it is in `redis_scripts`, what its errors mean in `redis_errors`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from stigg_guard.metering.holds import redis_clients
from stigg_guard.metering.holds.redis_address import RedisAddress
from stigg_guard.metering.outbox.redis_errors import errors, unavailable
from stigg_guard.metering.outbox.redis_scripts import STREAM, Script

_SETTING: Final = "The outbox location"
_TIMEOUT: Final = "socket_timeout=2.0"
"""Seconds for a command, unless the URL says otherwise; a batch may be large."""


class RedisLink:
    """Runs scripts on the keys of one outbox. Safe for threads and forks.

    `base` is what the outbox's keys begin with; `clock` takes the place of the server's
    time. Raises `ConfigurationError` for a URL that cannot be read.
    """

    def __init__(
        self, url: str, *, base: str, clock: Callable[[], float] | None
    ) -> None:
        address = RedisAddress.parse(url, setting=_SETTING)
        redis_clients.check(address, setting=_SETTING)
        self.location = address.location
        self._address = address
        if "socket_timeout" not in address.options:
            timed = f"{url}{'&' if '?' in url else '?'}{_TIMEOUT}"
            self._address = RedisAddress.parse(timed, setting=_SETTING)
        self._stream = base + STREAM
        self._clock = clock
        self._made: tuple[int, redis_clients.Client] | None = None

    @property
    def client(self) -> Any:
        """This process's client. Another's connections are left alone: it uses them."""
        made = self._made
        if made is None or made[0] != os.getpid():
            made = self._made = (os.getpid(), redis_clients.client(self._address))
        return made[1].commands

    def run(self, script: Script, *args: Any) -> Any:
        """The reply of a script; raises `OutboxUnavailable`."""
        now = "" if self._clock is None else f"{self._clock():.6f}"
        try:
            return self._evaluate(script, self._stream, now, *args)
        except errors() as error:
            raise unavailable(self.location, error) from error

    def _evaluate(self, script: Script, *args: Any) -> Any:
        from redis.exceptions import NoScriptError

        try:
            return self.client.evalsha(script.digest, 1, *args)
        except NoScriptError:
            return self.client.eval(script.source, 1, *args)

    def close(self) -> None:
        """Let go of the connections; the next step opens them again."""
        made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[1].close()
