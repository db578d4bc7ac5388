"""The decorators for Flask views, sync and async; what they ask for is stigg_guard's.

Reports and denials are the extension's part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from flask import Blueprint, Flask, current_app, has_request_context

from stigg_guard.decorators import Decorators, View
from stigg_guard.errors import ConfigurationError
from stigg_guard.steps import RequestScope
from stigg_guard.view import ViewSpec
from stigg_guard_flask.functions import spec_of_request
from stigg_guard_flask.placement import caller, note_guarded
from stigg_guard_flask.requests import admit, current_scope

_OUTSIDE: Final = (
    "{name!r} is guarded as a view is, and was called outside of a request; guard jobs"
    " and commands with: from stigg_guard_flask import guard, then"
    ' @guard.requires_feature("feature-id", customer=...).'
)


def _guarded(view: Any, specs: tuple[ViewSpec, ...]) -> Any:
    needed = tuple(spec_of_request(spec) for spec in specs)

    def admitted(arguments: dict[str, Any]) -> RequestScope:
        if not has_request_context():
            raise ConfigurationError(
                _OUTSIDE.format(name=getattr(view, "__name__", view))
            )
        scope = current_scope()
        scope.arguments = arguments
        admit(needed, scope)
        return scope

    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            # It blocks nobody: Flask runs an async view in a loop of its own.
            scope = admitted(kwargs)
            result = scope.result = await view(*args, **kwargs)
            return result

        return guarded_async

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        scope = admitted(kwargs)
        result = scope.result = current_app.ensure_sync(view)(*args, **kwargs)
        return result

    return guarded


class _FlaskDecorators(Decorators):
    """The decorators, which know what in Flask is no view, and which view is not."""

    def decorator(self, name: str, spec: ViewSpec) -> Callable[[View], View]:
        decorate_view = super().decorator(name, spec)

        def decorate(view: View) -> View:
            _check_no_scaffold(name, view)
            note_guarded(view, caller(1))
            return decorate_view(view)

        return decorate


def _check_no_scaffold(name: str, view: object) -> None:
    if isinstance(view, Blueprint):
        raise TypeError(
            f'@{name} stands on the blueprint "{view.name}"; guard it as a whole with'
            f' guard_blueprint({view.name}, requires="feature-id").'
        )
    if isinstance(view, Flask):
        raise TypeError(
            f'@{name} stands on the application "{view.name}"; guard it by rules, such'
            ' as StiggGuard(rules=[{"path": "/reports/*", "feature": "feature-id"}]).'
        )


_decorators: Final = _FlaskDecorators(wrap=_guarded)

requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
