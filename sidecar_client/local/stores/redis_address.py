"""Which Redis a store is in, under which prefix, and for how long it keeps things.

Reading a URL lives here; what connects to it is in `redis_link`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.extra import MissingExtra
from sidecar_client.local.shown import shown

PREFIX: Final = "stigg-local"
KEYS_TTL: Final = 604_800
"""A week, as of the real sidecar."""
_LONGEST_TTL: Final = 10 * 366 * 86_400
_PASSWORD: Final = re.compile(r"(//[^:/?]*:).*(?=@)")
_SECRET: Final = re.compile(r"([?&]\w*password=)[^&]*")
_PREFIX: Final = re.compile(r"[^{}\s\x00-\x1f\x7f]{1,200}")
_FORMS: Final = (
    "redis://user:password@host:6379/0, rediss://... for TLS or "
    "unix:///path/to.sock?db=0; ?prefix=development and ?ttl=604800 may follow"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A Redis, and the part of it that one environment has."""

    location: str
    """What messages call it, without passwords."""
    options: Mapping[str, Any] = field(repr=False)
    """Those of redis-py's connection pools."""
    prefix: str = PREFIX
    keys_ttl: int = KEYS_TTL
    """Seconds, below 0 for ever."""

    def __post_init__(self) -> None:
        check_prefix("prefix", self.prefix)
        check_ttl("ttl", self.keys_ttl)

    @classmethod
    def of_url(
        cls, url: str, *, prefix: str | None = None, keys_ttl: int | None = None
    ) -> Self:
        """Read a URL; `ConfigurationError` for what is none. It wins over the rest."""
        require_redis(f"the store {masked(url)!r}")
        try:
            address, own = _divided(url)
            parse: Callable[[str], dict[str, Any]] = import_module(
                "redis.asyncio.connection"
            ).parse_url
            options = parse(address)
            if "ttl" in own:
                keys_ttl = _seconds(own["ttl"])
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"the store is {masked(url)!r}: {error}; use {_FORMS}."
            ) from None
        return cls(
            location=masked(url),
            options=options,
            prefix=own.get("prefix", PREFIX if prefix is None else prefix),
            keys_ttl=KEYS_TTL if keys_ttl is None else keys_ttl,
        )

    @classmethod
    def of_parts(
        cls,
        *,
        prefix: str,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        keys_ttl: int = KEYS_TTL,
    ) -> Self:
        """As the real sidecar is told it, by variables."""
        shown_host = f"[{host}]" if ":" in host else host
        scheme = "rediss" if tls else "redis"
        made = cls.of_url(
            f"{scheme}://{shown_host}:{port}/{db}", prefix=prefix, keys_ttl=keys_ttl
        )
        secrets = {"username": username, "password": password}
        told = {name: value for name, value in secrets.items() if value}
        return replace(made, options={**made.options, "host": host, **told})


def require_redis(needed_by: str) -> None:
    """Raise `MissingExtra` unless redis-py is installed."""
    if find_spec("redis") is None:
        raise MissingExtra(
            f"{needed_by} needs redis, which is not installed: "
            "pip install 'stigg-guard[local,redis]'"
        )


def check_prefix(name: str, value: str) -> str:
    """The prefix, if keys can begin with it; braces would change their hash tag."""
    if not _PREFIX.fullmatch(value):
        raise ConfigurationError(
            f"{name} is {shown(value)}; use 1 to 200 characters without spaces and "
            "braces, such as 'development'."
        )
    return value


def check_ttl(name: str, value: int) -> int:
    """The seconds, if keys can be kept for so long."""
    if value == 0 or value > _LONGEST_TTL:
        raise ConfigurationError(
            f"{name} is {shown(value)}; use a number of seconds from 1 to "
            f"{_LONGEST_TTL}, or one below 0 to keep everything for ever."
        )
    return value


def _seconds(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,12}", text):
        raise ValueError(f"ttl is {text!r} and no whole number of seconds")
    return int(text)


def masked(url: str) -> str:
    """The URL without its passwords."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***", url))


def _divided(url: str) -> tuple[str, dict[str, str]]:
    """The URL for redis-py, and what of its query is ours."""
    address, _, text = url.partition("?")
    query = parse_qsl(text, keep_blank_values=True)
    own = {name: value for name, value in query if name in ("prefix", "ttl")}
    database = urlsplit(address).path.removeprefix("/")
    if not address.startswith("unix:") and database and not database.isdecimal():
        raise ValueError(f"{database!r} is no number of a database")
    rest = urlencode([item for item in query if item[0] not in own])
    return f"{address}?{rest}", own
