"""Where a denial cannot be a template: no framework is there to render one.

What a template is shown with is the adapters' business.
"""

from __future__ import annotations

from collections.abc import Iterable

from stigg_guard.errors import ConfigurationError
from stigg_guard.rules import Rule
from stigg_guard.settings import Settings
from stigg_guard.view import OnDenied, Template


def refuse_templates(owner: str, settings: Settings, rules: Iterable[Rule]) -> None:
    """Raise `ConfigurationError` if a denial is to be a template."""
    _refuse(owner, "ON_DENIED", settings.on_denied)
    for rule in rules:
        _refuse(owner, f"the rule for {rule.path}", rule.spec.on_denied)


def _refuse(owner: str, where: str, on_denied: OnDenied | None) -> None:
    if isinstance(on_denied, Template):
        raise ConfigurationError(
            f'{where} wants the template "{on_denied.name}", and {owner} has no'
            " templates; give on_denied a function that makes the response, or the URL"
            ' of a page, such as "/plans/".'
        )
