"""The decorators' words: what a user writes becomes a `ViewSpec`, or one clear error.

How a framework's view is wrapped is its adapter's; an adapter makes its decorators with
`Decorators`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from stigg_guard.decision import Reason
from stigg_guard.requirement import (
    AllOf,
    AnyOf,
    Dimension,
    Fallback,
    Metering,
    Need,
    Policy,
    Requirement,
    Update,
    as_dimensions,
    as_fallback,
    as_values,
    check_choice,
    check_units,
)
from stigg_guard.view import (
    CustomerResolver,
    OnDenied,
    RequestCallable,
    ResourceResolver,
    ViewSpec,
    in_order,
    status_codes,
    succeeded,
)

View = TypeVar("View", bound=Callable[..., Any])

SPECS: Final = "__stigg_guard__"
"""Where a guarded view carries what it needs, outermost first, for introspection."""
VIEW: Final = "__stigg_guard_view__"
_WRAPPER: Final = "__stigg_guard_wrapper__"
EXEMPT: Final = "__stigg_guard_exempt__"


def as_need(need: Need | str) -> Need:
    """A need as written by a user: a string is the id of a feature."""
    return Requirement(feature_id=need) if isinstance(need, str) else need


def feature_spec(
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
    on_unavailable: Policy | None = None,
    fallback: Fallback | bool | None = None,
) -> ViewSpec:
    """What `requires_feature` says of a view."""
    _check_parentheses("requires_feature", feature_id)
    need = Requirement(
        feature_id=feature_id,
        currency_id=currency,
        usage=usage,
        values=as_values(values or ()),
        at_least=at_least,
        fallback=as_fallback(fallback),
        on_unavailable=on_unavailable,
    )
    return need_spec(need, customer, resource, exempt_when, on_denied)


def meter_spec(
    feature_id: str,
    *,
    value: float | RequestCallable = 1,
    update: Update = "delta",
    dimensions: Mapping[str, Dimension] | RequestCallable | None = None,
    when: Callable[[int], bool] | Iterable[int] = succeeded,
    customer: CustomerResolver | None = None,
    resource: ResourceResolver | str | None = None,
    exempt_when: RequestCallable | None = None,
    on_denied: OnDenied | None = None,
    on_unavailable: Policy | None = None,
    fallback: Fallback | bool | None = None,
) -> ViewSpec:
    """What `meters_usage` says of a view."""
    _check_parentheses("meters_usage", feature_id)
    check_choice("update", update, ("delta", "set"))
    fixed: Mapping[str, Dimension] = {}
    if dimensions is not None and not callable(dimensions):
        fixed = dimensions
    need = Requirement(
        feature_id=feature_id,
        usage=None if callable(value) else check_units("value", value),
        metering=Metering(update=update, dimensions=as_dimensions(fixed)),
        fallback=as_fallback(fallback),
        on_unavailable=on_unavailable,
    )
    return ViewSpec(
        need=need,
        value=value if callable(value) else None,
        dimensions=dimensions if callable(dimensions) else None,
        when=status_codes(when),
        customer=_function("customer", customer),
        resource=_resource(resource),
        exempt_when=_function("exempt_when", exempt_when),
        on_denied=check_on_denied(on_denied),
    )


def need_spec(
    need: Need,
    customer: CustomerResolver | None = None,
    resource: ResourceResolver | str | None = None,
    exempt_when: RequestCallable | None = None,
    on_denied: OnDenied | None = None,
) -> ViewSpec:
    """What a decorator without metering says of a view."""
    return ViewSpec(
        need=need,
        customer=_function("customer", customer),
        resource=_resource(resource),
        exempt_when=_function("exempt_when", exempt_when),
        on_denied=check_on_denied(on_denied),
    )


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
            on_unavailable=on_unavailable,
            fallback=fallback,
        )
        return self.decorator("requires_feature", spec)

    def meters_usage(
        self,
        feature_id: str,
        *,
        value: float | RequestCallable = 1,
        update: Update = "delta",
        dimensions: Mapping[str, Dimension] | RequestCallable | None = None,
        when: Callable[[int], bool] | Iterable[int] = succeeded,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
        on_unavailable: Policy | None = None,
        fallback: Fallback | bool | None = None,
    ) -> Callable[[View], View]:
        """Check that `value` units are left, and report them once the view succeeded.

        `value` is a number or a function of the request; with `update="set"` it is the
        new total. `when` says which statuses are a success (2xx and 3xx). The response
        leaves once the sidecar acknowledged the usage.
        """
        spec = meter_spec(
            feature_id,
            value=value,
            update=update,
            dimensions=dimensions,
            when=when,
            customer=customer,
            resource=resource,
            exempt_when=exempt_when,
            on_denied=on_denied,
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
    ) -> Callable[[View], View]:
        """Let the view run for customers who meet one of the needs, asked in order."""
        need = AnyOf(_parts("requires_any", needs))
        spec = need_spec(need, customer, resource, exempt_when, on_denied)
        return self.decorator("requires_any", spec)

    def requires_all(
        self,
        *needs: Need | str,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        on_denied: OnDenied | None = None,
    ) -> Callable[[View], View]:
        """Let the view run only for customers who meet every need, asked in order."""
        need = AllOf(_parts("requires_all", needs))
        spec = need_spec(need, customer, resource, exempt_when, on_denied)
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
    if owner is None or method is None:
        return False
    handler = getattr(owner, method.lower(), None)
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


def check_on_denied(on_denied: Any) -> Any:
    """A status, statuses by reason, a function, or None."""
    if on_denied is None or callable(on_denied):
        return on_denied
    by_reason: dict[Reason, Any] | None = None
    if isinstance(on_denied, Mapping) and on_denied:
        given: dict[Any, Any] = dict(on_denied)  # pyright: ignore[reportUnknownArgumentType]
        try:
            by_reason = {Reason(reason): status for reason, status in given.items()}
        except ValueError as error:
            raise ValueError(
                f"on_denied: {error}; the reasons are {', '.join(Reason)}."
            ) from error
    if all(
        map(_is_error_status, [on_denied] if by_reason is None else by_reason.values())
    ):
        return by_reason or on_denied  # pyright: ignore[reportUnknownVariableType]
    raise ValueError(
        f"on_denied is {on_denied!r}; use a status from 400 to 599, a mapping of"
        " reasons to them, or a function of request and decision."
    )


def _is_error_status(status: object) -> bool:
    if isinstance(status, bool) or not isinstance(status, int):
        return False
    return 400 <= status < 600


def _parts(name: str, needs: tuple[Any, ...]) -> tuple[Need, ...]:
    if not needs:
        raise ValueError(f"{name}() was given nothing to require; name a feature.")
    for need in needs:
        if not isinstance(need, str | Requirement | AllOf | AnyOf):
            _check_parentheses(name, need)
            raise TypeError(f"{name}() was given {need!r}; use ids or feature(...).")
    return tuple(as_need(need) for need in needs)


def _check_parentheses(name: str, first: object) -> None:
    if callable(first):
        raise TypeError(
            f'@{name} was written without its parentheses; write @{name}("feature-id").'
        )


def _function(name: str, value: Any) -> Any:
    if value is None or callable(value):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; give a function of the request.")
    from stigg_guard.setting_values import Wrong, function  # it imports this module

    try:
        return function(value)
    except Wrong as wrong:
        raise ValueError(f'{name} is "{value}"; {wrong}.') from wrong


def _resource(value: Any) -> Any:
    if value == "":
        raise ValueError('resource is ""; give a resource\'s id or leave it out.')
    return value if isinstance(value, str) else _function("resource", value)
