"""What Revvenu's templates say about features, in the words of its plans."""

from __future__ import annotations

from django import template

from example_project.revvenu.plans import NAMES

register = template.Library()


@register.filter
def sold_as(feature_id: str | None) -> str:
    """What a feature is called on the plans page."""
    return NAMES.get(feature_id or "", "This")
