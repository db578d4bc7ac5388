"""System checks: what is wrong with the wiring, told by `manage.py check`, with a cure.

They look at settings and routes only; no sidecar is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.utils.module_loading import import_string

from stigg_guard import ConfigurationError, Settings
from stigg_guard.rules import Rule
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import SETTING, read_settings
from stigg_guard_django.placement import is_api_view
from stigg_guard_django.routes import Route, routes, rule_reaches

GUARD = "stigg_guard_django.StiggGuardMiddleware"


def register() -> None:
    """Make Django run the checks."""
    checks.register(check_settings, "stigg_guard")
    checks.register(check_wiring, "stigg_guard")
    checks.register(check_rules, "stigg_guard")
    checks.register(check_api, "stigg_guard")
    checks.register(check_deployment, Tags.security, deploy=True)


def wiring_messages() -> list[CheckMessage]:
    """What is told of settings and wiring, without what only a deployment needs."""
    return [*check_settings(), *check_wiring(), *check_rules()]


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001 and E002: settings that cannot be."""
    try:
        read_settings()
    except ConfigurationError as error:
        is_customer = str(error).startswith(f'{SETTING}["CUSTOMER"]')
        return [
            Error(str(error), id=f"stigg_guard.{'E002' if is_customer else 'E001'}")
        ]
    return []


def check_wiring(**_: Any) -> list[CheckMessage]:
    """E002 to E004: a customer, and the middleware in its place, where it is needed."""
    settings = _settings()
    if settings is None:
        return []
    found = list(_routes())
    specs = [*_specs_of(found), *(rule.spec for rule in settings.rules)]
    return [*_check_customer(settings, specs), *_check_middleware(specs)]


def _check_customer(
    settings: Settings, specs: list[ViewSpec]
) -> Iterator[CheckMessage]:
    if settings.customer is None and any(spec.customer is None for spec in specs):
        yield Error(
            f'Views are guarded, but {SETTING}["CUSTOMER"] is not set: every request to'
            " them is denied.",
            hint="Set it to a function from the request to the customer's id, or to its"
            ' dotted path, such as "billing.customer_of".',
            id="stigg_guard.E002",
        )


def _check_middleware(specs: list[ViewSpec]) -> Iterator[CheckMessage]:
    ours = _index_of("stigg_guard_django.middleware.StiggGuardMiddleware")
    theirs = _index_of("django.contrib.auth.middleware.AuthenticationMiddleware")
    if specs and ours is None:
        yield Error(
            "Views are guarded, but MIDDLEWARE has no StiggGuardMiddleware: denied"
            " requests end as server errors, and rules are not looked at.",
            hint=f'Add "{GUARD}" to MIDDLEWARE, below the authentication middleware.',
            id="stigg_guard.E003",
        )
    if ours is not None and theirs is not None and ours < theirs:
        yield Error(
            "StiggGuardMiddleware stands above AuthenticationMiddleware in MIDDLEWARE,"
            " so requests have no user when rules ask for the customer.",
            hint=f'Move "{GUARD}" below AuthenticationMiddleware.',
            id="stigg_guard.E004",
        )


def check_rules(**_: Any) -> list[CheckMessage]:
    """W001: rules that no request can meet."""
    settings = _settings()
    if settings is None or not settings.rules:
        return []
    found = list(_routes())
    return [
        _unreached(number, rule)
        for number, rule in enumerate(settings.rules)
        if not rule_reaches(rule, found)
    ]


def _unreached(number: int, rule: Rule) -> CheckMessage:
    return checks.Warning(
        f'{SETTING}["RULES"], rule {number}: no route of the project matches the'
        f" {rule.where}.",
        hint="Write it as it is in the URLconf: a path with its slashes and the prefix"
        " of every include(), a name with the namespaces before it.",
        id="stigg_guard.W001",
    )


def check_api(**_: Any) -> list[CheckMessage]:
    """E020 and E021: guards in an API of Django REST framework that cannot work."""
    views = [route.view for route in _routes() if is_api_view(route.owner)]
    if not views:
        return []
    from stigg_guard_django.drf.checks import check_view

    return [message for view in views for message in check_view(view)]


def check_deployment(**_: Any) -> list[CheckMessage]:
    """W002: a sidecar for development where the public comes."""
    settings = _settings()
    if settings is None or settings.target != "local" or django_settings.DEBUG:
        return []
    return [
        checks.Warning(
            f'{SETTING}["TARGET"] is "local" while DEBUG is False: customers are judged'
            " by a sidecar for development.",
            hint='Set the address of your sidecar, such as "localhost:80".',
            id="stigg_guard.W002",
        )
    ]


def _settings() -> Settings | None:
    try:
        return read_settings()
    except ConfigurationError:
        return None


def _routes() -> Iterable[Route]:
    return routes() if getattr(django_settings, "ROOT_URLCONF", None) else ()


def _specs_of(found: Iterable[Route]) -> Iterator[ViewSpec]:
    for route in found:
        yield from route.specs


def _index_of(wanted: str) -> int | None:
    """Where a middleware, or a class that inherits from it, stands."""
    for index, dotted in enumerate(django_settings.MIDDLEWARE):
        try:
            found = import_string(dotted)
        except ImportError:
            continue
        if wanted in [f"{c.__module__}.{c.__qualname__}" for c in _bases_of(found)]:
            return index
    return None


def _bases_of(found: object) -> tuple[type, ...]:
    return found.__mro__ if isinstance(found, type) else ()
