"""Where a store is: in memory, in a file, in a Redis, or an object that is one.

What people write for it is read here; the stores themselves are beside.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.shown import shown
from sidecar_client.local.stores.base import Store
from sidecar_client.local.stores.decoded import CACHE_BYTES
from sidecar_client.local.stores.file import FileStore
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.stores.redis import RedisStore
from sidecar_client.local.stores.redis_address import RedisAddress, masked

StoreSource: TypeAlias = Store | str | os.PathLike[str] | RedisAddress | None

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_REDIS: Final = ("redis", "rediss", "unix")
_USE: Final = (
    "use memory, a file such as ./sidecar.db, or a Redis such as "
    "redis://localhost:6379/0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreTerms:
    """What holds for a store wherever it is."""

    prefix: str | None = None
    """What keys in Redis begin with, unless the URL says it."""
    keys_ttl: int | None = None
    """For how long Redis keeps them, unless the URL says it."""
    cache_bytes: int = CACHE_BYTES
    """How much of a file or a Redis is remembered."""


def store_of(source: StoreSource, terms: StoreTerms | None = None) -> Store:
    """The store; `ConfigurationError` for what names none. Nothing is opened."""
    terms = terms or StoreTerms()
    if source is None or source == "memory":
        return MemoryStore()
    if isinstance(source, RedisAddress):
        return RedisStore(source, cache_bytes=terms.cache_bytes)
    if isinstance(source, str):
        return _named(source, terms)
    if isinstance(source, os.PathLike):
        return _file(os.fspath(source), terms)
    if isinstance(source, Store):
        return source
    raise ConfigurationError(f"store is {shown(source)}; {_USE}.")


def _named(text: str, terms: StoreTerms) -> Store:
    scheme = _SCHEME.match(text)
    if scheme is None:
        # A word is more likely a mistake than the name of a file.
        if not re.search(r"[./]", text):
            raise ConfigurationError(f"store is {shown(text)}; {_USE}.")
        return _file(text, terms)
    if scheme[1] not in _REDIS:
        raise ConfigurationError(f"store is {shown(masked(text))}; {_USE}.")
    address = RedisAddress.of_url(text, prefix=terms.prefix, keys_ttl=terms.keys_ttl)
    return RedisStore(address, cache_bytes=terms.cache_bytes)


def _file(path: object, terms: StoreTerms) -> Store:
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigurationError(f"store is {shown(path)}; {_USE}.")
    return FileStore(path, cache_bytes=terms.cache_bytes)


def name_of(store: Store) -> str:
    """What people are told of where it is."""
    if isinstance(store, FileStore):
        return store.path
    if isinstance(store, RedisStore):
        return f"{store.address.location} (prefix {store.address.prefix})"
    return "memory" if isinstance(store, MemoryStore) else type(store).__name__
