"""Bodies of responses that are counted while the server takes them.

What a chunk counts is the scope's to know; what its end means, `conversation`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from typing import Any

from stigg_guard.steps import RequestScope


class MeteredBody:
    """A body whose chunks are told to the scope as the server takes them.

    `finish` is called once: with True when the server asked for more and there was
    none, with False when the body failed, or was closed before that.
    """

    def __init__(
        self,
        chunks: Iterable[Any],
        scope: RequestScope,
        finish: Callable[[bool], object],
    ) -> None:
        self._chunks = chunks
        self._rest: Iterator[Any] | None = None
        self._scope = scope
        self._finish = finish
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
    ) -> None:
        self._chunks = chunks
        self._rest = aiter(chunks)
        self._scope = scope
        self._finish = finish
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
