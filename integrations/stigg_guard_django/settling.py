"""How a Django request ends: what it used is reported, and told in headers.

What it began with lives in `views` and `middleware`.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control

from stigg_guard import AsyncGuard, Guard
from stigg_guard.response_start import missing, tells_for_whom
from stigg_guard_django.bodies import count_while_sent
from stigg_guard_django.signals import atell, tell
from stigg_guard_django.visit import Visit, leave


def settle(guard: Guard, request: HttpRequest, visit: Visit, response: Any) -> None:
    """Report what a request used; None: it has no response.

    What is measured by a streamed body is reported when that was sent.
    """
    if visit.admissions or visit.streams:
        _note_result(visit, response)
        _report(guard, visit, visit.outcome(response), response)
    tell(request, visit.decisions)
    _leave(guard, request, visit, response)


async def asettle(
    guard: AsyncGuard, request: HttpRequest, visit: Visit, response: Any
) -> None:
    """Report what a request used, as `settle`."""
    if visit.admissions or visit.streams:
        _note_result(visit, response)
        status = visit.outcome(response)
        await guard.settle(visit, status, response=response, is_streamed=True)
        if visit.streams and _is_there(response):
            visit.sent(response.content)
            await guard.finish(visit, is_complete=True)
    await atell(request, visit.decisions)
    _leave(guard.sync, request, visit, response)


def settle_given_up(
    guard: Guard, request: HttpRequest, visit: Visit, response: Any
) -> None:
    """Report what a view used that ran to its end when its client had gone.

    Of a streamed body nothing was sent.
    """
    _report(guard, visit, visit.outcome(response), response)
    guard.finish(visit, is_complete=False)
    tell(request, visit.decisions)
    leave(request)


def settle_in_transaction(guard: Guard, visit: Visit, response: Any) -> None:
    """Report what a view used while its transaction is open, if there is one.

    With the outbox in the project's database, it then commits or rolls back with the
    view's own work. The view's own status counts.
    """
    stores = guard.stores
    if not stores.follows_transactions or not stores.outbox.is_in_transaction():
        return
    status = getattr(response, "status_code", None)
    if _is_to_be_rolled_back(stores.outbox):
        status = None
    _report(guard, visit, status, response)


def keep_private(guard: Guard | AsyncGuard, response: object) -> None:
    """Keep a view's response out of shared caches, unless it says that they may.

    Here already, as decorators and middleware further out may keep what they get:
    `cache_page` and `UpdateCacheMiddleware` do not keep what is private. One inside
    of the guard says how long the response is good, and not for whom.
    """
    wanted = guard.settings.cache_control
    if wanted is None or not isinstance(response, HttpResponseBase):
        return
    response.headers.setdefault("Cache-Control", wanted)
    said = response.headers["Cache-Control"]
    if wanted == "private" and not tells_for_whom(said):
        patch_cache_control(response, private=True)


def _report(guard: Guard, visit: Visit, status: int | None, response: Any) -> None:
    guard.settle(visit, status, response=response, is_streamed=True)
    if visit.streams and _is_there(response):
        visit.sent(response.content)
        guard.finish(visit, is_complete=True)


def _is_to_be_rolled_back(outbox: Any) -> bool:
    return bool(connections[outbox.alias].needs_rollback)


def _note_result(visit: Visit, response: object) -> None:
    if visit.result is None:
        visit.result = response


def _is_there(response: Any) -> bool:
    """Whether a response has its content already."""
    return not response.streaming and getattr(response, "is_rendered", True)


def _leave(guard: Guard, request: HttpRequest, visit: Visit, response: Any) -> None:
    """End the visit, or let it last as long as the body is made."""
    if isinstance(response, HttpResponseBase):
        wanted = guard.headers(visit)
        for name, value in missing(wanted, response.headers.items()).items():
            response.headers[name] = value
        if visit.is_personal:
            keep_private(guard, response)
    if not visit.streams:
        leave(request)
    elif isinstance(response, StreamingHttpResponse):
        count_while_sent(request, visit, response)
    else:
        _count_when_rendered(guard, request, visit, response)


def _count_when_rendered(
    guard: Guard, request: HttpRequest, visit: Visit, response: Any
) -> None:
    def rendered(response: Any) -> None:
        visit.sent(response.content)
        guard.finish(visit, is_complete=True)
        leave(request)

    response.add_post_render_callback(rendered)
