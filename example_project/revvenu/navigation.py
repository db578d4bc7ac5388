"""The pages in the order in which every page lists them, and what they need.

Those that the plan lacks are marked in `base.html`, by the guard's template tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

from example_project.revvenu.plans import (
    ANALYTICS,
    CUSTOM_DOMAIN,
    FILE_SIZE,
    LARGEST_UPLOAD_MB,
)


@dataclass(frozen=True, slots=True)
class Page:
    """The name of a page's address, its label, and the feature that it needs."""

    name: str
    label: str
    feature: str = ""
    at_least: int = 0


PAGES: Final = (
    Page("overview", "Overview"),
    Page("templates", "Templates"),
    Page("campaigns", "Campaigns"),
    Page("domain", "Domain", CUSTOM_DOMAIN),
    Page("files", "Files", FILE_SIZE, at_least=LARGEST_UPLOAD_MB),
    Page("analytics", "Analytics", ANALYTICS),
    Page("plans", "Plans"),
)


def nav(request: HttpRequest) -> dict[str, object]:
    """What `base.html` lists."""
    return {"nav": PAGES}
