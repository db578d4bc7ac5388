"""What Revvenu sells, in the words of its pages.

Who has bought what is not decided here: the sidecar says so. The numbers are those of
the demo catalog, which a local sidecar serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TEMPLATES: Final = "feature-01-templates"
CAMPAIGNS: Final = "feature-02-campaigns"
CUSTOM_DOMAIN: Final = "feature-03-custom-domain"
ANALYTICS: Final = "feature-04-analytics"
EXPORTS: Final = "feature-05-export-formats"
FILE_SIZE: Final = "feature-06-max-file-size"

NAMES: Final = {
    TEMPLATES: "Templates",
    CAMPAIGNS: "Campaigns",
    CUSTOM_DOMAIN: "Custom domain",
    ANALYTICS: "Analytics",
    EXPORTS: "Export formats",
    FILE_SIZE: "Largest file",
    "feature-07-active-users": "Active users",
    "feature-08-editors": "Editors",
    "feature-09-backups": "Backups",
    "feature-10-white-label": "White label",
}
LARGEST_UPLOAD_MB: Final = 25
UNITS: Final = {FILE_SIZE: "MB", "feature-09-backups": "backups"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A column of the plans page."""

    name: str
    pitch: str
    offers: tuple[tuple[str, str], ...]
    """Feature ids and what is offered of each."""


PLANS: Final = (
    Plan(
        name="Free",
        pitch="For a first newsletter.",
        offers=(
            (TEMPLATES, "6 templates"),
            (CAMPAIGNS, "3 campaigns a month"),
            (FILE_SIZE, "Files up to 10 MB"),
        ),
    ),
    Plan(
        name="Essentials",
        pitch="For a growing list.",
        offers=(
            (TEMPLATES, "6 templates"),
            (CAMPAIGNS, "32 campaigns a month"),
            (FILE_SIZE, "Files up to 100 MB"),
            (CUSTOM_DOMAIN, "Your own domain"),
            (ANALYTICS, "Analytics"),
        ),
    ),
    Plan(
        name="Scale",
        pitch="For teams that send every day.",
        offers=(
            (TEMPLATES, "Templates without limit"),
            (CAMPAIGNS, "100 campaigns a month, then pay as you go"),
            (FILE_SIZE, "Files of any size"),
            (CUSTOM_DOMAIN, "Your own domain"),
            (ANALYTICS, "Analytics"),
            ("feature-08-editors", "5 editors"),
            ("feature-09-backups", "30 backups"),
            ("feature-10-white-label", "White label"),
        ),
    ),
)
