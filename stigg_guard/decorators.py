"""The decorators of a framework, and what a decorated view carries.

How a view is wrapped is its adapter's, which makes its decorators with `Decorators`;
what their words mean is in `specs`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from stigg_guard.requirement import (
    AllOf,
    AnyOf,
    Dimension,
    Fallback,
    Need,
    Policy,
    Requirement,
    Update,
)
from stigg_guard.specs import (
    as_need,
    check_parentheses,
    feature_spec,
    meter_spec,
    need_spec,
)
from stigg_guard.view import (
    CustomerResolver,
    Delivery,
    Message,
    OnDenied,
    RequestCallable,
    ResourceResolver,
    Streamed,
    ViewSpec,
    in_order,
)

View = TypeVar("View", bound=Callable[..., Any])

SPECS: Final = "__stigg_guard__"
"""Where a guarded view carries what it needs, outermost first, for introspection."""
VIEW: Final = "__stigg_guard_view__"
_WRAPPER: Final = "__stigg_guard_wrapper__"
EXEMPT: Final = "__stigg_guard_exempt__"


class Decorators:
    """The decorators of one framework; `wrap` makes a guarded view from a view."""

    def __init__(self, wrap: Callable[[Any, tuple[ViewSpec, ...]], Any]) -> None:
        self._wrap = wrap

    def requires_feature(
        self,
        feature_id: str | None = None,
        *,
        usage: float | None = None,
        values: Iterable[str] | None = None,
        at_least: float | None = None,
        currency: str | None = None,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
        on_unavailable: Policy | None = None,
        fallback: Fallback | bool | None = None,
    ) -> Callable[[View], View]:
        """Let the view run only for customers who have the feature.

        `usage` asks for so many units of a metered feature, `values` for enum values,
        `at_least` for a numeric value, `currency` for credits in place of a feature.
        `on_unavailable` ("allow" or "deny") and `fallback` say what holds when the
        sidecar gives no verdict. A denied request raises `AccessDenied`, which the
        middleware answers.
        """
        spec = feature_spec(
            feature_id,
            usage=usage,
            values=values,
            at_least=at_least,
            currency=currency,
            customer=customer,
            resource=resource,
            exempt_when=exempt_when,
            on_denied=on_denied,
            shadow=shadow,
            message=message,
            on_unavailable=on_unavailable,
            fallback=fallback,
        )
        return self.decorator("requires_feature", spec)

    def meters_usage(
        self,
        feature_id: str | None = None,
        *,
        value: float | RequestCallable = 1,
        update: Update = "delta",
        event: str | None = None,
        dimensions: Mapping[str, Dimension] | RequestCallable | None = None,
        timestamp: datetime | RequestCallable | None = None,
        when: Callable[[int], bool] | Iterable[int] | None = None,
        delivery: Delivery | None = None,
        streamed: Streamed = "start",
        hold: float = 1,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
        on_unavailable: Policy | None = None,
        fallback: Fallback | bool | None = None,
    ) -> Callable[[View], View]:
        """Hold `value` units while the view runs, and report them once it succeeded.

        `value` is a number, below 0 for units that the view gives back, or a function
        of the request, which may also take `arguments`, `result` and `response` by
        name; what is known only afterwards holds `hold` units meanwhile. With
        `update="set"` it is the new total. With `event="name"` a raw event with
        `dimensions` and an optional `timestamp` is reported; the feature, if one is
        given, is what it is checked and counted against.

        `when` says which statuses are a success: statuses, or a function of the status
        (2xx and 3xx). `delivery` is "acknowledged", so that the response leaves when
        the sidecar took the usage or the outbox stored it, or "background" (the default
        of events). `streamed` says when a streamed response is measured: at its
        "start", at its "end", or by a function from each chunk to its units.
        """
        spec = meter_spec(
            feature_id,
            value=value,
            update=update,
            event=event,
            dimensions=dimensions,
            timestamp=timestamp,
            when=when,
            delivery=delivery,
            streamed=streamed,
            hold=hold,
            customer=customer,
            resource=resource,
            exempt_when=exempt_when,
            on_denied=on_denied,
            shadow=shadow,
            message=message,
            on_unavailable=on_unavailable,
            fallback=fallback,
        )
        return self.decorator("meters_usage", spec)

    def requires_any(
        self,
        *needs: Need | str,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
    ) -> Callable[[View], View]:
        """Let the view run for customers who meet one of the needs, asked in order."""
        need = AnyOf(parts("requires_any", needs))
        spec = need_spec(
            need, customer, resource, exempt_when, on_denied, shadow, message
        )
        return self.decorator("requires_any", spec)

    def requires_all(
        self,
        *needs: Need | str,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
    ) -> Callable[[View], View]:
        """Let the view run only for customers who meet every need, asked in order."""
        need = AllOf(parts("requires_all", needs))
        spec = need_spec(
            need, customer, resource, exempt_when, on_denied, shadow, message
        )
        return self.decorator("requires_all", spec)

    def decorator(self, name: str, spec: ViewSpec) -> Callable[[View], View]:
        """A decorator that adds one spec; stacked ones become one wrapper."""

        def decorate(view: View) -> View:
            check_view(name, view)
            specs = (spec, *specs_of(view))
            inner, asked = _unwrapped(view, spec)
            guarded = self._wrap(inner, in_order(asked))
            setattr(guarded, SPECS, specs)
            setattr(guarded, VIEW, inner)
            setattr(guarded, _WRAPPER, guarded)
            return guarded  # type: ignore[no-any-return]  # the view's own type

        return decorate


def _unwrapped(view: Any, spec: ViewSpec) -> tuple[Any, tuple[ViewSpec, ...]]:
    """The view to wrap and what to ask for it: our own wrapper is replaced.

    A foreign decorator copies the marks of what it wraps with functools.wraps; it is
    kept, and so is our wrapper inside of it.
    """
    if getattr(view, _WRAPPER, None) is view:
        return getattr(view, VIEW), (spec, *specs_of(view))
    return view, (spec,)


def guard_exempt(view: View) -> View:
    """Exempt a view from the URL rules; decorators on it still hold."""
    check_view("guard_exempt", view)
    setattr(view, EXEMPT, True)
    return view


def specs_of(view: object) -> tuple[ViewSpec, ...]:
    """What a decorated view needs, outermost decorator first."""
    return getattr(view, SPECS, ())


def is_exempt(view: object, method: str | None = None) -> bool:
    """Whether a view, or its class's handler of a method, is exempt from the rules."""
    if getattr(view, EXEMPT, False):
        return True
    owner = getattr(view, "view_class", None)  # as Django and Flask name it
    actions: Mapping[str, str] = getattr(view, "actions", None) or {}
    if actions:  # of a viewset of Django REST framework
        owner = getattr(view, "cls", None)
    if owner is None or method is None:
        return False
    handler = getattr(owner, actions.get(method.lower(), method.lower()), None)
    if handler is None and method == "HEAD":
        handler = getattr(owner, "get", None)
    return bool(getattr(handler, EXEMPT, False))


def check_view(name: str, view: object) -> None:
    """A function that may be decorated, or an error that says what to do instead."""
    if inspect.isclass(view):
        raise TypeError(
            f"@{name} stands on the class {view.__name__}; decorate its methods or the"
            " view function made from it."
        )
    if not callable(view):
        raise TypeError(
            f"@{name} stands on {view!r}, which is not a view; put it on a function."
        )


def parts(name: str, needs: tuple[Any, ...]) -> tuple[Need, ...]:
    """The needs that `name` was given, or an error that says what to give."""
    if not needs:
        raise ValueError(f"{name}() was given nothing to require; name a feature.")
    for need in needs:
        if not isinstance(need, str | Requirement | AllOf | AnyOf):
            check_parentheses(name, need)
            raise TypeError(f"{name}() was given {need!r}; use ids or feature(...).")
    return tuple(as_need(need) for need in needs)
