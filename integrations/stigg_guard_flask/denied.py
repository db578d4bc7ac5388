"""A denied request as Flask knows errors: an HTTP error with a status and an answer.

Which answer it is, is stigg_guard's; whose error handler comes first, `answers`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException, default_exceptions

from stigg_guard.errors import AccessDenied
from stigg_guard.guard import Guard
from stigg_guard_flask.pages import response_of


class _PaymentRequired(HTTPException):
    """*402* `Payment Required`: the customer's plan does not include this."""

    code = 402
    description = "The current plan does not include this."


# Werkzeug has none for 402, and Flask knows the statuses of its errorhandler from here.
PaymentRequired: Final = default_exceptions.setdefault(402, _PaymentRequired)


class DeniedRequest(AccessDenied, HTTPException):
    """What a denied view raises: `AccessDenied`, and Flask's error of its status too.

    `decision` and `problem` say why, `code`, `name` and `description` are an HTTP
    error's, and `get_response()` is the answer that stigg_guard gives.
    """

    problem: Mapping[str, object]
    """The problem document, as `application/problem+json` would show it."""
    guard: Guard
    _response: Response | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether it is an error: a preflight is answered in the same way."""
        return self.code is not None and self.code >= HTTPStatus.BAD_REQUEST

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:
        """The answer to the current request, made once."""
        if self._response is None:
            self._response = self._answer()
        return self._response

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """The body of the answer."""
        return self.get_response().get_data(as_text=True)

    def get_headers(
        self, environ: Any = None, scope: Any = None
    ) -> list[tuple[str, str]]:
        """The headers of the answer."""
        return list(self.get_response().headers)

    def _answer(self) -> Response:
        wanted = self.guard.wanted(self)
        if callable(wanted):
            own = current_app.ensure_sync(wanted)(request, self.decision)
            return current_app.make_response(own)
        return response_of(self.guard, self, self.code)


def denied_request(guard: Guard, error: AccessDenied) -> DeniedRequest:
    """The error as Flask's own of the status that it is answered with."""
    if isinstance(error, DeniedRequest):
        return error
    denial = guard.denial(error)
    denied = _class_of(denial.status)(
        error.decision, error.on_denied, error.own_message
    )
    denied.description = str(denial.problem["detail"])
    denied.problem = denial.problem
    denied.guard = guard
    return denied


@lru_cache(maxsize=128)
def _class_of(status: int) -> type[DeniedRequest]:
    """A class that handlers of the status find, and those of the class for it."""
    bases: tuple[type, ...] = (DeniedRequest,)
    if status in default_exceptions:
        bases = (DeniedRequest, default_exceptions[status])
    about = {"code": status, "__module__": __name__, "__doc__": DeniedRequest.__doc__}
    found: type[DeniedRequest] = type("DeniedRequest", bases, about)
    return found
