"""What a user writes of a view becomes a `ViewSpec` here, or one clear error.

Decorators, dependencies and rules all come here; how they look lives with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from stigg_guard.decision import Reason
from stigg_guard.functions import is_for_afterwards, named
from stigg_guard.metering.moment import as_moment
from stigg_guard.requirement import (
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
    check_change,
    check_choice,
    check_units,
)
from stigg_guard.view import (
    CustomerResolver,
    Delivery,
    Message,
    OnDenied,
    Redirect,
    RequestCallable,
    ResourceResolver,
    Streamed,
    Template,
    ViewSpec,
    status_codes,
    succeeded,
)

_URLS: Final = ("/", "http://", "https://")
_TEMPLATES: Final = (".html", ".jinja", ".j2")


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
    shadow: bool | None = None,
    message: Message | None = None,
    on_unavailable: Policy | None = None,
    fallback: Fallback | bool | None = None,
) -> ViewSpec:
    """What `requires_feature` says of a view."""
    check_parentheses("requires_feature", feature_id)
    need = Requirement(
        feature_id=feature_id,
        currency_id=currency,
        usage=usage,
        values=as_values(values or ()),
        at_least=at_least,
        fallback=as_fallback(fallback),
        on_unavailable=on_unavailable,
    )
    return need_spec(need, customer, resource, exempt_when, on_denied, shadow, message)


def meter_spec(
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
) -> ViewSpec:
    """What `meters_usage` says of a view."""
    check_parentheses("meters_usage", feature_id)
    check_choice("update", update, ("delta", "set"))
    check_choice("delivery", delivery, (None, "acknowledged", "background"))
    _check_event(feature_id, event, update)
    if not callable(streamed):
        check_choice("streamed", streamed, ("start", "end"))
    value, dimensions = named(value), named(dimensions)
    fixed: Mapping[str, Dimension] = {}
    if dimensions is not None and not callable(dimensions):
        fixed = dimensions
    units = check_units("hold", hold)
    if not callable(value):
        units = (check_units if update == "set" else check_change)("value", value)
    is_asked = not callable(value) or is_for_afterwards(value)
    need = Requirement(
        feature_id=feature_id,
        usage=units if is_asked and units >= 0 else None,
        metering=Metering(update=update, event=event, dimensions=as_dimensions(fixed)),
        fallback=as_fallback(fallback),
        on_unavailable=on_unavailable,
    )
    return ViewSpec(
        need=need,
        units=units,
        value=value if callable(value) else None,
        dimensions=dimensions if callable(dimensions) else None,
        timestamp=_timestamp(timestamp),
        when=succeeded if when is None else status_codes(when),
        delivery=delivery or ("acknowledged" if event is None else "background"),
        streamed=streamed,
        customer=importable("customer", customer),
        resource=_resource(resource),
        exempt_when=importable("exempt_when", exempt_when),
        on_denied=check_on_denied(on_denied),
        shadow=_shadow(shadow),
        message=_message(message),
    )


def _check_event(feature_id: object, event: object, update: str) -> None:
    if event is None and feature_id is None:
        raise ValueError(
            "meters_usage() was given neither a feature nor an event; name the feature"
            ' whose usage is reported, or event="name".'
        )
    if event is None:
        return
    if not isinstance(event, str) or not event.strip():
        raise ValueError(
            f"event is {event!r}; give its name as a non-empty string, such as"
            ' "email.sent".'
        )
    if update == "set":
        raise ValueError(
            f'event is "{event}" and a new total is given; a raw event is counted by'
            ' its meter: leave out the event, or update="set".'
        )


def _timestamp(timestamp: Any) -> RequestCallable | None:
    """A function that tells when something was used; None tells that it was now."""
    if timestamp is None:
        return None
    if callable(timestamp):
        found: RequestCallable = named(timestamp)
        return found
    moment = as_moment("timestamp", timestamp)

    def given(_request: object) -> datetime:
        return moment

    return given


def need_spec(
    need: Need,
    customer: CustomerResolver | None = None,
    resource: ResourceResolver | str | None = None,
    exempt_when: RequestCallable | None = None,
    on_denied: OnDenied | None = None,
    shadow: bool | None = None,
    message: Message | None = None,
) -> ViewSpec:
    """What a decorator without metering says of a view."""
    return ViewSpec(
        need=need,
        customer=importable("customer", customer),
        resource=_resource(resource),
        exempt_when=importable("exempt_when", exempt_when),
        on_denied=check_on_denied(on_denied),
        shadow=_shadow(shadow),
        message=_message(message),
    )


def check_on_denied(on_denied: Any) -> Any:
    """A status, statuses by reason, a function, a redirect, a template, or None."""
    if on_denied is None or callable(on_denied):
        return on_denied
    if isinstance(on_denied, Redirect | Template):
        return as_on_denied(on_denied)
    if isinstance(on_denied, str):
        return as_on_denied(on_denied) or importable("on_denied", on_denied)
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
        ' reasons to them, a function of request and decision, a URL such as "/plans/",'
        ' or the name of a template such as "upgrade.html".'
    )


def as_on_denied(written: str | Redirect | Template) -> Redirect | Template | None:
    """A redirect or template from how it is written; None for anything else.

    Raises `ValueError` for a URL that no browser could follow.
    """
    if isinstance(written, str):
        if written.startswith(_URLS):
            written = Redirect(written)
        elif written.endswith(_TEMPLATES):
            written = Template(written)
        else:
            return None
    if isinstance(written, Redirect) and not _is_url(written.url):
        raise ValueError(
            f"on_denied is {written.url!r}; use a URL that begins with"
            f" {', '.join(_URLS)} and has no spaces or control characters."
        )
    return written


def _is_url(url: object) -> bool:
    return (
        isinstance(url, str)
        and url.startswith(_URLS)
        and not any(character <= " " or character == "\x7f" for character in url)
    )


def _is_error_status(status: object) -> bool:
    if isinstance(status, bool) or not isinstance(status, int):
        return False
    return 400 <= status < 600


def _shadow(shadow: Any) -> bool | None:
    if shadow is None or isinstance(shadow, bool):
        return shadow
    raise ValueError(
        f"shadow is {shadow!r}; use True, False, or None for what the settings say."
    )


def _message(message: Any) -> Message | None:
    if message is None or is_message(message):
        return message  # type: ignore[no-any-return]
    raise ValueError(f"message is {message!r}; write a sentence, or leave it out.")


def is_message(message: Any) -> bool:
    """Whether it is a text that is not empty; a lazy one is not looked at yet."""
    if isinstance(message, str):
        return bool(message.strip())
    return hasattr(message, "casefold")  # which bytes have not


def check_parentheses(name: str, first: object) -> None:
    if callable(first):
        raise TypeError(
            f'@{name} was written without its parentheses; write @{name}("feature-id").'
        )


def importable(name: str, value: Any) -> Any:
    """A function, or the one of a dotted path; None stays None."""
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
    return value if isinstance(value, str) else importable("resource", value)
