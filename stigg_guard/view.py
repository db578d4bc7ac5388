"""What a decorator or rule says about a view: its need, its usage, its exceptions.

How the view is run between check and report lives in `flow`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from stigg_guard.decision import Decision, Reason
from stigg_guard.functions import is_for_afterwards
from stigg_guard.requirement import Need, Requirement
from stigg_guard.subject import Subject

RequestCallable: TypeAlias = Callable[..., Any]
"""A user's function of the framework's request (in Flask, also of nothing)."""

Resolved: TypeAlias = Subject | str | None
CustomerResolver: TypeAlias = Callable[..., Resolved | Awaitable[Resolved]]
"""Request to customer id, Subject or None; sync or async."""

ResourceResolver: TypeAlias = Callable[..., str | Awaitable[str | None] | None]


class LazyText(Protocol):
    """A text that is translated when it is shown, such as Django's `gettext_lazy`."""

    def __str__(self) -> str: ...

    # What tells a text from other objects, in the stubs of frameworks too.
    def __mod__(self, value: Any, /) -> str: ...


Message: TypeAlias = str | LazyText
"""What a denial says to people."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A browser that is denied goes to this URL, by a 303; other clients do not."""

    url: str


@dataclass(frozen=True, slots=True)
class Template:
    """A browser that is denied gets the template of this name, of its framework."""

    name: str


Answerer: TypeAlias = Callable[[Any, Decision], Any]
"""A function of request and decision that makes the framework's response."""

OnDenied: TypeAlias = int | Mapping[Reason, int] | Answerer | Redirect | Template | str
"""A status for every denial, one per reason, or a function that makes the response.

For browsers also a redirect or a template. As a string: a URL, the name of a template
(it ends in .html, .jinja or .j2), or the dotted path of a function.
"""

Delivery: TypeAlias = Literal["acknowledged", "background"]
Streamed: TypeAlias = Literal["start", "end"] | Callable[[Any], float]
"""When a streamed response is measured: at its first byte, when all of it was sent, or
by what was sent: a function from a chunk or item to its units."""


def succeeded(status: int) -> bool:
    """Whether a response counts as success: 2xx and 3xx."""
    return 200 <= status < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """One decorator's or rule's word on a view.

    `units` are what a metered view uses, below 0 for what it gives back. `value`,
    `dimensions` and `timestamp` are functions of the request, and of more by name (see
    `functions`), that are called just before the question is asked or, if they want to
    know how the view ended, after it; `units` are held until then. `when` decides by
    the response's status whether usage counts. With `shadow` a denial is noted and the
    view runs all the same; None leaves that to the feature's settings and the
    application's. `message` is what a denial says in place of its usual sentence.
    """

    need: Need
    units: float = 1
    value: RequestCallable | None = None
    dimensions: RequestCallable | None = None
    timestamp: RequestCallable | None = None
    when: Callable[[int], bool] = succeeded
    delivery: Delivery = "acknowledged"
    streamed: Streamed = "start"
    customer: CustomerResolver | None = None
    resource: ResourceResolver | str | None = None
    exempt_when: RequestCallable | None = None
    on_denied: OnDenied | None = None
    shadow: bool | None = None
    message: Message | None = None

    @property
    def asks_more(self) -> bool:
        """Whether its answer also answers the plain question about the feature."""
        if self.value is not None and not is_for_afterwards(self.value):
            return True
        return isinstance(self.need, Requirement) and bool(
            self.need.question.usage or self.need.values
        )

    def same_subject(self, other: ViewSpec) -> bool:
        """Whether both ask for the same customer and resource, and answer alike."""
        return _of_the_answer(self) == _of_the_answer(other)


def _of_the_answer(spec: ViewSpec) -> tuple[object, ...]:
    asked = (spec.customer, spec.resource, spec.exempt_when)
    return (*asked, spec.on_denied, spec.shadow, spec.message)


def status_codes(when: Callable[[int], bool] | Iterable[int]) -> Callable[[int], bool]:
    """`when` as written by a user: a function of the status, or the statuses."""
    if callable(when):
        return when
    given: Any = when
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"when is {when!r}; give statuses, such as [200, 201].")
    codes = frozenset(when)
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int):
            raise ValueError(f"when contains {code!r}; give statuses, such as 201.")
    return codes.__contains__


def in_order(specs: tuple[ViewSpec, ...]) -> tuple[ViewSpec, ...]:
    """The specs of a view, outermost first, so that one question serves several.

    A question about a feature without usage or values is answered by one with them:
    such a one is moved in front of it.
    """
    ordered = list(specs)
    for index, plain in enumerate(specs):
        if plain.asks_more or not isinstance(plain.need, Requirement):
            continue
        for other in specs[index + 1 :]:
            if other.asks_more and _same_feature(plain, other):
                ordered.remove(other)
                ordered.insert(ordered.index(plain), other)
                break
    return tuple(ordered)


def _same_feature(one: ViewSpec, other: ViewSpec) -> bool:
    return (
        isinstance(one.need, Requirement)
        and isinstance(other.need, Requirement)
        and one.need.name == other.need.name
        and one.same_subject(other)
    )
