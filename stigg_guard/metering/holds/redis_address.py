"""Where a Redis is, read from a URL: one server, a Sentinel's primary or a cluster.

What connects to it is made in `redis_clients`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from stigg_guard.errors import ConfigurationError
from stigg_guard.extras import require

Kind: TypeAlias = Literal["server", "sentinel", "cluster"]
Node: TypeAlias = tuple[str, int]

_URL: Final = re.compile(
    r"(?P<scheme>redis|rediss|unix)(?:\+(?P<kind>sentinel|cluster))?://"
    r"(?:(?P<user>[^/?]*)@)?(?P<hosts>[^/?]*)(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_PASSWORD: Final = re.compile(r"(//[^:/?]*:).*(?=@)")
_SECRET: Final = re.compile(r"([?&;]\w*password=)[^&;]*")
_KINDS: Final[Mapping[str, Kind]] = {
    "": "server",
    "sentinel": "sentinel",
    "cluster": "cluster",
}
_FORMS: Final = (
    "redis://host:port/0, rediss://host:port/0 for TLS, unix:///path/to.sock?db=0,"
    " redis+sentinel://host:port,host:port/service/0 or"
    " redis+cluster://host:port,host:port"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A Redis; `location` is its URL for messages, without passwords.

    `options` and `sentinel_options` are those of redis-py's connections.
    """

    kind: Kind
    location: str
    nodes: tuple[Node, ...] = ()
    service: str = ""
    url: str = field(repr=False, default="")
    options: Mapping[str, Any] = field(repr=False, default_factory=dict[str, Any])
    sentinel_options: Mapping[str, Any] = field(
        repr=False, default_factory=dict[str, Any]
    )

    @classmethod
    def parse(cls, url: str, *, setting: str) -> RedisAddress:
        """Read a URL that a setting gave; raises `ConfigurationError` for what is none.

        `redis+sentinel://` and `redis+cluster://` take several `host:port`, and TLS as
        `rediss+...`. User and password are those of the Redis; a Sentinel's own are
        `sentinel_username` and `sentinel_password` in the query, which takes the
        options of redis-py.
        """
        location = masked(url)
        require("redis", extra="redis", needed_by=f"{setting} {location!r}")
        found = _URL.fullmatch(url)
        try:
            if found is None:
                raise ValueError("it is no URL of a Redis")
            return _address(url, location, found)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{setting} is {location!r}: {error}. Use {_FORMS}."
            ) from None


def masked(url: str) -> str:
    """The URL without its passwords."""
    return _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***", url))


def _address(url: str, location: str, found: re.Match[str]) -> RedisAddress:
    kind = _KINDS[found["kind"] or ""]
    if (
        found["user"] is None
        and "@" in f"{found['path']}{found['query']}".split("=")[0]
    ):
        raise ValueError("a / or ? in the password must be written %2F or %3F")
    scheme, path = found["scheme"], found["path"] or ""
    if kind == "server":
        if scheme != "unix":
            _database(path.removeprefix("/"))
            _nodes(found["hosts"] or "localhost", 6379)
        options = _options(url)
        return RedisAddress(kind="server", location=location, url=url, options=options)
    if scheme == "unix":
        raise ValueError(f"a {kind} is not reached over unix sockets")
    service, _, database = path.removeprefix("/").partition("/")
    if kind == "cluster":
        if service not in ("", "0") or database:
            raise ValueError("a cluster has no database but 0")
        database = ""
    elif not service:
        raise ValueError("the name of the service is missing after the hosts")
    secret = f"{found['user']}@" if found["user"] else ""
    plain = f"redis://{secret}host/{_database(database)}?{found['query'] or ''}"
    options = {name: value for name, value in _options(plain).items() if name != "host"}
    sentinel = {
        name.removeprefix("sentinel_"): options.pop(name)
        for name in list(options)
        if name.startswith("sentinel_")
    }
    if kind == "cluster":
        options.pop("db")
    if scheme == "rediss":
        options["ssl"] = sentinel["ssl"] = True
    return RedisAddress(
        kind=kind,
        location=location,
        nodes=_nodes(found["hosts"], 26379 if kind == "sentinel" else 6379),
        service=unquote(service),
        options=options,
        sentinel_options=sentinel,
    )


def _options(url: str) -> dict[str, Any]:
    parse: Callable[[str], dict[str, Any]]
    parse = import_module("redis.connection").parse_url
    return parse(url)


def _database(text: str) -> str:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is no number of a database")
    return text or "0"


def _nodes(text: str, default_port: int) -> tuple[Node, ...]:
    return tuple(_node(one, default_port) for one in text.split(","))


def _node(text: str, default_port: int) -> Node:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+)(?::([0-9]{1,5}))?", text)
    if found is None or not 0 < int(found[2] or default_port) < 65536:
        raise ValueError(f"{text!r} is no host:port")
    return found[1].strip("[]"), int(found[2] or default_port)
