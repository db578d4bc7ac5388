"""Bodies of Django's responses as a measure: what was sent of them, and to their end.

When a response is measured at all is `settling`'s to know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, cast

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from stigg_guard.metering.body import AsyncMeteredBody, MeteredBody, length_of
from stigg_guard_django.apps import project_guards
from stigg_guard_django.visit import Visit, leave


def count_while_sent(
    request: HttpRequest, visit: Visit, response: StreamingHttpResponse
) -> None:
    """Have a streamed body counted as the server takes it; then the visit is over.

    It is made to suit the server, as Django itself would do it with a warning, but
    chunk by chunk.
    """
    content: Any = response.streaming_content
    finish = _finish(request, visit)
    length = length_of(response.headers.get("Content-Length"))
    if isinstance(request, WSGIRequest):
        chunks: Iterable[bytes] = _collected(content) if response.is_async else content
        response.streaming_content = cast(
            "Iterator[bytes]", MeteredBody(chunks, visit, finish, length)
        )
        return

    async def afinish(is_complete: bool) -> None:
        await project_guards().aio.finish(visit, is_complete=is_complete)
        leave(request)

    sent = content if response.is_async else _from_thread(content)
    body = _ClosableBody(sent, visit, afinish, length)
    body.close = lambda: finish(False)
    response.streaming_content = cast("AsyncIterator[bytes]", body)


class _ClosableBody(AsyncMeteredBody):
    """A body that Django also closes from a thread, when it closes the response."""

    close: Callable[[], None]


def _finish(request: HttpRequest, visit: Visit) -> Callable[[bool], None]:
    def finish(is_complete: bool) -> None:
        project_guards().sync.finish(visit, is_complete=is_complete)
        leave(request)

    return finish


async def _from_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes | None:
        return next(chunks, None)

    while (
        chunk := await sync_to_async(following, thread_sensitive=True)()
    ) is not None:
        yield chunk


def _collected(chunks: AsyncIterator[bytes]) -> Iterator[bytes]:
    async def collect() -> list[bytes]:
        return [chunk async for chunk in chunks]

    yield from async_to_sync(collect)()
