"""One request of a WSGI application: what it knows, and its response on the way out.

What begins and ends it is `wsgi`; what may happen in between is `flow`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeAlias
from wsgiref.headers import Headers

from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.metering.body import MeteredBody, length_of
from stigg_guard.response_start import ResponseStart, completed
from stigg_guard.steps import RequestScope

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KEY: Final = "stigg_guard.exchange"
"""Where the environ carries its `Exchange`; with a dot, as PEP 3333 wants it."""

ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)


class Exchange:
    """One request on its way through: its guard, and what it knows in `scope`.

    The application's `start_response` is held back until its usage has been reported;
    `scope.usage().value = 3` makes it three units in place of what the rule said.
    """

    def __init__(
        self, guard: Guard, scope: RequestScope, start_response: StartResponse
    ) -> None:
        self.guard = guard
        self.scope = scope
        self.forward = start_response
        self._entitlements: LazyEntitlements | None = None
        self._announced: tuple[str, list[tuple[str, str]]] | None = None
        self._write: Callable[[bytes], object] | None = None

    @property
    def entitlements(self) -> LazyEntitlements:
        """What the customer has, asked at first use, once for the whole request."""
        if self._entitlements is None:
            self._entitlements = LazyEntitlements(self.guard, lambda: self.scope)
        return self._entitlements

    @property
    def is_announced(self) -> bool:
        """Whether the application has called `start_response`."""
        return self._announced is not None

    @property
    def is_committed(self) -> bool:
        """Whether the server was told, so that no other answer can be given."""
        return self._write is not None

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """What the application calls; with `exc_info` it changes its mind."""
        if self.is_committed:
            return self.forward(status, headers, exc_info)
        if self.is_announced and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")
        if exc_info is not None and exc_info[1] is not None:
            self.abandon()
        self._announced = (status, headers)
        return self._commit_and_write

    def commit(self) -> None:
        """Report what was used, then tell the server the status and headers; once."""
        if self.is_committed:
            return
        assert self._announced is not None
        status, headers = self._announced
        start = ResponseStart.of_wsgi(status, headers)
        self.guard.settle(
            self.scope, start.status_code, response=start, is_streamed=True
        )
        self._write = self.forward_with_headers(status, headers)

    def forward_with_headers(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        """Tell the server, with the headers that the response lacks."""
        wanted = self.guard.headers(self.scope)
        headers = completed(wanted, headers) if wanted else headers
        return self.forward(status, headers, exc_info)

    def counted(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """The body; it is counted on its way, if it is what is measured."""
        if not self.scope.streams:
            return chunks
        if isinstance(chunks, list | tuple):
            for chunk in chunks:
                self.scope.sent(chunk)
            self._finish(True)
            return chunks
        assert self._announced is not None
        length = length_of(Headers(self._announced[1])["content-length"])
        return MeteredBody(chunks, self.scope, self._finish, length)

    def _finish(self, is_complete: bool) -> None:
        self.guard.finish(self.scope, is_complete=is_complete)

    def abandon(self) -> None:
        """Report nothing: the request did not finish."""
        self.guard.settle(self.scope, None)

    def _commit_and_write(self, data: bytes) -> object:
        self.commit()
        assert self._write is not None
        self.scope.sent(data)
        return self._write(data)


def exchange_of(environ: WSGIEnvironment) -> Exchange:
    """The exchange that the middleware began, or an error that says how to add it."""
    exchange = environ.get(KEY)
    if not isinstance(exchange, Exchange):
        raise ConfigurationError(
            "this request did not come through stigg_guard; wrap the application:"
            " app = stigg_guard.wsgi.StiggGuardMiddleware(app, guard=guard)."
        )
    return exchange
