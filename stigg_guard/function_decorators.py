"""The decorators for any function, outside of requests and inside of them.

What happens around a call is in `guarded_call`; the decorators of views, in
`decorators`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stigg_guard.around import Function, decorated
from stigg_guard.decorators import parts
from stigg_guard.guarded_function import GuardedFunction, check_function
from stigg_guard.picked import picked
from stigg_guard.requirement import (
    AllOf,
    AnyOf,
    Dimension,
    Fallback,
    Need,
    Policy,
    Update,
)
from stigg_guard.specs import feature_spec, importable, meter_spec, need_spec
from stigg_guard.view import (
    CustomerResolver,
    Delivery,
    Message,
    RequestCallable,
    ResourceResolver,
    Streamed,
    ViewSpec,
)

if TYPE_CHECKING:
    from stigg_guard.guard import AsyncGuard, Guard


class FunctionDecorators:
    """Decorators for functions, methods and generators, sync and async.

    The subject is what `customer` returns, and `resource`: functions that take the
    guarded function's parameters, by name. Without `customer` it is what `subject(...)`
    bound. Where neither is, the call raises `ConfigurationError`; a `customer` that
    returns None is a denial. A denied call raises `AccessDenied`, and the function does
    not run.
    """

    def guard_for_call(self) -> Guard | AsyncGuard:
        """The guard of a call, looked up when the function is called."""
        raise NotImplementedError

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
        shadow: bool | None = None,
        message: Message | None = None,
        on_unavailable: Policy | None = None,
        fallback: Fallback | bool | None = None,
    ) -> Callable[[Function], Function]:
        """Let a function run only for customers who have the feature.

        The options mean what they do on a view.
        """
        spec = feature_spec(
            feature_id,
            usage=usage,
            values=values,
            at_least=at_least,
            currency=currency,
            **_whom(customer, resource, exempt_when),
            shadow=shadow,
            message=message,
            on_unavailable=on_unavailable,
            fallback=fallback,
        )
        return self._decorator("requires_feature", spec)

    def meters_usage(
        self,
        feature_id: str | None = None,
        *,
        value: float | RequestCallable = 1,
        update: Update = "delta",
        event: str | None = None,
        dimensions: Mapping[str, Dimension] | RequestCallable | None = None,
        timestamp: datetime | RequestCallable | None = None,
        delivery: Delivery | None = None,
        streamed: Streamed = "end",
        hold: float = 1,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
        on_unavailable: Policy | None = None,
        fallback: Fallback | bool | None = None,
    ) -> Callable[[Function], Function]:
        """Hold `value` units while a function runs, and report them once it returned.

        They are given back when it raises. `value`, `dimensions` and `timestamp` may be
        functions of the call, which take the guarded function's parameters by name, and
        `result`; a `value` of 0 reports nothing. A generator is measured when it came
        to its end, at its first item with `streamed="start"`, or by a function from
        each item to its units. The other options mean what they do on a view.
        """
        spec = meter_spec(
            feature_id,
            value=picked("value", value, knows_result=True),
            update=update,
            event=event,
            dimensions=picked("dimensions", dimensions, knows_result=True),
            timestamp=picked("timestamp", timestamp, knows_result=True),
            delivery=delivery,
            streamed=streamed,
            hold=hold,
            **_whom(customer, resource, exempt_when),
            shadow=shadow,
            message=message,
            on_unavailable=on_unavailable,
            fallback=fallback,
        )
        return self._decorator("meters_usage", spec)

    def requires_any(
        self,
        *needs: Need | str,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
    ) -> Callable[[Function], Function]:
        """Let a function run for customers who meet one of the needs."""
        spec = need_spec(
            AnyOf(parts("requires_any", needs)),
            **_whom(customer, resource, exempt_when),
            shadow=shadow,
            message=message,
        )
        return self._decorator("requires_any", spec)

    def requires_all(
        self,
        *needs: Need | str,
        customer: CustomerResolver | None = None,
        resource: ResourceResolver | str | None = None,
        exempt_when: RequestCallable | None = None,
        shadow: bool | None = None,
        message: Message | None = None,
    ) -> Callable[[Function], Function]:
        """Let a function run only for customers who meet every need."""
        spec = need_spec(
            AllOf(parts("requires_all", needs)),
            **_whom(customer, resource, exempt_when),
            shadow=shadow,
            message=message,
        )
        return self._decorator("requires_all", spec)

    def _decorator(self, name: str, spec: ViewSpec) -> Callable[[Function], Function]:
        def guarded(function: Any) -> Callable[..., Any]:
            check_function(name, function)
            return GuardedFunction.of(function, spec, self).wrapper

        return lambda function: decorated(function, guarded)


def _whom(customer: Any, resource: Any, exempt_when: Any) -> dict[str, Any]:
    customer = importable("customer", customer)
    exempt_when = importable("exempt_when", exempt_when)
    return {
        "customer": picked("customer", customer),
        "resource": picked("resource", resource),
        "exempt_when": picked("exempt_when", exempt_when),
    }
