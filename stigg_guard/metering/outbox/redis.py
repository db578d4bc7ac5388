"""An outbox in Redis, shared by every process and host that can reach it.

The steps are in `redis_scripts`, a row's form in `redis_form`, what an error means in
`redis_errors`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import count
from operator import attrgetter
from typing import Any, Final

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.measurement import new_key
from stigg_guard.metering.outbox import forks
from stigg_guard.metering.outbox import redis_scripts as scripts
from stigg_guard.metering.outbox.base import Outbox, OutboxUnavailable
from stigg_guard.metering.outbox.group_commit import GroupCommit
from stigg_guard.metering.outbox.redis_errors import errors, unopened
from stigg_guard.metering.outbox.redis_form import (
    Fields,
    encoded,
    fields_of,
    shown,
    sorted_out,
    text,
)
from stigg_guard.metering.outbox.redis_link import RedisLink
from stigg_guard.metering.outbox.row import (
    Delivered,
    NewRow,
    Parked,
    Result,
    Row,
    State,
    Status,
)

logger = logging.getLogger("stigg_guard")

REMEMBERED_FOR: Final = 3600
"""Seconds for which the key of a delivered measurement is not stored again."""

GONE_AFTER: Final = 3600
"""Seconds after which a worker that has no rows is no longer listed in the group."""
_TIDY_EVERY: Final = 1000


class RedisOutbox(Outbox):
    """Rows as entries of a stream; delivered ones are deleted. Redis 6.2 or newer.

    What `put` promises is what the server keeps: set `appendonly yes` for rows to
    outlive a crash of the server, and `appendfsync always` to outlive that of its
    machine; a replica may still lack the last rows at a failover. `maxmemory-policy`
    must be `noeviction`, or rows may be evicted. `check` warns of both.

    Times are the server's. `clock` puts seconds since 1970 in their place, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "stigg_guard",
        clock: Callable[[], float] | None = None,
    ) -> None:
        if "{" in prefix or "}" in prefix:
            raise ConfigurationError(
                f"The prefix of the Redis outbox is {prefix!r}; leave out braces, they"
                " decide where a cluster keeps it."
            )
        self._prefix = prefix
        self._base = f"{prefix}:{{outbox}}:"
        self._link = RedisLink(url, base=self._base, clock=clock)
        self.location = self._link.location
        self._group = GroupCommit[Fields](self._store)
        self._claims = count()
        self._lost: dict[str, tuple[str, ...]] = {}
        forks.watch(self)

    def check(self) -> None:
        """Raise `ConfigurationError` for what only a person can mend.

        That is a wrong password, something that is no Redis, a URL or an outbox that
        cannot be read. A server that is not there now is `OutboxUnavailable`.
        """
        try:
            client = self._link.client
            client.ping()
            form = client.get(f"{self._base}form")
        except errors() as error:
            raise unopened(self.location, error) from error
        if form is not None and int(form) > scripts.FORM:
            raise ConfigurationError(
                f"The outbox {self.location} was written by a newer version of"
                f" stigg_guard, in form {text(form)}; update it, or use another prefix"
                f" than {self._prefix!r}."
            )
        self._warn(client)

    def _warn(self, client: Any) -> None:
        try:
            appends = client.config_get("appendonly").get("appendonly")
            evicts = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
        except errors():
            # Servers that are run for others often forbid to ask.
            return
        doubts: list[str] = []
        if appends == "no":
            doubts.append("loses rows when it ends; set appendonly yes")
        if evicts.startswith("allkeys"):
            doubts.append(f"may evict rows ({evicts}); set maxmemory-policy noeviction")
        if doubts:
            logger.warning(
                "The outbox %s is in a Redis that %s.",
                self.location,
                ", and that ".join(doubts),
            )

    def put(self, rows: Sequence[NewRow]) -> None:
        if rows:
            self._group.put([fields_of(row) for row in rows])

    def submit(self, rows: Sequence[NewRow]) -> Future[None]:
        return self._group.submit([fields_of(row) for row in rows])

    def _store(self, rows: Sequence[Fields]) -> None:
        keys = [fields[1] for fields in rows]
        sized = [part for fields in rows for part in (len(fields), *fields)]
        self._link.run(scripts.PUT, len(rows), *keys, *sized)

    def claim(self, worker: str, *, most: int, lease: float) -> list[Row]:
        if next(self._claims) % _TIDY_EVERY == 0:
            self._link.run(scripts.TIDY, GONE_AFTER)
        claimed: list[Row] = []
        more = True
        while more and len(claimed) < most:
            try:
                rows, more = self._claim(worker, most - len(claimed), lease)
            except OutboxUnavailable:
                if not claimed:
                    raise
                break
            claimed += rows
        return claimed

    def _claim(self, worker: str, most: int, lease: float) -> tuple[list[Row], bool]:
        # A claim whose reply is lost is undone by the next: its rows were not touched.
        lost = self._lost.pop(worker, ())
        token = lost[0] if lost else new_key()
        try:
            reply, more = self._link.run(
                scripts.CLAIM, worker, most, lease, token, *lost
            )
            rows, unreadable = sorted_out(reply)
            self.finish(
                worker, [Parked(id=x.row.id, error=x.error) for x in unreadable]
            )
        except OutboxUnavailable:
            self._lost[worker] = (token, *lost[1:])
            raise
        return rows, bool(more or unreadable)

    def extend(self, worker: str, ids: Sequence[str], *, lease: float) -> None:
        if ids:
            self._link.run(scripts.EXTEND, worker, lease, *ids)

    def finish(self, worker: str, results: Sequence[Result]) -> None:
        if not results:
            return
        parts = [part for result in results for part in _outcome(result)]
        self._link.run(scripts.FINISH, worker, REMEMBERED_FOR, *parts)

    def rows(
        self, state: State | None = None, *, after: str | None = None, most: int = 100
    ) -> list[Row]:
        found: list[Row] = []
        last = after or ""
        while state != "delivered" and len(found) < most:
            # Rows of other states may lie between those that are pending.
            room = most - len(found)
            asked = max(room, 100) if state == "pending" else room
            reply, last = self._link.run(scripts.ROWS, state or "", last, asked)
            found += map(shown, reply)
            if not last:
                break
        return found[: max(most, 0)]

    def find(self, ids: Sequence[str]) -> list[Row]:
        if not ids:
            return []
        found = {row.id: row for row in map(shown, self._link.run(scripts.FIND, *ids))}
        return sorted(found.values(), key=attrgetter("id"))

    def retry(self, ids: Sequence[str] | None = None) -> int:
        if ids is not None:
            return int(self._link.run(scripts.RETRY, "", *ids)[0])
        retried, last = self._link.run(scripts.RETRY, "(", "")
        while last:
            some, last = self._link.run(scripts.RETRY, "(", last)
            retried += some
        return int(retried)

    def discard(self, ids: Sequence[str]) -> list[Row]:
        gone = map(shown, self._link.run(scripts.DISCARD, *ids))
        return sorted(gone, key=attrgetter("id"))

    def status(self) -> Status:
        pending, in_flight, parked, delivered, oldest = self._link.run(scripts.STATUS)
        return Status(
            pending=pending,
            in_flight=in_flight,
            parked=parked,
            delivered=delivered,
            oldest_at=float(oldest) if oldest else None,
        )

    def close(self) -> None:
        self._group.close()
        self._link.close()

    def before_fork(self) -> None:
        """Connections may be open: a child makes its own."""

    def after_fork(self, *, in_child: bool) -> None:
        """What waits in the parent, the parent stores."""
        if in_child:
            self._group.after_fork_in_child()


def _outcome(result: Result) -> tuple[str | bytes | float, ...]:
    """A result as the script's arguments: outcome, doubtful, tried, due, error."""
    if isinstance(result, Delivered):
        return result.id, "delivered", 0, 0, 0, ""
    doubtful = int(result.doubtful)
    if isinstance(result, Parked):
        return result.id, "parked", doubtful, 1, 0, encoded(result.error)
    due, error = repr(float(result.due_at)), encoded(result.error or "")
    return result.id, "pending", doubtful, int(result.tried), due, error
