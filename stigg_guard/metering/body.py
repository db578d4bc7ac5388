"""Bodies of responses that are counted while the server takes them.

What a chunk counts is the scope's to know; what its end means, `conversation`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from math import inf
from typing import Any

from stigg_guard.steps import RequestScope


def length_of(content_length: str | int | None) -> float:
    """How long a body will be by its header, infinite where that tells nothing."""
    written = str(content_length)
    return int(written) if written.isascii() and written.isdigit() else inf


class MeteredBody:
    """A body whose chunks are told to the scope as the server takes them.

    `finish` is called once: with True when the server asked for more and there was
    none, or takes what completes the `length`; with False when the body failed, or was
    closed before that.
    """

    def __init__(
        self,
        chunks: Iterable[Any],
        scope: RequestScope,
        finish: Callable[[bool], object],
        length: float = inf,
    ) -> None:
        self._chunks = chunks
        self._rest: Iterator[Any] | None = None
        self._scope = scope
        self._finish = finish
        self._left = length
        self._has_ended = False

    def __iter__(self) -> MeteredBody:
        return self

    def __next__(self) -> Any:
        try:
            if self._rest is None:
                self._rest = iter(self._chunks)
            chunk = next(self._rest)
        except StopIteration:
            self._end(is_complete=True)
            raise
        except BaseException:
            self._end(is_complete=False)
            raise
        self._scope.sent(chunk)
        self._left -= len(chunk)
        if self._left <= 0:
            # A client that has all of it may hang up now.
            self._end(is_complete=True)
        return chunk

    def close(self) -> None:
        """Close what was iterated; servers do so whatever happened."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            self._end(is_complete=False)

    def _end(self, *, is_complete: bool) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._finish(is_complete)


class AsyncMeteredBody:
    """`MeteredBody` for asynchronous servers."""

    def __init__(
        self,
        chunks: AsyncIterable[Any],
        scope: RequestScope,
        finish: Callable[[bool], Awaitable[object]],
        length: float = inf,
    ) -> None:
        self._chunks = chunks
        self._rest = aiter(chunks)
        self._scope = scope
        self._finish = finish
        self._left = length
        self._has_ended = False

    def __aiter__(self) -> AsyncMeteredBody:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self._rest)
        except StopAsyncIteration:
            await self._end(is_complete=True)
            raise
        except BaseException:
            await self._end(is_complete=False)
            raise
        self._scope.sent(chunk)
        self._left -= len(chunk)
        if self._left <= 0:
            await self._end(is_complete=True)
        return chunk

    async def aclose(self) -> None:
        """Close what was iterated."""
        try:
            aclose = getattr(self._rest, "aclose", None)
            if aclose is not None:
                await aclose()
        finally:
            await self._end(is_complete=False)

    async def _end(self, *, is_complete: bool) -> None:
        if not self._has_ended:
            self._has_ended = True
            await self._finish(is_complete)
