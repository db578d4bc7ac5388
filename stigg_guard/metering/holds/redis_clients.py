"""Clients of redis-py for an address; they connect when they are first used.

How long they wait is said here. What they are asked, and what errors mean, is not.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from sidecar_client.certificates import of_its_host
from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.holds.redis_address import RedisAddress

TIMEOUTS: Final = {"socket_connect_timeout": 0.5, "socket_timeout": 1.0}
"""Seconds; options of the URL come before these."""
ATTEMPTS_OF_A_CLUSTER: Final = 1
"""How often a cluster's nodes are asked for its form anew before a step fails."""


def check(address: RedisAddress, *, setting: str) -> None:
    """Raise `ConfigurationError` for options that redis-py does not know."""
    options = {name: address.options[name] for name in address.options if name != "ssl"}
    kind = options.pop("connection_class", import_module("redis").Connection)
    options.pop("max_connections", None)
    try:
        kind(**options)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{setting} is {address.location!r}: redis-py does not take these options:"
            f" {error}. Correct the part after the question mark."
        ) from None


class Client(NamedTuple):
    """A client of redis-py, and those that tell it where to connect."""

    commands: Any
    guides: tuple[Any, ...] = ()

    def close(self) -> None:
        """Close all connections."""
        for one in (self.commands, *self.guides):
            one.close()

    async def aclose(self) -> None:
        """Close all connections of the loop."""
        for one in (self.commands, *self.guides):
            await one.aclose()


def client(
    address: RedisAddress, package: Literal["redis", "redis.asyncio"] = "redis"
) -> Client:
    """A client for threads or, of the package `redis.asyncio`, for the running loop."""
    no_backoff = import_module("redis.backoff").NoBackoff()
    retry = import_module(f"{package}.retry").Retry
    never = {"retry": retry(no_backoff, 0)}
    if address.kind == "server":
        whole: Any = import_module(package).Redis
        return Client(whole.from_url(address.url, **never, **_of_server(address)))
    options = _of_host({**TIMEOUTS, **address.options})
    if address.kind == "sentinel":
        sentinel = import_module(f"{package}.sentinel").Sentinel(
            address.nodes,
            sentinel_kwargs=_of_host({**never, **TIMEOUTS, **address.sentinel_options}),
            **never,
            **options,
        )
        return Client(sentinel.master_for(address.service), (*sentinel.sentinels,))
    cluster = import_module(f"{package}.cluster")
    again = {"retry": retry(no_backoff, ATTEMPTS_OF_A_CLUSTER)}
    if int(import_module("redis").__version__.partition(".")[0]) < 6:
        again = {"cluster_error_retry_attempts": ATTEMPTS_OF_A_CLUSTER}
    nodes = [cluster.ClusterNode(*node) for node in address.nodes]
    return Client(cluster.RedisCluster(startup_nodes=nodes, **again, **options))


def _of_server(address: RedisAddress) -> dict[str, Any]:
    """What the URL of one server does not say."""
    is_tls = address.url.startswith("rediss:")
    told = of_its_host(address.options) if is_tls else {}
    return {**TIMEOUTS, **{name: told[name] for name in told.keys() - address.options}}


def _of_host(options: dict[str, Any]) -> dict[str, Any]:
    return of_its_host(options) if options.get("ssl") else options
