"""An outage as a guard meets it: how checks and reports end while it lasts.

Which outages there are is said in `outages`.
"""

from __future__ import annotations

from stigg_guard.decision import NoAnswer
from stigg_guard.settings import Settings
from stigg_guard.testing.reach import Standing


class Outage(Standing):
    """Something that is wrong with the sidecar."""

    def check_fails(self, settings: Settings) -> NoAnswer | None:
        """How a check ends instead of with an answer, if it does."""
        raise NotImplementedError

    def report_fails(self, settings: Settings) -> NoAnswer | None:
        """How a report ends instead of with an acknowledgement, if it does.

        With `may_have_arrived` it was carried out.
        """
        raise NotImplementedError
