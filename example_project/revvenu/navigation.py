"""The pages in the order in which every page lists them."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest

PAGES: Final = (
    ("overview", "Overview"),
    ("templates", "Templates"),
    ("campaigns", "Campaigns"),
    ("domain", "Domain"),
    ("files", "Files"),
    ("analytics", "Analytics"),
    ("plans", "Plans"),
)


def nav(request: HttpRequest) -> dict[str, object]:
    """What `base.html` lists: names of addresses, and their labels."""
    return {"nav": PAGES}
