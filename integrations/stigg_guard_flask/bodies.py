"""Bodies of Flask's responses as a measure: what was sent of them, and to their end.

When a response is measured at all is `extension`'s to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, copy_current_request_context

from stigg_guard.guard import Guard
from stigg_guard.metering.body import MeteredBody, length_of
from stigg_guard.steps import RequestScope


def measure_body(guard: Guard, scope: RequestScope, response: Response) -> None:
    """Count a body that is there already, or have it counted while it is sent.

    Flask ends the request before that; it is there again when the user's functions are
    called at the end.
    """
    if _is_without_body(response.status_code):
        guard.finish(scope, is_complete=True)
    elif response.is_streamed:
        finish = copy_current_request_context(_finish(guard, scope))
        length = length_of(response.headers.get("Content-Length"))
        response.response = MeteredBody(_Encoded(response), scope, finish, length)
    else:
        for chunk in response.iter_encoded():
            scope.sent(chunk)
        guard.finish(scope, is_complete=True)


class _Encoded:
    """The chunks of a response as bytes; closing them closes what the view made."""

    def __init__(self, response: Response) -> None:
        self._own: Any = response.response
        self._chunks = response.iter_encoded()

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        close = getattr(self._own, "close", None)
        if close is not None:
            close()


def _finish(guard: Guard, scope: RequestScope) -> Callable[[bool], None]:
    def finish(is_complete: bool) -> None:
        guard.finish(scope, is_complete=is_complete)

    return finish


def _is_without_body(status: int) -> bool:
    """Whether nothing is sent, whatever there is (RFC 9110, section 6.4.1)."""
    return status < 200 or status in (204, 304)
