"""The connections of a store to its Redis: made, lost, and found again.

Scripts are run here, again where that is safe; what they do is in `redis_scripts`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from sidecar_client.certificates import of_its_host
from sidecar_client.errors import ConfigurationError
from sidecar_client.local.stores.base import StoreError
from sidecar_client.local.stores.redis_address import RedisAddress
from sidecar_client.local.stores.redis_errors import store_error
from sidecar_client.local.stores.redis_scripts import Script

PATIENCE: Final = 5.0
"""Seconds for which a change is tried again, while Redis cannot be reached."""
PATIENCE_OF_READING: Final = 0.15
"""For so long what only reads is tried: callers wait, and there may be fallbacks."""
_UNKNOWN: Final = re.compile(r"unexpected keyword argument ('\w+')")
_TIMEOUTS: Final = {"socket_connect_timeout": 1.0, "socket_timeout": 2.0}
_CONNECTIONS: Final = 16
_SHORTEST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.25


class RedisLink:
    """Runs scripts at an address. Of one event loop, from `open` to `close`."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._client: Any = None
        self.failures: list[Callable[[Exception], None]] = []
        """Called with each command that failed, also when it is tried again."""
        self._again, self._all = _errors()

    def open(self) -> None:
        """Get ready to connect."""
        if self._client is None:
            self._client = _client(self._address)

    async def close(self) -> None:
        """Close all connections. Does nothing when there are none."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        arguments: Sequence[str | bytes],
        *,
        patience: float,
    ) -> Any:
        """The reply of a script; raises `StoreError`.

        When the answer is lost it is run again, so twice it must do what once does.
        """
        give_up = time.monotonic() + patience
        pause = _SHORTEST_PAUSE
        while True:
            client = self._client
            if client is None:
                raise StoreError(
                    f"The store {self._address.location} is not open; start its "
                    "sidecar."
                )
            try:
                return await _evaluated(client, script, keys, arguments)
            except self._all as error:
                if _is_elsewhere(error):
                    await self._use_cluster(client)
                else:
                    self._tell(error)
                    may_pass = isinstance(error, self._again) and not _is_refusal(error)
                    if not may_pass or time.monotonic() + pause > give_up:
                        raise store_error(error, self._address.location) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _tell(self, error: Exception) -> None:
        for listener in self.failures:
            listener(error)

    async def _use_cluster(self, replaced: Any) -> None:
        """Go on with a client that knows which node of a cluster has our slot."""
        if self._client is replaced:
            self._client = _cluster_client(self._address)
            await replaced.aclose()


async def _evaluated(
    client: Any, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes]
) -> Any:
    from redis.exceptions import NoScriptError

    try:
        return await client.evalsha(script.digest, len(keys), *keys, *arguments)
    except NoScriptError:
        return await client.eval(script.source, len(keys), *keys, *arguments)


def _client(address: RedisAddress) -> Any:
    asynchronous: Any = import_module("redis.asyncio")
    no_retry = import_module("redis.asyncio.retry").Retry(_no_backoff(), 0)
    options = {**_TIMEOUTS, **address.options, "decode_responses": False}
    if options.get("connection_class") is _tls():
        options = of_its_host(options)
    try:
        pool = asynchronous.BlockingConnectionPool(
            max_connections=options.pop("max_connections", _CONNECTIONS),
            timeout=PATIENCE,
            retry=no_retry,
            **options,
        )
        # Unknown options would only be told by the first connection.
        pool.make_connection()
    except (TypeError, ValueError) as error:
        # What Python says of an argument is nothing to whoever wrote a URL.
        unknown = _UNKNOWN.search(str(error))
        why = f"there is no option {unknown[1]}" if unknown else str(error)
        raise ConfigurationError(
            f"the store is {address.location!r}: {why}. "
            "Correct the part after the question mark."
        ) from None
    return asynchronous.Redis.from_pool(pool)


def _cluster_client(address: RedisAddress) -> Any:
    cluster: Any = import_module("redis.asyncio.cluster")
    options = {**_TIMEOUTS, **address.options, "decode_responses": False}
    options.pop("db", None)
    if options.pop("connection_class", None) is _tls():
        options = {**of_its_host(options), "ssl": True}
    retry = import_module("redis.asyncio.retry").Retry
    once: dict[str, Any] = {"retry": retry(_no_backoff(), 1)}
    if int(import_module("redis").__version__.partition(".")[0]) < 6:
        once = {"cluster_error_retry_attempts": 1}
    return cluster.RedisCluster(**once, **options)


def _tls() -> Any:
    return import_module("redis.asyncio.connection").SSLConnection


def _no_backoff() -> Any:
    return import_module("redis.backoff").NoBackoff()


def _errors() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """Errors after which a step may succeed when it is tried again, and all."""
    errors: Any = import_module("redis.exceptions")
    again = (
        errors.ConnectionError,
        errors.TimeoutError,
        errors.TryAgainError,
        errors.ClusterDownError,
        errors.SlotNotCoveredError,
        OSError,
    )
    return again, (errors.RedisError, errors.RedisClusterException, OSError)


def _is_elsewhere(error: Exception) -> bool:
    """Whether a node of a cluster says that another one has our slot."""
    from redis import exceptions

    # redis-py 5 has no class for that where it expects no cluster.
    said = str(error).startswith(("MOVED ", "ASK "))
    return said or isinstance(error, exceptions.AskError)


def _is_refusal(error: Exception) -> bool:
    """Whether the server answered, and would answer the same again."""
    from redis import exceptions

    is_of_user = isinstance(
        error, (exceptions.AuthenticationError, exceptions.AuthorizationError)
    )
    return is_of_user or "certificate verify failed" in str(error)
