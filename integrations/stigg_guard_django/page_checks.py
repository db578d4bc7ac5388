"""What is told of templates that denials are to be answered with.

How they are rendered is said in `pages`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.core.checks import CheckMessage, Error
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from stigg_guard import Settings
from stigg_guard.view import Template, ViewSpec
from stigg_guard_django.apps import SETTING


def missing_templates(
    settings: Settings, specs: Iterable[ViewSpec]
) -> Iterator[CheckMessage]:
    """E007: a template of `on_denied` that no engine finds, so that denials are 500."""
    wanted = [spec.on_denied for spec in specs] + [settings.on_denied]
    names = {found.name for found in wanted if isinstance(found, Template)}
    for name in sorted(names):
        try:
            get_template(name)
        except TemplateDoesNotExist:
            yield Error(
                f'on_denied is "{name}", and there is no such template: who is denied'
                " gets a server error.",
                hint="Add it to the project's templates, or name another one. One for"
                f' all views may stand in {SETTING}["ON_DENIED"].',
                id="stigg_guard.E007",
            )
