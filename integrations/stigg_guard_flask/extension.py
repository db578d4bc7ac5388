"""`StiggGuard`, the Flask extension: settings, URL rules, denials and reports.

The decorators live in `views`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from flask import Flask, Response, current_app, got_request_exception, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from stigg_guard.decorators import is_exempt
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.response_start import missing
from stigg_guard.rules import RouteName, Rule, matching
from stigg_guard.settings import Settings
from stigg_guard.steps import RequestScope, Usage
from stigg_guard.view import CustomerResolver
from stigg_guard_flask.bodies import measure_body
from stigg_guard_flask.functions import settings_of_request

NAME: Final = "stigg_guard"
"""The extension's key in `app.extensions`."""

_SCOPE: Final = "_stigg_guard_scope"


class StiggGuard:
    """Guards a Flask application: `StiggGuard(app)`, or `init_app` in a factory.

    Settings come from `app.config["STIGG_GUARD_TARGET"]` and its like; the ones given
    here, in lower case, win. `customer` and the other functions take nothing or the
    request. One object may serve several applications; each gets a guard of its own.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        customer: CustomerResolver | str | None = None,
        rules: Iterable[Rule | Mapping[str, Any]] | None = None,
        **settings: object,
    ) -> None:
        given = {"customer": customer, "rules": rules}
        self._options = settings | {
            name: value for name, value in given.items() if value is not None
        }
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set the guard up for an application; nothing is connected yet.

        Raises `ConfigurationError` for settings that cannot be used.
        """
        if NAME in app.extensions:
            raise ConfigurationError(
                f'the Flask application "{app.name}" has a StiggGuard already; call'
                " init_app once for each application."
            )
        settings = Settings.from_flat(
            app.config, options=self._options, owner=type(self).__name__
        )
        try:
            settings = settings_of_request(settings)
        except TypeError as error:
            raise ConfigurationError(f"{type(self).__name__}: {error}") from error
        app.extensions[NAME] = guard = Guard(settings)
        _Hooks(guard).attach(app)


class _Hooks:
    """What one application's guard does at each stage of a request."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def attach(self, app: Flask) -> None:
        """Take part in every request of the application."""
        self._dispatch: Callable[..., ResponseReturnValue] = app.dispatch_request
        # No hook comes after all functions of before_request, blueprints' included,
        # which are what finds out who the customer is.
        app.dispatch_request = self.dispatch  # type: ignore[method-assign]
        # After this the session is saved: a response that fails there never leaves.
        self._process: Callable[..., Response] = app.process_response
        process: Any = self.process
        app.process_response = process  # type: ignore[method-assign]
        app.teardown_request(self.abandon)
        got_request_exception.connect(self.abandon_broken, app)
        if AccessDenied not in app.error_handler_spec[None][None]:
            app.register_error_handler(AccessDenied, self.answer)

    def dispatch(self, *context: Any) -> ResponseReturnValue:
        """Apply the URL rules, then let Flask call the view."""
        rules = self._guard.settings.rules
        if rules and self._reaches_view():
            assert request.url_rule is not None
            route = request.url_rule.rule
            name = RouteName(request.endpoint, tuple(request.blueprints))
            specs = matching(rules, request.method, request.path, route, name)
            if specs:
                scope = current_scope()
                scope.arguments = request.view_args or {}
                self._guard.admit(specs, scope)
        try:
            result = self._dispatch(*context)
        except (HTTPException, AccessDenied):
            raise  # an answer, judged by its status
        except Exception:
            self.abandon_broken()
            raise
        scope_so_far = _scope_so_far()
        if scope_so_far is not None and scope_so_far.result is None:
            scope_so_far.result = result
        return result

    def _reaches_view(self) -> bool:
        """Whether a view follows: not for 404, 405 and Flask's own OPTIONS."""
        rule = request.url_rule
        if rule is None:
            return False
        automatic = getattr(rule, "provide_automatic_options", False)
        if request.method == "OPTIONS" and automatic:
            return False
        view = current_app.view_functions[rule.endpoint]
        return not is_exempt(view, request.method)

    def process(self, *context: Any) -> Response:
        """Let Flask finish the response, then report what was used."""
        response = self._process(*context)
        scope = _scope_so_far()
        if scope is None:
            return response
        status = response.status_code
        self._guard.settle(scope, status, response=response, is_streamed=True)
        if scope.streams:
            measure_body(self._guard, scope, response)
        wanted = self._guard.headers(scope)
        response.headers.extend(missing(wanted, response.headers.keys()))
        return response

    def abandon(self, _error: BaseException | None = None) -> None:
        """Report nothing of a request that did not finish.

        A body that is still to be sent outlives its request, and ends by itself.
        """
        scope = _scope_so_far()
        if scope is not None and scope.admissions:
            self._guard.settle(scope, None)

    def abandon_broken(self, *_app: Flask, **_about: object) -> None:
        """Report nothing of a request whose error nobody handled, nor of its body."""
        scope = _scope_so_far()
        if scope is not None:
            self._guard.settle(scope, None)

    def answer(self, error: AccessDenied) -> ResponseReturnValue:
        """The HTTP answer to a denied request."""
        current_scope().decisions.append(error.decision)
        wanted = self._guard.wanted(error)
        if callable(wanted):
            own: ResponseReturnValue = current_app.ensure_sync(wanted)(
                request, error.decision
            )
            return own
        back = request.full_path if request.query_string else request.path
        accept = request.headers.get("Accept")
        denial = self._guard.denial(error, accept=accept, back=back)
        return current_app.response_class(
            denial.body, status=denial.status, headers=dict(denial.headers)
        )


def guard_from(app: Flask | None = None) -> Guard:
    """The guard of an application; without one given, of the current application.

    Raises `ConfigurationError` when the application has no `StiggGuard`.
    """
    found = app or current_app
    guard = found.extensions.get(NAME)
    if guard is None:
        raise ConfigurationError(
            f'the Flask application "{found.name}" has no StiggGuard; where it is made,'
            " add StiggGuard(customer=...).init_app(app)."
        )
    assert isinstance(guard, Guard)
    return guard


def usage_from(feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever it was to be.

    With the id of a feature, or the name of an event, it is of that alone.
    """
    return current_scope().usage(feature_id or "")


def current_scope() -> RequestScope:
    """The scope of the current request, made at first use."""
    scope = _scope_so_far()
    if scope is None:
        scope = RequestScope(
            request=request,
            method=request.method,
            is_preflight=request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers,
        )
        setattr(request, _SCOPE, scope)
    return scope


def _scope_so_far() -> RequestScope | None:
    return getattr(request, _SCOPE, None)
