"""Producers that store at the same time share a commit, and with it the disk's sync.

How rows are written lives with the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from stigg_guard.errors import StiggGuardError

Item = TypeVar("Item")

MOST_AT_ONCE: Final = 5000
"""Items of one shared commit, about."""


class GroupCommit(Generic[Item]):
    """Items are committed in the order they came.

    A lone producer commits in its own thread. Whoever comes while a commit is going on
    waits, and one thread commits for all that wait.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], None]) -> None:
        self._commit = commit
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Start anew: what waits in the parent, the parent commits."""
        self._turn = threading.Lock()
        self._mutex = threading.Lock()
        self._committer: _Committer[Item] | None = None

    def put(self, items: Sequence[Item]) -> None:
        """They are committed when this returns; raises what the commit raised."""
        if not self._is_my_turn():
            waiting = _Waiting(items)
            self._enqueue(waiting)
            return waiting.wait()
        try:
            return self._commit(items)
        finally:
            self._turn.release()

    def submit(self, items: Sequence[Item]) -> Future[None]:
        """The future ends as `put` would; it cannot be cancelled."""
        promised = _Promised(items)
        self._enqueue(promised)
        return promised.future

    def close(self) -> None:
        """Commit what waits, and end the thread; a later `put` starts another."""
        with self._mutex:
            committer, self._committer = self._committer, None
        if committer is not None:
            committer.end()

    def _is_my_turn(self) -> bool:
        committer = self._committer
        if committer is not None and committer.is_shared:
            return False
        return self._turn.acquire(blocking=False)

    def _enqueue(self, order: _Order[Item]) -> None:
        with self._mutex:
            if self._committer is None:
                self._committer = self._new_committer()
            if self._committer is not None:
                self._committer.queue.put(order)
                return
        with self._turn:
            _carry_out(self._commit, [order])

    def _new_committer(self) -> _Committer[Item] | None:
        try:
            return _Committer(self._commit, self._turn)
        except RuntimeError:  # the interpreter ends: there are no new threads
            return None


class _Order(Protocol[Item]):
    """Items, and who is to know how it ended."""

    items: Sequence[Item]

    def end(self, error: BaseException | None) -> None: ...


class _Waiting(Generic[Item]):
    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self._error: BaseException | None = None
        # A bare lock wakes a thread for a third of what an event costs.
        self._latch = threading.Lock()
        self._latch.acquire()

    def end(self, error: BaseException | None) -> None:
        self._error = error
        self._latch.release()

    def wait(self) -> None:
        self._latch.acquire()
        if self._error is not None:
            raise _own_copy(self._error) from self._error


class _Promised(Generic[Item]):
    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.future: Future[None] = Future()
        # What was used is stored, whether or not somebody still waits for it.
        self.future.set_running_or_notify_cancel()

    def end(self, error: BaseException | None) -> None:
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(_own_copy(error))


def _own_copy(error: BaseException) -> BaseException:
    """Threads that raise one exception together would mix up its traceback."""
    return type(error)(str(error)) if isinstance(error, StiggGuardError) else error


class _Committer(Generic[Item]):
    """A thread that commits what is in its queue, all at once."""

    def __init__(
        self, commit: Callable[[Sequence[Item]], None], turn: threading.Lock
    ) -> None:
        self.queue: SimpleQueue[_Order[Item] | None] = SimpleQueue()
        self.is_shared = False
        """Whether the last commit was for more than one, so the next may be too."""
        self._commit = commit
        self._turn = turn
        self._thread = threading.Thread(
            target=self._run, name="stigg-guard-outbox", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        self.queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            first = self.queue.get()
            with self._turn:
                orders, goes_on = self._gathered(first)
                self.is_shared = len(orders) > 1
                if orders:
                    _carry_out(self._commit, orders)

    def _gathered(self, order: _Order[Item] | None) -> tuple[list[_Order[Item]], bool]:
        """What waits, and whether more may come; None is the last in the queue."""
        orders: list[_Order[Item]] = []
        count = 0
        while order is not None:
            orders.append(order)
            count += len(order.items)
            if count >= MOST_AT_ONCE:
                return orders, True
            try:
                order = self.queue.get_nowait()
            except Empty:
                return orders, True
        return orders, False


def _carry_out(
    commit: Callable[[Sequence[Item]], None], orders: Sequence[_Order[Item]]
) -> None:
    error: BaseException | None = None
    try:
        commit([item for order in orders for item in order.items])
    except BaseException as caught:
        error = caught
    for order in orders:
        order.end(error)
