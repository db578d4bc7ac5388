"""The Jinja extension, for Django's backend for Jinja templates.

What is asked, and how, is `entitled`'s; the tags of Django's own templates are in
`templatetags`.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, pass_context
from jinja2.ext import Extension
from jinja2.runtime import Context

from stigg_guard.shown import ShownEntitlement, shown
from stigg_guard_django.shown import of_context


class StiggGuardExtension(Extension):
    """`entitled("feature-01")` and `entitlement("feature-01")` in every template.

    Name it in the backend's OPTIONS: {"extensions":
    ["stigg_guard_django.jinja.StiggGuardExtension"]}.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        names: dict[str, Any] = environment.globals
        names |= {"entitled": entitled, "entitlement": entitlement}


@pass_context
def entitled(context: Context, *feature_ids: str) -> bool:
    """Whether the customer has all of these features."""
    if not feature_ids:
        raise TypeError('entitled() names no feature; write entitled("feature-01").')
    found = of_context(context, "entitled()").entitlements
    answers = [found.has(feature_id) for feature_id in feature_ids]
    return all(answers)


@pass_context
def entitlement(context: Context, feature_id: str) -> ShownEntitlement:
    """All about one feature; true where there is access."""
    return shown(of_context(context, "entitlement()"), feature_id)
