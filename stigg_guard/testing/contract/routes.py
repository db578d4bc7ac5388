"""The one application of the behaviour suite, as data: every framework builds it.

What is expected of it stands in the test files beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stigg_guard import Rule, Subject
from stigg_guard.requirement import AllOf, AnyOf, Need, Requirement
from stigg_guard.specs import feature_spec, meter_spec, need_spec
from stigg_guard.view import ViewSpec

Kind = Literal["requires_feature", "meters_usage", "requires_any", "requires_all"]


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """One decorator, as written: name, positional and keyword arguments."""

    kind: Kind
    needs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def spec(self) -> ViewSpec:
        """The same as a rule's spec, for applications that have no decorators."""
        if self.kind == "requires_feature":
            return feature_spec(*self.needs, **self.options)
        if self.kind == "meters_usage":
            return meter_spec(*self.needs, **self.options)
        parts: tuple[Need, ...] = tuple(Requirement(feature_id=n) for n in self.needs)
        need = AnyOf(parts) if self.kind == "requires_any" else AllOf(parts)
        return need_spec(need, **self.options)


def requires(feature_id: str, **options: Any) -> Guarded:
    return Guarded(kind="requires_feature", needs=(feature_id,), options=options)


def meters(feature_id: str, **options: Any) -> Guarded:
    return Guarded(kind="meters_usage", needs=(feature_id,), options=options)


def meters_event(event: str, **options: Any) -> Guarded:
    return Guarded(kind="meters_usage", needs=(), options={"event": event, **options})


DOMAIN = "feature-03-custom-domain"
ANALYTICS = "feature-04-analytics"
FILE_SIZE = "feature-06-max-file-size"
TEMPLATES = "feature-01-templates"
CAMPAIGNS = "feature-02-campaigns"
UNKNOWN = "feature-99-unknown"

WITHIN = "customer-demo-01"
"""Has 3 of 6 templates, a custom domain, files up to 100 MB."""
AT_LIMIT = "customer-demo-02"
"""Has 6 of 6 templates, no custom domain, files up to 10 MB."""
ARCHIVED = "customer-demo-03"


def always_within(*_: object) -> Subject:
    """A customer resolver of one view."""
    return Subject(WITHIN)


def header_of(request: Any, name: str) -> str | None:
    """A header of any framework's request, or of an ASGI scope or WSGI environ."""
    headers = getattr(request, "headers", None)
    if headers is not None:
        return headers.get(name)  # type: ignore[no-any-return]
    if "wsgi.version" in request:
        named = "HTTP_" + name.upper().replace("-", "_")
        return request.get(named)  # type: ignore[no-any-return]
    raw = dict(request["headers"]).get(name.lower().encode())
    return None if raw is None else raw.decode()


def acting_customer(request: Any) -> str | None:
    """Whom somebody of the staff acts for, else who asks."""
    return header_of(request, "X-Acting-For") or header_of(request, "X-Customer")


def site_of(request: Any) -> str | None:
    """The resource that a header names."""
    return header_of(request, "X-Site")


def always(*_: object) -> bool:
    """An exemption that holds for everybody."""
    return True


def tens(chunk: bytes) -> float:
    """A unit for ten bytes."""
    return len(chunk) / 10


def fives(text: str) -> float:
    """A unit for five characters."""
    return len(text) / 5


def broken(chunk: bytes) -> float:
    """A function of a user's that fails."""
    raise ZeroDivisionError


def said_by_response(response: Any) -> float:
    """What the view wrote into a header of its response."""
    return float(response.headers["X-Units"])


def of_result(result: object) -> float:
    """Two units for what a view returned."""
    return 2 if result is not None else 1


def of_arguments(arguments: Mapping[str, Any]) -> float:
    """As many units as the path says."""
    return float(arguments["number"])


def answered(response: Any, usage: float) -> dict[str, int | float | str]:
    """Dimensions that are known when the view has run."""
    status = getattr(response, "status_code", None) or response.status
    return {"status": status, "units": usage}


# Path → its decorators, outermost first. Each view does what `views` says of
# the query. GET, HEAD, POST and OPTIONS reach every view.
ROUTES: Mapping[str, tuple[Guarded, ...]] = {
    "/plain": (),
    "/domain": (requires(DOMAIN),),
    "/files": (requires(FILE_SIZE, at_least=25),),
    "/huge": (requires(FILE_SIZE, at_least=1000),),
    "/ten": (requires(TEMPLATES, usage=10),),
    "/unknown": (requires(UNKNOWN),),
    "/mismatch": (meters(DOMAIN),),
    "/templates": (meters(TEMPLATES),),
    "/three": (meters(TEMPLATES, value=3),),
    "/total": (meters(TEMPLATES, value=5, update="set"),),
    "/created-only": (meters(TEMPLATES, when=[201]),),
    "/stacked": (requires(TEMPLATES), meters(TEMPLATES)),
    "/twice": (requires(FILE_SIZE), requires(FILE_SIZE, at_least=25)),
    "/any": (Guarded(kind="requires_any", needs=(UNKNOWN, ANALYTICS, DOMAIN)),),
    "/all": (Guarded(kind="requires_all", needs=(ANALYTICS, DOMAIN)),),
    "/deny": (requires(ANALYTICS, on_unavailable="deny"),),
    "/own-fallback": (requires(ANALYTICS, fallback=False),),
    "/teapot": (requires(DOMAIN, on_denied=418),),
    "/shadow": (requires(DOMAIN, shadow=True),),
    "/shadow-off": (requires(DOMAIN, shadow=False, message="Domains are for teams."),),
    "/redirect": (requires(DOMAIN, on_denied="https://pay.example/?a=b"),),
    "/of-a-site": (requires(DOMAIN, resource="site-b"),),
    "/of-the-site": (requires(DOMAIN, resource=site_of),),
    "/acting": (meters(TEMPLATES, customer=acting_customer),),
    "/doubled": (meters(TEMPLATES, value=2), meters(TEMPLATES, value=2)),
    "/hidden": (requires(UNKNOWN, on_denied=404), meters(UNKNOWN, value=100)),
    "/for-one": (requires(DOMAIN, customer=always_within),),
    "/exempt-when": (requires(DOMAIN, exempt_when=always),),
    "/pair": (meters(TEMPLATES), meters(TEMPLATES)),
    "/deleted": (meters(TEMPLATES, value=-1),),
    "/by-response": (meters(TEMPLATES, value=said_by_response),),
    "/by-result": (meters(TEMPLATES, value=of_result),),
    "/event": (meters_event("email.sent", dimensions={"kind": "welcome"}),),
    "/told-event": (meters_event("email.sent", dimensions=answered),),
    "/both": (meters(TEMPLATES), meters_event("template.made")),
    "/at-the-start": (meters(TEMPLATES, streamed="start"),),
    "/at-the-end": (meters(TEMPLATES, streamed="end"),),
    "/by-what-was-sent": (meters(TEMPLATES, streamed=tens),),
    "/by-a-broken-function": (meters(TEMPLATES, streamed=broken),),
    "/streamed-twice": (
        meters(TEMPLATES, streamed="start"),
        meters(TEMPLATES, streamed=tens),
    ),
}

NUMBERED = "/numbered/<int:number>"
"""As many templates as the path says, in applications that have decorators."""
NUMBERED_GUARD = meters(TEMPLATES, value=of_arguments)

RULED = "/ruled/<int:number>"
"""A rule asks for a custom domain here: GET only."""
RULE_EXEMPT = "/ruled/exempt"
"""Decorated with `guard_exempt`; a rule of its own asks for a custom domain here."""
WEBSOCKET = "/ws"
"""Asks for a custom domain; accepts, sends "hello" and closes. ASGI only."""
COUNTED_WEBSOCKET = "/counted-ws"
"""As `WEBSOCKET`, and metered by what it sends: a unit for five characters."""
COUNTED_GUARD = meters(TEMPLATES, streamed=fives)
REQUIRED = "/required"
"""Its view calls `guard.require(subject, "feature-03-custom-domain")` itself."""


def rules() -> tuple[Rule, ...]:
    """The rules that every application has."""
    get = frozenset({"GET", "HEAD"})
    return (
        Rule(path=RULED, methods=get, spec=feature_spec(DOMAIN)),
        Rule(path=RULE_EXEMPT, spec=feature_spec(DOMAIN)),
    )


def rules_for_everything() -> tuple[Rule, ...]:
    """The decorators as rules too, for applications that have only rules."""
    return (
        *(
            Rule(path=path, spec=guarded.spec())
            for path, decorators in ROUTES.items()
            for guarded in decorators
        ),
        Rule(path=RULED, methods=frozenset({"GET", "HEAD"}), spec=feature_spec(DOMAIN)),
    )
