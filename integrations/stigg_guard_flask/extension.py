"""`StiggGuard`, the Flask extension: settings, URL rules, denials and reports.

The decorators live in `views`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from flask import Flask, Response, current_app, got_request_exception, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

import stigg_guard_flask
from stigg_guard.decorators import is_exempt
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.response_start import missing
from stigg_guard.rules import RouteName, Rule, matching
from stigg_guard.settings import Settings
from stigg_guard.view import CustomerResolver, ViewSpec, in_order
from stigg_guard_flask import placement, signals, templating, webhooks
from stigg_guard_flask.answers import answer
from stigg_guard_flask.blueprints import is_in_exempt_blueprint, needs_of_blueprints
from stigg_guard_flask.bodies import measure_body
from stigg_guard_flask.denied import DeniedRequest, denied_request
from stigg_guard_flask.functions import settings_of_request
from stigg_guard_flask.requests import NAME, admit, current_scope, scope_so_far


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

        Raises `ConfigurationError` for settings that cannot be used, and for a view
        whose guard stands where Flask does not call it.
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
        placement.check(app)
        guard = Guard(settings)
        webhooks.check(app, guard)
        app.extensions[NAME] = guard
        _Hooks(app, guard).attach()

    if not TYPE_CHECKING:  # type checkers know already

        def __getattr__(self, name: str) -> NoReturn:
            """Say where to find what people look for here."""
            cure = ""
            if name in stigg_guard_flask.__all__:
                cure = f"; write: from stigg_guard_flask import {name}"
            elif not name.startswith("_") and hasattr(Guard, name):
                cure = f"; it sets applications up, and theirs has: guard_from().{name}"
            raise AttributeError(f"StiggGuard has no {name!r}{cure}")


class _Hooks:
    """What one application's guard does at each stage of a request."""

    def __init__(self, app: Flask, guard: Guard) -> None:
        self._app = app
        self._guard = guard
        self._is_checked = False

    def attach(self) -> None:
        """Take part in every request of the application."""
        app: Any = self._app
        self._add_url_rule: Callable[..., None] = app.add_url_rule
        app.add_url_rule = self.add_url_rule
        # No hook comes after all functions of before_request, blueprints' included,
        # which are what finds out who the customer is.
        self._dispatch: Callable[..., ResponseReturnValue] = app.dispatch_request
        app.dispatch_request = self.dispatch
        # Flask's own search would let a handler of Exception have denials.
        self._handle: Callable[..., ResponseReturnValue] = app.handle_user_exception
        app.handle_user_exception = self.handle
        # After this the session is saved: a response that fails there never leaves.
        self._process: Callable[..., Response] = app.process_response
        app.process_response = self.process
        app.teardown_request(self.abandon)
        got_request_exception.connect(self.abandon_broken, app)
        signals.connect(app, self._guard)
        templating.install(app)

    def add_url_rule(self, *args: Any, **options: Any) -> None:
        """Register a view, unless its guard was left behind."""
        view = options.get("view_func", args[2] if len(args) > 2 else None)
        placement.note_registered(view)
        self._add_url_rule(*args, **options)

    def dispatch(self, *context: Any) -> ResponseReturnValue:
        """Ask what rules and blueprints need, then let Flask call the view."""
        self._guard.begin()
        if not self._is_checked:
            placement.check(self._app)
            webhooks.check(self._app, self._guard)
            self._is_checked = True
        specs = self._specs()
        if specs:
            scope = current_scope()
            scope.arguments = request.view_args or {}
            admit(specs, scope)
        try:
            result = self._dispatch(*context)
        except (HTTPException, AccessDenied):
            raise  # an answer, judged by its status
        except Exception:
            self.abandon_broken()
            raise
        scope_of_view = scope_so_far()
        if scope_of_view is not None and scope_of_view.result is None:
            scope_of_view.result = result
        return result

    def _specs(self) -> tuple[ViewSpec, ...]:
        """What the request needs before its view is even called."""
        app, method, names = self._app, request.method, request.blueprints
        rule, rules = request.url_rule, self._guard.settings.rules
        if rule is None or not (rules or names) or not self._reaches_view():
            return ()
        needed: tuple[ViewSpec, ...] = ()
        if rules and not is_in_exempt_blueprint(app, names):
            name = RouteName(rule.endpoint, tuple(names))
            needed = matching(rules, method, request.path, rule.rule, name)
        if not names:
            return needed
        needs = needs_of_blueprints(app, rule.endpoint, names, method)
        return in_order((*needed, *(need.spec for need in needs)))

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

    def handle(self, *context_and_error: Any) -> ResponseReturnValue:
        """Answer a denied request; other errors are Flask's to handle."""
        error = context_and_error[-1]
        if not isinstance(error, AccessDenied):
            return self._handle(*context_and_error)
        denied = denied_request(self._guard, error)
        self._note(denied)
        return answer(denied)

    def _note(self, denied: DeniedRequest) -> None:
        current_scope().decisions.append(denied.decision)
        if denied.is_refusal:
            signals.tell_of_denial(self._app, denied.decision)

    def process(self, *context: Any) -> Response:
        """Let Flask finish the response, then report what was used."""
        response = self._process(*context)
        scope = scope_so_far()
        if scope is None:
            return response
        status = response.status_code
        self._guard.settle(scope, status, response=response, is_streamed=True)
        if scope.streams:
            measure_body(self._guard, scope, response)
        wanted = self._guard.headers(scope)
        response.headers.update(missing(wanted, response.headers.items()))
        shadows = {d.requirement.name: d for d in scope.decisions if d.is_shadow}
        for decision in shadows.values():
            signals.tell_of_shadow(self._app, decision)
        return response

    def abandon(self, _error: BaseException | None = None) -> None:
        """Report nothing of a request that did not finish.

        A body that is still to be sent outlives its request, and ends by itself.
        """
        scope = scope_so_far()
        if scope is not None and scope.admissions:
            self._guard.settle(scope, None)

    def abandon_broken(self, *_app: Flask, **about: object) -> None:
        """Report nothing of a request whose error nobody handled, nor of its body.

        Extensions that answer errors themselves tell of a denial in the same way.
        """
        error = about.get("exception")
        if isinstance(error, DeniedRequest):
            self._note(error)
        scope = scope_so_far()
        if scope is not None:
            self._guard.settle(scope, None)
