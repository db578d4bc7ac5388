"""Guarded routes: `guarded_path` and `guarded_re_path`, for URLconfs.

They stand where Django's `path` and `re_path` do. What a guarded view does is `views`'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, TypedDict, Unpack

from django.urls import URLPattern, URLResolver, path, re_path
from django.utils.functional import cached_property

from stigg_guard.decorators import is_exempt, parts
from stigg_guard.requirement import AllOf, Dimension, Fallback, Need, Policy, Update
from stigg_guard.rule_settings import read_spec
from stigg_guard.specs import as_need, need_spec
from stigg_guard.view import (
    CustomerResolver,
    Delivery,
    Message,
    OnDenied,
    RequestCallable,
    ResourceResolver,
    Streamed,
    ViewSpec,
)
from stigg_guard_django.placement import is_api_view
from stigg_guard_django.views import decorator

View: TypeAlias = Callable[..., Any]
Included: TypeAlias = tuple[Any, str | None, str | None]
"""What `include` returns."""


Needs: TypeAlias = Need | str | Sequence[Need | str]
"""One need, or several that all have to be met."""


class Guarding(TypedDict, total=False):
    """What a guarded route may say: one of the first four, and decorators' words."""

    feature: str
    currency: str
    meters: str
    requires: Needs
    usage: float
    values: Iterable[str]
    at_least: float
    value: float | RequestCallable
    update: Update
    event: str
    dimensions: Mapping[str, Dimension] | RequestCallable
    timestamp: datetime | RequestCallable
    when: Callable[[int], bool] | Iterable[int]
    delivery: Delivery
    streamed: Streamed
    hold: float
    customer: CustomerResolver | str
    resource: ResourceResolver | str
    exempt_when: RequestCallable | str
    on_denied: OnDenied
    on_unavailable: Policy
    fallback: Fallback | bool
    shadow: bool
    message: Message


def guarded_path(
    route: str,
    view: View | Included,
    kwargs: dict[str, Any] | None = None,
    name: str | None = None,
    **guarding: Unpack[Guarding],
) -> URLPattern | URLResolver:
    """Django's `path`, whose view runs only for those who may.

    Give one of `feature`, `currency`, `meters` and `requires`; the last takes a
    `feature(...)` or a list of what is needed. With `include(...)` it holds for every
    route below, except for views that are `guard_exempt`.
    """
    spec = _spec("guarded_path", dict(guarding))
    made: Any = path  # whose overloads no union meets
    return _guarded(made(route, view, kwargs, name), spec)


def guarded_re_path(
    route: str,
    view: View | Included,
    kwargs: dict[str, Any] | None = None,
    name: str | None = None,
    **guarding: Unpack[Guarding],
) -> URLPattern | URLResolver:
    """Django's `re_path`, guarded as by `guarded_path`."""
    spec = _spec("guarded_re_path", dict(guarding))
    made: Any = re_path  # whose overloads no union meets
    return _guarded(made(route, view, kwargs, name), spec)


def _spec(owner: str, options: dict[str, Any]) -> ViewSpec:
    named = [name for name in _ASKED if options.get(name) is not None]
    if len(named) != 1:
        raise TypeError(
            f"{owner}() was given {' and '.join(named) or 'nothing'} to ask for; give"
            f" one of {', '.join(_ASKED)}."
        )
    try:
        if named != ["requires"]:
            return read_spec({name: v for name, v in options.items() if v is not None})
        need = _need(options.pop("requires"))
        _check_options(options)
        return need_spec(need, **options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{owner}(): {error}") from error


_ASKED: Final = ("feature", "currency", "meters", "requires")


def _need(needs: Needs) -> Need:
    if isinstance(needs, Sequence) and not isinstance(needs, str):
        return AllOf(parts("requires", tuple(needs)))
    return as_need(needs)


def _check_options(options: Mapping[str, object]) -> None:
    for name in options:
        if name not in _WITH_REQUIRES:
            raise TypeError(
                f'"{name}" does not go with requires; write it into the need, as in'
                f" requires=feature(..., {name}=...). What goes with it:"
                f" {', '.join(_WITH_REQUIRES)}."
            )


_WITH_REQUIRES: Final = (
    *("customer", "resource", "exempt_when", "on_denied", "shadow", "message"),
)


def _check_view(view: object) -> None:
    if isinstance(view, type):
        raise TypeError(
            f"guarded_path() was given the class {view.__name__}; give a view, such as"
            f" {view.__name__}.as_view()."
        )


class GuardedResolver(URLResolver):
    """An `include()` whose routes are all guarded, however deep they lie.

    A view that is `guard_exempt` stays as it is.
    """

    spec: ViewSpec
    unguarded: URLResolver

    @cached_property
    def url_patterns(self) -> list[URLPattern | URLResolver]:
        """The included routes, each with a guarded view."""
        return [
            found if is_exempt(found.callback) else _guarded(found, self.spec)
            for found in self.unguarded.url_patterns
        ]


def _guard_of(view: Any) -> Callable[..., Any]:
    """The decorator that suits a view: one of an API has its own authentication."""
    if not is_api_view(getattr(view, "cls", None)):
        return decorator
    from stigg_guard_django.drf.authentication import guarded_route

    return guarded_route


def _guarded(
    found: URLPattern | URLResolver, spec: ViewSpec
) -> URLPattern | URLResolver:
    if isinstance(found, URLPattern):
        _check_view(found.callback)
        view = _guard_of(found.callback)("guarded_path", spec)(found.callback)
        return URLPattern(found.pattern, view, found.default_args, found.name)
    if type(found) not in (URLResolver, GuardedResolver):
        raise TypeError(
            f"guarded_path() cannot guard {found!r}, which is a resolver of its own"
            f" kind; use a rule with its path in STIGG_GUARD"
        )
    guarded = GuardedResolver(
        found.pattern,
        found.urlconf_name,
        found.default_kwargs,
        app_name=found.app_name,
        namespace=found.namespace,
    )
    guarded.spec, guarded.unguarded = spec, found
    return guarded
