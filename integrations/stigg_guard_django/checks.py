"""System checks: what is wrong with the wiring, told by `manage.py check`, with a cure.

They look at settings and routes only; no sidecar is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags

from stigg_guard import ConfigurationError, Settings
from stigg_guard.rules import Rule
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import SETTING, read_settings
from stigg_guard_django.caching_checks import cache_in_middleware, caches_outside_guards
from stigg_guard_django.deployment_checks import deployment_messages, outbox_messages
from stigg_guard_django.middleware_checks import (
    guards_outside_logins,
    middleware_messages,
)
from stigg_guard_django.page_checks import missing_templates
from stigg_guard_django.placement import is_api_view
from stigg_guard_django.routes import Route, routes, rule_reaches
from stigg_guard_django.webhooks import missing_secret


def register() -> None:
    """Make Django run the checks."""
    checks.register(check_settings, "stigg_guard")
    checks.register(check_wiring, "stigg_guard")
    checks.register(check_rules, "stigg_guard")
    checks.register(check_api, "stigg_guard")
    checks.register(check_caching, "stigg_guard")
    checks.register(check_logins, "stigg_guard")
    checks.register(check_pages, "stigg_guard")
    checks.register(check_webhooks, "stigg_guard")
    checks.register(check_outbox, Tags.database)
    checks.register(check_deployment, Tags.security, deploy=True)


def wiring_messages() -> list[CheckMessage]:
    """What is told of settings and wiring, without what only a deployment needs."""
    return [message for check in _OF_WIRING for message in check()]


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
    """E002 to E004, I001: a customer and the middleware, where they are needed."""
    settings = _settings()
    if settings is None:
        return []
    specs = _all_specs(_routes())
    return [*_check_customer(settings, specs), *middleware_messages(specs)]


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
    """E020 to E022: guards in an API of Django REST framework that cannot work."""
    views = [route.view for route in _routes() if is_api_view(route.owner)]
    if not views:
        return []
    from stigg_guard_django.drf.checks import check_view

    return [message for view in views for message in check_view(view)]


def check_caching(**_: Any) -> list[CheckMessage]:
    """E005 and E006: a cache that answers in place of a guard."""
    settings = _settings()
    if settings is None:
        return []
    found = list(_routes())
    return [
        *cache_in_middleware(settings, _all_specs(found)),
        *caches_outside_guards(settings, found),
    ]


def check_logins(**_: Any) -> list[CheckMessage]:
    """W003: guards that ask before it is known who is there."""
    return list(guards_outside_logins(_routes()))


def check_pages(**_: Any) -> list[CheckMessage]:
    """E007: templates of denials that are not there."""
    settings = _settings()
    if settings is None:
        return []
    return list(missing_templates(settings, _all_specs(_routes())))


def check_webhooks(**_: Any) -> list[CheckMessage]:
    """E008: webhooks without a secret."""
    settings = _settings()
    if settings is None:
        return []
    return list(missing_secret(settings, _routes()))


def check_deployment(**_: Any) -> list[CheckMessage]:
    """W002, W004 and W005: what is right for development alone."""
    settings = _settings()
    if settings is None or django_settings.DEBUG:
        return []
    return list(deployment_messages(settings, _all_specs(_routes())))


def check_outbox(
    *, databases: Iterable[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """W006: an outbox in a database without its table."""
    settings = _settings()
    if settings is None or not databases:
        return []
    return list(outbox_messages(settings, databases))


_OF_WIRING: Final = (
    *(check_settings, check_wiring, check_rules, check_api, check_caching),
    *(check_logins, check_pages, check_webhooks),
)


def _settings() -> Settings | None:
    try:
        return read_settings()
    except ConfigurationError:
        return None


def _routes() -> Iterable[Route]:
    return routes() if getattr(django_settings, "ROOT_URLCONF", None) else ()


def _all_specs(found: Iterable[Route]) -> list[ViewSpec]:
    """What views and rules ask for."""
    settings = _settings()
    rules = () if settings is None else settings.rules
    return [*_specs_of(found), *(rule.spec for rule in rules)]


def _specs_of(found: Iterable[Route]) -> Iterator[ViewSpec]:
    for route in found:
        yield from route.specs
