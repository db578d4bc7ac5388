"""Blueprints that are guarded as a whole: what each of their views needs.

Who asks for it, and when, is the extension's; what a need is, stigg_guard's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from flask import Blueprint, Flask

from stigg_guard import decorators
from stigg_guard.decorators import EXEMPT, specs_of
from stigg_guard.errors import ConfigurationError
from stigg_guard.requirement import AllOf, AnyOf, Need, Requirement
from stigg_guard.rules import rule_methods
from stigg_guard.view import ViewSpec
from stigg_guard_flask.functions import spec_of_request
from stigg_guard_flask.requests import guard_from
from stigg_guard_flask.views import meters_usage, requires_all

B = TypeVar("B", bound=Blueprint)
Exempt = TypeVar("Exempt", bound=Callable[..., Any] | Blueprint)

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
Guarding: TypeAlias = Need | str | Decorator
"""A feature's id, `feature(...)` and its like, or one of our decorators."""

_GUARDS: Final = "_stigg_guards"


class _BlueprintGuard(NamedTuple):
    """What the views of a blueprint need, for some methods or for all."""

    specs: tuple[ViewSpec, ...]
    methods: frozenset[str] | None


def guard_blueprint(
    blueprint: B,
    *,
    requires: Guarding | Iterable[Guarding] = (),
    meters: str | Decorator | None = None,
    methods: Collection[str] | None = None,
) -> B:
    """Guard every view of a blueprint, and of those nested in it; returns it.

    `requires` names what is needed: a feature's id, `feature(...)`, or a decorator such
    as `requires_feature("feature", at_least=25)`, or several of them. `meters` names
    the feature that each request takes a unit of, or is `meters_usage(...)`. All of it
    holds for `methods`, or for every method.

    It asks after all functions of `before_request`, the blueprint's own included, and
    before the decorators of a view. What is marked with `@guard_exempt` is left alone,
    and so are static files. Call it before or after the routes are there, more than
    once if need be, and before the blueprint is registered.
    """
    _check_blueprint(blueprint)
    guards = [*_listed(requires), *(() if meters is None else (_metering(meters),))]
    if not guards:
        raise ValueError(
            f'guard_blueprint() was given nothing for "{blueprint.name}" to require;'
            ' name a feature: requires="feature-id", or meters="feature-id".'
        )
    specs = tuple(spec_of_request(spec) for spec in _specs(guards))
    guard = _BlueprintGuard(specs, rule_methods(methods))
    known: tuple[_BlueprintGuard, ...] = getattr(blueprint, _GUARDS, ())
    if not known:
        _check_extension_of(blueprint)
    setattr(blueprint, _GUARDS, (*known, guard))
    return blueprint


def guard_exempt(view: Exempt) -> Exempt:
    """Exempt a view from the URL rules and from the guards of its blueprints.

    A blueprint that is exempt is so with all that is nested in it, and only from the
    guards of the blueprints around it. Decorators on a view still hold.
    """
    _exempt(view)
    return view


class BlueprintNeed(NamedTuple):
    """What one blueprint asks of a request."""

    blueprint: str
    spec: ViewSpec


def needs_of_blueprints(
    app: Flask, endpoint: str, names: Sequence[str], method: str
) -> list[BlueprintNeed]:
    """What the blueprints of an endpoint need, what the outermost needs first.

    `names` are those of `request.blueprints`, which begin with the innermost.
    """
    found: list[BlueprintNeed] = []
    for name in names:
        blueprint = app.blueprints.get(name)
        if blueprint is None:  # an endpoint of the application with a dot in its name
            continue
        if endpoint == f"{name}.static" and blueprint.has_static_folder:
            return []
        guards: tuple[_BlueprintGuard, ...] = getattr(blueprint, _GUARDS, ())
        found[:0] = [
            BlueprintNeed(name, spec)
            for specs, methods in guards
            if methods is None or method in methods
            for spec in specs
        ]
        if getattr(blueprint, EXEMPT, False):
            break
    return found


def is_in_exempt_blueprint(app: Flask, names: Sequence[str]) -> bool:
    """Whether one of the blueprints is exempt, and with it all that is in it."""
    return any(getattr(app.blueprints.get(name), EXEMPT, False) for name in names)


def _check_blueprint(blueprint: object) -> None:
    if isinstance(blueprint, Flask):
        raise TypeError(
            f"guard_blueprint() was given the application {blueprint.name!r}; guard it"
            ' by rules, such as StiggGuard(rules=[{"path": "/reports/*", ...}]).'
        )
    if not isinstance(blueprint, Blueprint):
        raise TypeError(
            f"guard_blueprint() was given {blueprint!r}; give it a flask.Blueprint."
        )


def _check_extension_of(blueprint: Blueprint) -> None:
    """Have each request see to it that somebody asks: without one, nobody would."""
    try:
        blueprint.before_request(_extension_is_there)
    except AssertionError as error:
        raise ConfigurationError(
            f'guard_blueprint() was given "{blueprint.name}", which is registered'
            " already; call it before register_blueprint."
        ) from error


def _extension_is_there() -> None:
    guard_from()


def _exempt(view: Any) -> None:
    if isinstance(view, Blueprint):
        setattr(view, EXEMPT, True)
    else:
        decorators.guard_exempt(view)


def _listed(requires: Any) -> list[Decorator]:
    is_many = hasattr(requires, "__iter__") and not isinstance(requires, str)
    return [_requiring(item) for item in (requires if is_many else (requires,))]


def _requiring(item: Any) -> Decorator:
    is_need = isinstance(item, str | Requirement | AllOf | AnyOf)
    return requires_all(item) if is_need else item


def _metering(meters: str | Decorator) -> Decorator:
    return meters_usage(meters) if isinstance(meters, str) else meters


def _specs(guards: Iterable[Decorator]) -> tuple[ViewSpec, ...]:
    """What decorators ask of a view, outermost first; raises for what is no guard."""
    return tuple(spec for guard in guards for spec in _specs_of_one(guard))


def _specs_of_one(guard: Decorator) -> tuple[ViewSpec, ...]:
    def view() -> None:
        """Never called: it is there to be decorated."""

    specs = specs_of(guard(view)) if callable(guard) else ()
    if not specs:
        raise TypeError(
            f"guard_blueprint() was given {guard!r}, which guards nothing; give it"
            ' ids, feature(...), or decorators such as requires_feature("feature-id").'
        )
    return specs
