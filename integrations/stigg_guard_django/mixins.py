"""Class-based views that are guarded or metered by their attributes.

What the attributes come to is in `class_specs`; decorators are in `views`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import classonlymethod
from django.views import View

from stigg_guard import AccessDenied, ConfigurationError, Decision, Subject
from stigg_guard.decorators import SPECS, specs_of
from stigg_guard.requirement import (
    Dimension,
    Fallback,
    Policy,
    Requirement,
    Update,
)
from stigg_guard.specs import need_spec
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
from stigg_guard_django.apps import project_guards
from stigg_guard_django.class_specs import ATTRIBUTES, ClassSpecs, class_specs
from stigg_guard_django.guards import is_async
from stigg_guard_django.paths import Needs
from stigg_guard_django.views import arun, run
from stigg_guard_django.visit import aanswer, answer


class GuardedMixin:
    """What both mixins have: whom to ask for, and what to answer.

    Each attribute is what the decorators' keyword of that name is. Where it depends on
    the request, override the method beside it, which may use `self.request` and
    `self.kwargs`, and may be async in an async view.
    """

    customer: CustomerResolver | str | None = None
    resource: ResourceResolver | str | None = None
    exempt_when: RequestCallable | str | None = None
    on_denied: OnDenied | None = None
    on_unavailable: Policy | None = None
    fallback: Fallback | bool | None = None
    shadow: bool | None = None
    message: Message | None = None

    request: HttpRequest
    kwargs: Any
    _specs: ClassVar[ClassSpecs]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if View in cls.__mro__:
            _check_place(cls)
            cls._specs = _specs_of(cls, {})

    if not TYPE_CHECKING:  # to checkers they are as the view has them

        @classonlymethod
        def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
            """The view; attributes of the guard may be given here too."""
            given = {k: v for k, v in initkwargs.items() if k in ATTRIBUTES}
            specs = _specs_of(cls, given) if given else cls._specs
            _check_complete(cls, specs)
            if given:
                initkwargs["_specs"] = specs
            view = super().as_view(**initkwargs)
            setattr(view, SPECS, (*specs.all, *specs_of(view)))
            return view

        def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            """Let the handler run if the customer may, and report what it used."""
            return self._guarded(super().dispatch, request, *args, **kwargs)

    def get_customer(self) -> Subject | str | Awaitable[Subject | str | None] | None:
        """Who asks: a customer's id, a Subject, or None for nobody."""
        own: Any = self._attribute("customer")
        resolver: Any = own or project_guards().sync.settings.customer
        return None if resolver is None else resolver(self.request)

    def get_resource(self) -> str | Awaitable[str | None] | None:
        """The id of the customer's resource that it is about, or None."""
        own: Any = self._attribute("resource")
        found: Any = own(self.request) if callable(own) else own
        return found  # type: ignore[no-any-return]

    def is_exempt(self) -> bool | Awaitable[bool]:
        """Whether this request is let through without a question."""
        own: Any = self._attribute("exempt_when")
        return False if own is None else own(self.request)

    def handle_denied(
        self, decision: Decision
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The response to a request that may not go on."""
        spec = (self._specs.all or (need_spec(decision.requirement),))[0]
        error = AccessDenied(decision, spec.on_denied, spec.message)
        is_async = getattr(self, "view_is_async", False)
        return (aanswer if is_async else answer)(self.request, error)

    def _guarded(self, handle: Any, request: HttpRequest, *args: Any, **kw: Any) -> Any:
        specs = self._asked(request.method or "GET")
        if not specs:
            return handle(request, *args, **kw)
        guarded: Any = arun if is_async(handle) else run
        return guarded(handle, specs, request, *args, **kw)

    def _asked(self, method: str) -> tuple[ViewSpec, ...]:
        specs = [self._required(method), self._metered(method)]
        hooked = [self._specs.hooked(self, spec) for spec in specs if spec is not None]
        return in_order(tuple(hooked))

    def _required(self, method: str) -> ViewSpec | None:
        return None

    def _metered(self, method: str) -> ViewSpec | None:
        return None

    def _attribute(self, name: str) -> Any:
        """What an attribute came to, a dotted path to the function that it names."""
        return next((getattr(spec, name) for spec in self._specs.all), None)


class RequiresFeatureMixin(GuardedMixin):
    """A class-based view that runs only for customers who have a feature.

    Write it left of the view's class and right of `LoginRequiredMixin` and its like.
    `feature` is an id, a `feature(...)`, or a list of what is needed altogether;
    `feature_by_method` says it for single methods, with None for nothing, and a GET's
    holds for HEAD. Wrong values and places are refused when the class is made.
    """

    feature: Needs | None = None
    feature_by_method: Mapping[str, Needs | None] = {}  # never changed
    currency: str | None = None
    usage: float | None = None
    values: Iterable[str] | None = None
    at_least: float | None = None

    def get_requirement(self) -> Needs | None:
        """What this request needs; None for nothing."""
        spec = self._specs.requires(self.request.method or "GET")
        return None if spec is None else spec.need

    def _required(self, method: str) -> ViewSpec | None:
        found = self._specs.requires(method)
        if not self._specs.asks_by_hook:
            return found
        needs = self.get_requirement()
        return None if needs is None else self._specs.make(needs)


class MetersUsageMixin(GuardedMixin):
    """A class-based view that uses a metered feature: checked before, reported after.

    `meters` is the feature's id, `metered_methods` limits it to some methods. Of a
    form, a POST or PUT is metered, and only when the form was valid. Place and
    attributes are as in `RequiresFeatureMixin`; both may stand on one class.
    """

    meters: str | None = None
    metered_methods: Collection[str] | None = None
    value: float | RequestCallable = 1
    update: Update = "delta"
    event: str | None = None
    dimensions: Mapping[str, Dimension] | RequestCallable | None = None
    timestamp: datetime | RequestCallable | None = None
    when: Callable[[int], bool] | Iterable[int] | None = None
    delivery: Delivery | None = None
    streamed: Streamed = "start"
    hold: float = 1

    def get_value(self) -> float | Awaitable[float]:
        """The units that this request uses; asked for before the handler runs."""
        own = self._specs.metered
        if own is None or own.value is None:
            return 1 if own is None else own.units
        return own.value(self.request)  # type: ignore[no-any-return]

    def get_dimensions(self) -> Mapping[str, Dimension]:
        """What is told beside a raw event."""
        own = self._specs.metered
        if own is None or not isinstance(own.need, Requirement):
            return {}
        if own.dimensions is not None:
            return own.dimensions(self.request)  # type: ignore[no-any-return]
        metering = own.need.metering
        return {} if metering is None else dict(metering.dimensions)

    def _metered(self, method: str) -> ViewSpec | None:
        spec = self._specs.meters(method)
        if spec is None or not hasattr(self, "form_invalid"):
            return spec
        return replace(spec, when=_WhenValid(self, spec.when))


class _WhenValid:
    """Whether a response is a success: not one that shows a form again."""

    def __init__(self, view: Any, when: Callable[[int], bool]) -> None:
        self._when, self._is_valid = when, True
        self._form_invalid = view.form_invalid
        view.form_invalid = self._invalid

    def __call__(self, status: int) -> bool:
        return self._is_valid and self._when(status)

    def _invalid(self, *args: Any, **kwargs: Any) -> Any:
        self._is_valid = False
        return self._form_invalid(*args, **kwargs)


_MIXINS: Final = (RequiresFeatureMixin, MetersUsageMixin)


def _specs_of(cls: type, given: Mapping[str, object]) -> ClassSpecs:
    requires, meters = (issubclass(cls, mixin) for mixin in _MIXINS)
    mixins = (*_MIXINS, GuardedMixin)
    return class_specs(cls, given, mixins=mixins, requires=requires, meters=meters)


def _check_place(cls: type[GuardedMixin]) -> None:
    """Refuse a class that is asked too early, or never."""
    order = cls.__mro__
    ours = order.index(GuardedMixin)
    mixin = _mixins_of(cls)
    if View in order[:ours]:
        raise TypeError(
            f"{cls.__qualname__}: {mixin} stands right of its view, so it would never"
            f" be asked; write class {cls.__name__}({mixin}, View)."
        )
    for found in order[ours:]:
        # By name: their modules need settings, and this one is imported before.
        names = {f"{c.__module__}.{c.__qualname__}" for c in found.__mro__}
        if "django.contrib.auth.mixins.AccessMixin" in names:
            raise TypeError(
                f"{cls.__qualname__}: {mixin} stands left of {found.__name__}, so it"
                " would ask before anybody has logged in; write class"
                f" {cls.__name__}({found.__name__}, {mixin}, ...)."
            )
        if "rest_framework.views.APIView" in names:
            raise TypeError(
                f"{cls.__qualname__}: {mixin} on an API view would ask before Django"
                " REST framework knows the user; use stigg_guard_django.drf."
            )


def _check_complete(cls: type[GuardedMixin], specs: ClassSpecs) -> None:
    """Refuse a view that its mixin would not guard."""
    if issubclass(cls, RequiresFeatureMixin):
        if not (specs.otherwise or specs.required or specs.asks_by_hook):
            raise ConfigurationError(
                f"{cls.__qualname__} is a RequiresFeatureMixin that names no feature;"
                " give it feature, feature_by_method or currency, or the method"
                " get_requirement()."
            )
        _check_methods(cls, specs.required)
    if issubclass(cls, MetersUsageMixin) and specs.metered is None:
        raise ConfigurationError(
            f"{cls.__qualname__} is a MetersUsageMixin that names nothing to meter;"
            " give it meters or event."
        )


def _check_methods(cls: type, methods: Iterable[str]) -> None:
    for method in methods:
        if method not in ("HEAD", "OPTIONS") and not hasattr(cls, method.lower()):
            raise ConfigurationError(
                f"{cls.__qualname__}.feature_by_method names {method}, but the view has"
                f" no {method.lower()}(); check the name of the method."
            )


def _mixins_of(cls: type) -> str:
    found = [mixin.__name__ for mixin in _MIXINS if issubclass(cls, mixin)]
    return ", ".join(found)
