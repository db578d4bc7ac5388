"""Records that were decoded lately, so that one version is decoded once.

What is remembered and for how long lives here; where texts come from does not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pydantic import BaseModel

from sidecar_client.local.records import decoded
from sidecar_client.local.stores.base import ABSENT, Entry, StoreError

CACHE_BYTES: Final = 64 * 1024 * 1024


class Decoded:
    """Entries by name, the last used ones: up to so many bytes of their texts."""

    def __init__(self, *, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Entry, int]] = OrderedDict()

    def get(self, name: str) -> Entry:
        """The entry as it was last seen, which may be an old one; or `ABSENT`."""
        kept = self._kept.get(name)
        if kept is None:
            return ABSENT
        self._kept.move_to_end(name)
        return kept[0]

    def put(self, name: str, entry: Entry, size: int) -> None:
        """Remember an entry, whose text has so many bytes, unless a newer one is."""
        kept = self._kept.get(name)
        if kept is not None:
            if kept[0].version >= entry.version:
                return
            self._bytes -= kept[1]
        self._kept[name] = (entry, size)
        self._kept.move_to_end(name)
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._bytes -= oldest

    def forget(self, name: str) -> None:
        """Free what is remembered of a name."""
        _, size = self._kept.pop(name, (ABSENT, 0))
        self._bytes -= size


def record_of(name: str, text: str | bytes, *, where: str) -> BaseModel:
    """The record of a text that a store kept. Raises `StoreError` for what is none."""
    try:
        return decoded(name, text)
    except (ValueError, KeyError) as error:
        raise StoreError(
            f"{where}: what is kept under {name!r} is no record of this version of "
            "stigg-guard; use the version that wrote it, or begin with an empty store "
            f"({type(error).__name__})."
        ) from error
