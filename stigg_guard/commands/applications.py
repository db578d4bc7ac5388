"""An application as it is named on a command line: `module:app`, or Django's settings.

What is asked of it is the commands'; its adapter is looked up when it is known which.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from stigg_guard.commands.failure import Failure
from stigg_guard.routing import GuardedRoute

DJANGO_SETTINGS: Final = "DJANGO_SETTINGS_MODULE"
FORMS: Final = (
    '"module:app", "module:create_app()", or the settings module of a Django project'
)
# Modules of an application's class, most special first, and who knows its routes.
_ADAPTERS: Final = {
    "django": "stigg_guard_django",
    "flask": "stigg_guard_flask",
    "fastapi": "stigg_guard_starlette",
    "starlette": "stigg_guard_starlette",
}
_OF_MODULES: Final = ("app", "application", "api")


def routes_of(named: str | None) -> list[GuardedRoute]:
    """Every route of a named application; without a name, of the Django project.

    Raises `Failure` that says what cannot be found, and what to write.
    """
    found = application(named)
    adapter = import_module(f"{_adapter(found, named)}.routes")
    routes: Iterable[GuardedRoute] = adapter.routes_of(found)
    return list(routes)


def application(named: str | None) -> Any:
    """The object of an application; None for a Django project, which is set up."""
    _look_here()
    if named is None:
        if not os.environ.get(DJANGO_SETTINGS):
            raise Failure(
                f"No application is named; give {FORMS}, or set {DJANGO_SETTINGS}."
            )
        return _project(os.environ[DJANGO_SETTINGS])
    module_name, _, expression = named.partition(":")
    module = _module(module_name, named)
    if expression:
        return _evaluated(module, expression, named)
    if hasattr(module, "ROOT_URLCONF"):
        return _project(module_name)
    for name in _OF_MODULES:
        if hasattr(module, name):
            return getattr(module, name)
    raise Failure(
        f'"{named}" has neither a ROOT_URLCONF nor an "app"; name what the application'
        f' is called in it: "{named}:NAME".'
    )


def _look_here() -> None:
    folder = os.getcwd()
    if folder not in sys.path:  # as `python -m` does
        sys.path.insert(0, folder)


def _project(settings: str) -> None:
    """Set up the Django project with these settings."""
    if os.environ.get(DJANGO_SETTINGS) != settings:
        os.environ[DJANGO_SETTINGS] = settings
    _module(settings, settings)
    django: Any = _framework("django")
    try:
        django.setup()
    except Exception as error:
        raise Failure(
            f'The Django project of "{settings}" cannot be set up:'
            f" {type(error).__name__}: {error}"
        ) from error


def _framework(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise Failure(
            f"{name} is not installed here; run `stigg-guard` in the application's own"
            " environment."
        ) from error


def _module(name: str, named: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise Failure(
                f'"{named}" names the module "{name}", and there is no "{error.name}"'
                f" in {os.getcwd()} or installed; give {FORMS}."
            ) from error
        raise _broken(name, error) from error
    except ValueError as error:
        raise Failure(f'"{named}" is no application; give {FORMS}.') from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> Failure:
    return Failure(
        f'"{name}" cannot be imported: {type(error).__name__}: {error}. It has to'
        " import without a server around it."
    )


def _evaluated(module: ModuleType, expression: str, named: str) -> Any:
    """What stands after the colon: a name, with dots, or a call with constants."""
    try:
        found = ast.parse(expression, mode="eval").body
        call = found if isinstance(found, ast.Call) else None
        function = found if call is None else call.func
        positional = [ast.literal_eval(item) for item in call.args] if call else []
        by_name = {
            str(item.arg): ast.literal_eval(item.value)
            for item in (call.keywords if call else ())
        }
        value = _looked_up(module, _names(function), named)
    except (SyntaxError, ValueError) as error:
        raise Failure(
            f'"{expression}" in "{named}" is neither a name nor a call with constants;'
            f" give {FORMS}."
        ) from error
    if call is None:
        return value
    try:
        return value(*positional, **by_name)
    except Exception as error:
        raise Failure(
            f'"{expression}" in "{named}" cannot be called: {type(error).__name__}:'
            f" {error}"
        ) from error


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*_names(node.value), node.attr]
    if isinstance(node, ast.Name):
        return [node.id]
    raise ValueError(ast.dump(node))


def _looked_up(module: ModuleType, names: Iterable[str], named: str) -> Any:
    found: Any = module
    for name in names:
        if not hasattr(found, name):
            raise Failure(f'"{named}": {module.__name__} has no "{name}".')
        found = getattr(found, name)
    return found


def _adapter(app: Any, named: str | None) -> str:
    """The package that knows the routes of such an application."""
    if app is None:
        return _ADAPTERS["django"]
    for inner in _layers(app):
        for base in type(inner).__mro__:
            found = _ADAPTERS.get(base.__module__.partition(".")[0])
            if found is not None:
                return found
    if callable(app) and not isinstance(app, type) and hasattr(app, "__code__"):
        raise Failure(
            f'"{named}" is a function; write "{named}()" if it makes the application.'
        )
    raise Failure(
        f'"{named}" is {type(app).__name__!r}, whose routes nobody knows here: it is'
        " no application of Django, Flask, Starlette or FastAPI."
    )


def _layers(app: Any) -> Iterable[Any]:
    """An application in its middleware, outermost first."""
    while app is not None:
        yield app
        app = getattr(app, "app", None)
