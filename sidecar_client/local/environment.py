"""What the environment says to a local sidecar, by the real sidecar's names.

Reading variables lives here; what command lines say, which wins, does not.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.http.options import paths_of
from sidecar_client.local.shown import shown
from sidecar_client.local.stores.base import Store
from sidecar_client.local.stores.decoded import CACHE_BYTES
from sidecar_client.local.stores.location import StoreTerms, store_of
from sidecar_client.local.stores.redis_address import (
    KEYS_TTL,
    RedisAddress,
    check_prefix,
    check_ttl,
)

logger = logging.getLogger("sidecar_client.local")

_LEVELS: Final = {
    "error": "ERROR",
    "warn": "WARNING",
    "warning": "WARNING",
    "info": "INFO",
    "debug": "DEBUG",
}
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")
_MEANINGLESS: Final = (
    "SERVER_API_KEY",
    "API_URL",
    "EDGE_ENABLED",
    "EDGE_API_URL",
    "WS_ENABLED",
    "WS_URL",
    "PORT",
)
"""What is about the vendor's services, which are never asked, or the old TLS port."""
_OF_REDIS: Final = (
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_TLS",
    "REDIS_KEYS_TTL_IN_SECS",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables of the real sidecar, checked; an empty one counts as not set."""

    grpc_port: int | None = None
    redis: RedisAddress | None = None
    """None unless `REDIS_ENVIRONMENT_PREFIX` is set, which switches Redis on."""
    entitlements_fallback: str | None = field(default=None, repr=False)
    """The JSON text of `ENTITLEMENTS_FALLBACK`, as it was written."""
    offline: bool = False
    log_level: str | None = None
    """A level of `logging`."""
    cache_bytes: int = CACHE_BYTES
    health_path: str = "/livez"
    ready_path: str = "/readyz"
    ignored: tuple[str, ...] = ()
    """Variables that are set and have no meaning here."""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Self:
        """Read them; `ConfigurationError` names variable, value and cure."""
        told = _Variables(variables)
        prefix = told.text("REDIS_ENVIRONMENT_PREFIX")
        keys_ttl = told.number("REDIS_KEYS_TTL_IN_SECS", least=None)
        if prefix is not None:
            check_prefix("REDIS_ENVIRONMENT_PREFIX", prefix)
        if keys_ttl is not None:
            check_ttl("REDIS_KEYS_TTL_IN_SECS", keys_ttl)
        cache_bytes = told.number("CACHE_MAX_SIZE_BYTES")
        health_path, ready_path = paths_of(variables)
        return cls(
            grpc_port=told.number("GRPC_PORT", most=65535),
            redis=None if prefix is None else _redis(told, prefix, keys_ttl),
            entitlements_fallback=told.text("ENTITLEMENTS_FALLBACK"),
            offline=told.switch("OFFLINE"),
            log_level=told.level("LOG_LEVEL"),
            cache_bytes=CACHE_BYTES if cache_bytes is None else cache_bytes,
            health_path=health_path,
            ready_path=ready_path,
            ignored=tuple(
                name
                for name in (*_MEANINGLESS, *(() if prefix else _OF_REDIS))
                if told.text(name) is not None
            ),
        )

    def store(self, named: str | None = None) -> Store:
        """The store that a command line named, else the Redis told here, or memory."""
        redis = self.redis
        terms = StoreTerms(
            prefix=redis.prefix if redis else None,
            keys_ttl=redis.keys_ttl if redis else None,
            cache_bytes=self.cache_bytes,
        )
        return store_of(named or redis, terms)

    def tell_ignored(self) -> None:
        """Name, once, what is set and has no meaning here."""
        if self.ignored:
            logger.info(
                "Of the environment, %s: the local sidecar has no use for that.",
                ", ".join(self.ignored),
            )


def _redis(told: _Variables, prefix: str, keys_ttl: int | None) -> RedisAddress:
    port = told.number("REDIS_PORT", least=1, most=65535)
    return RedisAddress.of_parts(
        prefix=prefix,
        host=told.host("REDIS_HOST") or "localhost",
        port=6379 if port is None else port,
        db=told.number("REDIS_DB") or 0,
        username=told.text("REDIS_USERNAME"),
        password=told.text("REDIS_PASSWORD"),
        tls=told.switch("REDIS_TLS"),
        keys_ttl=KEYS_TTL if keys_ttl is None else keys_ttl,
    )


class _Variables:
    """Values by name, as texts, numbers and switches."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str) -> str | None:
        return self._variables.get(name) or None

    def host(self, name: str) -> str | None:
        text = self.text(name)
        if text is not None and not re.fullmatch(r"[^\s/@?#\[\]]+", text):
            raise _wrong(name, text, "use a host such as localhost or 10.0.0.5")
        return text

    def number(
        self, name: str, *, least: int | None = 0, most: int = 2**53
    ) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
            number = int(text)
            if (least is None or number >= least) and number <= most:
                return number
        span = "" if least is None else f" from {least}"
        if most < 2**53:
            span = f"{span} to {most}"
        raise _wrong(name, text, f"use a whole number{span}")

    def switch(self, name: str) -> bool:
        text = self.text(name)
        word = (text or "0").strip().lower()
        if word not in (*_YES, *_NO):
            raise _wrong(name, text, "use 1 or true, 0 or false")
        return word in _YES

    def level(self, name: str) -> str | None:
        text = self.text(name)
        if text is None:
            return None
        level = _LEVELS.get(text.strip().lower())
        if level is None:
            raise _wrong(name, text, "use error, warn, info or debug")
        return level


def _wrong(name: str, text: str | None, cure: str) -> ConfigurationError:
    return ConfigurationError(
        f"the environment variable {name} is {shown(text)}; {cure}."
    )
