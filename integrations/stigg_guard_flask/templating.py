"""What the customer of a request has, for views and for templates, and our templates.

The answers are stigg_guard's; the page of a denial is made in `pages`.
"""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, has_request_context, request
from flask.templating import Environment
from jinja2 import BaseLoader, ChoiceLoader, PackageLoader

from stigg_guard.errors import ConfigurationError
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.shown import ShownEntitlement, shown
from stigg_guard_flask.requests import current_scope, guard_from

_ENTITLEMENTS: Final = "_stigg_guard_entitlements"


def entitlements_from() -> LazyEntitlements:
    """What the customer of this request has: `has`, `value`, `remaining` and more.

    The sidecar is asked at the first use, once for the request, and again after usage
    was reported. Raises `ConfigurationError` outside of a request.
    """
    _check_request("entitlements_from()")
    found: LazyEntitlements | None = getattr(request, _ENTITLEMENTS, None)
    if found is None:
        found = LazyEntitlements(guard_from(), current_scope)
        setattr(request, _ENTITLEMENTS, found)
    return found


def entitled(*feature_ids: str) -> bool:
    """In templates: whether the customer of this request has all of these features."""
    if not feature_ids:
        raise TypeError('entitled() names no feature; write entitled("feature-01").')
    _check_request("entitled() in a template")
    found = entitlements_from().entitlements
    answers = [found.has(feature_id) for feature_id in feature_ids]
    return all(answers)


def entitlement(feature_id: str) -> ShownEntitlement:
    """In templates: all about one feature; true where there is access."""
    _check_request("entitlement() in a template")
    return shown(entitlements_from(), feature_id)


def install(app: Flask) -> None:
    """Give the templates of an application our functions and, last of all, our own.

    A template of the application or of a blueprint is found before ours of that name.
    """
    if "jinja_env" in app.__dict__:
        _prepare(app.jinja_env)
        return
    # Made early, it would not know of options that the application sets later.
    create = app.create_jinja_environment

    def created() -> Environment:
        environment = create()
        _prepare(environment)
        return environment

    flask: Any = app
    flask.create_jinja_environment = created


def _prepare(environment: Environment) -> None:
    ours: dict[str, Any] = {"entitled": entitled, "entitlement": entitlement}
    environment.globals.update(ours)
    last = PackageLoader("stigg_guard_flask")
    first: BaseLoader | None = environment.loader
    environment.loader = last if first is None else ChoiceLoader([first, last])


def _check_request(what: str) -> None:
    if not has_request_context():
        raise ConfigurationError(
            f"{what} was called outside of a request, where there is no customer; ask"
            " guard_from(app).entitlements(Subject(...)), and give a template what it"
            " is to show."
        )
