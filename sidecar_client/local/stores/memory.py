"""Records in the memory of one process, gone with it.

The store that `LocalSidecar` uses by default lives here; its contract is in `base`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence

from pydantic import BaseModel

from sidecar_client.local.stores.base import ABSENT, MOST_MARKS, Changes, Entry

_MOST_OUTDATED = 1000


class MemoryStore:
    """A `Store` in dictionaries. One event loop uses it at a time, so no lock."""

    shared = False

    def __init__(self, *, most_marks: int = MOST_MARKS) -> None:
        self._entries: dict[str, Entry] = {}
        self._version = 0
        # The names of each kind, put in order by the first scan after a change: added
        # ones are at the end, maybe twice, and removed ones are still there.
        self._names: dict[str, list[str]] = {}
        self._unsorted: set[str] = set()
        self._outdated: set[str] = set()
        self._marks: OrderedDict[str, None] = OrderedDict()
        self._most_marks = most_marks

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do: what is kept stays while the object lives."""

    async def read(self, names: Sequence[str]) -> list[Entry]:
        """The entry of each name, in the order asked."""
        entries = self._entries
        return [entries.get(name, ABSENT) for name in names]

    async def marked(self, marks: Sequence[str]) -> list[bool]:
        """Whether each mark is set, in the order asked."""
        return [mark in self._marks for mark in marks]

    async def commit(self, changes: Changes) -> bool:
        """Make all changes, or none."""
        entries = self._entries
        for name, version in changes.expected.items():
            if entries.get(name, ABSENT).version != version:
                return False
        if any(mark in self._marks for mark in changes.marks):
            return False
        # Versions are never used again, not even by a key that was removed meanwhile.
        self._version += 1
        for name, record in changes.written.items():
            self._write(name, record)
        for mark in changes.marks:
            self._marks[mark] = None
        while len(self._marks) > self._most_marks:
            self._marks.popitem(last=False)
        return True

    def _write(self, name: str, record: BaseModel | None) -> None:
        if record is None:
            if self._entries.pop(name, None) is not None:
                self._outdated.add(_kind(name))
            return
        if name not in self._entries:
            kind = _kind(name)
            names = self._names.setdefault(kind, [])
            if len(names) > 2 * len(self._entries) + _MOST_OUTDATED:
                self._ordered(kind)
            names.append(name)
            self._unsorted.add(kind)
        self._entries[name] = Entry(self._version, record)

    async def scan(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, Entry]]:
        """Up to `limit` entries whose names begin so and come after `after`."""
        kind = _kind(prefix)
        names = self._ordered(kind)
        begin = max(bisect_left(names, prefix), bisect_right(names, after))
        found: list[tuple[str, Entry]] = []
        for at in range(begin, min(begin + limit, len(names))):
            if not names[at].startswith(prefix):
                break
            found.append((names[at], self._entries[names[at]]))
        return found

    def _ordered(self, kind: str) -> list[str]:
        names = self._names.setdefault(kind, [])
        if kind in self._outdated:
            names[:] = {name for name in names if name in self._entries}
        if kind in self._unsorted or kind in self._outdated:
            names.sort()
            self._unsorted.discard(kind)
            self._outdated.discard(kind)
        return names


def _kind(name: str) -> str:
    return name.partition("/")[0]
